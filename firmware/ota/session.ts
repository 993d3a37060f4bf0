/** What a node knows of the image that is on its way through it. */
import type { Bytes, Engine, Region } from "../engine/engine";
import { unhex } from "../wire/bytes";
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
export const PACKAGE_ROLLBACK = 717;
export const PACKAGE_QUERY = 718;
export const PACKAGE_SOURCE = 719;

/** Broadcast by the origin at the start and every minute; a source answers a query with the same fields. */
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
  /** "broadcast", "sequential" or "peer" */
  transport: string;
  /** milliseconds between chunk frames of one sender */
  pace: number;
  /** First 16 digits of the result's hash: who runs the same bundle, whatever image it came in, has no need of it. */
  h?: string;
  /** Nodes that shall install it; everybody else only passes it on. All of the role and hardware unless given. */
  only?: number[];
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
  /** Where in the stage the text of the chunks' hashes begins, and its length. */
  hashes: number;
  hashText: number;
  /** Who offered the image and hears how it goes. */
  origin: number;
  /** Whom it is taken from: the origin, or a peer that has it. */
  source: number;
  transport: string;
  pace: number;
  /** decoded here, and not only passed on */
  forMe: boolean;
  /** offered to everybody */
  free: boolean;
}

export function newSession(offer: Offer, forMe: boolean): Session {
  "cold";
  return {
    id: offer.id,
    tag: unhex(offer.id.substr(0, 8)) as Bytes,
    blobBytes: offer.blob,
    blob: new Bitmap(chunkCount(offer.blob, MAX_CHUNK)),
    payload: null,
    manifest: null,
    hashes: 0,
    hashText: 0,
    origin: offer.from,
    source: offer.from,
    transport: offer.transport,
    pace: offer.pace,
    forMe: forMe,
    free: offer.only === undefined,
  };
}

/**
 * Understands the blob in the stage and takes up what chunks are there. Returns an error code, or "" when `session`
 * now has its manifest.
 */
export function takeManifest(engine: Engine, session: Session, stage: Region, slotBytes: number): string {
  "cold";
  const blob = stage.read(STAGE_BLOB, session.blobBytes);
  const manifest = parseManifest(blob, slotBytes, stage.size - STAGE_HEADER);
  if (typeof manifest === "string") return manifest;
  // The hashes are read where they lie; text in RAM costs a variable every eleven characters.
  const at = blob.indexOf(manifest.chunkHashes);
  const count = chunkCount(manifest.payloadBytes, manifest.chunkBytes);
  if (at < 0 || engine.fromBase64(manifest.chunkHashes).length !== count * SHORT_HASH) {
    return ERROR_MANIFEST + ":chunkHashes";
  }
  session.hashes = STAGE_BLOB + at;
  session.hashText = manifest.chunkHashes.length;
  manifest.chunkHashes = manifest.notes = "";
  session.manifest = manifest;
  session.payload = stagedChunks(stage, count);
  return "";
}

/** The first SHORT_HASH bytes of the SHA-256 that chunk `index` must have. */
export function chunkHash(engine: Engine, session: Session, stage: Region, index: number): Bytes {
  "cold";
  const byte = index * SHORT_HASH;
  // Three bytes are four characters; eight bytes lie in at most four such groups.
  const from = Math.floor(byte / 3) * 4;
  const text = stage.read(session.hashes + from, Math.min(16, session.hashText - from));
  return engine.fromBase64(text).substr(byte % 3, SHORT_HASH);
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
  const session = newSession({ id: id, blob: staged.blobBytes, from: 0, transport: "", pace: pace } as Offer, false);
  session.blob.fill();
  return takeManifest(engine, session, stage, slotBytes) ? null : session;
}

/** Bytes of chunk `index`. */
export function chunkBytes(session: Session, payload: boolean, index: number): number {
  "cold";
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
