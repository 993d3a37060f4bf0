/**
 * Payload chunks that rebuild a bundle out of the one that runs. Each chunk decodes on its own, in any order:
 *
 *   u24 offset of its first byte in the result, u16 bytes of the body (bit 15: the body travels as heatshrink), body
 *
 * The body is a sequence of operations, each begun by a varint (7 bits a byte, low ones first, at most three bytes):
 *   length * 2      insert: the next `length` bytes of the body
 *   length * 2 + 1  copy from the base: a second varint tells how far from where the base is expected to go on (zigzag:
 *                   0, -1, 1, -2 ...); it is expected behind the last copy, as many bytes on as were inserted since, and
 *                   at first at the chunk's own offset
 * What follows the body is filling.
 */
import type { Bytes } from "../engine/engine";

export const DELTA_HEADER = 5;
/** Longest body. */
export const DELTA_BODY = 4096;
/** Bit of the body's length that says that it is heatshrunk. */
export const DELTA_SHRUNK = 0x8000;

export const DELTA_MORE = 0;
export const DELTA_DONE = 1;
/** A chunk that is cut off or that the engine cannot decode. */
export const DELTA_BAD_CHUNK = -31;
/** A chunk that writes outside the result. */
export const DELTA_OUT_OF_RESULT = -32;
/** A chunk that reads outside the base. */
export const DELTA_OUT_OF_BASE = -33;

/** Bytes of one output, unless the chunk ends. */
const PIECE = 512;
/** Work of one slice, in operations and pieces of copies, of up to half a million instructions each. */
const SLICE = 14;

export interface DeltaPorts {
  /** Decodes heatshrink; null when it cannot. */
  expand(bytes: Bytes): Bytes | null;
  /** `length` bytes of the base, 0 <= offset, offset + length <= baseBytes. */
  base(offset: number, length: number): Bytes;
  /** Takes 1..PIECE bytes of the result, 0 <= offset, offset + length <= resultBytes. */
  output(offset: number, bytes: Bytes): void;
}

export interface DeltaDecoder {
  /** Takes a chunk up. Returns DELTA_MORE or an error. */
  take(chunk: Bytes): number;
  /** Does one slice of a chunk, at most some 80 ms of an ESP32: DELTA_MORE, DELTA_DONE (begin the next one) or an error. */
  step(): number;
  /** Bytes given to `output` so far. */
  written(): number;
}

/** Memory beside the chunk: its body, at most DELTA_BODY bytes when it was heatshrunk, and one piece. */
export function createDeltaDecoder(ports: DeltaPorts, baseBytes: number, resultBytes: number): DeltaDecoder {
  "cold";
  let body = "";
  let end = 0;
  let next = 0;
  let at = 0;
  let from = 0;
  /** bytes of a copy that are still to be made */
  let left = 0;
  let pending = "";
  let written = 0;

  function flush(): void {
    if (!pending) return;
    ports.output(at - pending.length, pending);
    written += pending.length;
    pending = "";
  }

  /** The rest of a varint whose first byte has bit 7 set. */
  function longer(first: number): number {
    const second = body.charCodeAt(next++);
    const value = (first & 127) | ((second & 127) << 7);
    return second > 127 ? value | (body.charCodeAt(next++) << 14) : value;
  }

  return {
    take: function (chunk: Bytes) {
      if (chunk.length <= DELTA_HEADER) return DELTA_BAD_CHUNK;
      from = at = chunk.charCodeAt(0) | (chunk.charCodeAt(1) << 8) | (chunk.charCodeAt(2) << 16);
      const size = chunk.charCodeAt(3) | (chunk.charCodeAt(4) << 8);
      const text = chunk.substr(DELTA_HEADER);
      body = (size & DELTA_SHRUNK ? ports.expand(text) : text) || "";
      end = size & (DELTA_SHRUNK - 1);
      next = left = 0;
      pending = "";
      return !end || end > DELTA_BODY || body.length < end ? DELTA_BAD_CHUNK : DELTA_MORE;
    },
    step: function () {
      let work = SLICE;
      while (work-- > 0) {
        if (left) {
          const room = PIECE - pending.length;
          const take = left < room ? left : room;
          const bytes = ports.base(from, take);
          // A view on flash stays one when it is not joined to anything.
          pending = pending ? pending + bytes : bytes;
          from += take;
          at += take;
          left -= take;
          if (take === room) flush();
          continue;
        }
        if (next >= end) {
          flush();
          return next > end ? DELTA_BAD_CHUNK : DELTA_DONE;
        }
        let value = body.charCodeAt(next++);
        if (value > 127) value = longer(value);
        const length = value >> 1;
        if (!length) return DELTA_BAD_CHUNK;
        if (at + length > resultBytes) return DELTA_OUT_OF_RESULT;
        if (value & 1) {
          let shift = body.charCodeAt(next++);
          if (shift > 127) shift = longer(shift);
          if (shift) from += shift & 1 ? -((shift + 1) >> 1) : shift >> 1;
          if (from < 0 || from + length > baseBytes) return DELTA_OUT_OF_BASE;
          left = length;
        } else {
          if (next + length > end) return DELTA_BAD_CHUNK;
          if (pending.length + length <= PIECE) {
            pending += body.substr(next, length);
            at += length;
          } else {
            flush();
            for (let done = 0; done < length; done += PIECE) {
              pending = body.substr(next + done, Math.min(PIECE, length - done));
              at += pending.length;
              if (pending.length === PIECE) flush();
            }
          }
          next += length;
          from += length;
        }
      }
      return DELTA_MORE;
    },
    written: function () {
      return written;
    },
  };
}
