import * as fc from "fast-check";
import type { Bytes } from "../../firmware/engine/engine";
import {
  decodeHeatshrink,
  HEATSHRINK_BAD_CHUNK,
  HEATSHRINK_HEADER,
  HEATSHRINK_OUT_OF_RANGE,
} from "../../firmware/ota/heatshrink";
import { encodeHeatshrink, packHeatshrink } from "../../host-tools/build/heatshrink-encoder";
import { compress, decompress } from "../../host-tools/simulator/chip/heatshrink";
import { minifiedSources } from "./inflate-support";

const SOURCES = minifiedSources();

function unshrink(bytes: Bytes): Bytes | null {
  return decompress(Buffer.from(bytes, "latin1")).toString("latin1");
}

const data = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  fc
    .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 90 })), { maxLength: 20 })
    .map((parts) => Buffer.concat(parts.flatMap(([piece, times]) => Array<Uint8Array>(times).fill(piece)))),
  fc.tuple(fc.nat(SOURCES.length), fc.nat(4000)).map(([from, length]) => SOURCES.subarray(from, from + length)),
);

describe("encoder", () => {
  test("gives back what went in", () => {
    fc.assert(
      fc.property(data, (plain) => {
        expect(Buffer.compare(decompress(encodeHeatshrink(plain)).subarray(0, plain.length), plain)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test("is never larger than taking the longest match each time", () => {
    for (let at = 0; at + 4000 < SOURCES.length; at += 12_000) {
      const plain = SOURCES.subarray(at, at + 4000);
      expect(encodeHeatshrink(plain).length).toBeLessThanOrEqual(compress(plain).length);
    }
  });

  test("codes of the format, bit by bit", () => {
    // 1 'a', 1 'b', then distance 2, length 4: 0 00000001 000011
    expect(encodeHeatshrink(Buffer.from("ababab")).toString("hex")).toBe("b0d8802180");
  });
});

describe("chunks", () => {
  test("of any size decode in any order", () => {
    fc.assert(
      fc.property(data, fc.integer({ min: 64, max: 1016 }), fc.infiniteStream(fc.nat()), (plain, chunkBytes, order) => {
        const chunks = packHeatshrink(plain, chunkBytes);
        const result = Buffer.alloc(plain.length, 0xff);
        const shuffled = chunks.map((chunk) => ({ chunk, key: order.next().value as number }));
        shuffled.sort((a, b) => a.key - b.key);
        for (const { chunk } of shuffled) {
          expect(chunk.length).toBeLessThanOrEqual(chunkBytes);
          // A sender fills chunks up with zeros.
          const filled = Buffer.concat([chunk, Buffer.alloc(chunkBytes - chunk.length)]);
          const piece = decodeHeatshrink(unshrink, filled.toString("latin1"), plain.length);
          if (typeof piece === "number") throw new Error(`error ${piece}`);
          result.write(piece.bytes, piece.offset, "latin1");
        }
        expect(Buffer.compare(result, plain)).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  test("are as full as they can be", () => {
    const chunks = packHeatshrink(SOURCES, 1016);
    for (const chunk of chunks.slice(0, -1)) {
      expect(chunk.length).toBeGreaterThan(1010);
      const start = chunk.readUIntLE(0, 3);
      const length = chunk.readUInt16LE(3);
      const more = encodeHeatshrink(SOURCES, start, start + length + 1);
      expect(more.length + HEATSHRINK_HEADER).toBeGreaterThan(1016);
    }
  });

  test("that cannot hold anything are refused", () => {
    expect(() => packHeatshrink(SOURCES, 63)).toThrow(RangeError);
  });
});

describe("chunks that are wrong", () => {
  const good = packHeatshrink(SOURCES.subarray(0, 3000), 500)[1]!.toString("latin1");

  test("every truncation is an error", () => {
    for (let length = 0; length < good.length; length++) {
      expect(decodeHeatshrink(unshrink, good.substring(0, length), 3000)).toBe(HEATSHRINK_BAD_CHUNK);
    }
    expect(typeof decodeHeatshrink(unshrink, good, 3000)).toBe("object");
  });

  test("a text that would lie behind the end of the result is refused", () => {
    const { offset, bytes } = decodeHeatshrink(unshrink, good, 3000) as { offset: number; bytes: Bytes };
    expect(decodeHeatshrink(unshrink, good, offset + bytes.length)).toEqual({ offset, bytes });
    expect(decodeHeatshrink(unshrink, good, offset + bytes.length - 1)).toBe(HEATSHRINK_OUT_OF_RANGE);
    expect(decodeHeatshrink(unshrink, "\xff\xff\xff" + good.substring(3), 1 << 20)).toBe(HEATSHRINK_OUT_OF_RANGE);
  });

  test("what the engine refuses is an error", () => {
    expect(decodeHeatshrink(() => null, good, 3000)).toBe(HEATSHRINK_BAD_CHUNK);
    expect(decodeHeatshrink(() => "", good, 3000)).toBe(HEATSHRINK_BAD_CHUNK);
  });

  test("random bytes give an error, or text within bounds", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(70_000), (bytes, resultBytes) => {
        const piece = decodeHeatshrink(unshrink, Buffer.from(bytes).toString("latin1"), resultBytes);
        if (typeof piece === "number") {
          expect([HEATSHRINK_BAD_CHUNK, HEATSHRINK_OUT_OF_RANGE]).toContain(piece);
        } else {
          expect(piece.bytes.length).toBeGreaterThan(0);
          expect(piece.offset + piece.bytes.length).toBeLessThanOrEqual(resultBytes);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
