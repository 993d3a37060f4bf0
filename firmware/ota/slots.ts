/**
 * The flash regions of an update: the two slots, and the stage where an image waits in the form in which it travels.
 * Marks are bytes cleared in place, so nothing here creates a Storage record.
 */
import type { Bytes, Engine, Region } from "../engine/engine";
import { PAGE } from "../engine/engine";
import { hex, le16, le32, u16, u32, unhex } from "../wire/bytes";
import { addBitmapBytes, Bitmap } from "../wire/bitmap";
import { SHORT_HASH } from "./image";
import * as at from "./layout";

/** The image found in a slot's header. */
export interface Installed {
  id: string;
  sequence: number;
  verified: boolean;
  confirmed: boolean;
  bad: boolean;
  /** Manifest as JSON text. */
  manifest: string;
}

/** The image found in the stage. */
export interface Staged {
  id: string;
  blobBytes: number;
  blobOk: boolean;
  complete: boolean;
  givenUp: boolean;
  /** The payload's pages were erased for this image. */
  erased: boolean;
  /** It may be handed on to nodes that it was not offered to. */
  free: boolean;
}

export function readSlot(slot: Region): Installed | null {
  "cold";
  const head = slot.read(0, at.SLOT_MANIFEST);
  const length = u32(head, at.SLOT_MANIFEST_BYTES);
  if (head.substr(0, 4) !== at.SLOT_MAGIC || length > PAGE - at.SLOT_MANIFEST) return null;
  return {
    id: hex(head.substr(at.SLOT_ID, SHORT_HASH)),
    sequence: u32(head, at.SLOT_SEQUENCE),
    verified: head[at.SLOT_VERIFIED] === at.MARK,
    confirmed: head[at.SLOT_CONFIRMED] === at.MARK,
    bad: head[at.SLOT_BAD] === at.MARK,
    manifest: slot.read(at.SLOT_MANIFEST, length),
  };
}

/** Completes a slot whose code is in place. The verified mark goes last: before it the loader sees nothing. */
export function sealSlot(slot: Region, id: string, sequence: number, codeBytes: number, manifest: string): void {
  "cold";
  slot.write(at.SLOT_MANIFEST, manifest);
  slot.write(at.SLOT_ID, unhex(id) as Bytes);
  slot.write(0, at.SLOT_MAGIC + le32(sequence) + le32(codeBytes) + le32(manifest.length));
  slot.write(at.SLOT_VERIFIED, at.MARK);
}

export function readStage(stage: Region): Staged | null {
  "cold";
  const head = stage.read(0, at.STAGE_MARKS);
  const blobBytes = u16(head, at.STAGE_BLOB_BYTES);
  if (head.substr(0, 4) !== at.STAGE_MAGIC || blobBytes > at.STAGE_HEADER - at.STAGE_BLOB) return null;
  return {
    id: hex(head.substr(at.STAGE_ID, SHORT_HASH)),
    blobBytes: blobBytes,
    blobOk: head[at.STAGE_BLOB_OK] === at.MARK,
    complete: head[at.STAGE_COMPLETE] === at.MARK,
    givenUp: head[at.STAGE_GIVEN_UP] === at.MARK,
    erased: head[at.STAGE_ERASED] === at.MARK,
    free: head[at.STAGE_FREE] === at.MARK,
  };
}

/** Opens an erased stage for an image. */
export function openStage(stage: Region, id: string, blobBytes: number): void {
  "cold";
  stage.write(at.STAGE_ID, (unhex(id) as Bytes) + le16(blobBytes));
  stage.write(0, at.STAGE_MAGIC);
}

/** The image `id`, if it is in the stage, is for everybody. */
export function freeStage(stage: Region, id: string): void {
  "cold";
  const staged = readStage(stage);
  if (staged && staged.id === id && !staged.free) stage.write(at.STAGE_FREE, at.MARK);
}

/** Which chunks the stage holds, as their marks say. */
export function stagedChunks(stage: Region, count: number): Bitmap {
  "cold";
  const have = new Bitmap(count);
  if (stage.read(at.STAGE_COMPLETE, 1) === at.MARK) {
    have.fill();
    return have;
  }
  const marks = stage.read(at.STAGE_MARKS, count);
  let set = "";
  for (let i = 0; i < count; i += 8) {
    const eight = marks.substr(i, 8);
    let byte = 0;
    if (eight === "\0\0\0\0\0\0\0\0") byte = 255;
    else if (eight.indexOf(at.MARK) >= 0)
      for (let k = 0; k < eight.length; k++) if (eight[k] === at.MARK) byte |= 1 << k;
    set += String.fromCharCode(byte);
  }
  addBitmapBytes(have, set);
  return have;
}

/** Erases the pages in [offset, offset + length) one after another, each in an event of its own, then calls `done`. */
export function erasePages(engine: Engine, region: Region, offset: number, length: number, done: () => void): void {
  "cold";
  let page = offset;
  function next(): void {
    if (page >= offset + length || page >= region.size) {
      done();
      return;
    }
    region.erase(page);
    page += PAGE;
    engine.after(1, next);
  }
  engine.after(1, next);
}
