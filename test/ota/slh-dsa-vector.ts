import * as fs from "node:fs";
import * as path from "node:path";

const text = fs.readFileSync(path.join(__dirname, "../vectors/slh-dsa.txt"), "utf8");

function field(name: string): Buffer {
  const line = new RegExp(`^${name} ([0-9a-f]+)$`, "m").exec(text);
  return Buffer.from(line?.[1] ?? "", "hex");
}

/** A published signature: key, message and signature of the example certificate in RFC 9909. */
export const VECTOR = {
  publicKey: field("publicKey"),
  secretKey: field("secretKey"),
  message: field("message"),
  signature: field("signature"),
};
