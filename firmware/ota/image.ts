/**
 * What is shipped: a manifest and a payload of numbered chunks.
 *
 * The blob that travels first is [u16 length of the manifest][manifest, JSON][signature, may be empty]; its SHA-256 cut
 * to eight bytes is the image's id. The manifest carries a hash of every payload chunk, so that a chunk is checked
 * before it is stored, and of the result, so that nothing runs that was not meant.
 */
import type { Bytes, Engine } from "../engine/engine";
import { PAGE } from "../engine/engine";
import { hex, u16 } from "../wire/bytes";
import { SLOT_MANIFEST } from "./layout";

/** Payload encodings that a node can decode. */
export type Encoding = "raw" | "deflate" | "heatshrink" | "delta";

export interface Manifest {
  product: string;
  /** As `Engine.hardware`, for instance "ESP32". */
  hardware: string;
  role: string;
  engine: string;
  /** Three numbers, "1.2.3"; shown, and packed into telemetry. */
  version: string;
  /** Security counter, 0..2^31-1; a node does not go back to a lower one. */
  counter: number;
  encoding: Encoding;
  /** Payload bytes in every chunk but the last, 64..1016. */
  chunkBytes: number;
  /** Payload bytes in all. */
  payloadBytes: number;
  /** Bytes of the bundle that comes out. */
  resultBytes: number;
  /** `treeHash` of the result, 64 hex digits. */
  resultHash: string;
  /** Base64 of the first eight bytes of each chunk's SHA-256, one after another. */
  chunkHashes: string;
  /** For a delta: `treeHash` of the bundle that it changes, 64 hex digits, and that bundle's bytes. */
  base?: string;
  baseBytes?: number;
  /** What changed, for people. */
  notes?: string;
}

/** Bytes of SHA-256 kept of each chunk and of an image's id. */
export const SHORT_HASH = 8;
/** Largest payload in a chunk: with its 8-byte header a 1024-byte frame, four to a flash page. */
export const MAX_CHUNK = 1016;
/** Largest blob (manifest and signature). */
export const MAX_BLOB = 11264;

export const ERROR_BLOB = "bad-blob";
export const ERROR_MANIFEST = "bad-manifest";

export function chunkCount(bytes: number, chunkBytes: number): number {
  "cold";
  return Math.floor((bytes + chunkBytes - 1) / chunkBytes);
}

/** SHA-256 over the SHA-256 of each 4096-byte piece, hex: the engine hashes only what it can hold at once. */
export function treeHash(engine: Engine, length: number, read: (offset: number, length: number) => Bytes): string {
  "cold";
  let leaves = "";
  for (let at = 0; at < length; at += PAGE) leaves += leafHash(engine, read(at, Math.min(PAGE, length - at)));
  return rootHash(engine, leaves);
}

export function leafHash(engine: Engine, piece: Bytes): Bytes {
  "cold";
  return engine.digest(piece);
}

export function rootHash(engine: Engine, leaves: Bytes): string {
  "cold";
  return hex(engine.digest(leaves));
}

/** The image's id: 16 hex digits. */
export function imageId(engine: Engine, blob: Bytes): string {
  "cold";
  return hex(engine.digest(blob).substr(0, SHORT_HASH));
}

/** The manifest's JSON text inside a blob, or "" when the lengths do not fit. */
export function manifestText(blob: Bytes): string {
  "cold";
  if (blob.length < 2) return "";
  const length = u16(blob, 0);
  return length + 2 <= blob.length ? blob.substr(2, length) : "";
}

/** Whether it is a whole number in bounds. */
export function whole(value: unknown, low: number, high: number): boolean {
  "cold";
  return typeof value === "number" && value >= low && value <= high && Math.floor(value) === value;
}

/**
 * The manifest in a blob, or the error code. Sizes are checked against each other and against `slotBytes`, the room for
 * a result, so that a manifest whose sizes lie is refused before anything is stored.
 */
export function parseManifest(blob: Bytes, slotBytes: number, stageBytes: number): Manifest | string {
  "cold";
  const text = manifestText(blob);
  if (!text) return ERROR_BLOB;
  // A slot keeps the text in its header.
  if (text.length > PAGE - SLOT_MANIFEST) return "too-large:manifest";
  let m: Manifest;
  try {
    m = JSON.parse(text) as Manifest;
  } catch (e) {
    return ERROR_MANIFEST;
  }
  if (!m || typeof m !== "object") return ERROR_MANIFEST;
  const names = [m.product, m.hardware, m.role, m.engine, m.version];
  for (let i = 0; i < names.length; i++) {
    if (typeof names[i] !== "string" || !names[i] || names[i].length > 32) return ERROR_MANIFEST + ":name";
  }
  if (["raw", "deflate", "heatshrink", "delta"].indexOf(m.encoding) < 0) return ERROR_MANIFEST + ":encoding";
  if (!whole(m.counter, 0, 0x7fffffff)) return ERROR_MANIFEST + ":counter";
  if (!whole(m.chunkBytes, 64, MAX_CHUNK)) return ERROR_MANIFEST + ":chunkBytes";
  if (!whole(m.resultBytes, 1, slotBytes)) return "too-large:result";
  // A stage page holds four 1024-byte frames; smaller frames are stored at the same stride.
  if (!whole(m.payloadBytes, 1, m.chunkBytes * (stageBytes >> 10))) return "too-large:payload";
  if (m.encoding === "raw" && m.payloadBytes !== m.resultBytes) return ERROR_MANIFEST + ":payloadBytes";
  if (typeof m.resultHash !== "string" || m.resultHash.length !== 64 || /[^0-9a-f]/.test(m.resultHash)) {
    return ERROR_MANIFEST + ":resultHash";
  }
  if (m.encoding === "delta") {
    if (typeof m.base !== "string" || m.base.length !== 64) return ERROR_MANIFEST + ":base";
    if (!whole(m.baseBytes, 1, slotBytes)) return ERROR_MANIFEST + ":baseBytes";
  }
  const hashBytes = chunkCount(m.payloadBytes, m.chunkBytes) * SHORT_HASH;
  // base64 of n bytes has 4 * ceil(n / 3) characters
  if (typeof m.chunkHashes !== "string" || m.chunkHashes.length !== 4 * Math.floor((hashBytes + 2) / 3)) {
    return ERROR_MANIFEST + ":chunkHashes";
  }
  return m;
}
