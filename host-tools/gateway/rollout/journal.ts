/**
 * A rollout's journal: a line of JSON for each event, only ever appended to, and on the disk before anything that
 * follows from it is done. Where the laptop stops in the middle of a line, that line is no event.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { EspalierError } from "../../errors";
import { parseEvent } from "./event-schema";
import type { RolloutEvent, RolloutEventKind } from "./record";

export interface Journal {
  /** What was there when it was opened. */
  readonly events: readonly RolloutEvent[];
  /** @throws EspalierError JOURNAL_WRITE; nothing can be appended afterwards */
  append(event: RolloutEvent): void;
  close(): void;
}

/** Losing the last of these to a power cut costs nothing: nodes say it again. */
const REPEATED: readonly RolloutEventKind[] = ["sample", "report", "presence"];

export function isDurable(event: RolloutEvent): boolean {
  return !REPEATED.includes(event.kind);
}

/** Line `number` (from 1) of a journal. The number guards against lines that went missing. */
export function formatEntry(number: number, event: RolloutEvent): string {
  return `${JSON.stringify({ n: number, ...event })}\n`;
}

function parseLine(line: string, number: number): RolloutEvent | null {
  try {
    const value = JSON.parse(line) as { n?: unknown } | null;
    if (typeof value !== "object" || value === null || value.n !== number) return null;
    delete value.n;
    return parseEvent(value);
  } catch {
    return null;
  }
}

/**
 * The events of a journal's bytes, and how many bytes they take: what follows is a line that was cut short.
 * @throws EspalierError JOURNAL_CORRUPT when a line is wrong and is not the last one
 */
export function readEvents(bytes: Buffer, file: string): { events: RolloutEvent[]; length: number } {
  const events: RolloutEvent[] = [];
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    const event = newline < 0 ? null : parseLine(bytes.toString("utf8", start, end), events.length + 1);
    if (!event) {
      // Blocks that never reached the disk read as zeros, with or without a newline behind them.
      const rest = bytes.subarray(end + 1);
      if (newline < 0 || rest.every((byte) => byte === 0)) break;
      throw new EspalierError("JOURNAL_CORRUPT", `${file}: line ${events.length + 1} is no entry of a rollout`, {
        hint: "The lines before it may be kept by cutting the file there; what nodes did since then is not in it.",
        context: { file, line: events.length + 1 },
      });
    }
    events.push(event);
    start = end + 1;
  }
  return { events, length: start };
}

function syncFolder(folder: string): void {
  // Windows cannot open folders, and needs no such thing.
  if (process.platform === "win32") return;
  const handle = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** Opens a journal, or begins one. A last line that was cut short is taken away. @throws EspalierError JOURNAL_CORRUPT, JOURNAL_WRITE */
export function openJournal(file: string): Journal {
  const failed = (error: unknown): EspalierError =>
    new EspalierError("JOURNAL_WRITE", `cannot write ${file}: ${(error as Error).message}`, {
      hint: "Without a journal the rollout stands still: free some space, then espalier rollout resume.",
      context: { file },
      cause: error,
    });
  let handle: number;
  let number: number;
  let broken = false;
  let closed = false;
  let events: RolloutEvent[];
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const isNew = !fs.existsSync(file);
    handle = fs.openSync(file, "a+");
    if (isNew) syncFolder(path.dirname(file));
  } catch (error) {
    throw failed(error);
  }
  try {
    const bytes = fs.readFileSync(file);
    const found = readEvents(bytes, file);
    ({ events } = found);
    number = events.length;
    if (found.length < bytes.length) {
      fs.ftruncateSync(handle, found.length);
      fs.fsyncSync(handle);
    }
  } catch (error) {
    fs.closeSync(handle);
    throw error instanceof EspalierError ? error : failed(error);
  }

  return {
    events,
    append(event) {
      if (broken) throw failed(new Error("an earlier entry is incomplete"));
      const bytes = Buffer.from(formatEntry(number + 1, event));
      try {
        for (let done = 0; done < bytes.length;) done += fs.writeSync(handle, bytes, done);
        if (isDurable(event)) fs.fsyncSync(handle);
      } catch (error) {
        broken = true;
        throw failed(error);
      }
      number++;
    },
    close() {
      if (closed) return;
      closed = broken = true;
      fs.closeSync(handle);
    },
  };
}

/** A journal that ends with the process, for simulations; `events` may be what an earlier one left. */
export function memoryJournal(events: RolloutEvent[] = []): Journal & { readonly all: RolloutEvent[] } {
  const all = [...events];
  return { events, all, append: (event) => void all.push(event), close() {} };
}
