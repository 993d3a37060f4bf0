/** The keys that a site names: files beside its own, or environment variables. */
import * as fs from "node:fs";
import * as path from "node:path";
import { KeyError, type KeyPair, readKeyPair, readPublicKey } from "../build/sign";
import { EspalierError, EXIT } from "../errors";
import { secret } from "./load";
import type { Site } from "./schema";

const HINTS: Record<KeyError["code"], string> = {
  "no-file": '"espalier keygen" makes one.',
  "not-a-key": 'It must be a file that "espalier keygen" has made.',
  "no-secret-key": "That is the public half; the private one is needed here.",
  "key-mismatch": "Its two halves do not belong together; take a copy from your backup.",
  "readable-by-others": "Others may read it: chmod 600 it, and think about who did.",
  exists: "Nodes may trust it. Take another name, or move it away.",
};

/** A key file's fault as the command line tells it. */
export function keyError(error: KeyError): EspalierError {
  return new EspalierError("KEY_FILE", `${error.file}: ${error.code.replace(/-/g, " ")}`, {
    hint: HINTS[error.code],
    context: { file: error.file, reason: error.code },
    exitCode: EXIT.usage,
    cause: error,
  });
}

function read<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof KeyError ? keyError(error) : error;
  }
}

/** The public key in a file of either kind. @throws EspalierError KEY_FILE */
export const publicKeyIn = (file: string): Buffer => read(() => readPublicKey(file));

/** @throws EspalierError KEY_FILE */
export const keyPairIn = (file: string): KeyPair => read(() => readKeyPair(file));

/** The public key that nodes of the site trust, or null for a site whose nodes take unsigned images. */
export function publicKeyOf(site: Site, folder: string): Buffer | null {
  const file = site.keys?.public;
  return file === undefined ? null : publicKeyIn(path.resolve(folder, file));
}

/** The pair that signs the site's images, or null. @throws EspalierError KEY_FILE, SECRET_MISSING */
export function signingKeyOf(site: Site, folder: string, env: NodeJS.ProcessEnv = process.env): KeyPair | null {
  const named = site.keys?.private;
  if (named === undefined) return null;
  return keyPairIn(path.resolve(folder, secret(named, "keys.private", env)));
}

/** What a mesh key looks like: 64 hex digits, or base64 of 32 bytes. */
const MESH_KEY = /^([0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=)$/;

/** The text of the mesh key, or null for a mesh that obeys everybody. @throws EspalierError KEY_FILE, SECRET_MISSING */
export function meshKeyOf(site: Site, folder: string, env: NodeJS.ProcessEnv = process.env): string | null {
  const named = site.keys?.mesh;
  if (named === undefined) return null;
  const text = "file" in named ? meshKeyIn(path.resolve(folder, named.file)) : secret(named, "keys.mesh", env);
  if (!MESH_KEY.test(text.trim())) {
    throw new EspalierError("KEY_FILE", "keys.mesh is no mesh key", {
      hint: 'It is 64 hexadecimal digits, as "espalier keygen --mesh" writes them.',
      exitCode: EXIT.usage,
    });
  }
  return text.trim();
}

function meshKeyIn(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    throw keyError(new KeyError("no-file", file));
  }
}
