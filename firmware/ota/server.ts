/**
 * Serves an image to the neighbours that ask for it: one broadcast for all children of the own access point, one
 * unicast stream for the parent when the image comes from below; and chunk by chunk to whoever pulls over the links.
 *
 * A neighbour's NAK says what it misses. The union of what a hop misses is sent, paced, in order, as far as it is here,
 * and then asked after with a poll. Once all of the image is here, what children still miss goes out as combinations
 * (repair.ts). Every node runs this for its own hops, so repair never crosses more than one.
 */
import type { Bytes } from "../engine/engine";
import { addBitmapBytes, Bitmap } from "../wire/bitmap";
import { FLAG_PAYLOAD, FRAME_CHUNK, FRAME_CODED, FRAME_HEADER, FRAME_POLL, frameHeader } from "../wire/frames";
import type { Neighbour } from "../mesh/mesh";
import { CAN_REPAIR, type Package } from "../wire/packages";
import { type Manifest } from "./image";
import { STAGE_HEADER, STAGE_STRIDE } from "./layout";
import { createRepairPlan, encodeCombination, MAX_CHILDREN, type RepairPlan } from "./repair";
import { chunkBytes, chunkOffset, PACKAGE_PIECE, type Session } from "./session";
import type { UpdateNode } from "./update-node";
import { createXor, type Xor } from "./xor";

/** Slowest pace, as a multiple of the pace that the origin set. */
const MAX_SLOWDOWN = 8;
/** Wait from the first NAK of a pass until it begins: the other children may still be erasing flash, deaf to frames. */
const GATHER_MS = 1500;
/** Wait from the first NAK after a pass, for those of the other children, which come within a fifth of a second. */
const REPAIR_GATHER_MS = 300;
/** Chunks that one child misses, up to which they go out in combinations: putting each into the plan takes 2 ms. */
const MOST_CODED = 40;
/** Polls sent in a row without an answer that brings work. */
const MAX_POLLS = 3;
/** Nodes that may pull at the same time with the peer transport; the others find another source, or come again. */
const MAX_PULLERS = 3;
const PULLER_MS = 10000;

/** One direction in which frames go out. */
class Hop {
  blob: Bitmap;
  payload: Bitmap | null = null;
  /** Combinations for what is missed after the plain pass. */
  plan: RepairPlan | null = null;
  /** Ids of the children, in the order of the plan's. */
  children: number[] = [];
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

export interface ServerStats {
  chunks: number;
  repairs: number;
  /** of the repairs, those that were combinations of several chunks */
  coded: number;
  polls: number;
  naks: number;
  pieces: number;
}

export interface Server {
  readonly stats: ServerStats;
  /** A neighbour misses `missing` (bitmap bytes) and saw `overflow` chunks lost in long runs. */
  want(neighbour: Neighbour, payload: boolean, missing: Bytes, overflow: number): void;
  /** Answers a PULL. */
  pull(pkg: Package): void;
  /** Something new is in the stage. */
  restock(): void;
  /** Milliseconds since a neighbour last asked or was sent something. */
  quietFor(): number;
  /** Milliseconds between frames as adapted. */
  currentPace(): number;
  retire(): void;
}

export function createServer(node: UpdateNode, s: Session): Server {
  "cold";
  const engine = node.engine;
  const airwave = node.airwave;
  const stage = node.stage;
  const stats: ServerStats = { chunks: 0, repairs: 0, coded: 0, polls: 0, naks: 0, pieces: 0 };
  let hops: Hop[] = [];
  let timer = 0;
  let slowdown = 1;
  let active = engine.now();
  let served: Bitmap | null = null;
  let xor: Xor | null = null;
  /** The combination that goes out next. */
  let chosen: number[] | null = null;
  const pullers: { id: number; at: number }[] = [];

  function stop(): void {
    "cold";
    engine.cancel(timer);
    timer = 0;
    // Holds hundreds of variables.
    xor = null;
  }

  function send(hop: Hop, frame: Bytes): boolean {
    "cold";
    const ok = hop.up ? airwave.sendToParent(frame) : airwave.sendToChildren(frame);
    if (ok) {
      hop.lastSent = active = engine.now();
      hop.polls = MAX_POLLS;
    }
    return ok;
  }

  function frameOf(i: number): Bytes {
    "cold";
    return stage.read(STAGE_HEADER + i * STAGE_STRIDE, FRAME_HEADER + chunkBytes(s, true, i));
  }

  function payloadOf(i: number): Bytes {
    "cold";
    return frameOf(i).substr(FRAME_HEADER);
  }

  /** Sends one of the combinations that are owed; false when there are none. */
  function sendRepair(hop: Hop, plan: RepairPlan): boolean {
    "cold";
    if (airwave.backlog()) return plan.left() > 0;
    if (!chosen) {
      if (!plan.left()) return false;
      chosen = plan.next();
      engine.after(1, sendChosen);
    }
    return true;

    // Choosing, making ready to combine, and combining take an interpreter so long that each has its own event.
    function sendChosen(): void {
      const list = chosen as number[];
      if (list.length > 1 && !xor) {
        xor = createXor((s.manifest as Manifest).chunkBytes);
        engine.after(1, sendChosen);
        return;
      }
      chosen = null;
      if (list.length > 1) {
        send(hop, frameHeader(FRAME_CODED, FLAG_PAYLOAD, s.tag, 0) + encodeCombination(list, payloadOf, xor as Xor));
        stats.coded++;
      } else send(hop, frameOf(list[0]));
      stats.chunks++;
      stats.repairs++;
    }
  }

  /** Sends the next wanted chunk that is here; false when there is none. */
  function sendChunk(hop: Hop): boolean {
    "cold";
    const payload = !hop.blob.count;
    const want = payload ? hop.payload : hop.blob;
    const have = payload ? s.payload : s.blob;
    if (!want || !have) return false;
    if (!want.count) return payload && hop.plan ? sendRepair(hop, hop.plan) : false;
    let i = want.common(have, hop.cursor);
    if (i < 0 && hop.cursor) i = want.common(have, 0);
    if (i < 0) return false;
    const frame = payload
      ? frameOf(i)
      : frameHeader(FRAME_CHUNK, 0, s.tag, i) + stage.read(chunkOffset(false, i), chunkBytes(s, false, i));
    if (!send(hop, frame)) return true;
    want.put(i, false);
    hop.cursor = i + 1;
    stats.chunks++;
    if (payload && served) {
      if (served.has(i)) stats.repairs++;
      else served.put(i, true);
    }
    return true;
  }

  function tick(): void {
    let busy = false;
    for (const hop of hops) {
      if (engine.now() < hop.notBefore || sendChunk(hop)) {
        busy = true;
        continue;
      }
      const payload = hop.payload && !hop.blob.count;
      const set = payload ? (s.payload as Bitmap) : s.blob;
      // While a pass is under way nobody is asked: what is lost goes out combined when it is over.
      if (!hop.polls || set.count < set.size) continue;
      busy = true;
      // The first poll at once, the next after time for the answers to come in.
      const left = hop.polls;
      if (engine.now() - hop.lastSent < (left === MAX_POLLS ? 2 * s.pace : 1000)) continue;
      if (send(hop, frameHeader(FRAME_POLL, payload ? FLAG_PAYLOAD : 0, s.tag, MAX_POLLS - left))) {
        hop.polls = left - 1;
        stats.polls++;
      }
    }
    if (!busy) stop();
  }

  function run(): void {
    "cold";
    engine.cancel(timer);
    timer = engine.every(s.pace * slowdown, tick);
  }

  /** A child still misses chunks of a pass that is over. They are sent plainly where combining them is not worth it. */
  function repair(hop: Hop, child: number, missing: Bytes): void {
    "cold";
    const set = new Bitmap((s.payload as Bitmap).size);
    addBitmapBytes(set, missing);
    let place = hop.children.indexOf(child);
    if (place < 0 && hop.children.length < MAX_CHILDREN) place = hop.children.push(child) - 1;
    if (place < 0 || set.count > MOST_CODED) addBitmapBytes(hop.payload as Bitmap, missing);
    else {
      if (!hop.plan) hop.plan = createRepairPlan(set.size);
      if (!hop.plan.left()) hop.notBefore = engine.now() + REPAIR_GATHER_MS;
      hop.plan.lack(place, missing);
    }
    if (!timer) run();
  }

  return {
    stats: stats,
    want: function (neighbour: Neighbour, payload: boolean, missing: Bytes, overflow: number) {
      "cold";
      const up = neighbour.up;
      stats.naks++;
      active = engine.now();
      let hop: Hop | null = null;
      for (const one of hops) if (one.up === up) hop = one;
      if (!hop) {
        hop = new Hop(up, s.blob.size);
        hop.notBefore = active + GATHER_MS / 3;
        hops.push(hop);
      }
      if (payload) {
        const have = s.payload;
        if (!have) return;
        if (!hop.payload) {
          hop.payload = new Bitmap(have.size);
          hop.cursor = 0;
          hop.notBefore = active + GATHER_MS;
        }
        if (!served) served = new Bitmap(have.size);
        const over = have.count === have.size && served.count === served.size && !hop.payload.count;
        const coded = over && !up && (neighbour.c & CAN_REPAIR) > 0;
        if (!coded) addBitmapBytes(hop.payload, missing);
        else {
          const asked = hop;
          engine.after(1, function () {
            repair(asked, neighbour.id, missing);
          });
        }
      } else addBitmapBytes(hop.blob, missing);
      const before = slowdown;
      if (overflow > 3) slowdown = Math.min(MAX_SLOWDOWN, slowdown * 1.5);
      else slowdown = Math.max(1, slowdown * 0.9);
      if (!timer || before !== slowdown) run();
    },
    pull: function (pkg: Package) {
      "cold";
      const i = pkg.i as number;
      const payload = pkg.p === 1;
      const have = payload ? s.payload : s.blob;
      if (!have || typeof i !== "number" || !(i >= 0 && i < have.size)) return;
      active = engine.now();
      let busy = !have.has(i);
      if (pkg.peer) {
        for (let k = pullers.length - 1; k >= 0; k--)
          if (pullers[k].id === pkg.from || active - pullers[k].at > PULLER_MS) pullers.splice(k, 1);
        busy = busy || pullers.length >= MAX_PULLERS;
        if (!busy) pullers.push({ id: pkg.from, at: active });
      } else if (busy) return;
      if (!busy) stats.pieces++;
      node.mesh.sendPackage({
        type: PACKAGE_PIECE,
        routing: 1,
        dest: pkg.from,
        id: s.id,
        p: pkg.p,
        i: i,
        // Without data: busy, ask somebody else.
        d: busy ? undefined : engine.toBase64(stage.read(chunkOffset(payload, i), chunkBytes(s, payload, i))),
      });
    },
    restock: function () {
      "cold";
      if (!timer && hops.length) run();
    },
    quietFor: function () {
      "cold";
      return engine.now() - active;
    },
    currentPace: function () {
      "cold";
      return s.pace * slowdown;
    },
    retire: function () {
      "cold";
      stop();
      hops = [];
    },
  };
}
