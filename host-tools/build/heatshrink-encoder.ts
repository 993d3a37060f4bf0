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

interface Encoded {
  /** First byte that did not fit. */
  end: number;
  bytes: Buffer;
}

/**
 * The shortest encoding of as much of data[start, end) as fits into `room` bytes: a shortest path over positions. Since a
 * match may be cut to any length, a longer text never takes fewer bits, and the walk ends where the room does.
 */
function encode(data: Uint8Array, start: number, end: number, room: number): Encoded {
  const count = end - start;
  const cost = new Float64Array(count + 1).fill(Infinity);
  /** The step that leads here: how far it reaches, and its distance (0: a literal). */
  const step = new Uint8Array(count + 1);
  const back = new Uint16Array(count + 1);
  cost[0] = 0;
  let reached = 0;
  for (let i = 0; i < count && cost[i]! <= room * 8; i++) {
    reached = i;
    const at = start + i;
    if (cost[i]! + LITERAL_BITS < cost[i + 1]!) {
      cost[i + 1] = cost[i]! + LITERAL_BITS;
      step[i + 1] = 1;
      back[i + 1] = 0;
    }
    const most = Math.min(LONGEST, end - at);
    let best = 1;
    const first = Math.max(start, at - WINDOW);
    for (let from = at - 1; from >= first && best < most; from--) {
      if (data[from + best] !== data[at + best]) continue;
      let n = 0;
      while (n < most && data[from + n] === data[at + n]) n++;
      // Every length once, with the nearest match that has it.
      for (let length = best + 1; length <= n; length++) {
        if (cost[i]! + MATCH_BITS >= cost[i + length]!) continue;
        cost[i + length] = cost[i]! + MATCH_BITS;
        step[i + length] = length;
        back[i + length] = at - from;
      }
      if (n > best) best = n;
    }
  }
  if (cost[count]! <= room * 8) reached = count;
  const path: number[] = [];
  for (let i = reached; i > 0; i -= step[i]!) path.push(i);
  const out = Buffer.alloc(Math.ceil(cost[reached]! / 8));
  let bit = 0;
  const put = (value: number, bits: number): void => {
    for (let i = bits - 1; i >= 0; i--, bit++) if ((value >> i) & 1) out[bit >> 3]! |= 128 >> (bit & 7);
  };
  for (const i of path.reverse()) {
    if (back[i] === 0) {
      put(1, 1);
      put(data[start + i - 1]!, 8);
    } else {
      put(0, 1);
      put(back[i]! - 1, 8);
      put(step[i]! - 1, 6);
    }
  }
  return { end: start + reached, bytes: out };
}

/** The shortest encoding of data[start, end). */
export function encodeHeatshrink(data: Uint8Array, start = 0, end = data.length): Buffer {
  return encode(data, start, end, Infinity).bytes;
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
    const { end, bytes } = encode(data, start, Math.min(data.length, start + 0xffff), room);
    const header = Buffer.alloc(HEADER);
    header.writeUIntLE(start, 0, 3);
    header.writeUInt16LE(end - start, 3);
    chunks.push(Buffer.concat([header, bytes]));
    start = end;
  }
  return chunks;
}
