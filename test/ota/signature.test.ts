import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  createVerifier,
  ERROR_LENGTH,
  ERROR_SIGNATURE,
  MORE,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  VALID,
} from "../../firmware/ota/signature";
import { generateKey, sign, verify } from "../../host-tools/build/sign";
import { VECTOR } from "./slh-dsa-vector";

let hashes = 0;

const hashing = {
  sha256(data: string | Uint8Array): ArrayBuffer {
    hashes++;
    const input = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    return Uint8Array.from(createHash("sha256").update(input).digest()).buffer;
  },
};

function result(publicKey: Buffer, message: Buffer, signature: Buffer, context?: string): number {
  const text = [publicKey, message, signature].map((bytes) => bytes.toString("latin1"));
  const verifier = createVerifier(hashing, text[0] as string, text[1] as string, text[2] as string, context);
  for (let slices = 0; slices < 1000; slices++) {
    const before = hashes;
    const code = verifier.step();
    expect(hashes - before).toBeLessThanOrEqual(30);
    if (code !== MORE) {
      expect(verifier.step()).toBe(code);
      return code;
    }
  }
  throw new Error("no end");
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return copy;
}

const { publicKey, message, signature } = VECTOR;

describe("signature verification", () => {
  it("accepts the published signature of RFC 9909", () => {
    expect(result(publicKey, message, signature)).toBe(VALID);
  });

  it("refuses a flipped bit anywhere in signature, message or key", () => {
    fc.assert(
      fc.property(fc.constantFrom("signature", "message", "publicKey"), fc.nat(), (part, at) => {
        const parts = { signature, message, publicKey };
        parts[part] = flipped(parts[part], at % (parts[part].length * 8));
        expect(result(parts.publicKey, parts.message, parts.signature)).toBe(ERROR_SIGNATURE);
      }),
      { numRuns: 40 },
    );
  });

  it("refuses a flipped bit in every part of the signature", () => {
    // randomizer, first and last FORS secret and path, one-time signature and path of each layer
    const offsets = [0, 16, 32, 16 + 13 * 208, 2927];
    for (let layer = 0; layer < 7; layer++)
      offsets.push(2928 + layer * 704, 2928 + layer * 704 + 560, 2928 + layer * 704 + 703);
    for (const at of offsets) expect(result(publicKey, message, flipped(signature, at * 8))).toBe(ERROR_SIGNATURE);
  });

  it("refuses keys and signatures of other lengths without a hash", () => {
    hashes = 0;
    for (const length of [0, 1, SIGNATURE_BYTES - 1]) {
      expect(result(publicKey, message, signature.subarray(0, length))).toBe(ERROR_LENGTH);
    }
    expect(result(publicKey, message, Buffer.concat([signature, Buffer.alloc(1)]))).toBe(ERROR_LENGTH);
    expect(result(publicKey.subarray(1), message, signature)).toBe(ERROR_LENGTH);
    expect(result(Buffer.alloc(PUBLIC_KEY_BYTES + 1), message, signature)).toBe(ERROR_LENGTH);
    expect(hashes).toBe(0);
  });

  it("refuses a truncated or lengthened message, and another context", () => {
    expect(result(publicKey, message.subarray(1), signature)).toBe(ERROR_SIGNATURE);
    expect(result(publicKey, Buffer.concat([message, Buffer.alloc(1)]), signature)).toBe(ERROR_SIGNATURE);
    expect(result(publicKey, message, signature, "other")).toBe(ERROR_SIGNATURE);
  });

  it("agrees with the laptop on its own signatures, and refuses another key", async () => {
    const mine = await generateKey(Buffer.alloc(48, 1));
    const other = await generateKey(Buffer.alloc(48, 2));
    const text = Buffer.from('{"product":"sensor"}');
    const made = await sign(mine.secretKey, text);
    expect(made.length).toBe(SIGNATURE_BYTES);
    expect(result(mine.publicKey, text, made)).toBe(VALID);
    expect(result(other.publicKey, text, made)).toBe(ERROR_SIGNATURE);
    expect(await verify(mine.publicKey, text, made)).toBe(true);
    expect(await verify(other.publicKey, text, made)).toBe(false);
  }, 60_000);
});
