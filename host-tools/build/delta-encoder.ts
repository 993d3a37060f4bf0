/** Encoder of the delta format (firmware/ota/delta.ts). */
import { DELTA_BODY, DELTA_HEADER, DELTA_SHRUNK } from "../../firmware/ota/delta";
import { matchAgainst, type Operation, zigzag } from "./delta-match";
import { encodeHeatshrink } from "./heatshrink-encoder";

/** Largest length and distance that a varint of three bytes holds. */
const LONGEST = (1 << 20) - 1;
/** Largest result and base, as a chunk's offset has three bytes and a zigzag distance as many bits less one. */
export const DELTA_LIMIT = LONGEST;
/** Insertions are cut into parts of this length, so that chunks can be filled up. */
const PART = 16;

function putVarint(out: number[], value: number): void {
  for (; value > 0x7f; value >>= 7) out.push((value & 0x7f) | 0x80);
  out.push(value);
}

/** The operations in parts between any two of which a chunk may end. */
function parts(operations: Operation[]): Operation[] {
  return operations.flatMap(({ from, length }) => {
    if (from >= 0) return [{ from, length }];
    const cut: Operation[] = [];
    for (let at = 0; at < length; at += PART) cut.push({ from: -1, length: Math.min(PART, length - at) });
    return cut;
  });
}

/** The body of a chunk that begins at byte `at` of the result. */
function bodyOf(result: Uint8Array, at: number, operations: Operation[]): Buffer {
  const out: number[] = [];
  let expected = at;
  for (let i = 0; i < operations.length;) {
    const { from } = operations[i]!;
    let length = operations[i++]!.length;
    if (from < 0) {
      while (operations[i]?.from === -1) length += operations[i++]!.length;
      putVarint(out, length * 2);
      out.push(...result.subarray(at, at + length));
    } else {
      putVarint(out, length * 2 + 1);
      putVarint(out, zigzag(from - expected));
      expected = from;
    }
    at += length;
    expected += length;
  }
  return Buffer.from(out);
}

function chunkOf(at: number, body: Buffer): Buffer {
  const shrunk = encodeHeatshrink(body);
  const header = Buffer.alloc(DELTA_HEADER);
  header.writeUIntLE(at, 0, 3);
  const smaller = shrunk.length < body.length;
  header.writeUInt16LE(body.length | (smaller ? DELTA_SHRUNK : 0), 3);
  return Buffer.concat([header, smaller ? shrunk : body]);
}

/**
 * Chunks of at most `chunkBytes` that make `result` out of `base`, each as full as it can be.
 * @throws RangeError when `chunkBytes` is under 64, or base or result are empty or longer than DELTA_LIMIT.
 */
export function encodeDelta(base: Uint8Array, result: Uint8Array, chunkBytes: number): Buffer[] {
  for (const { length } of [base, result]) {
    if (length < 1 || length > DELTA_LIMIT) throw new RangeError(`1..${DELTA_LIMIT} bytes`);
  }
  if (chunkBytes < 64) throw new RangeError("chunks of 64 bytes or more");
  const operations = parts(matchAgainst(base, result));
  const chunks: Buffer[] = [];
  let at = 0;
  for (let first = 0; first < operations.length;) {
    const make = (count: number): Buffer | null => {
      const body = bodyOf(result, at, operations.slice(first, first + count));
      if (body.length > DELTA_BODY) return null;
      const chunk = chunkOf(at, body);
      return chunk.length <= chunkBytes ? chunk : null;
    };
    let low = 1;
    let best = make(1)!;
    // Doubling, then halving; the length grows with the number of operations, nearly always.
    let high = 2;
    while (low < operations.length - first) {
      const chunk = make(Math.min(high, operations.length - first));
      if (!chunk) break;
      low = Math.min(high, operations.length - first);
      best = chunk;
      high *= 2;
    }
    high = Math.min(high, operations.length - first);
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      const chunk = make(middle);
      if (chunk) {
        low = middle;
        best = chunk;
      } else high = middle;
    }
    chunks.push(best);
    for (let i = 0; i < low; i++) at += operations[first + i]!.length;
    first += low;
  }
  return chunks;
}

/** Bytes that a delta would take without chunks around it; for comparisons. */
export function deltaBytes(chunks: Buffer[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}
