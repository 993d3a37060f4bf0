/** Decodes the image in the stage into the spare slot, a slice at a time, checks the result and seals the slot. */
import type { Bytes, Engine, Region } from "../engine/engine";
import { PAGE } from "../engine/engine";
import { decodeHeatshrink } from "./heatshrink";
import { leafHash, manifestText, rootHash, type Manifest } from "./image";
import { createInflate } from "./inflate";
import { SLOT_HEADER, STAGE_BLOB } from "./layout";
import { chunkBytes, chunkOffset, type Session } from "./session";
import { erasePages, readSlot, sealSlot } from "./slots";

/** Output bytes of the first slice of inflate, and of any: what a slice takes decides the next one's size. */
const FIRST_SLICE = 64;
const LEAST_SLICE = 8;
const MOST_SLICE = 256;
/** A slice should hold the interpreter for between half of this and this, in milliseconds. */
const SLICE_MS = 60;

export interface Installer {
  /** `done` gets an error code, or "" when the slot is sealed and the loader will take it. */
  start(session: Session, done: (code: string) => void): void;
  stop(): void;
  percent(): number;
}

export function createInstaller(engine: Engine, stage: Region, spare: Region, running: Region): Installer {
  let run = 0;
  let written = 0;
  let total = 1;

  function start(session: Session, done: (code: string) => void): void {
    const mine = ++run;
    const m = session.manifest as Manifest;
    const count = (session.hashes as Uint32Array).length >> 1;
    let next = 0;
    let budget = FIRST_SLICE;
    let leaves = "";
    written = 0;
    total = m.resultBytes;

    function input(i: number): Bytes {
      "cold";
      return i < count ? stage.read(chunkOffset(true, i), chunkBytes(session, true, i)) : "";
    }

    function put(offset: number, bytes: Bytes): void {
      "cold";
      spare.write(SLOT_HEADER + offset, bytes);
      written += bytes.length;
    }

    const inflate =
      m.encoding === "deflate"
        ? createInflate({
            input: input,
            output: function (bytes: Bytes) {
              put(written, bytes);
            },
            history: function (offset: number, length: number) {
              return spare.read(SLOT_HEADER + offset, length);
            },
            limit: m.resultBytes,
            view: spare.read(SLOT_HEADER, m.resultBytes),
          })
        : null;

    /** One slice; 0 more, 1 done, else an error code. */
    function slice(): number {
      if (inflate) return inflate.step(budget);
      const chunk = input(next);
      if (m.encoding === "heatshrink") {
        const piece = decodeHeatshrink(engine.unshrink, chunk, m.resultBytes);
        if (typeof piece === "number") return piece;
        put(piece.offset, piece.bytes);
      } else put(next * m.chunkBytes, chunk);
      next++;
      return next === count ? 1 : 0;
    }

    function decode(): void {
      if (run !== mine) return;
      const began = engine.now();
      const code = slice();
      const took = engine.now() - began;
      if (took > SLICE_MS) budget = Math.max(LEAST_SLICE, budget >> 1);
      else if (took < SLICE_MS / 2) budget = Math.min(MOST_SLICE, budget + 16);
      if (code === 0) engine.after(1, decode);
      else if (code === 1 && written === m.resultBytes) check();
      else done("decode:" + (code === 1 ? "length" : code));
    }

    function check(): void {
      "cold";
      if (run !== mine) return;
      const at = (leaves.length >> 5) * PAGE;
      if (at < m.resultBytes) {
        leaves += leafHash(engine, spare.read(SLOT_HEADER + at, Math.min(PAGE, m.resultBytes - at)));
        engine.after(1, check);
        return;
      }
      if (rootHash(engine, leaves) !== m.resultHash) return done("bad-hash");
      const current = readSlot(running);
      const text = manifestText(stage.read(STAGE_BLOB, session.blobBytes));
      sealSlot(spare, session.id, current ? current.sequence + 1 : 1, m.resultBytes, text);
      done("");
    }

    erasePages(engine, spare, 0, SLOT_HEADER + m.resultBytes, function () {
      if (run === mine) decode();
    });
  }

  return {
    start: start,
    stop: function () {
      run++;
    },
    percent: function () {
      return Math.min(100, Math.floor((100 * written) / total));
    },
  };
}
