/**
 * Payload chunks that decode on their own, in any order: [u24 offset of the plain text][u16 its length][heatshrink, window 8, lookahead
 * 6], which Espruino decodes natively (https://github.com/atomicobject/heatshrink).
 */
import type { Bytes } from "../engine/engine";

export const HEATSHRINK_HEADER = 5;
/** A chunk that is too short, or that the engine cannot decode. */
export const HEATSHRINK_BAD_CHUNK = -21;
/** Its text would lie outside the result. */
export const HEATSHRINK_OUT_OF_RANGE = -22;

/** Where a chunk's text belongs, and the text; or an error code. `unshrink` gives null for what it cannot decode. */
export function decodeHeatshrink(
  unshrink: (bytes: Bytes) => Bytes | null,
  chunk: Bytes,
  resultBytes: number,
): { offset: number; bytes: Bytes } | number {
  "cold";
  if (chunk.length <= HEATSHRINK_HEADER) return HEATSHRINK_BAD_CHUNK;
  const offset = chunk.charCodeAt(0) + chunk.charCodeAt(1) * 256 + chunk.charCodeAt(2) * 65536;
  const length = chunk.charCodeAt(3) + chunk.charCodeAt(4) * 256;
  const bytes = unshrink(chunk.substr(HEATSHRINK_HEADER));
  // The filling of a chunk may decode to more.
  if (!bytes || !length || bytes.length < length) return HEATSHRINK_BAD_CHUNK;
  if (offset + length > resultBytes) return HEATSHRINK_OUT_OF_RANGE;
  return { offset: offset, bytes: bytes.substr(0, length) };
}
