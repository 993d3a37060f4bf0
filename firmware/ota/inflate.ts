/**
 * Raw deflate (RFC 1951) in slices, written for an interpreter that pays for every token it passes.
 *
 * Input comes in numbered pieces, output leaves in sequence, and what is farther back than the RAM ring is read from
 * where the output went. RAM: 4.2 KB (tables 2.4 KB, ring 1.3 KB, input 0.1 KB, views), and the text of the code lengths,
 * at most 0.6 KB, while a block's tables are made. What each step of the fast loop gained: docs/inflate.md.
 */
import type { Bytes } from "../engine/engine";
import * as huffman from "./huffman";
import { DISTANCE_MASK, END, INVALID, LITERAL, LONGEST, ROOT_MASK, SPECIAL } from "./huffman";

/** The engine's memory access; there is none on Node. */
declare const E:
  | { getAddressOf(value: unknown, flat: boolean): number; memoryArea(address: number, bytes: number): Bytes }
  | undefined;

export interface InflateIo {
  /** Piece `index` (0, 1, ...) of the stream; "" behind its end, undefined while it is not there yet. */
  input(index: number): Bytes | undefined;
  /** Takes the next output bytes; the string is valid during the call only. */
  output(bytes: Bytes): void;
  /** Earlier output, always from what `output` has taken. 1..258 bytes. */
  history(offset: number, length: number): Bytes;
  /** Most output bytes that `output` ever gets; up to 2,000,000. */
  limit: number;
  /**
   * A view on the place that `output` writes to, from output byte 0 on, `limit` long. It must show erased flash (ones)
   * until the first output. If it turns out to be live, and no copy, `history` is not called.
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

const RING = 1280;
/** Bytes that stay in the ring when it is emptied; no less than LONGEST, so that a match is either in it or all written. */
const KEEP = 264;
/**
 * Literals that one load of input can hold. Their loop looks at nothing but the next code, so this also is what bounds
 * it: some 60 ms of an ESP32.
 */
const RUN = 96;
/** Where the fast loop stops at the latest. */
const FULL = RING - RUN - LONGEST - 32;
/** Bytes of a load: RUN codes of the shortest that a literal has, up to this. */
const INPUT = 96;
/** Input loaded at a time outside of a block's data. */
const HEAD_INPUT = 24;
const PADDING = "\xff\xff\xff\xff\xff\xff\xff\xff";
/** Largest distance. */
const WINDOW = 32768;

const HEAD = 0;
const STORED = 1;
const LENGTH_CODES = 2;
const CODE_LENGTHS = 3;
const BUILD = 4;
const DATA = 5;
const DONE = 6;

/** The order in which the lengths of the code of code lengths come. */
const ORDER = "\x10\x11\x12\x00\x08\x07\x09\x06\x0a\x05\x0b\x04\x0c\x03\x0d\x02\x0e\x01\x0f";

export function createInflate(io: InflateIo): Inflate {
  "cold";
  const codes = huffman.createHuffman();
  const ring = new Uint8Array(RING);
  const bytes = new Uint8Array(INPUT + 24);
  const words = new Uint16Array(bytes.buffer);

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
  let setInput = function (piece: Bytes, to: number): void {
    for (let i = 0; i < piece.length; i++) bytes[to + i] = piece.charCodeAt(i);
  };
  /** Reads written output: offset, length. */
  let past = function (from: number, length: number): Bytes {
    return io.history(from, length);
  };
  useMemory();

  // Input: `bytes` holds `have` bytes; `at` words went into `hold`, of which `held` bits are left.
  let have = 0;
  let at = 0;
  let hold = 0;
  let held = 0;
  /** The fast loop may begin a match up to this word. */
  let safe = -1;
  let load = HEAD_INPUT;
  let piece = "";
  let pieceAt = 0;
  let pieces = 0;
  let ended = false;
  /** Input that was loaded and given back; comes before `piece`. */
  let back = "";

  // Output: `put` bytes in the ring, `sent` of them handed over; ring[0] is byte `base` of the output.
  let put = 0;
  let sent = 0;
  let base = 0;
  /** The fast loop stops here. */
  let stop = 0;
  /** Length of a match whose distance is still to be read. */
  let pending = 0;

  let state = HEAD;
  let result = INFLATE_MORE;
  let last = 0;
  /** Bytes of a stored block that are still to come; -1 and -2 before its length and its complement. */
  let left = 0;
  let stored = 0;
  /** Table in work. */
  let kind = 0;
  let lengths = "";
  let literals = 0;
  let distances = 0;
  let lengthCodes = 0;
  let small = "";
  /** Code lengths of the literals, for taking one back. */
  let literalLengths = "";

  /** Takes the engine's memory access where it does what is needed. */
  function useMemory(): void {
    "cold";
    if (typeof E === "undefined") return;
    const address = E.getAddressOf(ring, true);
    if (!address) return;
    const copy = ring.set.bind(ring) as unknown as typeof setRing;
    ring.set([1, 2, 3, 4]);
    copy(E.memoryArea(address, 3), 1);
    // Some builds read elsewhere; and a match longer than its distance needs an ascending copy out of live memory.
    if (ring[1] !== 1 || ring[3] !== 1) return;
    origin = address;
    area = E.memoryArea;
    setRing = copy;
    setInput = bytes.set.bind(bytes) as unknown as typeof setInput;
  }

  /** Bits that can still be taken; below 0 when padding was. */
  function available(): number {
    return have * 8 - at * 16 + held;
  }

  function seek(bit: number): void {
    at = bit >> 4;
    hold = words[at++] >> (bit & 15);
    held = 16 - (bit & 15);
    top();
  }

  /** Sees that `hold` has 16 bits or more. */
  function top(): void {
    if (held < 16) {
      hold |= words[at++] << held;
      held += 16;
    }
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
      if (back.length) {
        setInput(back.substr(0, load - have), have);
        const taken = Math.min(back.length, load - have);
        have += taken;
        back = back.substr(taken);
      } else if (pieceAt < piece.length) {
        const taken = piece.substr(pieceAt, load - have);
        setInput(taken, have);
        have += taken.length;
        pieceAt += taken.length;
      } else {
        const next = io.input(pieces);
        if (next === undefined) break;
        pieces++;
        piece = next;
        pieceAt = 0;
        ended = !piece.length;
      }
    }
    pad();
    seek(bit & 7);
  }

  /** Closes the input that is loaded; the padding has the code that no literal entry stands for. */
  function pad(): void {
    setInput(PADDING, have);
    safe = (have >> 1) + (ended ? 2 : -2);
  }

  /** Gives back what is loaded beyond `load`. */
  function unload(): void {
    "cold";
    const end = ((at * 16 - held) >> 3) + load;
    if (end >= have) return;
    let rest = "";
    for (let i = end; i < have; i++) rest += String.fromCharCode(bytes[i]);
    back = rest + back;
    have = end;
    // The end will be met again.
    if (ended) pieces--;
    ended = false;
    pad();
  }

  /** Sees that `bits` (16 at most) are there; at the end of input padding makes them up. */
  function need(bits: number): number {
    if (available() < bits) {
      if (available() < 0) return INFLATE_TRUNCATED;
      if (!ended) refill();
      if (available() < bits && !ended) return INFLATE_WAITING;
    }
    top();
    return 0;
  }

  function take(bits: number): number {
    const value = hold & ((1 << bits) - 1);
    hold >>= bits;
    held -= bits;
    return value;
  }

  /** Hands the ring's new bytes over and keeps the youngest. */
  function flush(): number {
    if (base + put > io.limit) return INFLATE_TOO_LONG;
    if (put > sent) {
      const erased = !base && !sent && io.view && io.view.charCodeAt(0) === 255;
      let out = area(origin + sent, put - sent);
      if (typeof out === "number") {
        out = "";
        for (let i = sent; i < put; i++) out += String.fromCharCode(ring[i]);
      }
      io.output(out);
      if (erased && ring[0] !== 255 && (io.view as Bytes).charCodeAt(0) === ring[0]) {
        past = (io.view as Bytes).substr.bind(io.view) as unknown as typeof past;
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

  function begin(which: number, codeLengths: Bytes): void {
    "cold";
    kind = which;
    codes.begin(which, codeLengths);
    state = BUILD;
  }

  function repeat(value: number, times: number): Bytes {
    let all = "";
    while (times--) all += String.fromCharCode(value);
    return all;
  }

  /** The head of a block, or the end of the stream. */
  function head(): number {
    "cold";
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
      lengths = repeat(8, 144) + repeat(9, 112) + repeat(7, 24) + repeat(8, 8) + repeat(5, 32);
      literals = 288;
      begin(huffman.LITERALS, lengths.substr(0, literals));
    } else {
      lengthCodes = 0;
      state = LENGTH_CODES;
    }
    return 0;
  }

  function copyStored(most: number): number {
    "cold";
    while (left < 0) {
      const missing = need(16);
      if (missing) return missing;
      const value = take(16);
      if (left === -1) {
        stored = value;
        left = -2;
      } else if ((value ^ stored) !== 65535) return INFLATE_BAD_STORED;
      else left = stored;
    }
    if (!left) {
      state = HEAD;
      return 0;
    }
    const missing = need(8);
    if (missing) return missing;
    const from = (at * 16 - held) >> 3;
    const length = Math.min(Math.min(left, most), Math.min(LONGEST, have - from));
    if (length <= 0) return INFLATE_TRUNCATED;
    if (put > FULL) {
      const full = flush();
      if (full) return full;
    }
    ring.set(bytes.subarray(from, from + length), put);
    put += length;
    left -= length;
    seek((from + length) * 8);
    return 0;
  }

  /** The head of a dynamic block: how many codes there are, and the code of their lengths. */
  function readLengthCodes(): number {
    "cold";
    if (!lengthCodes) {
      const missing = need(14);
      if (missing) return missing;
      literals = 257 + take(5);
      distances = 1 + take(5);
      lengthCodes = 4 + take(4);
      if (literals > 286 || distances > 30) return INFLATE_BAD_LENGTHS;
      small = "";
    }
    while (small.length < lengthCodes) {
      const missing = need(3);
      if (missing) return missing;
      small += String.fromCharCode(take(3));
    }
    lengths = "";
    for (let i = 0; i < 19; i++) {
      const index = ORDER.indexOf(String.fromCharCode(i));
      lengths += index < lengthCodes ? small.charAt(index) : "\0";
    }
    begin(huffman.CODE_LENGTHS, lengths);
    lengths = "";
    return 0;
  }

  function readCodeLengths(): number {
    "cold";
    for (let budget = 18; budget > 0; budget--) {
      const missing = need(14);
      if (missing) return missing;
      const found = codes.distances[hold & DISTANCE_MASK];
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
        begin(huffman.LITERALS, lengths.substr(0, literals));
        return 0;
      }
    }
    return 0;
  }

  function build(): number {
    "cold";
    const done = codes.build();
    if (done < 0) return INFLATE_BAD_CODE;
    if (!done) return 0;
    if (kind === huffman.CODE_LENGTHS) state = CODE_LENGTHS;
    else if (kind === huffman.LITERALS) {
      literalLengths = lengths.substr(0, 256);
      begin(huffman.DISTANCES, lengths.substr(literals));
    } else {
      lengths = "";
      // A load must not hold more literals than the ring has room for.
      let shortest = 1;
      while (shortest < 6 && literalLengths.indexOf(String.fromCharCode(shortest)) < 0) shortest++;
      load = (shortest * RUN) >> 3;
      unload();
      state = DATA;
      top();
    }
    return 0;
  }

  /** Reads the distance of a pending match without the table, and copies the match. Its bits are all there. */
  function finishMatch(): number {
    "cold";
    let missing = need(15);
    if (missing) return missing;
    const found = codes.distance(hold);
    if (found === huffman.FAR) return INFLATE_BAD_SYMBOL;
    take(found & 31);
    missing = need((found >> 5) & 31);
    if (missing) return missing;
    const from = base + put - 1 - (found >> 10) - take((found >> 5) & 31);
    if (from < 0) return INFLATE_BAD_DISTANCE;
    if (from < base) setRing(past(from, pending), put);
    else setRing(area(origin + from - base, pending), put);
    put += pending;
    pending = 0;
    top();
    return 0;
  }

  /** Begins with 16 bits in `hold`, as it ends. */
  function data(most: number): number {
    if (pending) return finishMatch();
    if (at > safe && !ended) {
      refill();
      if (at > safe && !ended) return INFLATE_WAITING;
    }
    // A slice of its own: the first one takes as long as a run.
    if (put > FULL) return flush();
    stop = put + most;
    if (stop > FULL) stop = FULL;
    const stopped = run();
    if (at > safe && available() < 0) {
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
    // A length whose code and extra bits are more than 16.
    const extra = (stopped >> 5) & 7;
    const missing = need(extra);
    pending = ((((stopped >> 8) & 3) | 4) << extra) + take(extra) + 3;
    return missing;
  }

  /**
   * The fast loop: decodes until there is output up to `stop` or input runs short (0), a distance is wrong (negative), or
   * something comes that it cannot do (the entry, which is not taken yet). Every look at the literal table finds 16 bits;
   * 9 at most are a length, which leaves 7 for the look at the distance table.
   */
  function run(): number {
    let b = hold;
    const T = codes.literals;
    let e = T[b & ROOT_MASK];
    let n = held;
    let p = put;
    const O = ring;
    let i = at;
    const I = words;
    let g = 0;
    let d = 0;
    const D = codes.distances;
    const S = setRing;
    const M = area;
    const a = origin - 1;
    const F = past;
    const B = base - 1;
    const L = safe;
    let Q = stop;
    while (1) {
      while (e >= LITERAL) {
        O[p++] = e >> 5;
        b >>= e;
        if (!((n -= e) & 16)) {
          b |= I[i++] << n;
          n += 16;
        }
        e = T[b & ROOT_MASK];
      }
      while (e < SPECIAL && i <= L && p <= Q) {
        g = D[(b >>= e) & DISTANCE_MASK];
        b >>= g;
        if (!((n -= e + g) & 16)) {
          b |= I[i++] << n;
          n += 16;
        }
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
        if (!((n -= g) & 16)) {
          b |= I[i++] << n;
          n += 16;
        }
        e = T[b & ROOT_MASK];
        while (e >= LITERAL) {
          O[p++] = e >> 5;
          b >>= e;
          if (!((n -= e) & 16)) {
            b |= I[i++] << n;
            n += 16;
          }
          e = T[b & ROOT_MASK];
        }
      }
      if (d < 0) {
        if (d < -WINDOW) {
          pending = e;
          e = 0;
        } else e = INFLATE_BAD_DISTANCE;
        break;
      }
      if (i > L || p > Q) {
        e = 0;
        break;
      }
      // It takes as long as six more literals.
      Q -= 6;
      e = codes.plain(e, b);
      if (e >= LITERAL) continue;
      if (e >= SPECIAL) break;
      b >>= e;
      if (!((n -= e) & 16)) {
        b |= I[i++] << n;
        n += 16;
      }
      e &= -32;
      if (i > L || p > Q) {
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
      let code = 0;
      if (state === DATA) code = data(maxOutput);
      else if (state === DONE) return result;
      else if (state === BUILD) code = build();
      else if (state === HEAD) code = head();
      else if (state === STORED) code = copyStored(maxOutput);
      else if (state === LENGTH_CODES) code = readLengthCodes();
      else code = readCodeLengths();
      if (code < 0 || code === INFLATE_DONE) {
        // What was read out of the padding can look like any error.
        if (code < 0 && ended && available() < 0) code = INFLATE_TRUNCATED;
        state = DONE;
        result = code;
      }
      return code;
    },
  };
}
