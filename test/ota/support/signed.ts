/**
 * Signed images for tests. Signing takes seconds, so signatures that were made once lie in test/vectors/signatures, by the
 * hash of key and message; what is not there is signed on the spot, and kept when ESPALIER_KEEP_SIGNATURES is set.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { assemble, type Image } from "../../../host-tools/build/image";
import { type KeyPair, sign } from "../../../host-tools/build/sign";
import { manifestBytes } from "../../../host-tools/build/sign-image";

const DIRECTORY = path.resolve(__dirname, "../../vectors/signatures");

/** Two pairs, as `generateKey` makes them of 48 bytes of 1 and of 2. */
export const KEYS: readonly KeyPair[] = fs
  .readFileSync(path.join(DIRECTORY, "keys.txt"), "utf8")
  .trim()
  .split("\n")
  .map((line) => {
    const secretKey = Buffer.from(line, "base64");
    return { secretKey, publicKey: secretKey.subarray(32) };
  });

export async function signed(image: Image, { secretKey }: KeyPair = KEYS[0]!): Promise<Image> {
  const text = manifestBytes(image);
  const name = createHash("sha256").update(secretKey).update(text).digest("hex").slice(0, 16);
  const file = path.join(DIRECTORY, `${name}.txt`);
  if (fs.existsSync(file))
    return assemble(image.manifest, image.chunks, Buffer.from(fs.readFileSync(file, "utf8"), "base64"));
  const signature = await sign(secretKey, text);
  if (process.env.ESPALIER_KEEP_SIGNATURES) fs.writeFileSync(file, `${signature.toString("base64")}\n`);
  return assemble(image.manifest, image.chunks, signature);
}
