/** What a node knows of the image that is on its way through it. */
import type { Bytes, Engine, Region } from "../engine/engine";
import { u16, unhex } from "../wire/bytes";
import { Bitmap } from "../wire/bitmap";
import { FRAME_HEADER } from "../wire/frames";
import { chunkCount, ERROR_MANIFEST, MAX_CHUNK, type Manifest, parseManifest, SHORT_HASH } from "./image";
import { STAGE_BLOB, STAGE_HEADER, STAGE_STRIDE } from "./layout";
import { readStage, stagedChunks } from "./slots";

/** Package types, painlessMesh packages with explicit routing. */
export const PACKAGE_OFFER = 710;
export const PACKAGE_REPORT = 711;
export const PACKAGE_NAK = 712;
export const PACKAGE_ABORT = 713;
export const PACKAGE_ACTIVATE = 714;
export const PACKAGE_PULL = 715;
export const PACKAGE_PIECE = 716;

/** Broadcast by the origin at the start and every minute. */
export interface Offer {
  type: number;
  from: number;
  routing: number;
  id: string;
  /** bytes of the blob */
  blob: number;
  hardware: string;
  role: string;
  version: string;
  /** "broadcast" or "sequential" */
  transport: string;
  /** milliseconds between chunk frames of one sender */
  pace: number;
}

export interface Session {
  id: string;
  /** first four bytes of the id, as frames carry them */
  tag: Bytes;
  blobBytes: number;
  /** which blob chunks are in the stage */
  blob: Bitmap;
  /** which payload chunks are in the stage; null until the blob is there and understood */
  payload: Bitmap | null;
  manifest: Manifest | null;
  /** two words a payload chunk: the first eight bytes of its SHA-256, in the order in which they lie in memory */
  hashes: Uint32Array | null;
  origin: number;
  sequential: boolean;
  pace: number;
  /** decoded here, and not only passed on */
  forMe: boolean;
}

export function newSession(offer: Offer, forMe: boolean): Session {
  "cold";
  return {
    id: offer.id,
    tag: (unhex(offer.id) as Bytes).substr(0, 4),
    blobBytes: offer.blob,
    blob: new Bitmap(chunkCount(offer.blob, MAX_CHUNK)),
    payload: null,
    manifest: null,
    hashes: null,
    origin: offer.from,
    sequential: offer.transport === "sequential",
    pace: offer.pace,
    forMe: forMe,
  };
}

/**
 * Understands the blob in the stage and takes up what chunks are there. Returns an error code, or "" when `session`
 * now has its manifest.
 */
export function takeManifest(engine: Engine, session: Session, stage: Region, slotBytes: number): string {
  "cold";
  const manifest = parseManifest(stage.read(STAGE_BLOB, session.blobBytes), slotBytes, stage.size - STAGE_HEADER);
  if (typeof manifest === "string") return manifest;
  const hashes = engine.fromBase64(manifest.chunkHashes);
  if (hashes.length !== chunkCount(manifest.payloadBytes, manifest.chunkBytes) * SHORT_HASH) {
    return ERROR_MANIFEST + ":chunkHashes";
  }
  // Only the numbers are needed from here on; text costs a variable every eleven characters.
  manifest.chunkHashes = manifest.notes = "";
  const words = new Uint32Array(hashes.length >> 2);
  for (let i = 0; i < words.length; i++) {
    words[i] = (u16(hashes, i * 4) | (u16(hashes, i * 4 + 2) << 16)) >>> 0;
  }
  session.manifest = manifest;
  session.hashes = words;
  session.payload = stagedChunks(stage, words.length >> 1);
  return "";
}

/** Pace of an image whose offer was not heard, or heard before a restart. */
export const USUAL_PACE = 30;

/** A session over the image that lies complete in the stage, so that it can be served; null when there is none. */
export function sessionFromStage(
  engine: Engine,
  stage: Region,
  slotBytes: number,
  id: string,
  pace: number,
): Session | null {
  "cold";
  const staged = readStage(stage);
  if (!staged || staged.id !== id || !staged.blobOk || !staged.complete || staged.givenUp) return null;
  const session = newSession(
    {
      type: 0,
      from: 0,
      routing: 0,
      id: id,
      blob: staged.blobBytes,
      hardware: "",
      role: "",
      version: "",
      transport: "",
      pace: pace,
    },
    false,
  );
  for (let i = 0; i < session.blob.size; i++) session.blob.put(i, true);
  return takeManifest(engine, session, stage, slotBytes) ? null : session;
}

/** Bytes of chunk `index`. */
export function chunkBytes(session: Session, payload: boolean, index: number): number {
  const m = session.manifest as Manifest;
  const total = payload ? m.payloadBytes : session.blobBytes;
  const size = payload ? m.chunkBytes : MAX_CHUNK;
  return Math.min(size, total - index * size);
}

/** Where chunk `index` lies in the stage, without its frame header. */
export function chunkOffset(payload: boolean, index: number): number {
  "cold";
  return payload ? STAGE_HEADER + index * STAGE_STRIDE + FRAME_HEADER : STAGE_BLOB + index * MAX_CHUNK;
}
