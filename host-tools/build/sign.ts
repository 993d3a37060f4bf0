/**
 * Keys and signatures of images: SLH-DSA-SHA2-128s (FIPS 205), pure, with an empty context string. A key has no state, so
 * copies and restored backups of it are as good as the original.
 */
import * as fs from "node:fs";
import { z } from "zod";

export const ALGORITHM = "SLH-DSA-SHA2-128s";
export const PUBLIC_KEY_BYTES = 32;
export const SECRET_KEY_BYTES = 64;
export const SIGNATURE_BYTES = 7856;

/** An ES module, which CommonJS can only load this way. */
const slhDsa = async () => (await import("@noble/post-quantum/slh-dsa.js")).slh_dsa_sha2_128s;

const base64 = (bytes: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9+/]+=*$/)
    .refine((text) => text === Buffer.from(text, "base64").toString("base64"))
    .refine((text) => Buffer.from(text, "base64").length === bytes);

/** What stands in a key file: JSON. A public key file lacks `secretKey`. */
const KeyFile = z.strictObject({
  format: z.literal("espalier-key"),
  algorithm: z.literal(ALGORITHM),
  /** base64 of PK.seed and PK.root */
  publicKey: base64(PUBLIC_KEY_BYTES),
  /** base64 of SK.seed, SK.prf, PK.seed and PK.root (FIPS 205, figure 15) */
  secretKey: base64(SECRET_KEY_BYTES).optional(),
});

export type KeyErrorCode = "no-file" | "not-a-key" | "no-secret-key" | "key-mismatch" | "readable-by-others" | "exists";

export class KeyError extends Error {
  constructor(
    readonly code: KeyErrorCode,
    readonly file: string,
  ) {
    super(`${code}: ${file}`);
  }
}

export interface KeyPair {
  publicKey: Buffer;
  secretKey: Buffer;
}

/** Makes a key pair, at random unless 48 bytes of `seed` are given (tests only). */
export async function generateKey(seed?: Uint8Array): Promise<KeyPair> {
  const { publicKey, secretKey } = (await slhDsa()).keygen(seed);
  return { publicKey: Buffer.from(publicKey), secretKey: Buffer.from(secretKey) };
}

/** Signs; takes seconds. The signature differs from call to call, as FIPS 205 recommends against fault attacks. */
export async function sign(secretKey: Uint8Array, message: Uint8Array): Promise<Buffer> {
  return Buffer.from((await slhDsa()).sign(Uint8Array.from(message), Uint8Array.from(secretKey)));
}

/** False for every signature that was not made over `message` with this key, whatever its length. */
export async function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  return (await slhDsa()).verify(Uint8Array.from(signature), Uint8Array.from(message), Uint8Array.from(publicKey));
}

function fileText(key: { publicKey: Buffer; secretKey?: Buffer }): string {
  const content = {
    format: "espalier-key",
    algorithm: ALGORITHM,
    publicKey: key.publicKey.toString("base64"),
    ...(key.secretKey && { secretKey: key.secretKey.toString("base64") }),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/**
 * Writes the pair to `file`, readable by its owner alone, and the public key to `file` with ".pub" added.
 * @throws KeyError "exists" when either file is there already: a key that nodes trust cannot be made again.
 */
export function writeKeyFiles(file: string, key: KeyPair): void {
  for (const path of [file, `${file}.pub`]) if (fs.existsSync(path)) throw new KeyError("exists", path);
  fs.writeFileSync(file, fileText(key), { mode: 0o600, flag: "wx" });
  fs.writeFileSync(`${file}.pub`, fileText({ publicKey: key.publicKey }), { flag: "wx" });
}

function readKeyFile(file: string): { publicKey: Buffer; secretKey: Buffer | null } {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch {
    throw new KeyError("no-file", file);
  }
  let content: z.infer<typeof KeyFile>;
  try {
    content = KeyFile.parse(JSON.parse(text));
  } catch {
    throw new KeyError("not-a-key", file);
  }
  const publicKey = Buffer.from(content.publicKey, "base64");
  const secretKey = content.secretKey === undefined ? null : Buffer.from(content.secretKey, "base64");
  if (secretKey && !secretKey.subarray(PUBLIC_KEY_BYTES).equals(publicKey)) throw new KeyError("key-mismatch", file);
  return { publicKey, secretKey };
}

/** The public key in a file of either kind, PUBLIC_KEY_BYTES. @throws KeyError */
export function readPublicKey(file: string): Buffer {
  return readKeyFile(file).publicKey;
}

/** The pair in a file. @throws KeyError, also when others than the owner may read the file. */
export function readKeyPair(file: string): KeyPair {
  const { publicKey, secretKey } = readKeyFile(file);
  if (!secretKey) throw new KeyError("no-secret-key", file);
  if (process.platform !== "win32" && (fs.statSync(file).mode & 0o077) !== 0) {
    throw new KeyError("readable-by-others", file);
  }
  return { publicKey, secretKey };
}
