/** Decodes the image in the stage into the spare slot, a slice at a time, checks the result and seals the slot. */
import type { Bytes } from "../engine/engine";
import { PAGE } from "../engine/engine";
import { createDeltaDecoder, type DeltaDecoder } from "./delta";
import { decodeHeatshrink } from "./heatshrink";
import { leafHash, manifestText, rootHash, type Manifest } from "./image";
import { createInflate } from "./inflate";
import { SLOT_HEADER, STAGE_BLOB } from "./layout";
import { chunkBytes, chunkOffset, type Session } from "./session";
import { erasePages, readSlot, sealSlot } from "./slots";
import type { UpdateNode } from "./update-node";

/** Output bytes of the first slice of inflate, and of any: what a slice takes decides the next one's size. */
const FIRST_SLICE = 64;
const LEAST_SLICE = 8;
const MOST_SLICE = 96;
/** A slice should hold the interpreter for between half of this and this, in milliseconds. */
const SLICE_MS = 60;

export interface Installer {
  /** `done` gets an error code, or "" when the slot is sealed and the loader will take it. */
  install(done: (code: string) => void): void;
  halt(): void;
  /** 0..100 */
  decodedPercent(): number;
}

/** For a session whose payload is complete in the stage. */
export function createInstaller(node: UpdateNode, session: Session): Installer {
  "cold";
  const engine = node.engine;
  const spare = node.spare;
  const m = session.manifest as Manifest;
  const total = m.resultBytes;
  const count = session.payload!.size;
  let stopped = false;
  let written = 0;
  let next = 0;
  let budget = FIRST_SLICE;
  let leaves = "";

  function input(i: number): Bytes {
    "cold";
    return i < count ? node.stage.read(chunkOffset(true, i), chunkBytes(session, true, i)) : "";
  }

  function put(offset: number, bytes: Bytes): void {
    "cold";
    spare.write(SLOT_HEADER + offset, bytes);
    written += bytes.length;
  }

  function history(offset: number, length: number): Bytes {
    return spare.read(SLOT_HEADER + offset, length);
  }

  const inflate =
    m.encoding === "deflate"
      ? createInflate({
          input: input,
          output: function (bytes: Bytes) {
            put(written, bytes);
          },
          history: history,
          limit: total,
          view: spare.read(SLOT_HEADER, total),
        })
      : null;
  const delta: DeltaDecoder | null =
    m.encoding === "delta"
      ? createDeltaDecoder(
          {
            expand: function (bytes: Bytes) {
              return engine.unshrink(bytes);
            },
            base: function (offset: number, length: number) {
              return node.running.read(SLOT_HEADER + offset, length);
            },
            output: put,
          },
          m.baseBytes as number,
          total,
        )
      : null;
  let inChunk = false;

  /** One slice; 0 more, 1 done, else an error code. */
  function slice(): number {
    "cold";
    if (inflate) return inflate.step(budget);
    if (delta && inChunk) {
      const code = delta.step();
      if (code !== 1) return code;
      inChunk = false;
    } else {
      const chunk = input(next++);
      if (delta) {
        inChunk = true;
        return delta.take(chunk);
      }
      if (m.encoding === "heatshrink") {
        const piece = decodeHeatshrink(engine.unshrink, chunk, total);
        if (typeof piece === "number") return piece;
        put(piece.offset, piece.bytes);
      } else put((next - 1) * m.chunkBytes, chunk);
    }
    return next === count ? 1 : 0;
  }

  return {
    install: function (done: (code: string) => void) {
      "cold";
      function decode(): void {
        if (stopped) return;
        const began = engine.now();
        const code = slice();
        const took = engine.now() - began;
        if (took > SLICE_MS) budget = Math.max(LEAST_SLICE, budget >> 1);
        else if (took < SLICE_MS / 2) budget = Math.min(MOST_SLICE, budget + 16);
        if (code === 0) engine.after(1, decode);
        else if (code === 1 && written === total) check();
        else done("decode:" + (code === 1 ? "length" : code));
      }

      function check(): void {
        "cold";
        if (stopped) return;
        const at = (leaves.length >> 5) * PAGE;
        if (at < total) {
          leaves += leafHash(engine, spare.read(SLOT_HEADER + at, Math.min(PAGE, total - at)));
          engine.after(1, check);
          return;
        }
        if (rootHash(engine, leaves) !== m.resultHash) return done("bad-hash");
        const current = readSlot(node.running);
        const text = manifestText(node.stage.read(STAGE_BLOB, session.blobBytes));
        sealSlot(spare, session.id, current ? current.sequence + 1 : 1, total, text);
        done("");
      }

      erasePages(engine, spare, 0, SLOT_HEADER + total, function () {
        if (!stopped) decode();
      });
    },
    halt: function () {
      "cold";
      stopped = true;
    },
    decodedPercent: function () {
      "cold";
      return Math.min(100, Math.floor((100 * written) / total));
    },
  };
}
