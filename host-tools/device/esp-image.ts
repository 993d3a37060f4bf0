/**
 * Espressif application and boot loader images.
 * Format: https://docs.espressif.com/projects/esptool/en/latest/esp32/advanced-topics/firmware-image-format.html
 * a 24-byte header (0xE9, segment count, ..., chip id at 12, "hash appended" at 23), segments of [u32 address, u32 length,
 * data], zeros up to the last byte of a 16-byte line, which is 0xEF xor all segment data, and SHA-256 of all before it.
 */
import { createHash } from "node:crypto";

export const IMAGE_MAGIC = 0xe9;
const HEADER = 24;
const CHECKSUM_SEED = 0xef;

export type ImageFault = "not-an-image" | "truncated" | "checksum" | "hash";

export interface ImageFacts {
  chipId: number;
  /** Bytes of the image itself; a file may be longer. */
  length: number;
}

/** Reads and checks an image at the start of `bytes`; a fault says why it would not boot. Never throws. */
export function inspectImage(bytes: Uint8Array): ImageFacts | ImageFault {
  const image = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The last byte of the header is 1 when a hash follows, or 0.
  if (image.length < HEADER || image[0] !== IMAGE_MAGIC || image[23]! > 1) return "not-an-image";
  const segments = image[1]!;
  if (segments === 0 || segments > 16) return "not-an-image";
  let at = HEADER;
  let checksum = CHECKSUM_SEED;
  for (let i = 0; i < segments; i++) {
    if (at + 8 > image.length) return "truncated";
    const length = image.readUInt32LE(at + 4);
    at += 8;
    if (at + length > image.length) return "truncated";
    for (const end = at + length; at < end; at++) checksum ^= image[at]!;
  }
  const last = at + 15 - (at % 16);
  if (last >= image.length) return "truncated";
  if (image[last] !== checksum) return "checksum";
  let length = last + 1;
  if (image[23] === 1) {
    if (length + 32 > image.length) return "truncated";
    const digest = createHash("sha256").update(image.subarray(0, length)).digest();
    if (!digest.equals(image.subarray(length, length + 32))) return "hash";
    length += 32;
  }
  return { chipId: image.readUInt16LE(12), length };
}

/** Builds an image with one segment: stands in for firmware where there is none, as on virtual boards. */
export function buildImage(chipId: number, content: Uint8Array): Buffer {
  const padded = Buffer.alloc((content.length + 3) & ~3);
  padded.set(content);
  const header = Buffer.alloc(HEADER + 8);
  header[0] = IMAGE_MAGIC;
  header[1] = 1;
  header[2] = 2;
  header[3] = 0x20;
  header.writeUInt16LE(chipId, 12);
  header[23] = 1;
  header.writeUInt32LE(0x3f400020, HEADER);
  header.writeUInt32LE(padded.length, HEADER + 4);
  const filled = header.length + padded.length;
  const body = Buffer.concat([header, padded, Buffer.alloc(16 - (filled % 16))]);
  body[body.length - 1] = padded.reduce((sum, byte) => sum ^ byte, CHECKSUM_SEED);
  return Buffer.concat([body, createHash("sha256").update(body).digest()]);
}
