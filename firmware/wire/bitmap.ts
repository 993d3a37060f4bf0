/** A set of small integers, one bit each: which chunks are there, wanted or missing. */
import type { Bytes } from "../engine/engine";

export class Bitmap {
  /** How many members; kept so that nobody has to count bits on an interpreter. */
  count = 0;
  readonly bits: Uint8Array;

  constructor(readonly size: number) {
    this.bits = new Uint8Array((size + 7) >> 3);
  }

  has(i: number): boolean {
    return (this.bits[i >> 3] & (1 << (i & 7))) !== 0;
  }

  /** Adds or removes member `i`, 0 <= i < size; other numbers are ignored. */
  put(i: number, member: boolean): void {
    if (i < 0 || i >= this.size || this.has(i) === member) return;
    this.bits[i >> 3] ^= 1 << (i & 7);
    this.count += member ? 1 : -1;
  }

  /** Adds all of them; what bits the last byte has beyond `size` are set as well, and mean nothing. */
  fill(): void {
    this.bits.fill(255);
    this.count = this.size;
  }

  /** The first number at or after `from` that is in this set and in `other` (of the same size), or -1. */
  common(other: Bitmap, from: number): number {
    const mine = this.bits;
    const theirs = other.bits;
    let i = from;
    while (i < this.size) {
      const byte = (mine[i >> 3] & theirs[i >> 3]) >> (i & 7);
      if (!byte) i = (i | 7) + 1;
      else if (byte & 1) return i;
      else i++;
    }
    return -1;
  }

  /** The first number at or after `from` that is not in this set, or -1. */
  gap(from: number): number {
    let i = from;
    while (i < this.size) {
      const byte = (255 & ~this.bits[i >> 3]) >> (i & 7);
      if (!byte) i = (i | 7) + 1;
      else if (byte & 1) return i;
      else i++;
    }
    return -1;
  }
}

/** ceil(size / 8) bytes, bit 0 of byte 0 first; with `invert` the numbers that are not in the set. */
export function bitmapBytes(set: Bitmap, invert: boolean): Bytes {
  "cold";
  const flip = invert ? 255 : 0;
  let out = "";
  for (let i = 0; i < set.bits.length; i++) out += String.fromCharCode(set.bits[i] ^ flip);
  return out;
}

/** Adds every member of a set in `bitmapBytes` form; surplus bytes and bits are ignored. */
export function addBitmapBytes(set: Bitmap, bytes: Bytes): void {
  "cold";
  const bits = set.bits;
  const last = bits.length - 1;
  for (let i = 0; i < bytes.length && i <= last; i++) {
    let fresh = bytes.charCodeAt(i) & ~bits[i];
    if (i === last) fresh &= 255 >> (7 - ((set.size - 1) & 7));
    if (!fresh) continue;
    bits[i] |= fresh;
    // Its ones, added up by pairs and by fours.
    fresh -= (fresh >> 1) & 85;
    fresh = (fresh & 51) + ((fresh >> 2) & 51);
    set.count += (fresh + (fresh >> 4)) & 15;
  }
}
