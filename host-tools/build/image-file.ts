/**
 * An image as a file: "ESPIMG1\n", u32 LE bytes of the blob, the blob as nodes know it (firmware/ota/image.ts), then the
 * payload chunks one after another.
 */
import { createHash } from "node:crypto";
import { type Manifest, parseManifest, SHORT_HASH } from "../../firmware/ota/image";
import type { Image } from "./image";

const MAGIC = Buffer.from("ESPIMG1\n");
/** More than any slot or stage: what a node has room for is judged where the board is known. */
const ROOM = 16 * 1024 * 1024;

export type ImageFileErrorCode = "not-an-image" | "cut-off" | "bad-manifest" | "bad-chunk";

export class ImageFileError extends Error {
  constructor(
    readonly code: ImageFileErrorCode,
    detail: string,
  ) {
    super(`${code}: ${detail}`);
    this.name = "ImageFileError";
  }
}

export function encodeImageFile({ blob, chunks }: Image): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(blob.length);
  return Buffer.concat([MAGIC, length, blob, ...chunks]);
}

/** Reads a file; every chunk is checked against its hash, a signature is not. @throws ImageFileError */
export function decodeImageFile(content: Buffer): Image {
  if (!content.subarray(0, MAGIC.length).equals(MAGIC)) throw new ImageFileError("not-an-image", "it begins otherwise");
  const start = MAGIC.length + 4;
  if (content.length < start) throw new ImageFileError("cut-off", "it ends in its head");
  const end = start + content.readUInt32LE(MAGIC.length);
  if (content.length < end) throw new ImageFileError("cut-off", "it ends in its manifest");
  const blob = content.subarray(start, end);
  const manifest = parseManifest(blob.toString("latin1"), ROOM, ROOM);
  if (typeof manifest === "string") throw new ImageFileError("bad-manifest", manifest);
  const id = createHash("sha256").update(blob).digest().toString("hex", 0, SHORT_HASH);
  return { id, manifest, blob, chunks: cut(content.subarray(end), manifest) };
}

function cut(payload: Buffer, { payloadBytes, chunkBytes, chunkHashes }: Manifest): Buffer[] {
  if (payload.length !== payloadBytes) {
    throw new ImageFileError("cut-off", `the payload has ${payload.length} bytes, not ${payloadBytes}`);
  }
  const hashes = Buffer.from(chunkHashes, "base64");
  const chunks: Buffer[] = [];
  for (let at = 0; at < payload.length; at += chunkBytes) {
    const chunk = payload.subarray(at, at + chunkBytes);
    const wanted = hashes.subarray(chunks.length * SHORT_HASH, (chunks.length + 1) * SHORT_HASH);
    const found = createHash("sha256").update(chunk).digest().subarray(0, SHORT_HASH);
    if (!found.equals(wanted)) throw new ImageFileError("bad-chunk", `number ${chunks.length}`);
    chunks.push(chunk);
  }
  return chunks;
}
