/**
 * Serves an image to the neighbours that ask for it: one broadcast for all children of the own access point, one
 * unicast stream for the parent when the image comes from below.
 *
 * A neighbour's NAK says what it misses; the union of what a hop misses is sent, paced, in order, as far as it is here,
 * and then asked after with a poll. Every node runs this for its own hops, so repair never crosses more than one.
 */
import type { Bytes, Engine, Region } from "../engine/engine";
import type { Airwave } from "../mesh/airwave";
import type { Mesh } from "../mesh/mesh";
import { addBitmapBytes, Bitmap } from "../wire/bitmap";
import { FLAG_PAYLOAD, FRAME_CHUNK, FRAME_HEADER, FRAME_POLL, frameHeader } from "../wire/frames";
import { STAGE_HEADER, STAGE_STRIDE } from "./layout";
import { chunkBytes, chunkOffset, PACKAGE_PIECE, PACKAGE_PULL, type Session } from "./session";

/** Slowest pace, as a multiple of the pace that the origin set. */
const MAX_SLOWDOWN = 8;
/** Wait from the first NAK of a pass until it begins: the other children may still be erasing flash, deaf to frames. */
const GATHER_MS = 1500;
/** Polls sent in a row without an answer that brings work. */
const MAX_POLLS = 3;

/** One direction in which frames go out. */
class Hop {
  blob: Bitmap;
  payload: Bitmap | null = null;
  cursor = 0;
  /** A poll is owed: frames went out since the last answer. */
  polls = 0;
  lastSent = 0;
  /** engine.now() before which nothing is sent */
  notBefore = 0;

  constructor(
    readonly up: boolean,
    blobChunks: number,
  ) {
    this.blob = new Bitmap(blobChunks);
  }
}

export interface SenderStats {
  chunks: number;
  repairs: number;
  polls: number;
  naks: number;
  pieces: number;
}

export interface Sender {
  readonly stats: SenderStats;
  /** Starts to serve another image, or none. */
  serve(session: Session | null): void;
  /** A neighbour misses `missing` (bitmap bytes) and saw `overflow` chunks lost in long runs. */
  want(neighbour: number, up: boolean, payload: boolean, missing: Bytes, overflow: number): void;
  /** Something new is in the stage. */
  wake(): void;
  /** Milliseconds since a neighbour last asked or was sent something. */
  idle(): number;
  /** Milliseconds between frames as adapted. */
  pace(): number;
}

export function createSender(engine: Engine, mesh: Mesh, airwave: Airwave, stage: Region): Sender {
  const stats: SenderStats = { chunks: 0, repairs: 0, polls: 0, naks: 0, pieces: 0 };
  let session: Session | null = null;
  let hops: Hop[] = [];
  let timer = 0;
  let slowdown = 1;
  let active = engine.now();
  let served: Bitmap | null = null;

  function stop(): void {
    "cold";
    engine.cancel(timer);
    timer = 0;
  }

  function send(hop: Hop, frame: Bytes): boolean {
    const ok = hop.up ? airwave.sendToParent(frame) : airwave.sendToChildren(frame);
    if (ok) hop.lastSent = active = engine.now();
    return ok;
  }

  /** Sends the next wanted chunk that is here; false when there is none. */
  function sendChunk(s: Session, hop: Hop): boolean {
    const payload = !hop.blob.count;
    const want = payload ? hop.payload : hop.blob;
    const have = payload ? s.payload : s.blob;
    if (!want || !have || !want.count) return false;
    let i = want.common(have, hop.cursor);
    if (i < 0 && hop.cursor) i = want.common(have, 0);
    if (i < 0) return false;
    const length = chunkBytes(s, payload, i);
    const frame = payload
      ? stage.read(STAGE_HEADER + i * STAGE_STRIDE, FRAME_HEADER + length)
      : frameHeader(FRAME_CHUNK, 0, s.tag, i) + stage.read(chunkOffset(false, i), length);
    if (!send(hop, frame)) return true;
    want.put(i, false);
    hop.cursor = i + 1;
    hop.polls = MAX_POLLS;
    stats.chunks++;
    if (payload && served) {
      if (served.has(i)) stats.repairs++;
      else served.put(i, true);
    }
    return true;
  }

  function tick(): void {
    const s = session;
    if (!s) return;
    let busy = false;
    for (let k = 0; k < hops.length; k++) {
      const hop = hops[k];
      if (engine.now() < hop.notBefore || sendChunk(s, hop)) {
        busy = true;
        continue;
      }
      if (!hop.polls) continue;
      busy = true;
      // The first poll at once, the next after time for the answers to come in.
      if (engine.now() - hop.lastSent < (hop.polls === MAX_POLLS ? 2 * s.pace : 1000)) continue;
      const flags = hop.payload && !hop.blob.count ? FLAG_PAYLOAD : 0;
      if (send(hop, frameHeader(FRAME_POLL, flags, s.tag, MAX_POLLS - hop.polls))) {
        hop.polls--;
        stats.polls++;
      }
    }
    if (!busy) stop();
  }

  function run(): void {
    "cold";
    const s = session as Session;
    stop();
    timer = engine.every(s.pace * slowdown, tick);
  }

  mesh.onPackage(PACKAGE_PULL, function (pkg) {
    const s = session;
    const i = pkg.i as number;
    const payload = pkg.p === 1;
    const have = s && (payload ? s.payload : s.blob);
    if (!s || pkg.id !== s.id || !have || typeof i !== "number" || !(i >= 0 && i < have.size) || !have.has(i)) return;
    active = engine.now();
    stats.pieces++;
    mesh.sendPackage({
      type: PACKAGE_PIECE,
      routing: 1,
      dest: pkg.from,
      from: mesh.getNodeId(),
      id: s.id,
      p: pkg.p,
      i: i,
      d: engine.toBase64(stage.read(chunkOffset(payload, i), chunkBytes(s, payload, i))),
    });
  });

  return {
    stats: stats,
    serve: function (next: Session | null) {
      "cold";
      stop();
      session = next;
      hops = [];
      served = null;
      slowdown = 1;
    },
    want: function (neighbour: number, up: boolean, payload: boolean, missing: Bytes, overflow: number) {
      "cold";
      const s = session;
      if (!s) return;
      stats.naks++;
      active = engine.now();
      let hop: Hop | null = null;
      for (let k = 0; k < hops.length; k++) if (hops[k].up === up) hop = hops[k];
      if (!hop) {
        hop = new Hop(up, s.blob.size);
        hop.notBefore = engine.now() + GATHER_MS / 3;
        hops.push(hop);
      }
      if (payload) {
        if (!s.payload) return;
        if (!hop.payload) {
          hop.payload = new Bitmap(s.payload.size);
          hop.cursor = 0;
          hop.notBefore = engine.now() + GATHER_MS;
        }
        if (!served) served = new Bitmap(s.payload.size);
        addBitmapBytes(hop.payload, missing);
      } else addBitmapBytes(hop.blob, missing);
      const before = slowdown;
      if (overflow > 3) slowdown = Math.min(MAX_SLOWDOWN, slowdown * 1.5);
      else slowdown = Math.max(1, slowdown * 0.9);
      if (!timer || before !== slowdown) run();
    },
    wake: function () {
      if (!timer && hops.length) run();
    },
    idle: function () {
      return engine.now() - active;
    },
    pace: function () {
      return session ? session.pace * slowdown : 0;
    },
  };
}
