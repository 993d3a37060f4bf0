/** Encodes a bundle into payload chunks, and predicts which encoding brings it to the last node soonest. */
import pako from "pako";
import type { Encoding } from "../../firmware/ota/image";
import { encodeDelta } from "./delta-encoder";
import { packHeatshrink } from "./heatshrink-encoder";

export interface Packed {
  chunks: Buffer[];
  payloadBytes: number;
}

/** The smallest raw deflate stream that zlib's levers give. */
export function deflateSmallest(data: Uint8Array): Buffer {
  let best: Uint8Array | null = null;
  for (const windowBits of [15, 14, 13, 12] as const) {
    const packed = pako.deflateRaw(data, { level: 9, memLevel: 9, windowBits });
    if (!best || packed.length < best.length) best = packed;
  }
  return Buffer.from(best!);
}

/**
 * @param base what a delta changes; its nodes must run just that
 * @throws RangeError for a delta without base
 */
export function packPayload(data: Uint8Array, encoding: Encoding, chunkBytes: number, base?: Uint8Array): Packed {
  if (encoding === "heatshrink" || encoding === "delta") {
    if (encoding === "delta" && !base) throw new RangeError("a delta needs the bundle that it changes");
    const chunks = encoding === "delta" ? encodeDelta(base!, data, chunkBytes) : packHeatshrink(data, chunkBytes);
    // Every chunk but the last has the size that the manifest states; what a chunk does not need is left zero.
    const full = chunks.map((chunk, i) =>
      i + 1 < chunks.length ? Buffer.concat([chunk, Buffer.alloc(chunkBytes - chunk.length)]) : chunk,
    );
    return { chunks: full, payloadBytes: full.reduce((sum, chunk) => sum + chunk.length, 0) };
  }
  const stream = encoding === "deflate" ? deflateSmallest(data) : Buffer.from(data);
  const chunks: Buffer[] = [];
  for (let at = 0; at < stream.length; at += chunkBytes) chunks.push(stream.subarray(at, at + chunkBytes));
  return { chunks, payloadBytes: stream.length };
}
