/**
 * Where rollouts lie on the disk: for each a journal, the image, a lock while a process carries it out, and wishes that
 * other processes left for that one.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { decodeImageFile, encodeImageFile, ImageFileError } from "../../build/image-file";
import type { Image } from "../../build/image";
import { EspalierError, EXIT } from "../../errors";
import { replay } from "./apply";
import { type Journal, openJournal, readEvents } from "./journal";
import { type EventOf, isOver, type RolloutRecord } from "./record";

export const ROLLOUTS_FOLDER = path.join(".espalier", "rollouts");

/** What another process may ask the one that carries a rollout out. */
export const WISHES = ["pause", "resume", "approve", "abort", "rollback", "retry"] as const;
export type Wish = (typeof WISHES)[number];

export interface StoredRollout {
  id: string;
  /** null when the journal cannot be read; `error` says why. */
  record: RolloutRecord | null;
  error: string;
  /** Process that carries it out, 0 for none. */
  pid: number;
}

export interface OpenRollout {
  journal: Journal;
  image: Image;
  /** Where `image` is a delta: the same bundle as a whole. */
  whole: Image | null;
  /** Wishes that came since the last call, oldest first. */
  takeWishes(): Wish[];
  /** Closes the journal and gives the rollout free. */
  release(): void;
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/;

export class RolloutStore {
  constructor(readonly folder: string = ROLLOUTS_FOLDER) {}

  #file(id: string, ending: string): string {
    if (!ID.test(id)) throw unknown(id, this.folder);
    return path.join(this.folder, `${id}${ending}`);
  }

  /** An id that no rollout has yet, beginning with `wanted`. */
  freeId(wanted: string): string {
    for (let number = 1; ; number++) {
      const id = number === 1 ? wanted : `${wanted}-${number}`;
      if (!fs.existsSync(this.#file(id, ".jsonl"))) return id;
    }
  }

  /**
   * Begins a rollout: the image, and the whole one where it is a delta, are on the disk before its journal is.
   * @throws EspalierError ROLLOUT_BUSY, JOURNAL_WRITE
   */
  create(id: string, image: Image, whole: Image | null = null): OpenRollout {
    fs.mkdirSync(this.folder, { recursive: true });
    this.#write(this.#file(id, ".image"), image);
    if (whole) this.#write(this.#file(id, ".whole.image"), whole);
    return this.#take(id, image, whole);
  }

  /** A new rollout with its plan in the journal. @throws EspalierError as `create` */
  begin(planned: EventOf<"planned">, image: Image, whole: Image | null = null): OpenRollout {
    const opened = this.create(planned.id, image, whole);
    opened.journal.append(planned);
    return { ...opened, journal: { ...opened.journal, events: [planned] } };
  }

  #write(file: string, image: Image): void {
    const handle = fs.openSync(file, "w");
    try {
      fs.writeSync(handle, encodeImageFile(image));
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
  }

  /** Takes a rollout up again. @throws EspalierError NO_ROLLOUT, ROLLOUT_BUSY, ROLLOUT_IMAGE, JOURNAL_CORRUPT */
  open(id: string): OpenRollout {
    if (!fs.existsSync(this.#file(id, ".jsonl"))) throw unknown(id, this.folder);
    const whole = this.#file(id, ".whole.image");
    return this.#take(id, this.#read(this.#file(id, ".image")), fs.existsSync(whole) ? this.#read(whole) : null);
  }

  #read(file: string): Image {
    try {
      return decodeImageFile(fs.readFileSync(file));
    } catch (error) {
      const why = error instanceof ImageFileError ? error.code : (error as Error).message;
      throw new EspalierError("ROLLOUT_IMAGE", `${file} cannot be read: ${why}`, {
        hint: "Without its image a rollout can be shown, but not go on.",
        context: { file },
        cause: error,
      });
    }
  }

  /**
   * Takes up the newest rollout that began and has not ended and that no process carries out; null when there is none.
   * @throws EspalierError as `open`
   */
  takeUnfinished(): OpenRollout | null {
    const found = this.list().find(
      ({ record, pid }) => record !== null && record.state !== "preview" && !isOver(record) && pid === 0,
    );
    return found ? this.open(found.id) : null;
  }

  /** Forgets a rollout that nobody carries out. */
  remove(id: string): void {
    const own = fs.readdirSync(this.folder).filter((name) => name.startsWith(`${id}.`));
    for (const name of own) fs.rmSync(path.join(this.folder, name), { force: true });
  }

  #take(id: string, image: Image, whole: Image | null): OpenRollout {
    const lock = this.#file(id, ".lock");
    const wishes = this.#file(id, ".wishes");
    this.#lock(id, lock);
    let journal: Journal;
    try {
      journal = openJournal(this.#file(id, ".jsonl"));
      if (journal.events.length > 0) checkImages(id, replay(journal.events), image, whole);
    } catch (error) {
      fs.rmSync(lock, { force: true });
      throw error;
    }
    fs.rmSync(wishes, { force: true });
    let released = false;
    return {
      journal,
      image,
      whole,
      takeWishes() {
        // Renamed first: what is written from now on goes into another file.
        const taken = `${wishes}.taken`;
        try {
          fs.renameSync(wishes, taken);
        } catch {
          return [];
        }
        const lines = fs.readFileSync(taken, "utf8").split("\n");
        fs.rmSync(taken, { force: true });
        return lines.filter((line): line is Wish => (WISHES as readonly string[]).includes(line));
      },
      release() {
        if (released) return;
        released = true;
        journal.close();
        fs.rmSync(lock, { force: true });
      },
    };
  }

  #lock(id: string, lock: string): void {
    for (let tries = 0; tries < 2; tries++) {
      try {
        fs.writeFileSync(lock, String(process.pid), { flag: "wx" });
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const pid = this.#pid(id);
      if (pid !== 0)
        throw new EspalierError("ROLLOUT_BUSY", `process ${pid} carries rollout ${id} out`, {
          hint: "espalier rollout pause, resume, approve, abort, rollback and retry reach it from here.",
          context: { rollout: id, pid },
        });
      // Left by a process that is no more.
      fs.rmSync(lock, { force: true });
    }
    throw new EspalierError("ROLLOUT_BUSY", `rollout ${id} was taken up by another process just now`);
  }

  #pid(id: string): number {
    try {
      const pid = Number(fs.readFileSync(this.#file(id, ".lock"), "utf8"));
      if (!Number.isInteger(pid) || pid <= 0) return 0;
      process.kill(pid, 0);
      return pid;
    } catch (error) {
      // It lives, and belongs to somebody else.
      return (error as NodeJS.ErrnoException).code === "EPERM" ? -1 : 0;
    }
  }

  /** Asks the process that carries a rollout out; false when there is none. @throws EspalierError NO_ROLLOUT */
  wish(id: string, what: Wish): boolean {
    if (!fs.existsSync(this.#file(id, ".jsonl"))) throw unknown(id, this.folder);
    if (this.#pid(id) === 0) return false;
    fs.appendFileSync(this.#file(id, ".wishes"), `${what}\n`);
    return true;
  }

  /** Reads a journal without touching it. @throws EspalierError NO_ROLLOUT */
  read(id: string): StoredRollout {
    const file = this.#file(id, ".jsonl");
    let bytes: Buffer;
    try {
      bytes = fs.readFileSync(file);
    } catch {
      throw unknown(id, this.folder);
    }
    const pid = this.#pid(id);
    try {
      return { id, record: replay(readEvents(bytes, file).events), error: "", pid };
    } catch (error) {
      return { id, record: null, error: (error as Error).message, pid };
    }
  }

  /** Newest first. */
  list(): StoredRollout[] {
    let names: string[];
    try {
      names = fs.readdirSync(this.folder);
    } catch {
      return [];
    }
    const ids = names.filter((name) => name.endsWith(".jsonl")).map((name) => name.slice(0, -".jsonl".length));
    return ids
      .filter((id) => ID.test(id))
      .sort()
      .reverse()
      .map((id) => this.read(id));
  }
}

function unknown(id: string, folder: string): EspalierError {
  return new EspalierError("NO_ROLLOUT", `there is no rollout "${id.slice(0, 100)}" in ${folder}`, {
    hint: "espalier rollout list shows what there is; --folder names another place.",
    context: { rollout: id.slice(0, 100), folder },
    exitCode: EXIT.usage,
  });
}

function checkImages(id: string, { image }: RolloutRecord, found: Image, whole: Image | null): void {
  if (image.id === found.id && image.also.join() === (whole?.id ?? "")) return;
  throw new EspalierError("ROLLOUT_IMAGE", `the image beside rollout ${id} is another one than its journal names`, {
    hint: "Without its image a rollout can be shown, but not go on.",
    context: { rollout: id, wanted: [image.id, ...image.also], found: [found.id, ...(whole ? [whole.id] : [])] },
  });
}
