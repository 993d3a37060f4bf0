import { bundle } from "../../host-tools/build/bundle";
import { runScript } from "./support";

/** Pieces of at most this many bytes are written to flash at once. */
const PIECE = 2000;

/** A flash that holds the parts of an update as file "code", and what else is given. */
export async function flashWithParts(files: Record<string, Uint8Array>): Promise<Uint8Array> {
  const { code } = await bundle({
    app: null,
    entry: "test/engine/fixtures/ota-parts.ts",
    role: "node",
    board: "esp32-devkitc",
    version: "1.0.0",
  });
  let script = 'var s=require("Storage");';
  for (const [name, data] of Object.entries({ code: Buffer.from(code), ...files })) {
    for (let at = 0; at < data.length; at += PIECE) {
      const piece = Buffer.from(data.subarray(at, at + PIECE)).toString("base64");
      script += `s.write("${name}",atob("${piece}"),${at},${data.length});`;
    }
  }
  return runScript(script, { env: { ESPR_VARS: "30000" } }).flash!;
}

/** Starts the parts out of flash; `S` reads a file as a view on flash. */
export const START = 'var S=require("Storage").read;global.espalierBoot={code:S("code")};eval(espalierBoot.code);';
