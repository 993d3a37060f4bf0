/**
 * The LZSS that Espruino's `heatshrink` module speaks (https://github.com/atomicobject/heatshrink with window 8,
 * look-ahead 6): a 1 bit and a byte, or a 0 bit, 8 bits of distance - 1 and 6 bits of length - 1; zeros fill the last byte.
 */
const WINDOW_BITS = 8;
const LENGTH_BITS = 6;
const LONGEST = 1 << LENGTH_BITS;
/** A match costs 15 bits, so that two literals (18 bits) are already worth one. */
const SHORTEST = 2;

/** Decompresses; a code that the input cuts off is ignored, as the interpreter does. */
export function decompress(data: Uint8Array): Buffer {
  const out: number[] = [];
  let at = 0;
  const total = data.length * 8;
  const bits = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++, at++) value = (value << 1) | ((data[at >> 3]! >> (7 - (at & 7))) & 1);
    return value;
  };
  for (;;) {
    if (at + 1 > total) break;
    if (bits(1)) {
      if (at + 8 > total) break;
      out.push(bits(8));
      continue;
    }
    if (at + WINDOW_BITS + LENGTH_BITS > total) break;
    const distance = bits(WINDOW_BITS) + 1;
    const length = bits(LENGTH_BITS) + 1;
    // What lies before the beginning is the decoder's cleared window.
    for (let i = 0; i < length; i++) out.push(out[out.length - distance] ?? 0);
  }
  return Buffer.from(out);
}

/** Compresses, taking the longest and then the nearest match. */
export function compress(data: Uint8Array): Buffer {
  const out: number[] = [];
  let pending = 0;
  let filled = 0;
  const emit = (value: number, count: number): void => {
    for (let i = count - 1; i >= 0; i--) {
      pending = (pending << 1) | ((value >> i) & 1);
      if (++filled < 8) continue;
      out.push(pending);
      pending = filled = 0;
    }
  };
  for (let at = 0; at < data.length;) {
    const match = longest(data, at);
    if (match.length < SHORTEST) {
      emit(1, 1);
      emit(data[at++]!, 8);
      continue;
    }
    emit(0, 1);
    emit(match.distance - 1, WINDOW_BITS);
    emit(match.length - 1, LENGTH_BITS);
    at += match.length;
  }
  if (filled) out.push((pending << (8 - filled)) & 255);
  return Buffer.from(out);
}

function longest(data: Uint8Array, at: number): { distance: number; length: number } {
  let best = { distance: 0, length: 0 };
  const limit = Math.min(LONGEST, data.length - at);
  // What lies before the beginning is the cleared window, and may be matched.
  const before = (index: number) => (index < 0 ? 0 : data[index]);
  for (let distance = 1; distance <= 1 << WINDOW_BITS; distance++) {
    let length = 0;
    while (length < limit && data[at + length] === before(at + length - distance)) length++;
    if (length > best.length) best = { distance, length };
    if (length === limit) break;
  }
  return best;
}
