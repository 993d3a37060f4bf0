/**
 * Decoding tables for the codes of deflate (RFC 1951, 3.2), made in slices.
 *
 * The low five bits of an entry say how many bits to drop, so that an entry is a shift count as it stands. RAM: 2.4 KB.
 */
import type { Bytes } from "../engine/engine";

/** Kinds of code: lengths of codes, literals and lengths, distances. */
export const CODE_LENGTHS = 0;
export const LITERALS = 1;
export const DISTANCES = 2;

/** Index bits of the literal table; the distance table, which the code of code lengths shares, has DISTANCE_ROOT. */
export const ROOT = 9;
export const DISTANCE_ROOT = 7;
export const ROOT_MASK = 511;
export const DISTANCE_MASK = 127;
/** Code and extra bits of a length in the table: of 16 bits they must leave enough for a look at the distance table. */
const LENGTH_BITS = 9;

/** From here: literal << 5. */
export const LITERAL = 16384;
/** Below: length << 5, extra bits included. From here up to LITERAL: entries that need `plain` or end the block. */
export const SPECIAL = 8288;
/** | mantissa << 8 | number of extra bits << 5 | code bits: a length without its extra bits. */
export const EXTRA = 0x2400;
/** | the first ROOT bits of a code that the table does not resolve. */
export const LONG = 0x3000;
/** The end of the block. */
export const END = 0x3c00;
/** No such code, or a symbol that must not occur. */
export const INVALID = 0x3d00;
/** Stands where all index bits are ones, whatever belongs there: a run of literals ends in padding of ones. */
const ONES = 0x3e00;
/**
 * Distance entries: smallest distance - 1 << 10 | extra bits << 5 | code bits. This one is farther than any output is
 * long; it stands for codes that the table does not resolve, and for what does not exist.
 */
export const FAR = 0x1fffff << 10;

/** Longest match of deflate. */
export const LONGEST = 258;

/** Codes entered in one slice. */
const SLICE = 18;

export interface Huffman {
  readonly literals: Uint16Array;
  readonly distances: Uint32Array;
  /** Starts on a table; `lengths` has one character a symbol, the length of its code or 0. */
  begin(kind: number, lengths: Bytes): void;
  /** Works on the table: 0 = call again, 1 = it is ready, -1 = the code is over-subscribed or incomplete. */
  build(): number;
  /** Turns a special entry into a literal's, or a length's of up to 16 bits, if it is one. `bits` are the next 16. */
  plain(entry: number, bits: number): number;
  /** The distance entry for the next 15 bits, also of a code that the table does not resolve; FAR when there is none. */
  distance(bits: number): number;
}

function entry(kind: number, symbol: number, bits: number): number {
  if (kind === DISTANCES) {
    if (symbol > 29) return FAR;
    const extra = symbol > 3 ? (symbol >> 1) - 1 : 0;
    return ((extra ? (2 | (symbol & 1)) << extra : symbol) << 10) | (extra << 5) | bits;
  }
  if (kind === CODE_LENGTHS) return (symbol << 5) | bits;
  if (symbol < 256) return LITERAL | (symbol << 5) | bits;
  if (symbol === 256) return END | bits;
  if (symbol < 265) return ((symbol - 254) << 5) | bits;
  if (symbol < 285) return EXTRA | (((symbol - 261) & 3) << 8) | (((symbol - 261) >> 2) << 5) | bits;
  return symbol > 285 ? INVALID : (LONGEST << 5) | bits;
}

export function createHuffman(): Huffman {
  "cold";
  const literals = new Uint16Array(1 << ROOT);
  const distances = new Uint32Array(1 << DISTANCE_ROOT);
  /** Symbols in canonical order, distances from 288 on; from 320 on the table index of each length that has extra bits. */
  const symbols = new Uint16Array(340);
  /** First code, number of codes and place in `symbols` by code length; of distances 16 places higher. */
  const first = new Uint16Array(32);
  const count = new Uint16Array(32);
  const place = new Uint16Array(32);
  let ones = INVALID;

  // The table in work: size of the codes being placed, last symbol found, next code and its mirror image, codes of this
  // size that are still free, codes placed; then the length symbol being resolved and how many of its entries stand.
  let kind = 0;
  let text = "";
  let table: Uint16Array | Uint32Array = literals;
  let root = 0;
  let shift = 0;
  let size = 0;
  let symbol = 0;
  let code = 0;
  let mirror = 0;
  let open = 0;
  let total = 0;
  let resolving = 0;
  let resolved = 0;

  function begin(which: number, lengths: Bytes): void {
    "cold";
    kind = which;
    text = lengths;
    table = kind === LITERALS ? literals : distances;
    root = kind === LITERALS ? ROOT : DISTANCE_ROOT;
    shift = kind === DISTANCES ? 16 : 0;
    table[0] = kind === DISTANCES ? FAR : INVALID;
    size = code = mirror = total = resolving = 0;
    symbol = -1;
    open = 1;
  }

  function build(): number {
    "cold";
    for (let budget = SLICE; budget > 0; budget--) {
      if (resolving) {
        if (resolve()) return 1;
        continue;
      }
      if (symbol < 0) {
        if (++size > 15) {
          // A code of a single symbol may leave half of itself open; a block without matches has no distances.
          if (open && !(kind && (!total || (total === 1 && text.indexOf("\x01") >= 0)))) return -1;
          if (kind !== LITERALS) return 1;
          resolving = 265;
          resolved = 0;
          continue;
        }
        // The codes so far fill half a table of this size; its other half looks the same.
        if (size <= root) table.set(table.subarray(0, 1 << (size - 1)), 1 << (size - 1));
        code <<= 1;
        open <<= 1;
        first[shift + size] = code;
        place[shift + size] = kind === DISTANCES ? 288 + total : total;
        count[shift + size] = 0;
      }
      symbol = text.indexOf(String.fromCharCode(size), symbol + 1);
      if (symbol >= 0 && !enter()) return -1;
    }
    return 0;
  }

  /** Places one code; false when there is no room for it. */
  function enter(): boolean {
    if (--open < 0) return false;
    if (size > root) table[mirror & (table.length - 1)] = kind === DISTANCES ? FAR : LONG | (code >> (size - ROOT));
    else if (kind === LITERALS && symbol > 256 && size > LENGTH_BITS) table[mirror] = LONG | code;
    else table[mirror] = entry(kind, symbol, size);
    if (kind === LITERALS && symbol > 264 && symbol < 285) symbols[320 + symbol - 265] = mirror;
    symbols[place[shift + size] + count[shift + size]++] = symbol;
    total++;
    code++;
    let bit = 1 << (size - 1);
    while (mirror & bit) {
      mirror ^= bit;
      bit >>= 1;
    }
    mirror |= bit;
    return true;
  }

  /** Enters one length together with extra bits, where both fit; 1 when there are no more. */
  function resolve(): number {
    const bits = text.charCodeAt(resolving);
    const extra = (resolving - 261) >> 2;
    if (bits && bits + extra <= LENGTH_BITS && resolved < 1 << (ROOT - bits)) {
      literals[symbols[320 + resolving - 265] | (resolved << bits)] =
        ((((((resolving - 261) & 3) | 4) << extra) + (resolved & ((1 << extra) - 1)) + 3) << 5) | (bits + extra);
      resolved++;
      return 0;
    }
    resolved = 0;
    if (++resolving < 285 && resolving < text.length) return 0;
    ones = literals[ROOT_MASK];
    literals[ROOT_MASK] = ONES;
    return 1;
  }

  function plain(found: number, bits: number): number {
    if (found === ONES) found = ones;
    if (found >= LONG && found < END) {
      let prefix = found & ROOT_MASK;
      let length = ROOT;
      let index = prefix - first[length];
      while (index >= count[length]) {
        if (length > 14) return INVALID;
        prefix = (prefix << 1) | ((bits >> length++) & 1);
        index = prefix - first[length];
      }
      found = entry(LITERALS, symbols[place[length] + index], length);
    }
    if (found >= EXTRA && found < LONG) {
      const length = found & 31;
      const extra = (found >> 5) & 7;
      if (length + extra <= 16) {
        const value = ((((found >> 8) & 3) | 4) << extra) + ((bits >> length) & ((1 << extra) - 1)) + 3;
        return (value << 5) | (length + extra);
      }
    }
    return found;
  }

  function distance(bits: number): number {
    "cold";
    let prefix = 0;
    let length = 0;
    let index = 0;
    do {
      if (length > 14) return FAR;
      prefix = (prefix << 1) | ((bits >> length++) & 1);
      index = prefix - first[16 + length];
    } while (index >= count[16 + length]);
    return entry(DISTANCES, symbols[place[16 + length] + index], length);
  }

  return { literals: literals, distances: distances, begin: begin, build: build, plain: plain, distance: distance };
}
