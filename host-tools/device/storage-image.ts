/**
 * Images of Espruino's Storage area: what the flasher writes to a board and the simulator's virtual chips boot from.
 * The records are byte for byte those the interpreter writes itself (storage-format.ts).
 */
import {
  FLAG_COMPRESSED,
  FLAG_FILE,
  FLAG_LOG,
  FLAG_TABLE,
  HEADER,
  MAX_SIZE,
  NAME,
  align4,
  isErased,
  isSound,
  nameAt,
  walk,
} from "./storage-format";

/** Size of the area and of one erase page, in bytes. ESP32: 917504 and 4096. */
export interface StorageGeometry {
  areaBytes: number;
  pageBytes: number;
}

/** Bytes, or a binary string with one character (0..255) a byte. */
export type StorageData = Uint8Array | string;

export interface StorageEntry {
  /** 1 to 28 bytes (27 for a log), none of them zero; the second one must not be ":". */
  name: string;
  data: StorageData;
  /** FLAG_FILE unless given. */
  flags?: number;
  /** Written as a StorageFile (`Storage.open`): in chunks of a page, appendable; the data must not hold 0xFF. */
  log?: boolean;
}

export type StorageImageErrorCode =
  | "name-empty"
  | "name-too-long"
  | "name-drive"
  | "name-bytes"
  | "name-twice"
  | "data-empty"
  | "data-too-long"
  | "data-bytes"
  | "log-erased-byte"
  | "log-too-long"
  | "flags"
  | "geometry"
  | "area-full";

/** Something that cannot be stored. `code` says what, `file` where. */
export class StorageImageError extends Error {
  constructor(
    readonly code: StorageImageErrorCode,
    readonly file: string,
    detail: string,
  ) {
    super(`${code}: ${detail}${file ? ` (${file})` : ""}`);
  }
}

/** Data bytes of one chunk of a StorageFile. */
export function logChunkBytes(geometry: StorageGeometry): number {
  return Math.min(geometry.pageBytes, 4096) - HEADER;
}

/** Refuses names that Espruino would cut or take for something else. */
export function checkStorageName(name: string, longest: number = NAME): void {
  if (name === "") throw new StorageImageError("name-empty", name, "a file needs a name");
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === 0 || code > 255) throw new StorageImageError("name-bytes", name, "names are bytes 1 to 255");
  }
  if (name.length > longest) throw new StorageImageError("name-too-long", name, `names have at most ${longest} bytes`);
  if (name[1] === ":") throw new StorageImageError("name-drive", name, 'a ":" in second place names a drive');
}

/** The image of an area with these files in this order, 0xFF behind them. Throws StorageImageError. */
export function encodeStorage(files: readonly StorageEntry[], geometry: StorageGeometry): Buffer {
  const writer = new ImageWriter(geometry);
  for (const file of files) writer.add(file);
  return writer.image;
}

/** A file that is live in an image. */
export interface StoredFile {
  name: string;
  flags: number;
  /** Offset of the data in the area. */
  offset: number;
  data: Buffer;
}

/** A StorageFile put together from its chunks; `data` ends at the first erased byte. */
export interface StoredLog {
  name: string;
  chunks: number;
  data: Buffer;
}

export type StorageFaultCode =
  /** A header whose file would run past the end, or whose first word is zero: the walk stops. */
  | "bad-header"
  /** Bytes where the area should be erased, behind the last record. */
  | "tail-not-erased"
  /** Flags that Espruino does not use: the record is skipped and lost in a compaction. */
  | "bad-flags"
  /** A live file behind another of the same name: never read. */
  | "shadowed"
  /** A live record without data or without a name. */
  | "empty";

export interface StorageFault {
  code: StorageFaultCode;
  /** Offset in the area. */
  offset: number;
}

export interface DecodedStorage {
  files: StoredFile[];
  logs: StoredLog[];
  deleted: { offset: number; size: number; flags: number }[];
  faults: StorageFault[];
  /** Offset of the first byte behind the last record. */
  end: number;
  /** False when Espruino would erase the whole area at its next boot. */
  sound: boolean;
}

/** Reads an image; never throws. Faults say what is wrong and where. */
export function decodeStorage(bytes: Uint8Array, pageBytes = 4096): DecodedStorage {
  const area = { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), pageBytes };
  const result: DecodedStorage = { files: [], logs: [], deleted: [], faults: [], end: 0, sound: isSound(area) };
  const seen = new Set<string>();
  const fault = (code: StorageFaultCode, offset: number) => result.faults.push({ code, offset });
  const end = walk(area, true, (header) => {
    const offset = header.offset + HEADER;
    result.end = align4(offset + header.size);
    if (header.deleted) {
      result.deleted.push({ offset, size: header.size, flags: header.flags });
      return;
    }
    const name = nameAt(area, header.offset);
    const known = [FLAG_FILE, FLAG_TABLE, FLAG_LOG, FLAG_COMPRESSED].includes(header.flags);
    if (!known) fault("bad-flags", header.offset);
    else if (seen.has(name)) fault("shadowed", header.offset);
    else if (!header.size || name === "") fault("empty", header.offset);
    seen.add(name);
    result.files.push({ name, flags: header.flags, offset, data: area.bytes.subarray(offset, offset + header.size) });
  });
  const tail = end.offset ?? result.end;
  if (!isErased(area, tail, HEADER)) fault("bad-header", tail);
  else if (!isErased(area, result.end, area.bytes.length - result.end)) fault("tail-not-erased", result.end);
  result.logs = joinLogs(result.files);
  return result;
}

/** What a node's area is laid out from. */
export interface StorageLayout extends StorageGeometry {
  /** Small files in front, in this order. */
  files: readonly StorageEntry[];
  /** One file of whole pages whose data begins on a page boundary; `data` (at most that long) is its start. */
  area: { name: string; pages: number; data?: StorageData };
  /** Name of the file that fills the room in between; "pad" unless given. */
  padName?: string;
}

/**
 * The image of a node's area: the files, a filler that makes the next header the last 32 bytes of a page, and the
 * page-aligned file. What is behind it stays erased. Throws StorageImageError.
 */
export function layOutStorage(layout: StorageLayout): Buffer {
  const { pageBytes } = layout;
  const writer = new ImageWriter(layout);
  for (const file of layout.files) writer.add(file);
  const toHeader = (pageBytes - ((writer.end + HEADER) % pageBytes)) % pageBytes;
  if (toHeader !== 0) {
    // A filler needs its own header and at least one (aligned) word of data.
    const room = toHeader >= HEADER + 4 ? toHeader : toHeader + pageBytes;
    writer.add({ name: layout.padName ?? "pad", data: new Uint8Array(room - HEADER).fill(0xff) });
  }
  const size = layout.area.pages * pageBytes;
  const data = Buffer.alloc(size, 0xff);
  if (layout.area.data !== undefined) {
    const start = toBytes(layout.area.name, layout.area.data);
    if (start.length > size) throw new StorageImageError("data-too-long", layout.area.name, `${size} bytes at most`);
    data.set(start);
  }
  writer.add({ name: layout.area.name, data });
  return writer.image;
}

class ImageWriter {
  readonly image: Buffer;
  end = 0;
  private readonly names = new Set<string>();

  constructor(private readonly geometry: StorageGeometry) {
    const { areaBytes, pageBytes } = geometry;
    const fits = pageBytes > HEADER && areaBytes >= pageBytes && areaBytes % pageBytes === 0 && pageBytes % 4 === 0;
    if (!fits) throw new StorageImageError("geometry", "", `${areaBytes} bytes in pages of ${pageBytes}`);
    this.image = Buffer.alloc(areaBytes, 0xff);
  }

  add(file: StorageEntry): void {
    checkStorageName(file.name, file.log ? NAME - 1 : NAME);
    const data = toBytes(file.name, file.data);
    if (this.names.has(file.name)) throw new StorageImageError("name-twice", file.name, "is stored already");
    this.names.add(file.name);
    if (!data.length) throw new StorageImageError("data-empty", file.name, "Espruino cannot store empty files");
    if (!file.log) {
      this.put(file.name, data, data.length, file.flags ?? FLAG_FILE);
      return;
    }
    if (data.includes(0xff)) throw new StorageImageError("log-erased-byte", file.name, "0xFF ends a log");
    const step = logChunkBytes(this.geometry);
    if (data.length > 255 * step) throw new StorageImageError("log-too-long", file.name, "255 chunks at most");
    for (let at = 0, chunk = 1; at < data.length; at += step, chunk++)
      this.put(file.name + String.fromCharCode(chunk), data.subarray(at, at + step), step, FLAG_LOG);
  }

  private put(name: string, data: Uint8Array, size: number, flags: number): void {
    if (![FLAG_FILE, FLAG_LOG, FLAG_COMPRESSED].includes(flags))
      throw new StorageImageError("flags", name, `${flags} is none of Espruino's flags`);
    if (size > MAX_SIZE) throw new StorageImageError("data-too-long", name, `${MAX_SIZE} bytes at most`);
    const start = this.end + HEADER;
    if (start + align4(size) > this.image.length)
      throw new StorageImageError("area-full", name, `needs ${size} bytes, ${this.image.length - start} are left`);
    this.image.writeUInt32LE(((flags << 24) | size) >>> 0, this.end);
    this.image.fill(0, this.end + 4, start);
    this.image.write(name, this.end + 4, "latin1");
    this.image.set(data, start);
    this.end = start + align4(size);
  }
}

function toBytes(file: string, data: StorageData): Uint8Array {
  if (typeof data !== "string") return data;
  for (let i = 0; i < data.length; i++)
    if (data.charCodeAt(i) > 255) throw new StorageImageError("data-bytes", file, "a binary string holds codes to 255");
  return Buffer.from(data, "latin1");
}

/** The interpreter looks chunks up by name, so they may lie in any order. */
function joinLogs(files: readonly StoredFile[]): StoredLog[] {
  const chunks = new Map<string, Buffer>();
  for (const file of files) if (file.flags === FLAG_LOG && !chunks.has(file.name)) chunks.set(file.name, file.data);
  const logs: StoredLog[] = [];
  for (const name of chunks.keys()) {
    if (!name.endsWith("\x01")) continue;
    const base = name.slice(0, -1);
    const parts: Buffer[] = [];
    for (let chunk = 1; chunk <= 255; chunk++) {
      const part = chunks.get(base + String.fromCharCode(chunk));
      if (!part) break;
      const end = part.indexOf(0xff);
      parts.push(end < 0 ? part : part.subarray(0, end));
      if (end >= 0) break;
    }
    logs.push({ name: base, chunks: parts.length, data: Buffer.concat(parts) });
  }
  return logs;
}
