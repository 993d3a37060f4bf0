import fc from "fast-check";
import {
  createDeltaDecoder,
  DELTA_BAD_CHUNK,
  DELTA_BODY,
  DELTA_DONE,
  DELTA_MORE,
  DELTA_OUT_OF_BASE,
  DELTA_OUT_OF_RESULT,
  type DeltaPorts,
} from "../../firmware/ota/delta";
import { encodeDelta } from "../../host-tools/build/delta-encoder";
import { decompress } from "../../host-tools/simulator/chip/heatshrink";

class Target implements DeltaPorts {
  readonly result: Buffer;
  readonly touched: Uint8Array;
  largest = 0;

  constructor(
    readonly from: Buffer,
    resultBytes: number,
  ) {
    this.result = Buffer.alloc(resultBytes);
    this.touched = new Uint8Array(resultBytes);
  }

  expand(bytes: string): string | null {
    return decompress(Buffer.from(bytes, "latin1")).toString("latin1");
  }

  base(offset: number, length: number): string {
    if (offset < 0 || length < 1 || offset + length > this.from.length) throw new Error("read outside the base");
    return this.from.toString("latin1", offset, offset + length);
  }

  output(offset: number, bytes: string): void {
    if (offset < 0 || offset + bytes.length > this.result.length) throw new Error("write outside the result");
    this.largest = Math.max(this.largest, bytes.length);
    this.result.write(bytes, offset, "latin1");
    this.touched.fill(1, offset, offset + bytes.length);
  }
}

/** Decodes chunks in the given order. */
function apply(target: Target, chunks: Buffer[]): number {
  const decoder = createDeltaDecoder(target, target.from.length, target.result.length);
  for (const chunk of chunks) {
    let code = decoder.take(chunk.toString("latin1"));
    for (let slices = 0; code === DELTA_MORE; slices++) {
      code = decoder.step();
      if (slices > 100_000) throw new Error("no end");
    }
    if (code !== DELTA_DONE) return code;
  }
  return decoder.written();
}

const edit = fc.record({ at: fc.nat(), remove: fc.nat(60), insert: fc.uint8Array({ maxLength: 700 }) });

/** A base, and what edits make of it. */
const pairs = fc
  .record({
    words: fc.array(fc.constantFrom("function ", "return ", "a.b", "(c,d)", "{e=1}", "x"), {
      minLength: 1,
      maxLength: 900,
    }),
    noise: fc.uint8Array({ minLength: 1, maxLength: 400 }),
    edits: fc.array(edit, { maxLength: 12 }),
  })
  .map(({ words, noise, edits }) => {
    const base = Buffer.concat([Buffer.from(words.join("")), noise]);
    let result: Buffer = base;
    for (const { at, remove, insert } of edits) {
      const start = at % (result.length + 1);
      result = Buffer.concat([result.subarray(0, start), insert, result.subarray(start + remove)]);
    }
    return { base, result: result.length ? result : Buffer.from("x") };
  });

const header = (offset: number, size: number): Buffer =>
  Buffer.from([offset & 255, (offset >> 8) & 255, offset >> 16, size & 255, size >> 8]);
const chunk = (offset: number, ...body: number[]): Buffer =>
  Buffer.concat([header(offset, body.length), Buffer.from(body)]);

describe("delta", () => {
  it("gives back the result, whatever the order of the chunks, with filling behind them", () => {
    fc.assert(
      fc.property(pairs, fc.integer({ min: 64, max: 1016 }), fc.nat(), ({ base, result }, chunkBytes, turn) => {
        const chunks = encodeDelta(base, result, chunkBytes);
        for (const one of chunks) expect(one.length).toBeLessThanOrEqual(chunkBytes);
        const filled = chunks.map((one) => Buffer.concat([one, Buffer.alloc(chunkBytes - one.length)]));
        const order = filled.map((_, i) => filled[(i * 7 + turn) % filled.length]!);
        const shuffled = new Set(order).size === filled.length ? order : [...filled].reverse();
        const target = new Target(base, result.length);
        expect(apply(target, shuffled)).toBe(result.length);
        expect(target.result.equals(result)).toBe(true);
        expect(target.largest).toBeLessThanOrEqual(512);
      }),
      { numRuns: 60 },
    );
  });

  it("takes a few bytes for a bundle that did not change", () => {
    const base = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i * 31) >> 3).map((x) => x & 255));
    const chunks = encodeDelta(base, base, 1016);
    expect(chunks.map((one) => one.length)).toEqual([9]);
  });

  it("never reads or writes outside, whatever a chunk holds", () => {
    const base = Buffer.alloc(3000, "abc");
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(fc.nat(6000), fc.uint8Array({ maxLength: 200 }), fc.boolean())
        .map(([offset, body, shrunk]) => Buffer.concat([header(offset, body.length | (shrunk ? 0x8000 : 0)), body])),
    );
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1, maxLength: 4 }), (chunks) => {
        const target = new Target(base, 5000);
        const code = apply(target, chunks);
        if (code < 0) expect([DELTA_BAD_CHUNK, DELTA_OUT_OF_RESULT, DELTA_OUT_OF_BASE]).toContain(code);
        else expect(code).toBeGreaterThan(0);
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses flipped bits, or writes inside the result", () => {
    const base = Buffer.from("function a(b){return b*2}".repeat(60));
    const result = Buffer.concat([base.subarray(0, 700), Buffer.from("var q=7;"), base.subarray(690)]);
    const chunks = encodeDelta(base, result, 1016);
    const first = chunks[0]!;
    for (let bit = 0; bit < first.length * 8; bit++) {
      const changed = Buffer.from(first);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const target = new Target(base, result.length);
      const code = apply(target, [changed]);
      if (code > 0) expect(target.result.equals(result)).toBe(false);
    }
  });

  it("names what is wrong", () => {
    const run = (one: Buffer): number => apply(new Target(Buffer.alloc(100), 100), [one]);
    expect(run(Buffer.alloc(5))).toBe(DELTA_BAD_CHUNK);
    expect(run(chunk(0, 0))).toBe(DELTA_BAD_CHUNK);
    expect(run(chunk(0, 6, 1, 2))).toBe(DELTA_BAD_CHUNK);
    expect(run(chunk(0, 0x87))).toBe(DELTA_BAD_CHUNK);
    expect(run(Buffer.concat([header(0, DELTA_BODY + 1), Buffer.alloc(DELTA_BODY + 1, 2)]))).toBe(DELTA_BAD_CHUNK);
    expect(run(chunk(99, 4, 1, 2))).toBe(DELTA_OUT_OF_RESULT);
    expect(run(chunk(100, 2, 1))).toBe(DELTA_OUT_OF_RESULT);
    expect(run(chunk(0, 21, 1))).toBe(DELTA_OUT_OF_BASE);
    expect(run(chunk(0, 21, 184, 1))).toBe(DELTA_OUT_OF_BASE);
    expect(run(chunk(98, 4, 1, 2))).toBe(2);
  });
});
