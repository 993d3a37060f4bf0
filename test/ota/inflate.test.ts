import * as fc from "fast-check";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import pako from "pako";
import {
  INFLATE_BAD_BLOCK,
  INFLATE_BAD_CODE,
  INFLATE_BAD_DISTANCE,
  INFLATE_BAD_LENGTHS,
  INFLATE_BAD_STORED,
  INFLATE_BAD_SYMBOL,
  INFLATE_DONE,
  INFLATE_TOO_LONG,
  INFLATE_TRUNCATED,
  INFLATE_WAITING,
  createInflate,
} from "../../firmware/ota/inflate";
import { minifiedSources, run } from "./inflate-support";

type Levers = NonNullable<Parameters<typeof pako.deflateRaw>[1]>;

const SOURCES = minifiedSources();
const STRATEGIES = { default: 0, filtered: 1, huffmanOnly: 2, rle: 3, fixed: 4 };
const WINDOWS = [8, 9, 10, 11, 12, 13, 14, 15] as const;

/**
 * Raw deflate at any window size. For a raw stream zlib refuses a window of 256 bytes (8 bits); with a zlib header it
 * takes that for 512, and the stream inside is a raw one.
 */
function deflate(plain: Uint8Array, options: Levers = {}): Uint8Array {
  return options.windowBits === 8 ? pako.deflate(plain, options).subarray(2, -4) : pako.deflateRaw(plain, options);
}

/** A stream written bit by bit: [value, bits] from the lowest bit on; Huffman codes from the highest: "101". */
function bits(...fields: ([value: number, bits: number] | string)[]): Buffer {
  const all = fields.flatMap((field) =>
    typeof field === "string"
      ? [...field].map(Number)
      : Array.from({ length: field[1] }, (_, i) => (field[0] >> i) & 1),
  );
  const bytes = Buffer.alloc(Math.ceil(all.length / 8));
  all.forEach((bit, i) => (bytes[i >> 3]! |= bit << (i & 7)));
  return bytes;
}

/** Compressible and not, long runs, and repetitions at all distances. */
const data = fc.oneof(
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 3000 }) },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 400 })), {
        maxLength: 30,
      })
      .map((parts) => Buffer.concat(parts.flatMap(([piece, times]) => Array<Uint8Array>(times).fill(piece)))),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.nat(SOURCES.length), fc.nat(20000))
      .map(([from, length]) => SOURCES.subarray(from, from + length)),
  },
);

const levers: fc.Arbitrary<Levers> = fc.record({
  level: fc.constantFrom(0, 1, 3, 6, 9),
  windowBits: fc.constantFrom(...WINDOWS),
  memLevel: fc.constantFrom(1, 4, 8, 9),
  strategy: fc.constantFrom(...Object.values(STRATEGIES)),
}) as fc.Arbitrary<Levers>;

function expectSame(
  plain: Uint8Array,
  stream: Uint8Array,
  options: { chunk?: number; slice?: number; late?: number } = {},
) {
  const { code, output } = run(stream, { limit: plain.length, ...options });
  expect(code).toBe(INFLATE_DONE);
  expect(Buffer.compare(output, plain)).toBe(0);
}

describe("what pako deflates", () => {
  describe.each(Object.entries(STRATEGIES))("strategy %s", (_, strategy) => {
    test.each(WINDOWS)("window bits %i", (windowBits) => {
      for (const level of [0, 1, 6, 9] as const) {
        expectSame(SOURCES, deflate(SOURCES, { level, windowBits, strategy: strategy as 0, memLevel: 9 }));
      }
    });
  });

  test("of any kind, in pieces and slices of any size", () => {
    fc.assert(
      fc.property(
        data,
        levers,
        fc.integer({ min: 1, max: 1016 }),
        fc.integer({ min: 1, max: 1500 }),
        fc.nat(2),
        (plain, options, chunk, slice, late) => expectSame(plain, deflate(plain, options), { chunk, slice, late }),
      ),
      { numRuns: 400 },
    );
  });

  test("in several blocks, with flushes between them", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(data, levers), { minLength: 1, maxLength: 4 }), (parts) => {
        // A full flush ends a stream on a byte without a last block, so that streams can follow one another.
        const streams = parts.map(([plain, options], i) => {
          const flush = i + 1 < parts.length ? constants.Z_FULL_FLUSH : constants.Z_FINISH;
          return deflateRawSync(plain, { ...options, finishFlush: flush });
        });
        expectSame(Buffer.concat(parts.map(([plain]) => plain)), Buffer.concat(streams));
      }),
      { numRuns: 60 },
    );
  });

  test("with distances of up to 32768", () => {
    const far = Buffer.alloc(32768, 0);
    for (let i = 0; i < far.length; i++) far[i] = (i * i * 31 + (i >> 3)) & 255;
    for (const distance of [32768, 32767, 32766]) {
      const plain = Buffer.concat([far.subarray(0, distance), far.subarray(0, 258)]);
      // Stored blocks cannot refer back, so the match is made by hand: length 258, distance code 29.
      const stored = Buffer.concat([
        Buffer.from([0, distance & 255, distance >> 8, ~distance & 255, (~distance >> 8) & 255]),
      ]);
      const match = bits([1, 1], [1, 2], "11000101", "11101", [distance - 24577, 13], "0000000");
      expectSame(plain, Buffer.concat([stored, plain.subarray(0, distance), match]));
    }
  });

  test("in a block of short codes behind one of long codes, whose input is loaded already", () => {
    for (let length = 0; length < 200; length += 3) {
      // Blocks of 128 literals and more: noise has codes of 7 or 8 bits, the rest one bit a letter.
      const noise = Uint8Array.from({ length }, (_, i) => (i * i * 7 + (i >> 3) * 13) & 255);
      const plain = Buffer.concat([noise, Buffer.alloc(5000, "a"), noise, Buffer.alloc(3000, "b")]);
      const flushed = [noise, Buffer.alloc(5000, "a")].map((part, i) =>
        deflateRawSync(part, { strategy: 2, finishFlush: i ? constants.Z_FINISH : constants.Z_SYNC_FLUSH }),
      );
      expectSame(plain, deflate(plain, { level: 9, memLevel: 1, strategy: STRATEGIES.huffmanOnly as 2 }));
      expectSame(plain.subarray(0, length + 5000), Buffer.concat(flushed));
    }
  });

  test("with nothing in it", () => {
    expectSame(Buffer.alloc(0), pako.deflateRaw(Buffer.alloc(0)));
    expectSame(Buffer.alloc(0), Buffer.from([1, 0, 0, 255, 255]));
  });
});

describe("memory", () => {
  const stream = pako.deflateRaw(SOURCES, { level: 9, windowBits: 15 });

  test("reads history from a live view, and from `history` when the view is a copy", () => {
    const plain = run(stream, { limit: SOURCES.length });
    const copy = run(stream, { limit: SOURCES.length, view: "copy" });
    const live = run(stream, { limit: SOURCES.length, view: "live" });
    expect([plain.reads > 500, copy.reads, live.reads]).toEqual([true, plain.reads, 0]);
    for (const { code, output } of [copy, live]) expect([code, output.equals(SOURCES)]).toEqual([INFLATE_DONE, true]);
  });

  test("a view whose first byte happens to be right is not taken for a live one", () => {
    let reads = 0;
    let output = "";
    const inflate = createInflate({
      input: (i) => (i ? "" : Buffer.from(stream).toString("latin1")),
      output: (bytes) => (output += bytes),
      history: (from, length) => {
        reads++;
        return output.substring(from, from + length);
      },
      limit: SOURCES.length,
      view: SOURCES.toString("latin1", 0, 1).padEnd(SOURCES.length, "?"),
    });
    while (inflate.step(96) === 0);
    expect([output === SOURCES.toString("latin1"), reads > 500]).toEqual([true, true]);
  });

  test("hands over pieces that fit the ring, whatever a slice may be", () => {
    const zeros = Buffer.alloc(200_000);
    for (const plain of [SOURCES, zeros]) {
      const { longest } = run(pako.deflateRaw(plain, { level: 9 }), { limit: plain.length, slice: 1e6 });
      expect(longest).toBeLessThanOrEqual(1280);
    }
  });

  test("a slice ends soon after its share of output", () => {
    const zeros = Buffer.alloc(100_000);
    const { steps } = run(pako.deflateRaw(zeros, { level: 9 }), { limit: zeros.length, slice: 100 });
    expect(steps).toBeGreaterThan(100_000 / (100 + 258 + 1));
  });
});

describe("streams that are wrong", () => {
  const dynamic = pako.deflateRaw(SOURCES.subarray(0, 400), { level: 9 });
  const fixed = pako.deflateRaw(SOURCES.subarray(0, 200), { level: 9, strategy: 4 });
  const stored = pako.deflateRaw(SOURCES.subarray(0, 100), { level: 0 });

  test.each([
    ["dynamic", dynamic],
    ["fixed", fixed],
    ["stored", stored],
  ])("every truncation of a %s block", (_, stream) => {
    for (let length = 0; length < stream.length; length++) {
      for (const chunk of [1, 1016]) {
        const { code } = run(stream.subarray(0, length), { limit: 400, chunk });
        // Some look broken before they look too short: the padding completes a code or a distance.
        expect([length, code < 0]).toEqual([length, true]);
        if (length < 4) expect(code).toBe(INFLATE_TRUNCATED);
      }
    }
    expect(run(stream, { limit: 400 }).code).toBe(INFLATE_DONE);
  });

  test("a stream that stops is waited for, at every byte", () => {
    for (let length = 0; length < dynamic.length; length++) {
      let there = length;
      let output = "";
      const inflate = createInflate({
        input: (i) => (i < there ? String.fromCharCode(dynamic[i]!) : i < dynamic.length ? undefined : ""),
        output: (bytes) => (output += bytes),
        history: (from, size) => output.substring(from, from + size),
        limit: 400,
      });
      let code = 0;
      while (code === 0) code = inflate.step(50);
      expect([length, code, inflate.step(50)]).toEqual([length, INFLATE_WAITING, INFLATE_WAITING]);
      there = dynamic.length;
      while (code === 0 || code === INFLATE_WAITING) code = inflate.step(50);
      expect([length, code, output === SOURCES.toString("latin1", 0, 400)]).toEqual([length, INFLATE_DONE, true]);
    }
  });

  test.each([
    ["block type 3", INFLATE_BAD_BLOCK, bits([1, 1], [3, 2])],
    ["a stored length without its complement", INFLATE_BAD_STORED, Buffer.from([1, 5, 0, 0xfa, 0xfe, 1, 2, 3, 4, 5])],
    ["287 literal codes", INFLATE_BAD_LENGTHS, bits([1, 1], [2, 2], [30, 5], [0, 5], [0, 4], [0, 20])],
    ["31 distance codes", INFLATE_BAD_LENGTHS, bits([1, 1], [2, 2], [0, 5], [30, 5], [0, 4], [0, 20])],
    // Lengths of the code of lengths, in the order 16 17 18 0: those that are used get one bit each.
    [
      "a repetition of nothing",
      INFLATE_BAD_LENGTHS,
      bits([1, 1], [2, 2], [0, 10], [0, 4], [1, 3], [0, 6], [1, 3], "1", [0, 30]),
    ],
    [
      "too many lengths",
      INFLATE_BAD_LENGTHS,
      bits([1, 1], [2, 2], [0, 10], [0, 4], [0, 6], [1, 3], [1, 3], "1", [127, 7], "1", [127, 7], [0, 9]),
    ],
    [
      "no end of the block",
      INFLATE_BAD_LENGTHS,
      bits([1, 1], [2, 2], [0, 10], [0, 4], [0, 6], [1, 3], [1, 3], "1", [127, 7], "1", [109, 7], [0, 9]),
    ],
    [
      "an over-subscribed code of lengths",
      INFLATE_BAD_CODE,
      bits([1, 1], [2, 2], [0, 10], [0, 4], [1, 3], [1, 3], [1, 3], [0, 3]),
    ],
    [
      "an incomplete code of lengths",
      INFLATE_BAD_CODE,
      bits([1, 1], [2, 2], [0, 10], [0, 4], [2, 3], [2, 3], [2, 3], [0, 3]),
    ],
    ["length symbol 286", INFLATE_BAD_SYMBOL, bits([1, 1], [1, 2], "11000110", [0, 20])],
    ["distance symbol 30", INFLATE_BAD_SYMBOL, bits([1, 1], [1, 2], "00110000", "0000001", "11110", [0, 20])],
    [
      "a distance before the beginning",
      INFLATE_BAD_DISTANCE,
      bits([1, 1], [1, 2], "00110000", "0000001", "00001", [0, 20]),
    ],
  ])("%s", (_, expected, stream) => {
    expect(run(stream, { limit: 1000 }).code).toBe(expected);
    expect(() => inflateRawSync(stream)).toThrow();
  });

  test("output beyond the limit never leaves", () => {
    for (const plain of [SOURCES, Buffer.alloc(70_000), Buffer.from("abc")]) {
      const stream = pako.deflateRaw(plain, { level: 9 });
      for (const limit of [0, 1, plain.length >> 1, plain.length - 1]) {
        const { code, output } = run(stream, { limit });
        expect([code, Buffer.compare(output, plain.subarray(0, output.length))]).toEqual([INFLATE_TOO_LONG, 0]);
      }
    }
  });

  /** What zlib says: the output, or null when it refuses. */
  function judged(stream: Uint8Array): Buffer | null {
    try {
      return inflateRawSync(stream, { maxOutputLength: 1 << 20 });
    } catch {
      return null;
    }
  }

  function expectAsJudged(stream: Uint8Array): void {
    const limit = 1 << 20;
    const right = judged(stream);
    const { code, output } = run(stream, { limit, slice: 2000 });
    if (right) expect([code, Buffer.compare(output, right)]).toEqual([INFLATE_DONE, 0]);
    else expect(code).toBeLessThan(0);
  }

  test("every flip of a bit is judged as zlib judges it", () => {
    for (const stream of [dynamic, fixed, stored]) {
      for (let bit = 0; bit < stream.length * 8; bit++) {
        const flipped = Uint8Array.from(stream);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expectAsJudged(flipped);
      }
    }
  });

  test("random bytes and random damage are judged as zlib judges them", () => {
    const damaged = fc
      .tuple(data, levers, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 6 }))
      .map(([plain, options, changes]) => {
        const stream = Uint8Array.from(deflate(plain, options));
        for (const [at, change] of changes) stream[at % stream.length]! ^= change;
        return stream;
      });
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 300 }), damaged), expectAsJudged), {
      numRuns: 1500,
    });
  });

  test("random heads of dynamic blocks are judged as zlib judges them", () => {
    const length = fc.constantFrom(0, 0, 0, 1, 2, 3, 4, 5, 7);
    fc.assert(
      fc.property(
        fc.array(length, { minLength: 19, maxLength: 19 }),
        fc.nat(31),
        fc.nat(31),
        fc.uint8Array({ minLength: 200, maxLength: 200 }),
        (codes, literals, distances, rest) => {
          const head = bits(
            [1, 1],
            [2, 2],
            [literals, 5],
            [distances, 5],
            [15, 4],
            ...codes.map((n): [number, number] => [n, 3]),
          );
          // 74 bits; what follows begins in the tenth byte.
          expectAsJudged(Buffer.concat([head, rest]));
        },
      ),
      { numRuns: 1500 },
    );
  });
});
