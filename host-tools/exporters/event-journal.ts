/**
 * Events in a file that outlives the process: one JSON line for each event, one for each that was delivered. It is
 * rewritten with what still waits when it outgrows its quota. A line that a power cut tore is ignored.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { EspalierError } from "../errors";
import { createMemoryEvents, type EventStore, type StoredEvent } from "./event-store";

export interface JournalOptions {
  /** Made if it is not there. */
  directory: string;
  /** Bytes of the file; a rewrite needs as much once more for a moment. */
  quotaBytes: number;
  /** What is held in memory while the disk refuses, bytes. */
  memoryBytes: number;
  /** Appends to the open file; throws when the disk is full. */
  append?(descriptor: number, text: string): void;
}

const FILE = "events.jsonl";
const LOCK = "lock";
/** Share of the quota that a full journal is cut down to, so that not every further event rewrites it. */
const KEEP = 7 / 8;
/** Until an event is safe from a power cut; from the end of the process it is safe at once. */
const SYNC_MS = 100;

interface Place {
  offset: number;
  bytes: number;
}

function parseLine(line: string): { n: number; event: StoredEvent | null } | null {
  try {
    const value = JSON.parse(line) as { n?: unknown; topic?: unknown; payload?: unknown; done?: unknown };
    if (Number.isSafeInteger(value.done)) return { n: value.done as number, event: null };
    if (!Number.isSafeInteger(value.n) || typeof value.topic !== "string" || typeof value.payload !== "string")
      return null;
    return { n: value.n as number, event: { topic: value.topic, payload: value.payload } };
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** @throws EspalierError BUFFER_IN_USE, BUFFER_UNUSABLE */
function lock(directory: string): string {
  const file = path.join(directory, LOCK);
  for (let tries = 0; ; tries++) {
    try {
      fs.writeFileSync(file, `${process.pid}\n`, { flag: "wx" });
      return file;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || tries > 1)
        throw new EspalierError("BUFFER_UNUSABLE", `cannot write in ${directory}: ${(error as Error).message}`, {
          hint: "Name a folder of your own.",
          cause: error,
        });
      const owner = Number.parseInt(fs.readFileSync(file, "utf8"), 10);
      if (owner > 0 && isAlive(owner))
        throw new EspalierError("BUFFER_IN_USE", `process ${owner} buffers in ${directory} already`, {
          hint: "Each bridge needs a buffer of its own.",
        });
      fs.rmSync(file, { force: true });
    }
  }
}

/** @throws EspalierError BUFFER_IN_USE, BUFFER_UNUSABLE */
export function openEventJournal(options: JournalOptions): EventStore {
  const { directory, quotaBytes } = options;
  const file = path.join(directory, FILE);
  try {
    fs.mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw new EspalierError("BUFFER_UNUSABLE", `cannot make ${directory}: ${(error as Error).message}`, {
      hint: "Name a folder of your own.",
      cause: error,
    });
  }
  const write = options.append ?? fs.writeFileSync;
  const lockFile = lock(directory);
  const places = new Map<number, Place>();
  /** Events that the disk refused, by their number. */
  const refused = new Map<number, number>();
  const spare = createMemoryEvents(options.memoryBytes);
  let descriptor = fs.openSync(file, "a+");
  let size = 0;
  let last = 0;
  let dropped = 0;
  let fault = "";
  let sync: NodeJS.Timeout | null = null;

  /** Many events at once cost the disk one wait. */
  function syncSoon(): void {
    sync ??= setTimeout(() => {
      sync = null;
      fs.fsync(descriptor, () => {});
    }, SYNC_MS);
  }

  function load(): void {
    const content = fs.readFileSync(file);
    let offset = 0;
    for (let end = content.indexOf(10); end >= 0; end = content.indexOf(10, offset)) {
      const line = parseLine(content.toString("utf8", offset, end));
      if (line) {
        last = Math.max(last, line.n);
        if (line.event) places.set(line.n, { offset, bytes: end + 1 - offset });
        else places.delete(line.n);
      }
      offset = end + 1;
    }
    // What follows the last whole line was torn.
    if (offset < content.length) fs.ftruncateSync(descriptor, offset);
    size = offset;
  }

  function read(number: number): StoredEvent | null {
    const inMemory = refused.get(number);
    if (inMemory !== undefined) return spare.read(inMemory);
    const place = places.get(number);
    if (!place) return null;
    const bytes = Buffer.alloc(place.bytes);
    fs.readSync(descriptor, bytes, 0, place.bytes, place.offset);
    return parseLine(bytes.toString("utf8"))?.event ?? null;
  }

  function append(line: string): boolean {
    try {
      write(descriptor, line);
      size += Buffer.byteLength(line);
      fault = "";
      return true;
    } catch (error) {
      fault = (error as Error).message;
      // Half a line would make the next one unreadable too.
      try {
        fs.ftruncateSync(descriptor, size);
      } catch {
        // Then the reader skips it.
      }
      return false;
    }
  }

  /** Rewrites the file with the newest that still waits, at most so many bytes. */
  function compact(limit: number): void {
    const keep: [number, Place][] = [];
    let bytes = 0;
    for (const entry of [...places].reverse()) {
      if (bytes + entry[1].bytes > limit) break;
      bytes += entry[1].bytes;
      keep.push(entry);
    }
    keep.reverse();
    const content = Buffer.alloc(bytes);
    let at = 0;
    const moved = new Map<number, Place>();
    for (const [number, place] of keep) {
      fs.readSync(descriptor, content, at, place.bytes, place.offset);
      moved.set(number, { offset: at, bytes: place.bytes });
      at += place.bytes;
    }
    const fresh = `${file}.new`;
    try {
      fs.writeFileSync(fresh, content, { flush: true });
      fs.renameSync(fresh, file);
    } catch (error) {
      fault = (error as Error).message;
      fs.rmSync(fresh, { force: true });
      return;
    }
    dropped += places.size - moved.size;
    fs.closeSync(descriptor);
    descriptor = fs.openSync(file, "a+");
    places.clear();
    for (const [number, place] of moved) places.set(number, place);
    size = bytes;
  }

  load();
  return {
    add(event) {
      const number = ++last;
      const line = `${JSON.stringify({ n: number, ...event })}\n`;
      const bytes = Buffer.byteLength(line);
      if (bytes > quotaBytes * (1 - KEEP)) {
        dropped++;
        return 0;
      }
      if (size + bytes > quotaBytes) compact(quotaBytes);
      if (size + bytes > quotaBytes) compact(quotaBytes * KEEP);
      const offset = size;
      if (size + bytes <= quotaBytes && append(line)) {
        places.set(number, { offset, bytes });
        syncSoon();
      } else {
        const inside = spare.add(event);
        if (inside === 0) return 0;
        refused.set(number, inside);
      }
      return number;
    },
    pending() {
      const memory = [...refused].filter(([, inside]) => spare.read(inside) !== null).map(([number]) => number);
      return [...places.keys(), ...memory].sort((a, b) => a - b);
    },
    read,
    get size() {
      return places.size + spare.size;
    },
    remove(number) {
      const inMemory = refused.get(number);
      if (inMemory !== undefined) {
        spare.remove(inMemory);
        refused.delete(number);
      } else if (places.delete(number)) {
        if (places.size === 0) {
          fs.ftruncateSync(descriptor);
          size = 0;
        } else append(`{"done":${number}}\n`);
      }
    },
    get dropped() {
      return dropped + spare.dropped;
    },
    get fault() {
      return fault;
    },
    close() {
      if (sync) clearTimeout(sync);
      fs.fsyncSync(descriptor);
      fs.closeSync(descriptor);
      fs.rmSync(lockFile, { force: true });
    },
  };
}
