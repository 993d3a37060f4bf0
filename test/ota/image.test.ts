import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { inflateRaw } from "pako";
import type { Engine } from "../../firmware/engine/engine";
import { decodeHeatshrink } from "../../firmware/ota/heatshrink";
import { imageId, type Manifest, parseManifest, treeHash } from "../../firmware/ota/image";
import { treeHashOf } from "../../host-tools/build/image";
import { codecs, imageOf, sampleCode, withManifest } from "./support/update-mesh";

const engine = codecs as Engine;
const SLOT = 24 * 4096;
const STAGE = 25 * 4096;
const CODE = sampleCode(9000);
const IMAGE = imageOf(CODE, "deflate");
const blobOf = (text: string): string => String.fromCharCode(text.length & 255, text.length >> 8) + text;
const parse = (blob: string): Manifest | string => parseManifest(blob, SLOT, STAGE);
const changed = (change: object): Manifest | string => parse(withManifest(IMAGE, change).blob.toString("latin1"));

test("what makeImage writes is understood", () => {
  expect(parse(IMAGE.blob.toString("latin1"))).toEqual(IMAGE.manifest);
  // A signature behind the manifest is no part of it.
  expect(parse(IMAGE.blob.toString("latin1") + "\xff".repeat(7856))).toEqual(IMAGE.manifest);
});

const codes: Record<keyof Omit<Manifest, "notes" | "base" | "baseBytes">, string> = {
  product: "bad-manifest:name",
  hardware: "bad-manifest:name",
  role: "bad-manifest:name",
  engine: "bad-manifest:name",
  version: "bad-manifest:name",
  counter: "bad-manifest:counter",
  encoding: "bad-manifest:encoding",
  chunkBytes: "bad-manifest:chunkBytes",
  payloadBytes: "too-large:payload",
  resultBytes: "too-large:result",
  resultHash: "bad-manifest:resultHash",
  chunkHashes: "bad-manifest:chunkHashes",
};

test.each(Object.entries(codes))("%s missing or of another type: %s", (field, code) => {
  const wrong = [undefined, null, true, {}, [], [1], "", -1, 1.5, 2 ** 31, 1e300, "x".repeat(33)];
  for (const value of wrong) {
    expect([field, value, changed({ [field]: value })]).toEqual([field, value, code]);
  }
});

test.each<[string, object, string]>([
  ["a result of more than the slot", { resultBytes: SLOT + 1 }, "too-large:result"],
  ["a payload of more than the stage", { payloadBytes: 1016 * 100 + 1 }, "too-large:payload"],
  ["small chunks that do not fit the stage", { chunkBytes: 64, payloadBytes: 6401 }, "too-large:payload"],
  ["a raw payload unlike its result", { encoding: "raw" }, "bad-manifest:payloadBytes"],
  ["chunks of 63 bytes", { chunkBytes: 63 }, "bad-manifest:chunkBytes"],
  ["chunks of 1017 bytes", { chunkBytes: 1017 }, "bad-manifest:chunkBytes"],
  ["a hash too short", { resultHash: "ab".repeat(31) }, "bad-manifest:resultHash"],
  ["a hash too long", { resultHash: "ab".repeat(33) }, "bad-manifest:resultHash"],
  ["a hash with a letter g", { resultHash: "g" + "a".repeat(63) }, "bad-manifest:resultHash"],
  ["one chunk hash too few", { payloadBytes: IMAGE.manifest.payloadBytes + 1016 }, "bad-manifest:chunkHashes"],
  ["one chunk hash too many", { payloadBytes: IMAGE.manifest.payloadBytes - 1016 }, "bad-manifest:chunkHashes"],
  ["notes that leave no room in the slot's header", { notes: "x".repeat(4032) }, "too-large:manifest"],
  ["an encoding that only looks like one", { encoding: "Raw" }, "bad-manifest:encoding"],
])("%s is refused", (_what, change, code) => expect(changed(change)).toBe(code));

test.each<[string, string, string]>([
  ["nothing", "", "bad-blob"],
  ["one byte", "\x01", "bad-blob"],
  ["a length alone", "\x05\x00", "bad-blob"],
  ["a length of nothing", "\x00\x00", "bad-blob"],
  ["a length beyond the end", "\xff\xff{}", "bad-blob"],
  ["no JSON", blobOf("{]"), "bad-manifest"],
  ["a number", blobOf("5"), "bad-manifest"],
  ["null", blobOf("null"), "bad-manifest"],
  ["an array", blobOf("[]"), "bad-manifest:name"],
  ["a text", blobOf('"x"'), "bad-manifest"],
])("a blob of %s is refused", (_what, blob, code) => expect(parse(blob)).toBe(code));

test("property: a blob cut anywhere, or of random bytes, is a code and no exception", () => {
  const blob = IMAGE.blob.toString("latin1");
  for (let length = 0; length < blob.length; length++) expect(typeof parse(blob.slice(0, length))).toBe("string");
  const random = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  fc.assert(
    fc.property(random, (bytes) => typeof parse(bytes) === "string" && typeof parse(blobOf(bytes)) === "string"),
  );
});

test("property: whatever JSON stands in the fields, what is accepted fits slot and stage", () => {
  const field = fc.constantFrom(...Object.keys(codes));
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.integer(),
    fc.constantFrom("raw", "deflate", 64, 1016, SLOT),
  );
  fc.assert(
    fc.property(fc.dictionary(field, value, { maxKeys: 3 }), (change) => {
      const m = changed(change);
      if (typeof m === "string") return expect(m).toMatch(/^(bad-manifest|too-large):/);
      expect(m.resultBytes).toBeLessThanOrEqual(SLOT);
      expect(Math.ceil(m.payloadBytes / m.chunkBytes) * 1024).toBeLessThanOrEqual(STAGE);
    }),
    { numRuns: 500 },
  );
});

test("property: the tree hash is the host's, whatever the length", () => {
  const read = (data: Buffer) => (offset: number, length: number) => data.toString("latin1", offset, offset + length);
  for (const length of [0, 1, 4095, 4096, 4097, 8192, 12289]) {
    const data = Buffer.from(sampleCode(length), "latin1");
    expect(treeHash(engine, length, read(data))).toBe(treeHashOf(data));
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 9000 }), (bytes) => {
      const data = Buffer.from(bytes);
      return treeHash(engine, data.length, read(data)) === treeHashOf(data);
    }),
    { numRuns: 30 },
  );
});

test("the tree hash of two pages is the hash of their hashes", () => {
  const sha = (data: Buffer): Buffer => createHash("sha256").update(data).digest();
  const pages = [Buffer.alloc(4096, 1), Buffer.alloc(100, 2)];
  expect(treeHashOf(Buffer.concat(pages))).toBe(sha(Buffer.concat(pages.map(sha))).toString("hex"));
});

test("the id is the start of the blob's hash, and changes with every bit of it", () => {
  const blob = IMAGE.blob.toString("latin1");
  expect(imageId(engine, blob)).toBe(IMAGE.id);
  expect(imageId(engine, blob)).toBe(createHash("sha256").update(IMAGE.blob).digest("hex").slice(0, 16));
  expect(imageId(engine, blob + "\x00")).not.toBe(IMAGE.id);
});

describe("an image holds the bundle", () => {
  const sizes = [64, 65, 127, 128, 200, 256, 500, 512, 777, 1000, 1015, 1016];

  function decoded(payload: Buffer, chunks: Buffer[], m: Manifest): string {
    if (m.encoding === "raw") return payload.toString("latin1");
    if (m.encoding === "deflate") return Buffer.from(inflateRaw(payload)!).toString("latin1");
    const out = Buffer.alloc(m.resultBytes);
    for (const chunk of chunks) {
      const piece = decodeHeatshrink(engine.unshrink, chunk.toString("latin1"), m.resultBytes);
      if (typeof piece === "number") throw new Error(`code ${piece}`);
      out.write(piece.bytes, piece.offset, "latin1");
    }
    return out.toString("latin1");
  }

  test.each(["raw", "deflate", "heatshrink"] as const)("%s, in chunks of every size", (encoding) => {
    const bytes = Uint8Array.from({ length: 700 }, (_, i) => (i * i * 31) >> 3);
    for (const code of [CODE.slice(0, 4500), "x", Buffer.from(bytes).toString("latin1"), "y".repeat(5000)]) {
      for (const chunkBytes of sizes) {
        const { manifest, chunks, blob } = imageOf(code, encoding, { chunkBytes });
        expect(decoded(Buffer.concat(chunks), chunks, manifest)).toBe(code);
        expect(chunks.slice(0, -1).every((chunk) => chunk.length === chunkBytes)).toBe(true);
        expect(chunks.at(-1)!.length).toBe(manifest.payloadBytes - chunkBytes * (chunks.length - 1));
        expect(parseManifest(blob.toString("latin1"), SLOT, 1 << 20)).toEqual(manifest);
        const hashes = Buffer.from(manifest.chunkHashes, "base64");
        chunks.forEach((chunk, i) => {
          const short = createHash("sha256").update(chunk).digest().subarray(0, 8);
          expect(hashes.subarray(i * 8, i * 8 + 8).equals(short)).toBe(true);
        });
      }
    }
  });

  test("chunks below 64 bytes are refused by the encoder that needs room for a header", () => {
    expect(() => imageOf(CODE, "heatshrink", { chunkBytes: 63 })).toThrow(RangeError);
  });
});
