/**
 * Encoder for heatshrink with an 8-bit window and a 6-bit lookahead, the form that Espruino decodes natively: a 1 bit and
 * eight bits of literal, or a 0 bit, eight bits of distance - 1 and six bits of length - 1, most significant bit first.
 */
const WINDOW = 256;
const LONGEST = 64;
const LITERAL_BITS = 9;
const MATCH_BITS = 15;
/** [u24 offset][u16 length] */
const HEADER = 5;

/** Longest match for every position, at most WINDOW back within [start, end). */
function matches(data: Uint8Array, start: number, end: number): { length: Uint8Array; distance: Uint16Array } {
  const length = new Uint8Array(end - start);
  const distance = new Uint16Array(end - start);
  for (let at = start; at < end; at++) {
    const most = Math.min(LONGEST, end - at);
    let best = 0;
    for (let from = at - 1; from >= Math.max(start, at - WINDOW) && best < most; from--) {
      let n = 0;
      while (n < most && data[from + n] === data[at + n]) n++;
      if (n > best) {
        best = n;
        distance[at - start] = at - from;
      }
    }
    length[at - start] = best;
  }
  return { length, distance };
}

/**
 * The shortest encoding of data[start, end): a shortest path over positions, since a match may be cut to any length.
 * `bitsTo[i]` tells the bits that the first i bytes take.
 */
export function encodeHeatshrink(data: Uint8Array, start = 0, end = data.length): Buffer {
  const count = end - start;
  const { length, distance } = matches(data, start, end);
  const cost = new Float64Array(count + 1);
  const take = new Uint8Array(count + 1);
  for (let i = count - 1; i >= 0; i--) {
    cost[i] = cost[i + 1]! + LITERAL_BITS;
    take[i] = 1;
    for (let n = 2; n <= length[i]!; n++) {
      const bits = cost[i + n]! + MATCH_BITS;
      if (bits < cost[i]!) {
        cost[i] = bits;
        take[i] = n;
      }
    }
  }
  const out = Buffer.alloc(Math.ceil(cost[0]! / 8));
  let bit = 0;
  const put = (value: number, bits: number): void => {
    for (let i = bits - 1; i >= 0; i--, bit++) if ((value >> i) & 1) out[bit >> 3]! |= 128 >> (bit & 7);
  };
  for (let i = 0; i < count; i += take[i]!) {
    if (take[i] === 1) {
      put(1, 1);
      put(data[start + i]!, 8);
    } else {
      put(0, 1);
      put(distance[i]! - 1, 8);
      put(take[i]! - 1, 6);
    }
  }
  return out;
}

/**
 * Cuts data into chunks of at most `chunkBytes`, each [u24 offset][u16 length][heatshrink] and as full as it can be.
 * Throws RangeError when `chunkBytes` is too small to hold anything, or the data is longer than 16 MB.
 */
export function packHeatshrink(data: Uint8Array, chunkBytes: number): Buffer[] {
  if (chunkBytes < 64 || data.length >= 1 << 24) throw new RangeError("chunks of 64 bytes or more, data under 16 MB");
  const chunks: Buffer[] = [];
  const room = chunkBytes - HEADER;
  for (let start = 0; start < data.length;) {
    // Encoded length grows with the text, nearly always: the largest end found by halving is within a byte or two.
    let low = Math.min(data.length, start + Math.floor((room * 8) / LITERAL_BITS));
    let high = Math.min(data.length, start + Math.floor((room * 8 * LONGEST) / MATCH_BITS));
    let best = encodeHeatshrink(data, start, low);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const encoded = encodeHeatshrink(data, start, middle);
      if (encoded.length <= room) {
        low = middle;
        best = encoded;
      } else high = middle - 1;
    }
    const header = Buffer.alloc(HEADER);
    header.writeUIntLE(start, 0, 3);
    header.writeUInt16LE(low - start, 3);
    chunks.push(Buffer.concat([header, best]));
    start = low;
  }
  return chunks;
}
