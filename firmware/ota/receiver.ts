/**
 * Takes an image from the neighbour that lies towards its origin: by frames from the airwave with NAKs, or chunk by
 * chunk over the links. What arrives is checked, stored, and handed on by the sender; what is complete is decoded into
 * the slot that does not run (install.ts).
 */
import type { Bytes, Engine, Region } from "../engine/engine";
import { PAGE } from "../engine/engine";
import type { Airwave } from "../mesh/airwave";
import type { Mesh } from "../mesh/mesh";
import type { Package } from "../wire/packages";
import { Bitmap, bitmapBytes } from "../wire/bitmap";
import { u16, unhex } from "../wire/bytes";
import { FLAG_PAYLOAD, FRAME_CHUNK, FRAME_HEADER, FRAME_POLL, frameHeader } from "../wire/frames";
import { imageId, MAX_BLOB } from "./image";
import { createInstaller } from "./install";
import {
  MARK,
  STAGE_BLOB_OK,
  STAGE_COMPLETE,
  STAGE_ERASED,
  STAGE_GIVEN_UP,
  STAGE_HEADER,
  STAGE_MARKS,
  STAGE_STRIDE,
} from "./layout";
import type { Sender } from "./sender";
import {
  chunkBytes,
  chunkOffset,
  newSession,
  type Offer,
  PACKAGE_ABORT,
  PACKAGE_ACTIVATE,
  PACKAGE_NAK,
  PACKAGE_OFFER,
  PACKAGE_PIECE,
  PACKAGE_PULL,
  PACKAGE_REPORT,
  type Session,
  sessionFromStage,
  takeManifest,
  USUAL_PACE,
} from "./session";
import { erasePages, openStage, readSlot, readStage } from "./slots";

/** Silence after which a node that misses chunks says so by itself; doubles up to the second figure. */
const SILENCE_MS = 2000;
const MAX_SILENCE_MS = 8000;
/** A pulled chunk is asked for again after this time, so often; then the session waits for the next offer. */
const PULL_TIMEOUT_MS = 5000;
const PULL_TRIES = 10;
/** Decoding that comes no farther for so long has lost its timer to a lack of memory, which nothing can catch. */
const STALL_MS = 60000;
/** A verified image starts by itself when its origin says nothing for this long. */
const AUTO_ACTIVATE_MS = 300000;
/** A node that only passes an image on keeps to it while somebody asked for it within this time. */
const RELAY_IDLE_MS = 10000;
/** Blobs that do not hash to the id they were announced with, before the image is given up. */
const MAX_BLOB_TRIES = 3;

/** What runs here. */
export interface Identity {
  hardware: string;
  role: string;
  version: string;
  /** id of the running image, "" when it was not installed by an update */
  image: string;
  /** false on a laptop, which serves and passes on, but never installs */
  installs: boolean;
  /** The running image has not confirmed itself yet: the spare slot holds what it may have to go back to. */
  trial: boolean;
}

export type UpdateState =
  "idle" | "preparing" | "receiving" | "relaying" | "decoding" | "verified" | "current" | "failed";

export interface ReceiverStats {
  chunks: number;
  duplicates: number;
  refused: number;
  /** NAKs and requests for an image that is not here */
  stray: number;
}

export interface Regions {
  stage: Region;
  /** the slot that runs, and the other */
  running: Region;
  spare: Region;
}

export interface Receiver {
  readonly stats: ReceiverStats;
  state(): UpdateState;
  /** Error code of the last failure, or "". */
  error(): string;
  /** 0..100 */
  percent(): number;
  /** The running image has confirmed itself: an offer that came before is taken up now. */
  trialOver(): void;
  /**
   * Serves the image that lies complete in the stage (a laptop's, or one that was received before), with `pace`
   * milliseconds between frames.
   */
  serveStaged(id: string, pace: number): boolean;
}

export function createReceiver(
  engine: Engine,
  mesh: Mesh,
  airwave: Airwave,
  sender: Sender,
  regions: Regions,
  identity: Identity,
  changed: () => void,
): Receiver {
  const stats: ReceiverStats = { chunks: 0, duplicates: 0, refused: 0, stray: 0 };
  const stage = regions.stage;
  const slotBytes = regions.spare.size - PAGE;
  let state: UpdateState = "idle";
  let error = "";
  let session: Session | null = null;
  /** The last offer heard, for nodes that only pass on. */
  let offered: Offer | null = null;
  let timer = 0;
  let heard = 0;
  let silence = SILENCE_MS;
  let blobTries = 0;
  let pulls = 0;
  let pulling = -1;
  let reported = 0;
  let reportedAt = 0;
  let lastIndex = -1;
  let overflow = 0;
  /** The sender has come to the end of a pass; chunks that arrived since then. */
  let polled = false;
  let repaired = 0;
  let verifiedAt = 0;
  /** Per cent when the decoder was last seen to get on, and the time. */
  let decoded = -1;
  let decodedAt = 0;
  let activate = false;
  /** An image that failed here for its own fault is not taken again before a restart. */
  let failedId = "";

  const installer = createInstaller(engine, stage, regions.spare, regions.running);

  function upstream(): number {
    "cold";
    return session ? mesh.routeTo(session.origin) : 0;
  }

  function counts(s: Session): [number, number] {
    "cold";
    const set = s.payload || s.blob;
    return [set.count, set.size];
  }

  function report(): void {
    "cold";
    const s = session;
    const to = s ? s.origin : offered ? offered.from : 0;
    reportedAt = engine.now();
    if (!to || to === mesh.getNodeId()) return;
    const n = s ? counts(s) : [0, 0];
    reported = n[0];
    mesh.sendPackage({
      type: PACKAGE_REPORT,
      routing: 1,
      dest: to,
      from: mesh.getNodeId(),
      id: s ? s.id : (offered as Offer).id,
      s: state,
      h: n[0],
      n: n[1],
      p: percent(),
      r: repaired,
      e: error,
      v: identity.version,
    });
  }

  function percent(): number {
    "cold";
    if (!session) return state === "current" || state === "verified" ? 100 : 0;
    if (state === "decoding") return installer.percent();
    const n = counts(session);
    return state === "verified" ? 100 : session.payload ? Math.floor((100 * n[0]) / n[1]) : 0;
  }

  function enter(next: UpdateState, code: string): void {
    "cold";
    state = next;
    error = code;
    changed();
    report();
  }

  function fail(code: string): void {
    "cold";
    if (session) {
      if (readStage(stage)) stage.write(STAGE_GIVEN_UP, MARK);
      if (code !== "aborted") failedId = session.id;
    }
    installer.stop();
    end();
    enter("failed", code);
  }

  /** Leaves the session; the stage keeps what it holds. */
  function end(): void {
    "cold";
    engine.cancel(timer);
    timer = 0;
    sender.serve(null);
    session = null;
  }

  function nak(): void {
    "cold";
    const s = session as Session;
    const up = upstream();
    const set = s.payload || s.blob;
    heard = engine.now();
    if (!up || up === mesh.getNodeId()) return;
    mesh.sendPackage({
      type: PACKAGE_NAK,
      routing: 0,
      dest: up,
      from: mesh.getNodeId(),
      id: s.id,
      p: s.payload ? 1 : 0,
      m: engine.toBase64(bitmapBytes(set, true)),
      o: overflow,
    });
    overflow = 0;
    lastIndex = -1;
  }

  /** The neighbour that the image comes from cannot use the airwave, or was asked not to. */
  function pullsOverLinks(s: Session): boolean {
    "cold";
    if (s.sequential) return true;
    const up = upstream();
    const list = mesh.neighbours();
    for (let i = 0; i < list.length; i++) if (list[i].id === up) return !list[i].espalier;
    return false;
  }

  function pull(): void {
    "cold";
    const s = session as Session;
    const set = s.payload || s.blob;
    pulling = set.gap(0);
    heard = engine.now();
    if (pulling < 0) return;
    mesh.sendPackage({
      type: PACKAGE_PULL,
      routing: 1,
      dest: s.origin,
      from: mesh.getNodeId(),
      id: s.id,
      p: s.payload ? 1 : 0,
      i: pulling,
    });
  }

  function missing(s: Session): boolean {
    "cold";
    const set = s.payload || s.blob;
    return set.count < set.size;
  }

  function ask(): void {
    "cold";
    const s = session as Session;
    if (state !== "receiving" && state !== "relaying") return;
    if (!missing(s)) return;
    if (pullsOverLinks(s)) {
      pulls = 0;
      pull();
    } else nak();
  }

  function second(): void {
    "cold";
    const s = session;
    if (!s) return;
    const now = engine.now();
    if ((state === "receiving" || state === "relaying") && missing(s)) {
      if (pullsOverLinks(s)) {
        if (now - heard > PULL_TIMEOUT_MS && pulls < PULL_TRIES) {
          pulls++;
          pull();
        }
      } else if (now - heard > silence) {
        // Spread over a second, so that children of one access point do not all speak at once.
        silence = Math.min(MAX_SILENCE_MS, silence * 2);
        engine.after(engine.random() % 1000, function () {
          if (session === s && missing(s)) nak();
        });
        heard = now;
      }
    }
    // Reports of a large mesh are spread out, so that they do not crowd the links near the origin.
    let nodes = 1;
    if (counts(s)[0] !== reported) for (const neighbour of mesh.neighbours()) nodes += neighbour.nodes;
    if (
      state === "decoding" ? now - reportedAt > 5000 : counts(s)[0] !== reported && now - reportedAt > 1000 + 50 * nodes
    ) {
      report();
    }
    if (state === "decoding") {
      const done = installer.percent();
      if (done !== decoded) {
        decoded = done;
        decodedAt = now;
      } else if (now - decodedAt > STALL_MS) return fail("stalled");
    }
    if (state === "verified" && (activate || now - verifiedAt > AUTO_ACTIVATE_MS)) {
      end();
      engine.after(500 + (engine.random() % 1500), engine.restart);
    }
  }

  function prepareBlob(): void {
    "cold";
    const s = session as Session;
    enter("preparing", "");
    erasePages(engine, stage, 0, STAGE_HEADER, function () {
      if (session !== s) return;
      openStage(stage, s.id, s.blobBytes);
      enter(s.forMe ? "receiving" : "relaying", "");
      ask();
    });
  }

  function begin(offer: Offer, forMe: boolean): void {
    "cold";
    end();
    const s = newSession(offer, forMe);
    session = s;
    activate = false;
    blobTries = 0;
    pulls = 0;
    silence = SILENCE_MS;
    lastIndex = -1;
    overflow = repaired = 0;
    polled = false;
    sender.serve(s);
    timer = engine.every(1000, second);
    const staged = readStage(stage);
    if (staged && staged.id === offer.id && staged.blobOk && !staged.givenUp && staged.blobBytes === offer.blob) {
      for (let i = 0; i < s.blob.size; i++) s.blob.put(i, true);
      state = forMe ? "receiving" : "relaying";
      blobDone();
    } else prepareBlob();
  }

  function blobDone(): void {
    "cold";
    const s = session as Session;
    const blob = stage.read(STAGE_HEADER - MAX_BLOB, s.blobBytes);
    if (imageId(engine, blob) !== s.id) {
      stats.refused++;
      if (++blobTries >= MAX_BLOB_TRIES) return fail("bad-blob");
      s.blob = new Bitmap(s.blob.size);
      sender.serve(s);
      return prepareBlob();
    }
    const code = takeManifest(engine, s, stage, slotBytes);
    if (code) return fail(code);
    const m = s.manifest;
    if (!m) return fail("bad-manifest");
    if (s.forMe && (m.hardware !== identity.hardware || m.role !== identity.role)) return fail("wrong-target");
    const staged = readStage(stage);
    sender.wake();
    if (staged && staged.erased) return payloadReady();
    stage.write(STAGE_BLOB_OK, MARK);
    enter("preparing", "");
    erasePages(engine, stage, STAGE_HEADER, (s.payload as Bitmap).size * STAGE_STRIDE, function () {
      if (session !== s) return;
      stage.write(STAGE_ERASED, MARK);
      payloadReady();
    });
  }

  function payloadReady(): void {
    "cold";
    const s = session as Session;
    if (missing(s)) {
      enter(s.forMe ? "receiving" : "relaying", "");
      ask();
    } else payloadDone();
  }

  function payloadDone(): void {
    "cold";
    const s = session as Session;
    stage.write(STAGE_COMPLETE, MARK);
    sender.wake();
    if (!s.forMe) {
      enter("relaying", "");
      return;
    }
    decoded = -1;
    enter("decoding", "");
    // In an event of its own: the last chunk's frame and the calls that brought it hold hundreds of variables.
    engine.after(1, function () {
      if (session !== s) return;
      installer.start(s, function (code: string) {
        if (session !== s) return;
        if (code) return fail(code);
        verifiedAt = engine.now();
        enter("verified", "");
      });
    });
  }

  /** Chunks in front of `index` that were skipped and are missed here, when it is a long run of them. */
  function lostBetween(set: Bitmap, index: number): number {
    "cold";
    let lost = 0;
    for (let i = set.gap(lastIndex + 1); i >= 0 && i < index; i = set.gap(i + 1)) lost++;
    return lost > 3 ? lost : 0;
  }

  /** Checks and stores one chunk. `frame` is its whole frame, or "" when it came over a link. */
  function take(payload: boolean, index: number, chunk: Bytes, frame: Bytes): boolean {
    const s = session as Session;
    const set = payload ? s.payload : s.blob;
    if ((state !== "receiving" && state !== "relaying") || !set || payload !== (s.payload !== null)) return false;
    if (!(index < set.size) || chunk.length !== chunkBytes(s, payload, index)) {
      stats.refused++;
      return false;
    }
    heard = engine.now();
    silence = SILENCE_MS;
    if (set.has(index)) {
      stats.duplicates++;
      return false;
    }
    if (payload) {
      const hash = new Uint32Array(engine.sha256(chunk));
      const known = s.hashes as Uint32Array;
      if (hash[0] !== known[index * 2] || hash[1] !== known[index * 2 + 1]) {
        stats.refused++;
        return false;
      }
      stage.write(
        STAGE_HEADER + index * STAGE_STRIDE,
        frame || frameHeader(FRAME_CHUNK, FLAG_PAYLOAD, s.tag, index) + chunk,
      );
      stage.write(STAGE_MARKS + index, MARK);
      if (index > lastIndex + 4 && lastIndex >= 0) overflow += lostBetween(set, index);
      lastIndex = index;
    } else stage.write(chunkOffset(false, index), chunk);
    set.put(index, true);
    stats.chunks++;
    if (payload && polled) repaired++;
    if (set.count === set.size) {
      if (payload) payloadDone();
      else blobDone();
    } else sender.wake();
    return true;
  }

  airwave.onFrame(FRAME_CHUNK, function (bytes) {
    const s = session;
    if (!s || bytes.length <= FRAME_HEADER || bytes.substr(2, 4) !== s.tag) return;
    take((bytes.charCodeAt(1) & FLAG_PAYLOAD) > 0, u16(bytes, 6), bytes.substr(FRAME_HEADER), bytes);
  });

  airwave.onFrame(FRAME_POLL, function (bytes) {
    const s = session;
    if (!s || bytes.length !== FRAME_HEADER || bytes.substr(2, 4) !== s.tag) return;
    // Only answers of nodes that miss something matter; they come spread over a fifth of a second.
    if ((state === "receiving" || state === "relaying") && missing(s) && !pullsOverLinks(s)) {
      heard = engine.now();
      polled = s.payload !== null && (bytes.charCodeAt(1) & FLAG_PAYLOAD) > 0;
      engine.after(engine.random() % 200, function () {
        if (session === s && missing(s)) nak();
      });
    }
  });

  function onPiece(pkg: Package): void {
    "cold";
    const s = session;
    if (!s || pkg.id !== s.id || pkg.i !== pulling || typeof pkg.d !== "string" || pkg.d.length > 2000) return;
    const chunk = engine.fromBase64(pkg.d);
    if (take(pkg.p === 1, pulling, chunk, "") && session === s && (state === "receiving" || state === "relaying")) {
      pulls = 0;
      pull();
    }
  }

  function onNak(pkg: Package, neighbour: number): void {
    "cold";
    if (typeof pkg.id !== "string" || typeof pkg.m !== "string" || pkg.m.length > 1000) return;
    if (!session || session.id !== pkg.id) {
      // An image that was passed on, and that nobody asks for any more, makes way.
      const free =
        !session || (state === "relaying" && session.origin !== mesh.getNodeId() && sender.idle() > RELAY_IDLE_MS);
      const pace = offered && offered.id === pkg.id ? offered.pace : USUAL_PACE;
      if (!session && receiver.serveStaged(pkg.id, pace)) state = state === "idle" ? "current" : state;
      else if (free && offered && offered.id === pkg.id && neighbour !== mesh.routeTo(offered.from))
        begin(offered, false);
      else {
        stats.stray++;
        return;
      }
    }
    const list = mesh.neighbours();
    for (let i = 0; i < list.length; i++) {
      if (list[i].id === neighbour) {
        const lost = typeof pkg.o === "number" ? pkg.o : 0;
        sender.want(neighbour, list[i].up, pkg.p === 1, engine.fromBase64(pkg.m), lost);
        return;
      }
    }
  }

  function onOffer(pkg: Package): void {
    "cold";
    const o = pkg as unknown as Offer;
    if (
      typeof o.id !== "string" ||
      o.id.length !== 16 ||
      unhex(o.id) === null ||
      typeof o.blob !== "number" ||
      !(o.blob >= 2 && o.blob <= MAX_BLOB) ||
      Math.floor(o.blob) !== o.blob ||
      typeof o.pace !== "number" ||
      !(o.pace >= 5 && o.pace <= 60000) ||
      o.from === mesh.getNodeId()
    ) {
      stats.refused++;
      return;
    }
    const s = session;
    if (s && s.id === o.id) {
      // An announce that changes in flight is another image under the same name.
      if (o.blob !== s.blobBytes) {
        stats.refused++;
        return;
      }
      s.origin = o.from;
      offered = o;
      report();
      if (pulls >= PULL_TRIES) ask();
      return;
    }
    const busy = state === "preparing" || state === "receiving" || state === "decoding";
    if (s && busy && o.from !== s.origin) {
      stats.refused++;
      return;
    }
    offered = o;
    if (!identity.installs) return;
    if (o.id === identity.image) {
      if (s) end();
      enter("current", "");
      return;
    }
    if (o.hardware !== identity.hardware || o.role !== identity.role) return;
    if (o.id === failedId) {
      report();
      return;
    }
    if (identity.trial) return;
    const spare = readSlot(regions.spare);
    if (spare && spare.id === o.id && spare.bad) {
      if (s) end();
      enter("failed", "bad-image");
      return;
    }
    installer.stop();
    begin(o, true);
  }

  function onAbort(pkg: Package): void {
    "cold";
    if (!session || pkg.id !== session.id) return;
    fail("aborted");
  }

  function onActivate(pkg: Package): void {
    "cold";
    if (!session || pkg.id !== session.id) return;
    const only = pkg.only;
    if (only && (!Array.isArray(only) || only.indexOf(mesh.getNodeId()) < 0)) return;
    activate = true;
  }

  // One function for all of them: each costs memory whether anything is updated or not.
  function dispatch(pkg: Package, neighbour: number): void {
    const type = pkg.type;
    if (type === PACKAGE_OFFER) onOffer(pkg);
    else if (type === PACKAGE_NAK) onNak(pkg, neighbour);
    else if (type === PACKAGE_PIECE) onPiece(pkg);
    else if (type === PACKAGE_ABORT) onAbort(pkg);
    else onActivate(pkg);
  }
  for (const type of [PACKAGE_OFFER, PACKAGE_NAK, PACKAGE_PIECE, PACKAGE_ABORT, PACKAGE_ACTIVATE]) {
    mesh.onPackage(type, dispatch);
  }

  mesh.onChangedConnections(function () {
    if (session) ask();
  });

  const receiver: Receiver = {
    stats: stats,
    state: function () {
      return state;
    },
    error: function () {
      return error;
    },
    percent: percent,
    trialOver: function () {
      "cold";
      identity.trial = false;
      // What was only passed on until now lies in the stage, and is gone on with from there.
      if (session && !session.forMe) end();
      if (offered && !session) onOffer(offered as unknown as Package);
    },
    serveStaged: function (id: string, pace: number) {
      "cold";
      const s = sessionFromStage(engine, stage, slotBytes, id, pace);
      if (!s) return false;
      end();
      s.origin = mesh.getNodeId();
      session = s;
      sender.serve(s);
      return true;
    },
  };
  return receiver;
}
