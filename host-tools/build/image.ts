/** Makes an image of a bundle: encodes the payload, cuts it into chunks, writes the manifest, and lays out a stage. */
import { createHash } from "node:crypto";
import { type Bytes, PAGE, type Region } from "../../firmware/engine/engine";
import { type Encoding, type Manifest, MAX_CHUNK, SHORT_HASH } from "../../firmware/ota/image";
import {
  MARK,
  STAGE_BLOB,
  STAGE_BLOB_OK,
  STAGE_COMPLETE,
  STAGE_ERASED,
  STAGE_HEADER,
  STAGE_MARKS,
  STAGE_STRIDE,
} from "../../firmware/ota/layout";
import type { TrustFields } from "../../firmware/ota/trust";
import { openStage, sealSlot } from "../../firmware/ota/slots";
import { FLAG_PAYLOAD, FRAME_CHUNK, frameHeader } from "../../firmware/wire/frames";
import { packPayload } from "./pack";

export interface ImageOptions {
  code: string;
  product: string;
  hardware: string;
  role: string;
  version: string;
  counter?: number;
  encoding: Encoding;
  /** For a delta: the bundle that the nodes run. */
  base?: string;
  /** Payload bytes in a chunk, 64..1016. */
  chunkBytes?: number;
  notes?: string;
  /** Base64 of the public key that signs from the next image on. */
  nextKey?: string;
  /** Nodes whose counter is not above this may go back to this image's lower one. */
  downgradeFrom?: number;
}

export interface Image {
  /** 16 hex digits, as `imageId` of the firmware. */
  id: string;
  manifest: Manifest & TrustFields;
  /** [u16 manifest length][manifest][signature] */
  blob: Buffer;
  /** Payload chunks in order. */
  chunks: Buffer[];
}

const sha256 = (data: Buffer): Buffer => createHash("sha256").update(data).digest();

/** `treeHash` of the firmware: SHA-256 over the SHA-256 of each 4096-byte piece; hex. */
export function treeHashOf(data: Buffer): string {
  const leaves: Buffer[] = [];
  for (let at = 0; at < data.length; at += PAGE) leaves.push(sha256(data.subarray(at, at + PAGE)));
  return sha256(Buffer.concat(leaves)).toString("hex");
}

/** Chunks of MAX_CHUNK bytes that the blob travels in. */
export function blobChunks(image: Image): number {
  return Math.ceil(image.blob.length / MAX_CHUNK);
}

export function makeImage(options: ImageOptions): Image {
  const result = Buffer.from(options.code, "latin1");
  const base = options.encoding === "delta" && options.base ? Buffer.from(options.base, "latin1") : undefined;
  const { chunks, payloadBytes } = packPayload(result, options.encoding, options.chunkBytes ?? MAX_CHUNK, base);
  const manifest: Manifest & TrustFields = {
    product: options.product,
    hardware: options.hardware,
    role: options.role,
    engine: "espruino",
    version: options.version,
    counter: options.counter ?? 0,
    encoding: options.encoding,
    chunkBytes: options.chunkBytes ?? MAX_CHUNK,
    payloadBytes,
    resultBytes: result.length,
    resultHash: treeHashOf(result),
    chunkHashes: Buffer.concat(chunks.map((chunk) => sha256(chunk).subarray(0, SHORT_HASH))).toString("base64"),
    ...(base ? { base: treeHashOf(base), baseBytes: base.length } : {}),
    ...(options.notes === undefined ? {} : { notes: options.notes }),
    ...(options.nextKey === undefined ? {} : { nextKey: options.nextKey }),
    ...(options.downgradeFrom === undefined ? {} : { downgradeFrom: options.downgradeFrom }),
  };
  return assemble(manifest, chunks);
}

/** An image of a manifest, its chunks and its signature, whether they fit each other or not. */
export function assemble(manifest: Manifest, chunks: Buffer[], signature: Buffer = Buffer.alloc(0)): Image {
  const text = Buffer.from(JSON.stringify(manifest), "latin1");
  const length = Buffer.alloc(2);
  length.writeUInt16LE(text.length);
  const blob = Buffer.concat([length, text, signature]);
  return { id: sha256(blob).subarray(0, SHORT_HASH).toString("hex"), manifest, blob, chunks };
}

/** Fills an erased slot with an image's bundle as an update would have left it. */
export function fillSlot(slot: Region, image: Image, code: string, sequence: number): void {
  slot.write(PAGE, code);
  const text = image.blob.toString("latin1", 2, 2 + image.blob.readUInt16LE(0));
  sealSlot(slot, image.id, sequence, code.length, text);
}

/** Erases the stage and fills it with a complete image, ready to be served. */
export function fillStage(stage: Region, image: Image): void {
  for (let at = 0; at < stage.size; at += PAGE) stage.erase(at);
  openStage(stage, image.id, image.blob.length);
  stage.write(STAGE_BLOB, image.blob.toString("latin1"));
  const tag: Bytes = Buffer.from(image.id, "hex").toString("latin1", 0, 4);
  image.chunks.forEach((chunk, index) => {
    const frame = frameHeader(FRAME_CHUNK, FLAG_PAYLOAD, tag, index) + chunk.toString("latin1");
    stage.write(STAGE_HEADER + index * STAGE_STRIDE, frame);
    stage.write(STAGE_MARKS + index, MARK);
  });
  for (const mark of [STAGE_BLOB_OK, STAGE_ERASED, STAGE_COMPLETE]) stage.write(mark, MARK);
}
