/**
 * Espruino's file system over NOR flash: which record is found, created, cleared and moved, in the order of flash
 * operations in which the interpreter does it (its src/jsflash.c), so that a power cut leaves what it leaves on a board.
 */
import {
  FLAG_COMPRESSED,
  FLAG_FILE,
  FLAG_LOG,
  HEADER,
  Header,
  NAME,
  align4,
  headerAt,
  isErased,
  isHeader,
  isSound,
  nameAt,
  nextPage,
  walk,
} from "../../device/storage-format";
import type { NorFlash } from "./flash";

/** Thrown for what the interpreter throws; the message is the interpreter's. */
export class StorageFailure extends Error {}

/** What the file system tells the chip it runs on. */
export interface StorageHooks {
  /** Flash from `offset` on is about to change for `length` bytes: code that runs from there is lost. */
  disturbs(offset: number, length: number): void;
  wrote(bytes: number): void;
  erased(): void;
  compacted(): void;
}

export interface FoundFile extends Header {
  /** Offset of the data. */
  data: number;
}

export interface StorageStats {
  totalBytes: number;
  freeBytes: number;
  fileBytes: number;
  fileCount: number;
  trashBytes: number;
  trashCount: number;
}

export class StorageArea {
  constructor(
    readonly flash: NorFlash,
    private readonly hooks: StorageHooks,
  ) {}

  /** Names are cut, and "X:" in front of one is dropped. */
  static stored(name: string): string {
    let short = name.slice(0, NAME);
    const zero = short.indexOf("\0");
    if (zero >= 0) short = short.slice(0, zero);
    return short[1] === ":" ? short.slice(2) : short;
  }

  isSound(): boolean {
    return isSound(this.flash);
  }

  /** The first live record of that name. */
  find(name: string): FoundFile | null {
    const wanted = StorageArea.stored(name);
    let found: FoundFile | null = null;
    walk(this.flash, true, (header) => {
      if (header.deleted || nameAt(this.flash, header.offset) !== wanted) return false;
      found = { ...header, data: header.offset + HEADER };
      return true;
    });
    return found;
  }

  /** Bytes of a file, as a view; undefined when there is none. Offset and length are clipped, length <= 0 means all. */
  read(name: string, offset = 0, length = 0): Buffer | undefined {
    const file = this.find(name);
    if (!file) return undefined;
    const from = Math.min(Math.max(offset, 0), file.size);
    const wanted = length <= 0 ? file.size : length;
    return this.flash.read(file.data + from, Math.min(wanted, file.size - from));
  }

  /**
   * Writes as the interpreter does: at offset 0 the file is created anew unless its space is still erased; elsewhere
   * only erased bytes can be written. Throws StorageFailure; returns false for negative numbers.
   */
  write(name: string, data: Uint8Array, flags: number = FLAG_FILE, offset = 0, size = 0): boolean {
    if (offset < 0 || size < 0) return false;
    const total = size || data.length;
    if (!total) throw new StorageFailure("Can't create zero length file");
    let file = this.find(name);
    if (offset === 0 && (!file || !this.reusable(file, total, flags))) {
      if (file && this.holds(file, data, total, flags)) return true;
      if (file) this.clear(file);
      file = this.create(name, total, flags);
    }
    if (!file) throw new StorageFailure("Unable to find or create file");
    if (offset + data.length > file.size) throw new StorageFailure("Too much data for file size");
    if (!isErased(this.flash, file.data + offset, data.length))
      throw new StorageFailure("File already written with different data");
    this.put(file.data + offset, data);
    return true;
  }

  erase(name: string): boolean {
    const file = this.find(name);
    if (file) this.clear(file);
    return file !== null;
  }

  eraseAll(): void {
    this.hooks.disturbs(0, this.flash.bytes.length);
    for (let at = 0; at < this.flash.bytes.length; at += this.flash.pageBytes) this.erasePage(at);
  }

  /** Names in order of their records. `logs` filters StorageFiles: only them (by base name), none, or both. */
  list(logs?: boolean): string[] {
    const names: string[] = [];
    walk(this.flash, true, (header) => {
      if (!isReal(header)) return;
      const name = nameAt(this.flash, header.offset);
      const log = (header.flags & FLAG_LOG) !== 0;
      if (logs === false && log) return;
      if (logs === true && !log) return;
      if (log && !name.endsWith("\x01")) return;
      names.push(logs === true ? name.slice(0, -1) : name);
    });
    return names;
  }

  stats(): StorageStats {
    const stats = { totalBytes: this.flash.bytes.length, freeBytes: 0, fileBytes: 0, fileCount: 0 };
    const trash = { trashBytes: 0, trashCount: 0 };
    let end = 0;
    walk(this.flash, true, (header) => {
      const bytes = align4(header.size) + HEADER;
      end = header.offset + bytes;
      if (header.deleted) {
        trash.trashBytes += bytes;
        trash.trashCount++;
      } else {
        stats.fileBytes += bytes;
        stats.fileCount++;
      }
    });
    stats.freeBytes = stats.totalBytes - end;
    return { ...stats, ...trash };
  }

  /** Writes without looking at records (the Flash module). */
  put(offset: number, data: Uint8Array): void {
    if (!data.length) return;
    this.hooks.wrote(data.length);
    this.flash.write(offset, data);
  }

  /** Erases a page on a program's order (the Flash module). */
  erasePageAt(offset: number): void {
    const page = offset - (offset % this.flash.pageBytes);
    this.hooks.disturbs(page, this.flash.pageBytes);
    this.erasePage(offset);
  }

  erasePage(offset: number): void {
    this.hooks.erased();
    this.flash.erasePage(offset);
  }

  /** Moves all live files together. Returns whether anything was gained. Not safe against a power cut. */
  compact(): boolean {
    let start = 0;
    let firstTrash = -1;
    const stats = this.stats();
    walk(this.flash, true, (header) => {
      if (header.offset % this.flash.pageBytes === 0) start = header.offset;
      if (header.deleted && firstTrash < 0) firstTrash = start;
    });
    if (!stats.trashBytes) return false;
    this.hooks.disturbs(firstTrash, this.flash.bytes.length - firstTrash);
    this.hooks.compacted();
    const buffer = Math.min(stats.fileBytes, this.flash.pageBytes + HEADER);
    return new Compaction(this, firstTrash, buffer).run();
  }

  private reusable(file: FoundFile, size: number, flags: number): boolean {
    return flags === file.flags && size === file.size && isErased(this.flash, file.data, size);
  }

  private holds(file: FoundFile, data: Uint8Array, size: number, flags: number): boolean {
    if (size !== file.size || flags !== file.flags || data.length !== size) return false;
    return this.flash.read(file.data, size).equals(data);
  }

  private clear(file: FoundFile): void {
    this.hooks.disturbs(file.data, file.size);
    this.put(file.offset + 4, new Uint8Array(4));
  }

  private create(name: string, size: number, flags: number): FoundFile | null {
    const needed = align4(size) + HEADER;
    let offset = this.room(needed);
    if (typeof offset !== "number") {
      if (needed >= offset.free + offset.trash || !this.compact()) return null;
      offset = this.room(needed);
      if (typeof offset !== "number") return null;
    }
    const header = Buffer.alloc(HEADER);
    header.writeUInt32LE(((flags << 24) | size) >>> 0, 0);
    header.write(StorageArea.stored(name), 4, "latin1");
    this.put(offset, header);
    return { offset, word: header.readUInt32LE(0), size, flags, deleted: false, data: offset + HEADER };
  }

  /** Offset of a space for a new record, or how much room there would be. */
  private room(needed: number): number | { free: number; trash: number } {
    let free = 0;
    let trash = 0;
    for (let page: number | null = 0; page !== null;) {
      const end = walk(
        this.flash,
        false,
        (header) => {
          if (header.deleted) trash += header.size;
        },
        page,
      );
      if (end.offset === null) break;
      const left = this.leftInPage(end.offset);
      free += left;
      if (left >= needed) return end.offset;
      page = nextPage(this.flash, end.offset);
    }
    return { free, trash };
  }

  /** Where the next page has no header, all that follows is taken to be free. */
  private leftInPage(offset: number): number {
    const next = nextPage(this.flash, offset);
    const used = next !== null && isHeader(this.flash, headerAt(this.flash, next));
    return (used ? next : this.flash.bytes.length) - offset;
  }
}

/** Deleted records and records with flags of no known kind are not kept. */
function isReal(header: Header): boolean {
  return !header.deleted && [FLAG_FILE, FLAG_LOG, FLAG_COMPRESSED].includes(header.flags);
}

/** Copies live records towards the front through a buffer of little more than a page. */
class Compaction {
  private readonly queue: Buffer;
  private used = 0;
  private target: number;
  private stuck = false;

  constructor(
    private readonly area: StorageArea,
    private readonly start: number,
    private readonly capacity: number,
  ) {
    this.queue = Buffer.alloc(capacity);
    this.target = start;
  }

  run(): boolean {
    const { flash } = this.area;
    const end = walk(flash, true, (header) => !this.copy(header), this.start);
    if (this.stuck) return false;
    this.flush(flash.bytes.length);
    // The page behind the last byte written is the first that holds only old data.
    const from = this.target === this.start ? this.start : nextPage(flash, this.target - 1);
    const to = end.offset ?? flash.bytes.length;
    if (from !== null) for (let at = from; at < to; at += flash.pageBytes) this.area.erasePage(at);
    return true;
  }

  /** Returns false where the interpreter gives up because its buffer is full. */
  private copy(header: Header): boolean {
    if (!isReal(header)) return true;
    const { flash } = this.area;
    const length = HEADER + align4(header.size);
    for (let done = 0; done < length;) {
      const step = done === 0 ? HEADER : Math.min(this.capacity - this.used, length - done);
      this.stuck = step <= 0 || this.used + step > this.capacity;
      if (this.stuck) return false;
      const bytes = flash.read(header.offset + done, step);
      bytes.copy(this.queue, this.used);
      this.used += step;
      done += step;
      this.flush(header.offset + done);
    }
    return true;
  }

  /** Writes what is queued, page by page, but no page that is still to be read from. */
  private flush(readFrom: number): void {
    const { flash } = this.area;
    while (this.used) {
      const page = nextPage(flash, this.target) ?? flash.bytes.length;
      if (readFrom < page) return;
      const step = Math.min(this.used, page - this.target);
      if (this.target % flash.pageBytes === 0) this.area.erasePage(this.target);
      this.area.put(this.target, Buffer.from(this.queue.subarray(0, step)));
      this.queue.copyWithin(0, step, this.used);
      this.used -= step;
      this.target += step;
    }
  }
}
