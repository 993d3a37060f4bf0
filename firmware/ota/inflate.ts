/**
 * Raw deflate (RFC 1951) in slices, written for an interpreter that pays for every token it passes.
 *
 * Input comes in numbered pieces, output leaves in sequence, and what is farther back than the RAM ring is read from
 * where the output went. RAM: 5.1 KB (tables 3.2 KB, ring 1.5 KB, input 0.3 KB) and the text of the code lengths, at most
 * 0.4 KB, while a block's tables are made. How each piece of the fast loop came about: docs/inflate.md.
 */
import type { Bytes } from "../engine/engine";

export interface InflateIo {
  /** Piece `index` (0, 1, ...) of the stream; "" behind its end, undefined while it is not there yet. */
  input(index: number): Bytes | undefined;
  /** Takes the next output bytes; the string is valid during the call only. */
  output(bytes: Bytes): void;
  /** Earlier output, always from what `output` has taken. 1..258 bytes. */
  history(offset: number, length: number): Bytes;
  /** Most output bytes that `output` ever gets. */
  limit: number;
  /**
   * A view on the place that `output` writes to, from output byte 0 on and `limit` long, where the engine has one. Whether
   * it is live is tried out; if it is, `history` is not called.
   */
  view?: Bytes;
}

export interface Inflate {
  /**
   * Works on until some `maxOutput` bytes came out, or about as much was done on tables, or input is missing.
   * 0 = call again, 1 = finished, 2 = waiting for input, negative = error code, for good.
   */
  step(maxOutput: number): number;
}

export const INFLATE_MORE = 0;
export const INFLATE_DONE = 1;
export const INFLATE_WAITING = 2;
/** Block type 3. */
export const INFLATE_BAD_BLOCK = -1;
/** A stored block's length and its complement do not match. */
export const INFLATE_BAD_STORED = -2;
/** Code lengths that repeat nothing, are too many, or leave out the end of the block. */
export const INFLATE_BAD_LENGTHS = -3;
/** Over-subscribed or incomplete code. */
export const INFLATE_BAD_CODE = -4;
/** A code or symbol that does not exist. */
export const INFLATE_BAD_SYMBOL = -5;
/** A distance that reaches beyond the beginning. */
export const INFLATE_BAD_DISTANCE = -6;
/** More output than `limit`. */
export const INFLATE_TOO_LONG = -7;
/** The input ended too early. */
export const INFLATE_TRUNCATED = -8;

const RING = 1536;
/** Bytes that stay in the ring when it is emptied; no less than LONGEST, so that a match is either in it or all written. */
const KEEP = 320;
const LONGEST = 258;
/** Literals that one load of input can hold, with what the load before left. */
const RUN = 416;
const INPUT = 256;
/** Input loaded at a time outside of a block's data. */
const HEAD_INPUT = 24;

/** Index bits of the literal/length table and of the distance table. */
const ROOT = 10;
const DISTANCE_ROOT = 7;
const LAST = (1 << ROOT) - 1;
const DISTANCE_LAST = (1 << DISTANCE_ROOT) - 1;
/** Code and extra bits of a length in the table: a 16-bit refill must leave enough for a look at the distance table. */
const LENGTH_BITS = 16 - DISTANCE_ROOT;

// Literal/length entries. The low five bits say how many bits to drop, so that an entry is a shift count as it stands.
// From 16384: literal << 5. Below 8288: length << 5, extra bits included. Between: what the fast loop leaves alone.
const LITERAL = 16384;
const SPECIAL = 8288;
/** | mantissa << 8 | number of extra bits << 5 | code bits: a length without its extra bits. */
const EXTRA = 0x2400;
/** | the first ROOT bits of a code that the table does not resolve. */
const LONG = 0x3000;
const END = 0x3c00;
const INVALID = 0x3d00;
const ONES = 0x3e00;
/** Distance entries: mantissa << 10 | extra bits << 5 | code bits. This one makes a distance that is always too far. */
const FAR = 0x1fffff << 10;
/** Largest distance - 1. */
const FARTHEST = 32767;

const HEAD = 0;
const STORED = 1;
const CODE_LENGTHS = 2;
const LENGTHS_OF = 3;
const BUILD = 4;
const DATA = 5;
const DONE = 6;

const ORDER = "\x10\x11\x12\x00\x08\x07\x09\x06\x0a\x05\x0b\x04\x0c\x03\x0d\x02\x0e\x01\x0f";

export function createInflate(io: InflateIo): Inflate {
  const lit = new Uint16Array(1 << ROOT);
  const dist = new Uint32Array(1 << DISTANCE_ROOT);
  const ring = new Uint8Array(RING);
  const bytes = new Uint8Array(INPUT + 24);
  const words = new Uint16Array(bytes.buffer);
  /** Symbols in canonical order: literal/length codes longer than ROOT from 0, all distance codes from 288; then scratch. */
  const ranks = new Uint16Array(340);
  /** First code, number of codes and place in `ranks` by code length; distances 16 places higher. */
  const first = new Uint16Array(32);
  const count = new Uint16Array(32);
  const place = new Uint16Array(32);

  let setInput = function (piece: Bytes, to: number): void {
    for (let i = 0; i < piece.length; i++) bytes[to + i] = piece.charCodeAt(i);
  };
  // Stand-ins for the engine's memory access: `area` names a stretch of the ring and `setRing` copies it, ascending.
  let origin = 0;
  let stretch = 0;
  let area = function (from: number, length: number): Bytes | number {
    stretch = length;
    return from;
  };
  let setRing = function (from: Bytes | number, to: number): void {
    if (typeof from === "string") for (let i = 0; i < from.length; i++) ring[to + i] = from.charCodeAt(i);
    else if (to - from >= stretch) ring.set(ring.subarray(from, from + stretch), to);
    else for (let i = 0; i < stretch; i++) ring[to + i] = ring[from + i];
  };
  if (typeof E !== "undefined") {
    const address = E.getAddressOf(ring, true);
    if (address) {
      // Builds whose addresses do not fit an int read elsewhere; and what is copied must run ascending from live memory.
      const copy = ring.set.bind(ring) as unknown as typeof setRing;
      ring.set([1, 2, 3, 4]);
      copy(E.memoryArea(address, 3), 1);
      if (ring[1] === 1 && ring[3] === 1) {
        origin = address;
        area = E.memoryArea;
        setRing = copy;
        setInput = bytes.set.bind(bytes) as unknown as typeof setInput;
      }
    }
  }

  // Input: `bytes` holds `have` bytes; `at` words went into `hold`, of which `held` bits are left.
  let have = 0;
  let at = 0;
  let hold = 0;
  let held = 0;
  let piece = "";
  let pieceAt = 0;
  let pieces = 0;
  let ended = false;
  /** Words that the fast loop may begin a symbol with. */
  let safe = -1;
  let load = HEAD_INPUT;

  // Output: `put` bytes in the ring, `sent` of them handed over; ring[0] is byte `base` of the output.
  let put = 0;
  let sent = 0;
  let base = 0;

  let tried = false;
  /** Reads written output: offset, length. */
  let past = function (from: number, length: number): Bytes {
    return io.history(from, length);
  };

  let state = HEAD;
  let result = INFLATE_MORE;
  let last = 0;
  let left = 0;
  let lengths = "";
  let literals = 0;
  let distances = 0;
  let codes = 0;
  let ones = 0;
  /** Length of a match whose distance is still to be read. */
  let pending = 0;
  let stop = 0;

  // Table under construction.
  let kind = 0;
  let text = "";
  let table: Uint16Array | Uint32Array = lit;
  let size = 0;
  let position = 0;
  let code = 0;
  let mirrored = 0;
  let open = 0;
  let total = 0;
  let resolving = 0;

  /** Bits that can still be taken; below 0 when padding was. */
  function available(): number {
    return have * 8 - at * 16 + held;
  }

  function seek(bit: number): void {
    at = bit >> 4;
    hold = words[at++] >> (bit & 15);
    held = 16 - (bit & 15);
  }

  /** Moves what is left to the front and adds input. */
  function refill(): void {
    const bit = at * 16 - held;
    const from = bit >> 3;
    if (from >= have) have = 0;
    else {
      bytes.set(bytes.subarray(from, have));
      have -= from;
    }
    while (have < load && !ended) {
      if (pieceAt >= piece.length) {
        const next = io.input(pieces);
        if (next === undefined) break;
        pieces++;
        piece = next;
        pieceAt = 0;
        if (!piece.length) ended = true;
      } else {
        const taken = piece.substr(pieceAt, load - have);
        setInput(taken, have);
        have += taken.length;
        pieceAt += taken.length;
      }
    }
    // The longest code is all ones and never a plain literal entry: the fast loop stops in here.
    setInput("\xff\xff\xff\xff\xff\xff\xff\xff", have);
    safe = ended ? (have >> 1) + 2 : (have >> 1) - 2;
    seek(bit & 7);
  }

  /** Sees that `bits` (16 at most) are there, at the end of input with padding. */
  function need(bits: number): number {
    if (available() < bits) {
      if (available() < 0) return INFLATE_TRUNCATED;
      if (!ended) refill();
      if (available() < bits && !ended) return INFLATE_WAITING;
    }
    if (held < bits) {
      hold |= words[at++] << held;
      held += 16;
    }
    return 0;
  }

  function take(bits: number): number {
    const value = hold & ((1 << bits) - 1);
    hold >>= bits;
    held -= bits;
    return value;
  }

  /** Hands the ring's new bytes over and keeps the youngest as history. */
  function flush(): number {
    if (base + put > io.limit) return INFLATE_TOO_LONG;
    if (put > sent) {
      let out = area(origin + sent, put - sent);
      if (typeof out !== "string") {
        out = "";
        for (let i = sent; i < put; i++) out += String.fromCharCode(ring[i]);
      }
      io.output(out);
      if (io.view && !tried) {
        // Erased flash is all ones: where the view shows what was just written it is no copy.
        tried = true;
        if (out.charCodeAt(0) !== 255 && io.view.charCodeAt(0) === out.charCodeAt(0)) {
          past = io.view.substr.bind(io.view) as unknown as typeof past;
        }
      }
    }
    if (put > KEEP) {
      setRing(area(origin + put - KEEP, KEEP), 0);
      base += put - KEEP;
      put = KEEP;
    }
    sent = put;
    return 0;
  }

  function entry(symbol: number, bits: number): number {
    if (kind === 2) {
      if (symbol > 29) return FAR;
      const extra = symbol > 3 ? (symbol >> 1) - 1 : 0;
      return ((extra ? (2 | (symbol & 1)) << extra : symbol) << 10) | (extra << 5) | bits;
    }
    if (!kind) return (symbol << 5) | bits;
    if (symbol < 256) return LITERAL | (symbol << 5) | bits;
    if (symbol === 256) return END | bits;
    if (symbol < 265) return ((symbol - 254) << 5) | bits;
    if (symbol < 285) return EXTRA | (((symbol - 261) & 3) << 8) | (((symbol - 261) >> 2) << 5) | bits;
    return symbol > 285 ? INVALID : (LONGEST << 5) | bits;
  }

  /** Prepares a table: kind 0 for the code of code lengths, 1 literals and lengths, 2 distances. */
  function begin(which: number, codeLengths: Bytes): void {
    kind = which;
    text = codeLengths;
    table = kind === 1 ? lit : dist;
    table[0] = kind === 2 ? FAR : INVALID;
    size = code = mirrored = total = resolving = 0;
    position = -1;
    open = 1;
    state = BUILD;
  }

  /** Places some codes; 1 when the table is finished. */
  function build(): number {
    const shift = kind === 2 ? 16 : 0;
    const root = kind === 1 ? ROOT : DISTANCE_ROOT;
    for (let budget = 24; budget > 0; budget--) {
      if (resolving) {
        if (resolve()) return 1;
        continue;
      }
      if (position < 0) {
        if (++size > 15) {
          if (open && !(kind && (!total || (total === 1 && text.indexOf("\x01") >= 0)))) return INFLATE_BAD_CODE;
          if (kind !== 1) return 1;
          resolving = 265;
          mirrored = 0;
          continue;
        }
        // Every code so far fills half a table of this size; the other half looks the same.
        if (size <= root) table.set(table.subarray(0, 1 << (size - 1)), 1 << (size - 1));
        code <<= 1;
        open <<= 1;
        first[shift + size] = code;
        place[shift + size] = kind === 2 ? 288 + total : total;
        count[shift + size] = 0;
      }
      position = text.indexOf(String.fromCharCode(size), position + 1);
      if (position < 0) continue;
      if (--open < 0) return INFLATE_BAD_CODE;
      if (size > root) table[mirrored & (table.length - 1)] = kind === 2 ? FAR : LONG | (code >> (size - ROOT));
      else if (kind === 1 && position > 256 && size > LENGTH_BITS) table[mirrored] = LONG | code;
      else table[mirrored] = entry(position, size);
      if (kind === 1 && position > 264 && position < 285) ranks[320 + position - 265] = mirrored;
      ranks[place[shift + size] + count[shift + size]++] = position;
      total++;
      code++;
      let bit = 1 << (size - 1);
      while (mirrored & bit) {
        mirrored ^= bit;
        bit >>= 1;
      }
      mirrored |= bit;
    }
    return 0;
  }

  /** Enters lengths together with their extra bits where both fit; 1 when there are no more. */
  function resolve(): number {
    const bits = text.charCodeAt(resolving);
    const extra = (resolving - 261) >> 2;
    if (bits && bits + extra <= LENGTH_BITS && mirrored < 1 << (ROOT - bits)) {
      lit[ranks[320 + resolving - 265] | (mirrored << bits)] =
        ((((((resolving - 261) & 3) | 4) << extra) + (mirrored & ((1 << extra) - 1)) + 3) << 5) | (bits + extra);
      mirrored++;
      return 0;
    }
    mirrored = 0;
    if (++resolving < 285 && resolving < text.length) return 0;
    if (lit[LAST] >= LITERAL) {
      ones = lit[LAST];
      lit[LAST] = ONES;
    }
    return 1;
  }

  function head(): number {
    if (last) {
      if (available() < 0) return INFLATE_TRUNCATED;
      return flush() || INFLATE_DONE;
    }
    const missing = need(3);
    if (missing) return missing;
    last = take(1);
    const type = take(2);
    if (type === 3) return INFLATE_BAD_BLOCK;
    if (type === 0) {
      take(held & 7);
      left = -1;
      state = STORED;
    } else if (type === 1) {
      begin(1, repeat(8, 144) + repeat(9, 112) + repeat(7, 24) + repeat(8, 8));
      distances = 0;
    } else {
      state = CODE_LENGTHS;
      codes = 0;
    }
    return 0;
  }

  function repeat(value: number, times: number): Bytes {
    let all = "";
    while (times--) all += String.fromCharCode(value);
    return all;
  }

  function stored(most: number): number {
    while (left < 0) {
      const missing = need(16);
      if (missing) return missing;
      const value = take(16);
      if (left === -1) {
        codes = value;
        left = -2;
      } else if ((value ^ codes) !== 65535) return INFLATE_BAD_STORED;
      else left = codes;
    }
    if (!left) {
      state = HEAD;
      return 0;
    }
    const missing = need(8);
    if (missing) return missing;
    const from = (at * 16 - held) >> 3;
    const length = Math.min(left, most, LONGEST, have - from);
    if (length <= 0) return INFLATE_TRUNCATED;
    if (put > RING - LONGEST) {
      const full = flush();
      if (full) return full;
    }
    ring.set(bytes.subarray(from, from + length), put);
    put += length;
    left -= length;
    seek((from + length) * 8);
    return 0;
  }

  function codeLengths(): number {
    if (!codes) {
      const missing = need(14);
      if (missing) return missing;
      literals = 257 + take(5);
      distances = 1 + take(5);
      codes = 4 + take(4);
      if (literals > 286 || distances > 30) return INFLATE_BAD_LENGTHS;
      position = 0;
      for (let i = 0; i < 19; i++) ranks[i] = 0;
    }
    while (position < codes) {
      const missing = need(3);
      if (missing) return missing;
      ranks[ORDER.charCodeAt(position++)] = take(3);
    }
    lengths = "";
    for (let i = 0; i < 19; i++) lengths += String.fromCharCode(ranks[i]);
    begin(0, lengths);
    lengths = "";
    return 0;
  }

  function readLengths(): number {
    for (let budget = 32; budget > 0; budget--) {
      const missing = need(14);
      if (missing) return missing;
      const found = dist[hold & DISTANCE_LAST];
      if (found === INVALID) return INFLATE_BAD_SYMBOL;
      take(found & 31);
      const symbol = found >> 5;
      if (symbol < 16) lengths += String.fromCharCode(symbol);
      else {
        if (symbol === 16 && !lengths.length) return INFLATE_BAD_LENGTHS;
        const value = symbol === 16 ? lengths.charCodeAt(lengths.length - 1) : 0;
        lengths += repeat(value, symbol === 16 ? 3 + take(2) : symbol === 17 ? 3 + take(3) : 11 + take(7));
      }
      if (lengths.length > literals + distances) return INFLATE_BAD_LENGTHS;
      if (lengths.length === literals + distances) {
        if (!lengths.charCodeAt(256)) return INFLATE_BAD_LENGTHS;
        begin(1, lengths.substr(0, literals));
        return 0;
      }
    }
    return 0;
  }

  function built(): void {
    if (kind === 0) state = LENGTHS_OF;
    else if (kind === 1) {
      // The undoing of a literal needs its length.
      codes = 0;
      literalLengths = text;
      shortest = 9;
      for (let i = 1; i < 9; i++) {
        const found = text.indexOf(String.fromCharCode(i));
        if (found >= 0 && found < 256) {
          shortest = i;
          break;
        }
      }
      begin(2, distances ? lengths.substr(literals) : repeat(5, 32));
    } else {
      lengths = text = "";
      load = Math.min(INPUT, shortest * 48);
      state = DATA;
    }
  }
  let literalLengths = "";
  let shortest = 9;

  /** Turns a special entry into a literal's or a length's of up to 16 bits if it is one. */
  function plain(found: number, bits: number): number {
    if (found === ONES) return ones;
    if (found >= LONG && found < END) {
      let prefix = found & LAST;
      let length = ROOT;
      let index = prefix - first[length];
      while (index >= count[length]) {
        if (length > 14) return INVALID;
        prefix = (prefix << 1) | ((bits >> length++) & 1);
        index = prefix - first[length];
      }
      kind = 1;
      found = entry(ranks[place[length] + index], length);
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

  /** Reads the distance of a pending match bit by bit and copies it. */
  function finishMatch(): number {
    let missing = need(15);
    if (missing) return missing;
    let found = 0;
    let length = 0;
    let index = 0;
    do {
      found = (found << 1) | ((hold >> length) & 1);
      if (++length > 15) return INFLATE_BAD_SYMBOL;
      index = found - first[16 + length];
    } while (index >= count[16 + length]);
    kind = 2;
    found = entry(ranks[place[16 + length] + index], length);
    if (found === FAR) return INFLATE_BAD_SYMBOL;
    const extra = (found >> 5) & 31;
    missing = need(15);
    if (missing) return missing;
    take(length);
    missing = need(extra);
    if (missing) return missing;
    const back = (found >> 10) + take(extra);
    const from = base + put - back - 1;
    if (from < 0) return INFLATE_BAD_DISTANCE;
    if (from < base) setRing(past(from, pending), put);
    else setRing(area(origin + from - base, pending), put);
    put += pending;
    pending = 0;
    return 0;
  }

  function data(most: number): number {
    if (pending) return finishMatch();
    if (at > safe && !ended) {
      refill();
      if (at > safe && !ended) return INFLATE_WAITING;
    }
    if (put > RING - RUN - LONGEST) {
      const full = flush();
      if (full) return full;
    }
    if (held < 16) {
      hold |= words[at++] << held;
      held += 16;
    }
    stop = Math.min(put + most, RING - RUN - LONGEST);
    const stopped = run();
    if (available() < 0) {
      if (ended) return INFLATE_TRUNCATED;
      // The last literal was read into the padding.
      put--;
      seek(at * 16 - held - literalLengths.charCodeAt(ring[put]));
      return 0;
    }
    if (stopped < SPECIAL) return stopped;
    if (stopped >= INVALID) return INFLATE_BAD_SYMBOL;
    take(stopped & 31);
    if (stopped >= END) {
      load = HEAD_INPUT;
      state = HEAD;
      return 0;
    }
    // A long code with many extra bits.
    const extra = (stopped >> 5) & 7;
    const missing = need(extra);
    pending = ((((stopped >> 8) & 3) | 4) << extra) + take(extra) + 3;
    return missing;
  }

  /**
   * The fast loop: decodes until `stop` bytes are in the ring or input runs short (0), a distance is wrong (negative), or
   * something comes that it cannot do (the entry, not yet taken). Its variables stand in the order of their use, and
   * between two checks for input there are at least 16 bits: 9 for a length and 7 for its distance's code.
   */
  function run(): number {
    let b = hold;
    const T = lit;
    let e = T[b & LAST];
    let n = held;
    let p = put;
    const O = ring;
    let i = at;
    const I = words;
    let g;
    let d = 0;
    const D = dist;
    const S = setRing;
    const M = area;
    const a = origin - 1;
    const F = past;
    const B = base - 1;
    const L = safe;
    const Q = stop;
    while (1) {
      while (e >= LITERAL) {
        O[p++] = e >> 5;
        b >>= e;
        (n -= e) & 16 || ((b |= I[i++] << n), (n += 16));
        e = T[b & LAST];
      }
      while (e < SPECIAL && i <= L && p <= Q) {
        g = D[(b >>= e) & DISTANCE_LAST];
        b >>= g;
        (n -= e + g) & 16 || ((b |= I[i++] << n), (n += 16));
        e >>= 5;
        g >>= 5;
        d = (g >> 5) + (b % (1 << g));
        if (d < p) S(M(a + p - d, e), p);
        else {
          if ((d = B + p - d) < 0) break;
          S(F(d, e), p);
        }
        p += e;
        b >>= g;
        (n -= g) & 16 || ((b |= I[i++] << n), (n += 16));
        e = T[b & LAST];
        while (e >= LITERAL) {
          O[p++] = e >> 5;
          b >>= e;
          (n -= e) & 16 || ((b |= I[i++] << n), (n += 16));
          e = T[b & LAST];
        }
      }
      if (d < 0) {
        if (d < -FARTHEST - 1) {
          pending = e;
          e = 0;
        } else e = INFLATE_BAD_DISTANCE;
        break;
      }
      if (i > L || p > Q) {
        e = 0;
        break;
      }
      e = plain(e, b);
      if (e >= LITERAL) continue;
      if (e >= SPECIAL) break;
      b >>= e;
      (n -= e) & 16 || ((b |= I[i++] << n), (n += 16));
      e &= -32;
      if (i > L) {
        pending = e >> 5;
        e = 0;
        break;
      }
    }
    hold = b;
    held = n & 31;
    at = i;
    put = p;
    return e;
  }

  return {
    step: function (maxOutput: number): number {
      if (state === DONE) return result;
      let code = 0;
      if (state === DATA) code = data(maxOutput);
      else if (state === BUILD) {
        code = build();
        if (code > 0) {
          built();
          code = 0;
        }
      } else if (state === HEAD) code = head();
      else if (state === STORED) code = stored(maxOutput);
      else if (state === CODE_LENGTHS) code = codeLengths();
      else code = readLengths();
      if (code < 0 || code === INFLATE_DONE) {
        state = DONE;
        result = code;
      }
      return code;
    },
  };
}
