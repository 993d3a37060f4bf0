/**
 * One image on its way through this node: taken from the neighbour that lies towards its origin, by frames from the
 * airwave with NAKs, or chunk by chunk over the links; checked, stored, and handed on (server.ts). What is complete is
 * decoded into the slot that does not run (install.ts). It exists while there is something to do, and no longer: a node
 * at rest has the memory for its application.
 */
import type { Bytes } from "../engine/engine";
import { PAGE } from "../engine/engine";
import type { Package } from "../wire/packages";
import { Bitmap, bitmapBytes } from "../wire/bitmap";
import { u16 } from "../wire/bytes";
import { FLAG_PAYLOAD, FRAME_CHUNK, FRAME_CODED, FRAME_HEADER, FRAME_POLL, frameHeader } from "../wire/frames";
import { admission } from "./admission";
import { imageId, MAX_BLOB, type Manifest } from "./image";
import { createInstaller, type Installer } from "./install";
import { MARK, STAGE_BLOB_OK, STAGE_COMPLETE, STAGE_ERASED, STAGE_HEADER, STAGE_MARKS, STAGE_STRIDE } from "./layout";
import { createRepairReceiver, REPAIR_KEPT, type RepairReceiver } from "./repair";
import { sendQuery } from "./peers";
import { sendReport } from "./report";
import { createServer, type Server } from "./server";
import { chunkBytes, chunkHash, chunkOffset, PACKAGE_NAK, PACKAGE_PULL, type Session, takeManifest } from "./session";
import { erasePages, freeStage, openStage, readStage } from "./slots";
import type { UpdateNode } from "./update-node";
import { createXor } from "./xor";

/** Silence after which a node that misses chunks says so by itself; doubles up to the second figure. */
const SILENCE_MS = 2000;
const MAX_SILENCE_MS = 8000;
/** A pulled chunk is asked for again after this time, so often; then the session waits for the next offer. */
const PULL_TIMEOUT_MS = 5000;
const PULL_TRIES = 10;
/** A peer that is busy is left alone for so long. */
const BUSY_MS = 3000;
/** Neighbours are asked for the image so often while it comes from farther away. */
const PEER_QUERY_MS = 8000;
/** Decoding that comes no farther for so long has lost its timer to a lack of memory, which nothing can catch. */
const STALL_MS = 60000;
/** A verified image starts by itself when its origin says nothing for this long. */
const AUTO_ACTIVATE_MS = 300000;
/** Who is being served is served on for so long before the restart, as long as there are requests. */
const SERVE_FIRST_MS = 60000;
const SERVE_IDLE_MS = 4000;
/** Blobs that do not hash to the id they were announced with, before the image is given up. */
const MAX_BLOB_TRIES = 3;
/** Combinations kept until more is known; each is a chunk of RAM. */
const KEPT_COMBINATIONS = 2;

export interface Transfer {
  readonly session: Session;
  readonly server: Server;
  /** To be called once, when the transfer can be reported on. */
  launch(): void;
  /** A frame of this image from the airwave. */
  frame(bytes: Bytes): void;
  /** A chunk that was pulled. */
  piece(pkg: Package): void;
  /** Asks for what is missing, now. */
  ask(): void;
  /** Reports to another origin from now on, and takes the image from there. */
  turnTo(origin: number): void;
  /** A peer has the image too: taken from there if it is nearer, or the source until now is busy. */
  offerSource(peer: number): void;
  /** Milliseconds since the origin offered the image, or since the image was verified. */
  originQuiet(): number;
  report(): void;
  donePercent(): number;
  /** Restart into the image when it is verified and everybody who asked has been served. */
  activate(): void;
  leave(): void;
}

/**
 * @param serving the image lies complete in the stage and is only served
 * @param refused why this node does not want for itself what it passes on, or ""
 */
export function createTransfer(node: UpdateNode, s: Session, serving: boolean, refused: string): Transfer {
  "cold";
  const engine = node.engine;
  const mesh = node.mesh;
  const stage = node.stage;
  const stats = node.stats;
  const server = createServer(node, s);
  let installer: Installer | null = null;
  let coded: RepairReceiver | null = null;
  let timer = 0;
  let over = false;
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
  /** The origin was last heard of, or the image verified. */
  let originAt = engine.now();
  /** Per cent when the decoder was last seen to get on, and the time. */
  let decoded = -1;
  let decodedAt = 0;
  let activeAt = -1;
  let sourceBusy = false;
  /** Ends the check of a signature that is under way. */
  let giveUpCheck: (() => void) | null = null;
  let askedAt = 0;

  function collecting(): boolean {
    return !over && (node.state === "receiving" || node.state === "relaying");
  }

  function missing(): boolean {
    const set = s.payload || s.blob;
    return set.count < set.size;
  }

  function percent(): number {
    "cold";
    const state = node.state;
    if (state === "verified") return 100;
    if (installer) return installer.decodedPercent();
    const set = s.payload;
    return set && state !== "failed" ? Math.floor((100 * set.count) / set.size) : 0;
  }

  function report(): void {
    "cold";
    const set = s.payload || s.blob;
    reportedAt = engine.now();
    reported = set.count;
    if (serving || s.origin === mesh.getNodeId()) return;
    const state = refused ? "failed" : node.state;
    const sent = server.stats.chunks + server.stats.pieces;
    sendReport(node, s.origin, s.id, state, refused || node.error, set.count, set.size, percent(), repaired, sent);
  }

  function stop(): void {
    "cold";
    over = true;
    engine.cancel(timer);
    if (installer) installer.halt();
    if (giveUpCheck) giveUpCheck();
    server.retire();
  }

  function nak(): void {
    "cold";
    const up = mesh.routeTo(s.source);
    heard = engine.now();
    if (!collecting() || !missing() || !up || up === mesh.getNodeId()) return;
    mesh.sendPackage({
      type: PACKAGE_NAK,
      routing: 0,
      dest: up,
      id: s.id,
      p: s.payload ? 1 : 0,
      m: engine.toBase64(bitmapBytes(s.payload || s.blob, true)),
      o: overflow,
    });
    overflow = 0;
    lastIndex = -1;
  }

  /** The neighbour that the image comes from cannot use the airwave, or was asked not to; or a peer is far away. */
  function overLinks(): boolean {
    "cold";
    if (s.transport === "sequential") return true;
    const up = mesh.routeTo(s.source);
    for (const one of mesh.neighbours()) {
      if (one.id === up) return !one.espalier || (s.transport === "peer" && up !== s.source);
    }
    return false;
  }

  function pull(): void {
    "cold";
    pulling = (s.payload || s.blob).gap(0);
    heard = engine.now();
    if (pulling < 0 || !collecting()) return;
    mesh.sendPackage({
      type: PACKAGE_PULL,
      routing: 1,
      dest: s.source,
      id: s.id,
      p: s.payload ? 1 : 0,
      i: pulling,
      peer: s.transport === "peer" ? 1 : undefined,
    });
  }

  function ask(): void {
    "cold";
    if (!collecting() || !missing()) return;
    if (overLinks()) {
      pulls = 0;
      pull();
    } else nak();
  }

  /** Asks after a while, so that children of one access point do not all speak at once. */
  function nakSoon(within: number): void {
    "cold";
    engine.after(engine.random() % within, nak);
  }

  function second(): void {
    "cold";
    const now = engine.now();
    const state = node.state;
    if (collecting() && missing()) {
      if (overLinks()) {
        if (now - heard > PULL_TIMEOUT_MS && pulls < PULL_TRIES) {
          pulls++;
          pull();
        }
      } else if (now - heard > silence) {
        silence = Math.min(MAX_SILENCE_MS, silence * 2);
        nakSoon(1000);
        heard = now;
      }
    }
    // A peer next door is better than one far away, as soon as it has the image.
    if (
      s.transport === "peer" &&
      collecting() &&
      now - askedAt > PEER_QUERY_MS &&
      mesh.routeTo(s.source) !== s.source
    ) {
      askedAt = now;
      sendQuery(node, s.id, false);
    }
    // Reports of a large mesh are spread out, so that they do not crowd the links near the origin.
    const set = s.payload || s.blob;
    let nodes = 1;
    if (set.count !== reported) for (const neighbour of mesh.neighbours()) nodes += neighbour.nodes;
    if (state === "decoding" ? now - reportedAt > 5000 : set.count !== reported && now - reportedAt > 1000 + 50 * nodes)
      report();
    if (state === "decoding") {
      const done = percent();
      if (done !== decoded) {
        decoded = done;
        decodedAt = now;
      } else if (now - decodedAt > STALL_MS) return node.fail("stalled");
    }
    if (state === "verified" && !over) {
      if (activeAt < 0 && now - originAt > AUTO_ACTIVATE_MS) activeAt = now;
      if (activeAt >= 0 && (server.quietFor() > SERVE_IDLE_MS || now - activeAt > SERVE_FIRST_MS)) {
        stop();
        engine.after(500 + (engine.random() % 1500), engine.restart);
      }
    }
  }

  function collect(): void {
    "cold";
    node.enter(s.forMe ? "receiving" : "relaying");
    ask();
  }

  function prepareBlob(): void {
    "cold";
    node.enter("preparing");
    erasePages(engine, stage, 0, STAGE_HEADER, function () {
      if (over) return;
      openStage(stage, s.id, s.blobBytes);
      if (s.free) freeStage(stage, s.id);
      collect();
    });
  }

  function blobDone(): void {
    "cold";
    if (over) return;
    if (imageId(engine, stage.read(STAGE_HEADER - MAX_BLOB, s.blobBytes)) !== s.id) {
      stats.refused++;
      if (++blobTries >= MAX_BLOB_TRIES) return node.fail("bad-blob");
      s.blob = new Bitmap(s.blob.size);
      return prepareBlob();
    }
    server.restock();
    const code = takeManifest(engine, s, stage, node.spare.size - PAGE);
    if (code) return node.fail(code);
    node.enter("preparing");
    engine.after(1, judgeBlob);
  }

  /** Nothing of the payload is stored before it is known who made it. */
  function judgeBlob(): void {
    "cold";
    if (over) return;
    const staged = readStage(stage);
    if (staged && staged.blobOk) blobTrusted("");
    else giveUpCheck = admission(node, s, blobTrusted);
  }

  function blobTrusted(code: string): void {
    "cold";
    if (over) return;
    if (code) return node.fail(code);
    const staged = readStage(stage);
    if (staged && staged.erased) return payloadReady();
    if (staged && !staged.blobOk) stage.write(STAGE_BLOB_OK, MARK);
    erasePages(engine, stage, STAGE_HEADER, (s.payload as Bitmap).size * STAGE_STRIDE, function () {
      if (over) return;
      stage.write(STAGE_ERASED, MARK);
      payloadReady();
    });
  }

  function payloadReady(): void {
    "cold";
    if (missing()) collect();
    else payloadDone();
  }

  function payloadDone(): void {
    "cold";
    if (over) return;
    stage.write(STAGE_COMPLETE, MARK);
    coded = null;
    server.restock();
    if (!s.forMe) return node.enter("relaying");
    node.enter("decoding");
    engine.after(1, decode);
  }

  function decode(): void {
    "cold";
    if (over) return;
    installer = createInstaller(node, s);
    installer.install(function (code: string) {
      installer = null;
      if (over) return;
      if (code) return node.fail(code);
      originAt = engine.now();
      node.enter("verified");
    });
  }

  /** Chunks in front of `index` that were skipped and are missed here, when it is a long run of them. */
  function lostBetween(set: Bitmap, index: number): number {
    "cold";
    let lost = 0;
    for (let i = set.gap(lastIndex + 1); i >= 0 && i < index; i = set.gap(i + 1)) lost++;
    return lost > 3 ? lost : 0;
  }

  /** Checks and stores one chunk. `frame` is its whole frame, or "" when it came otherwise. */
  function take(payload: boolean, index: number, chunk: Bytes, frame: Bytes): boolean {
    const set = payload ? s.payload : s.blob;
    if (!collecting() || !set || payload !== (s.payload !== null)) return false;
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
      if (engine.digest(chunk).substr(0, 8) !== chunkHash(engine, s, stage, index)) {
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
    if (payload && polled) {
      repaired++;
      stats.repaired++;
    }
    if (set.count === set.size) {
      // In an event of its own: the frame and the calls that brought it hold hundreds of variables, and its time.
      engine.after(1, payload ? payloadDone : blobDone);
    } else {
      server.restock();
      if (payload && coded) coded.learned(index);
    }
    return true;
  }

  /** A combination of payload chunks: gives the one of them that is missing here. */
  function takeCoded(bytes: Bytes): void {
    "cold";
    const set = s.payload;
    if (!set || !collecting() || !missing()) return;
    heard = engine.now();
    const size = (s.manifest as Manifest).chunkBytes;
    if (!coded) {
      coded = createRepairReceiver(
        {
          has: function (index: number) {
            return set.has(index);
          },
          read: function (index: number) {
            return stage.read(chunkOffset(true, index), chunkBytes(s, true, index));
          },
          recovered: function (index: number, chunk: Bytes) {
            return take(true, index, chunk.substr(0, chunkBytes(s, true, index)), "");
          },
          xor: createXor(size),
        },
        set.size,
        size,
        KEPT_COMBINATIONS,
      );
      // Making ready takes as long as combining.
      engine.after(1, function () {
        takeCoded(bytes);
      });
      return;
    }
    if (coded.take(bytes.substr(FRAME_HEADER)) < REPAIR_KEPT) stats.duplicates++;
    if (!missing()) coded = null;
  }

  if (serving) s.blob.fill();

  return {
    session: s,
    server: server,
    launch: function () {
      "cold";
      if (serving || over) return;
      timer = engine.every(1000, second);
      const staged = readStage(stage);
      if (staged && staged.id === s.id && staged.blobBytes === s.blobBytes && !staged.givenUp && staged.blobOk) {
        s.blob.fill();
        engine.after(1, blobDone);
      } else prepareBlob();
    },
    frame: function (bytes: Bytes) {
      const type = bytes.charCodeAt(0);
      const payload = (bytes.charCodeAt(1) & FLAG_PAYLOAD) > 0;
      if (type === FRAME_CHUNK) {
        if (bytes.length > FRAME_HEADER) take(payload, u16(bytes, 6), bytes.substr(FRAME_HEADER), bytes);
      } else if (type === FRAME_CODED) takeCoded(bytes);
      else if (type === FRAME_POLL && bytes.length === FRAME_HEADER && collecting() && missing() && !overLinks()) {
        // Only answers of nodes that miss something matter; they come spread over a fifth of a second.
        heard = engine.now();
        polled = s.payload !== null && payload;
        nakSoon(200);
      }
    },
    piece: function (pkg: Package) {
      "cold";
      if (pkg.i !== pulling || !collecting()) return;
      if (typeof pkg.d !== "string") {
        // Another source, or the same one later.
        pulls = 0;
        sourceBusy = true;
        heard = engine.now() - PULL_TIMEOUT_MS + BUSY_MS + (engine.random() % BUSY_MS);
        sendQuery(node, s.id, true);
        return;
      }
      if (pkg.d.length > 2000) return;
      const chunk = engine.fromBase64(pkg.d);
      if (take(pkg.p === 1, pulling, chunk, "") && collecting()) {
        pulls = 0;
        engine.after(1, pull);
      }
    },
    ask: ask,
    turnTo: function (origin: number) {
      "cold";
      if (s.transport !== "peer" || s.source === s.origin) s.source = origin;
      s.origin = origin;
      // The origin is there, and has its reasons to wait.
      originAt = engine.now();
      if (pulls >= PULL_TRIES) ask();
    },
    offerSource: function (peer: number) {
      "cold";
      if (s.transport !== "peer" || peer === s.source || !collecting()) return;
      if (!sourceBusy && mesh.getHopCount(peer) >= mesh.getHopCount(s.source)) return;
      s.source = peer;
      sourceBusy = false;
      ask();
    },
    originQuiet: function () {
      "cold";
      return engine.now() - originAt;
    },
    report: report,
    donePercent: percent,
    activate: function () {
      "cold";
      if (activeAt < 0) activeAt = engine.now();
    },
    leave: stop,
  };
}
