/**
 * Espruino's Storage records, as functions over the bytes of an area. Read in Espruino's src/jsflash.c:
 * records from offset 0, each a 32-byte header (u32 little-endian: size in the low 24 bits, flags in the high 8; then
 * 28 bytes of name, zero-padded), `size` bytes of data, 0xFF up to a multiple of 4. A deleted record has its first four
 * name bytes cleared. There is no checksum and no superblock.
 */

/** Bytes of a record header. */
export const HEADER = 32;
export const NAME = 28;
export const MAX_SIZE = 0xffffff;

/** Flags of a record. */
export const FLAG_FILE = 0;
export const FLAG_TABLE = 32;
export const FLAG_LOG = 64;
export const FLAG_COMPRESSED = 128;

/** One header as it stands in flash. */
export interface Header {
  /** Offset of the header in the area. */
  offset: number;
  /** The first word as it stands: size and flags. */
  word: number;
  size: number;
  flags: number;
  /** True when the first four bytes of the name are zero. */
  deleted: boolean;
}

/** A storage area: bytes and the size of an erase page. */
export interface Area {
  bytes: Buffer;
  pageBytes: number;
}

export function align4(n: number): number {
  return (n + 3) & ~3;
}

/** Reads the header at `offset`, whether it makes sense or not. Bytes behind the end of the area count as 0xFF. */
export function headerAt(area: Area, offset: number): Header {
  const inside = offset + HEADER <= area.bytes.length;
  const word = inside ? area.bytes.readUInt32LE(offset) : 0xffffffff;
  const deleted = inside && area.bytes.readUInt32LE(offset + 4) === 0;
  return { offset, word, size: word & MAX_SIZE, flags: word >>> 24, deleted };
}

/** The interpreter takes a header for one unless its first word is empty or zero, or its file would leave the area. */
export function isHeader(area: Area, header: Header): boolean {
  if (header.word === 0xffffffff || header.word === 0) return false;
  return header.offset + HEADER + header.size <= area.bytes.length;
}

/** Name of the record at `offset` up to its first zero byte. */
export function nameAt(area: Area, offset: number): string {
  const raw = area.bytes.toString("latin1", offset + 4, offset + HEADER);
  const end = raw.indexOf("\0");
  return end < 0 ? raw : raw.slice(0, end);
}

export function isErased(area: Area, offset: number, length: number): boolean {
  const end = Math.min(offset + length, area.bytes.length);
  for (let i = offset; i < end; i++) if (area.bytes[i] !== 0xff) return false;
  return true;
}

/** Offset of the page behind the one that contains `offset`, or null behind the last. */
export function nextPage(area: Area, offset: number): number | null {
  const next = (Math.floor(offset / area.pageBytes) + 1) * area.pageBytes;
  return next < area.bytes.length ? next : null;
}

/** Where a walk over the records ended. */
export interface WalkEnd {
  /** Offset of the first header-sized space that is no header; null where the area has no room for one. */
  offset: number | null;
  /** The last header, or null when there is none. */
  last: Header | null;
}

/**
 * Visits the headers in order. With `allPages` the walk jumps over a space without a header to the next page, once, as
 * the interpreter does when it reads; without, it stops there, as when it looks for room.
 * `visit` returns true to stop early.
 */
export function walk(area: Area, allPages: boolean, visit: (header: Header) => boolean | void, from = 0): WalkEnd {
  let header = headerAt(area, from);
  if (!isHeader(area, header)) return { offset: from, last: null };
  for (;;) {
    if (visit(header)) return { offset: header.offset, last: header };
    const last = header;
    const next = align4(header.offset + HEADER + header.size);
    if (next + HEADER > area.bytes.length) return { offset: null, last };
    header = headerAt(area, next);
    if (isHeader(area, header)) continue;
    if (!allPages) return { offset: next, last };
    const page = nextPage(area, next);
    if (page === null) return { offset: null, last };
    header = headerAt(area, page);
    if (!isHeader(area, header)) return { offset: page, last };
  }
}

/**
 * The interpreter's check at boot. Where it fails, Espruino erases the whole area: the space where the walk stops must
 * be erased, and an area without any file must be erased throughout.
 */
export function isSound(area: Area): boolean {
  const end = walk(area, true, () => {});
  if (end.last === null) return isErased(area, 0, area.bytes.length);
  if (end.offset === null) {
    const next = align4(end.last.offset + HEADER + end.last.size);
    if (next <= area.bytes.length && next + HEADER > area.bytes.length) return true;
    // The walk left the last page at a space that is no header: what was read there decides.
    return isErased(area, next, HEADER);
  }
  return isErased(area, end.offset, HEADER);
}
