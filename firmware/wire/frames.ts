/**
 * Binary frames of the airwave. One header serves all but telemetry; chunk frames keep the same bytes on every hop, in
 * flash and when they are sent again, so nobody re-encodes them.
 *
 *   0  type, a letter     1  flags: bit 0 the chunk belongs to the payload (else to the blob)
 *   2  first four bytes of the image id      6  u16 chunk number, or pass number in a poll
 *   8  chunk bytes
 */
import type { Bytes } from "../engine/engine";
import { le16 } from "./bytes";

/** A chunk of an image. */
export const FRAME_CHUNK = 67; // "C"
/** A combination of payload chunks: [header, number 0][u8 degree][u16 a chunk number][their exclusive or]. */
export const FRAME_CODED = 88; // "X"
/** "I have sent what I have: say what you miss." */
export const FRAME_POLL = 80; // "P"
/** Telemetry: [type][count][u32 node that is to pass it on][count key frames of 64 bytes]. */
export const FRAME_TELEMETRY = 84; // "T"

export const FRAME_HEADER = 8;
export const FLAG_PAYLOAD = 1;

/** Frame bytes before the chunk; `tag` is the first four bytes of the image id. */
export function frameHeader(type: number, flags: number, tag: Bytes, index: number): Bytes {
  "cold";
  return String.fromCharCode(type, flags) + tag + le16(index);
}
