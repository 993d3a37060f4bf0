import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { MESH_KEY_BYTES } from "../../firmware/ota/control-auth";
import { generateKey, KeyError, writeKeyFiles } from "../build/sign";
import type { CommandDefinition } from "../command";
import { keyError } from "../config/keys";
import { EXIT } from "../errors";

function writeMeshKey(file: string): void {
  try {
    fs.writeFileSync(file, `${randomBytes(MESH_KEY_BYTES).toString("hex")}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw new KeyError("exists", file);
    throw error;
  }
}

export const keygen: CommandDefinition = {
  examples: [
    { line: "keygen keys/images", comment: "a pair for signing images: keys/images and keys/images.pub" },
    { line: "keygen --mesh keys/mesh", comment: "a key for control messages, which every node gets" },
  ],

  configure(command) {
    command
      .argument("<file>", "where to write it; what is there already is never overwritten")
      .option("--mesh", "make a mesh key instead of a pair");
  },

  async run(context, options, [file]) {
    const path = file as string;
    const mesh = options.mesh === true;
    try {
      if (mesh) writeMeshKey(path);
      else writeKeyFiles(path, await generateKey());
    } catch (error) {
      throw error instanceof KeyError ? keyError(error) : error;
    }
    const files = mesh ? [path] : [path, `${path}.pub`];
    context.report({ files, kind: mesh ? "mesh" : "images" }, () =>
      mesh
        ? `${path}: the mesh key. In flash.config.json: "keys": { "mesh": { "file": "${path}" } }. Keep it secret, and a copy of it.`
        : `${path}: the private key, keep it secret, and a copy of it.\n${path}.pub: the public key. ` +
          `In flash.config.json: "keys": { "public": "${path}.pub", "private": "${path}" }`,
    );
    return EXIT.ok;
  },
};
