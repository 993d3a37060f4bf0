/**
 * What a node does about updates while there is none: hears offers, aborts and requests, and begins a transfer
 * (transfer.ts) when an image concerns it or a neighbour.
 */
import type { Bytes } from "../engine/engine";
import { PAGE } from "../engine/engine";
import { OTA_ANNOUNCE, OTA_DATA, type Package } from "../wire/packages";
import { unhex } from "../wire/bytes";
import { FRAME_CHUNK, FRAME_CODED, FRAME_POLL } from "../wire/frames";
import { MAX_BLOB, whole } from "./image";
import { MARK, SLOT_BAD, STAGE_GIVEN_UP } from "./layout";
import { createDownload, type Download } from "./painless";
import { answerQuery, sendQuery, sourceWanted } from "./peers";
import { sendReport } from "./report";
import type { ServerStats } from "./server";
import {
  newSession,
  type Offer,
  PACKAGE_ABORT,
  PACKAGE_ACTIVATE,
  PACKAGE_NAK,
  PACKAGE_OFFER,
  PACKAGE_PIECE,
  PACKAGE_PULL,
  PACKAGE_QUERY,
  PACKAGE_ROLLBACK,
  PACKAGE_SOURCE,
  type Session,
  sessionFromStage,
  USUAL_PACE,
} from "./session";
import { freeStage, readSlot, readStage } from "./slots";
import { createTransfer, type Transfer } from "./transfer";
import type { ReceiverStats, UpdateNode, UpdateState } from "./update-node";

/** A node that only passes an image on keeps to it while somebody asked for it within this time. */
const RELAY_IDLE_MS = 10000;
/** An origin offers its image once a minute; from one that did not for so long, a transfer is given up for another's. */
const ORIGIN_QUIET_MS = 150000;

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
  /** What the transfer under way has sent; null without one. */
  served(): ServerStats | null;
  /** Milliseconds between frames as adapted, 0 without a transfer. */
  servingPace(): number;
  /** Asks neighbours, or with `everybody` all nodes, for a newer image of this node's kind. */
  query(everybody: boolean): void;
}

/** Set by the build: updates of painlessMesh's own kind are taken as well, in a mesh shared with C++ nodes. */
declare const PAINLESS_OTA: boolean | undefined;

/** Whether a package that may name the nodes it is for (`only`) is for this one. */
function meant(pkg: Package, id: number): boolean {
  "cold";
  const only = pkg.only;
  return only === undefined || (Array.isArray(only) && only.indexOf(id) >= 0);
}

/** @param parts `state` and what follows are filled in here */
export function createReceiver(
  parts: Omit<UpdateNode, "state" | "error" | "stats" | "enter" | "fail">,
  changed: () => void,
): Receiver {
  const engine = parts.engine;
  const mesh = parts.mesh;
  const airwave = parts.airwave;
  const identity = parts.identity;
  const control = parts.control;
  const stage = parts.stage;
  const stats: ReceiverStats = { chunks: 0, repaired: 0, duplicates: 0, refused: 0, stray: 0 };
  let transfer: Transfer | null = null;
  /** The last offer heard, for nodes that only pass on. */
  let offered: Offer | null = null;
  /** What comes by painlessMesh's own packages, once there was something. */
  let download: Download | null = null;
  /** An image that failed here for its own fault is not taken again before a restart, and with what code. */
  let failedId = "";
  let failedCode = "";
  /** A report is on its way. */
  let telling = false;
  const node: UpdateNode = {
    engine: engine,
    mesh: mesh,
    airwave: airwave,
    stage: stage,
    running: parts.running,
    spare: parts.spare,
    identity: identity,
    control: control,
    trust: parts.trust,
    stats: stats,
    state: "idle",
    error: "",
    enter: function (state: UpdateState, code?: string) {
      "cold";
      node.state = state;
      node.error = code || "";
      changed();
      if (telling) return;
      telling = true;
      // What led here has held the interpreter long enough.
      engine.after(1, function () {
        telling = false;
        report();
      });
    },
    fail: function (code: string) {
      "cold";
      const t = transfer;
      if (!t) return;
      if (readStage(stage)) stage.write(STAGE_GIVEN_UP, MARK);
      if (code !== "aborted") {
        failedId = t.session.id;
        failedCode = code;
      }
      // Told at once: who asks later gets no counts any more.
      telling = true;
      node.enter("failed", code);
      telling = false;
      t.report();
      end();
    },
  };

  /** To the origin of the transfer, or of the last offer. */
  function report(): void {
    "cold";
    if (transfer) transfer.report();
    else if (offered)
      sendReport(
        node,
        offered.from,
        offered.id,
        node.state,
        node.error,
        0,
        0,
        node.state === "current" ? 100 : 0,
        0,
        0,
      );
  }

  /** Leaves the transfer; the stage keeps what it holds. */
  function end(): void {
    "cold";
    if (transfer) transfer.leave();
    transfer = null;
  }

  function begin(s: Session, serving: boolean): void {
    "cold";
    end();
    // Who only passes on what it could not use itself goes on saying why.
    const t = (transfer = createTransfer(node, s, serving, s.id === failedId ? failedCode : ""));
    engine.after(1, t.launch);
  }

  function serveStaged(id: string, pace: number): boolean {
    "cold";
    const s = sessionFromStage(engine, stage, node.spare.size - PAGE, id, pace);
    if (!s) return false;
    s.origin = mesh.getNodeId();
    begin(s, true);
    return true;
  }

  function busy(): boolean {
    "cold";
    return node.state === "preparing" || node.state === "receiving" || node.state === "decoding";
  }

  /** A neighbour asks for an image that is not under way here. True when it is now. */
  function takeUp(id: string, neighbour: number): boolean {
    "cold";
    const t = transfer;
    // An image that was passed on, or served by who runs it, and that nobody asks for any more, makes way.
    const idle = node.state === "relaying" || node.state === "current";
    const free = !t || (idle && t.server.quietFor() > RELAY_IDLE_MS);
    const o = offered && offered.id === id ? offered : null;
    if (!t && serveStaged(id, o ? o.pace : USUAL_PACE)) {
      if (node.state === "idle") node.state = "current";
    } else if (free && o && neighbour !== mesh.routeTo(o.from)) begin(newSession(o, false), false);
    else return false;
    return true;
  }

  /** A NAK or PULL: somebody asks for chunks. */
  function onRequest(pkg: Package, neighbour: number): void {
    "cold";
    const nak = pkg.type === PACKAGE_NAK;
    if (typeof pkg.id !== "string") return;
    if (!transfer || transfer.session.id !== pkg.id) {
      engine.after(1, function () {
        if (!takeUp(pkg.id as string, nak ? neighbour : 0)) stats.stray++;
        else
          engine.after(1, function () {
            onRequest(pkg, neighbour);
          });
      });
    } else if (!nak) transfer.server.pull(pkg);
    else if (typeof pkg.m === "string" && pkg.m.length <= 1000)
      for (const one of mesh.neighbours())
        if (one.id === neighbour)
          transfer.server.want(one, pkg.p === 1, engine.fromBase64(pkg.m), typeof pkg.o === "number" ? pkg.o : 0);
  }

  /** In an event of its own: the package's way here took as long as what comes of it. */
  function takeOffer(pkg: Package): void {
    "cold";
    engine.after(1, function () {
      onOffer(pkg);
    });
  }

  function onOffer(pkg: Package): void {
    "cold";
    const o = pkg as unknown as Offer;
    const me = mesh.getNodeId();
    if (
      typeof o.id !== "string" ||
      o.id.length !== 16 ||
      unhex(o.id) === null ||
      !whole(o.blob, 2, MAX_BLOB) ||
      !whole(o.pace, 5, 60000) ||
      o.from === me
    ) {
      stats.refused++;
      return;
    }
    if (o.only === undefined) freeStage(stage, o.id);
    const t = transfer;
    if (t && t.session.id === o.id) {
      // An announce that changes in flight is another image under the same name.
      if (o.blob !== t.session.blobBytes) {
        stats.refused++;
        return;
      }
      offered = o;
      t.turnTo(o.from);
      const taken = t.session.forMe || o.id === failedId || identity.trial || !identity.installs;
      if (taken || !meant(pkg, me) || !mine(o)) return report();
      // Passed on until now, and meant for this node from now on: what the stage holds is gone on with.
      end();
    }
    if (t && busy() && o.from !== t.session.origin && t.originQuiet() < ORIGIN_QUIET_MS) {
      stats.refused++;
      return;
    }
    offered = o;
    if (!identity.installs) return;
    if (o.id === identity.image || (identity.hash && o.h === identity.hash.substr(0, 16))) {
      if (!t || t.session.forMe) end();
      return node.enter("current");
    }
    if (!mine(o) || !meant(pkg, me)) return;
    if (o.id === failedId) return report();
    if (identity.trial) return;
    const spare = readSlot(node.spare);
    if (spare && spare.id === o.id && spare.bad) {
      end();
      return node.enter("failed", "bad-image");
    }
    begin(newSession(o, true), false);
  }

  function mine(o: Offer): boolean {
    "cold";
    return o.hardware === identity.hardware && o.role === identity.role;
  }

  /** Back to the image in the other slot, when that one is good. */
  function onRollback(pkg: Package): void {
    "cold";
    if (!meant(pkg, mesh.getNodeId()) || !identity.installs) return;
    const spare = readSlot(node.spare);
    const running = readSlot(node.running);
    if (!running || (pkg.id && pkg.id !== running.id)) return;
    offered = { from: pkg.from, id: running.id } as Offer;
    if (!spare || !spare.verified || spare.bad || !spare.confirmed) return node.enter("failed", "no-rollback");
    end();
    node.running.write(SLOT_BAD, MARK);
    engine.after(500 + (engine.random() % 1500), engine.restart);
  }

  /** What changes this node, or what runs here: only from who may command it. */
  function command(pkg: Package): void {
    "cold";
    const type = pkg.type;
    const t = transfer;
    const same = t && t.session.id === pkg.id;
    if (type === PACKAGE_SOURCE && !same && !sourceWanted(node, pkg)) return;
    // An answer to this node's own query names the nonce that was asked with.
    if (!control.unseal(pkg)) return;
    if (type === PACKAGE_SOURCE && same) t.offerSource(pkg.from);
    else if (type === PACKAGE_OFFER || type === PACKAGE_SOURCE) takeOffer(pkg);
    else if (type === PACKAGE_ROLLBACK) onRollback(pkg);
    else if (same && type === PACKAGE_ABORT) node.fail("aborted");
    else if (same && type === PACKAGE_ACTIVATE && meant(pkg, mesh.getNodeId())) t.activate();
  }

  function painless(pkg: Package): void {
    "cold";
    // These packages cannot be sealed, and what they bring starts by itself.
    if (control.checks) return;
    if (!download)
      download = createDownload(node, function (o) {
        if (o) onOffer(o as unknown as Package);
        return transfer;
      });
    download(pkg);
  }

  // One function for all of them: each costs memory whether anything is updated or not.
  function dispatch(pkg: Package, neighbour: number): void {
    const type = pkg.type;
    const t = transfer;
    const same = t && t.session.id === pkg.id;
    if ((typeof PAINLESS_OTA === "undefined" || PAINLESS_OTA) && type <= OTA_DATA) {
      if (download || pkg.role === identity.role) painless(pkg);
    } else if (type === PACKAGE_NAK || type === PACKAGE_PULL) onRequest(pkg, neighbour);
    else if (type === PACKAGE_QUERY) answerQuery(node, pkg);
    else if (type === PACKAGE_PIECE) {
      if (same) t.piece(pkg);
    } else command(pkg);
  }
  for (const type of [
    PACKAGE_OFFER,
    PACKAGE_NAK,
    PACKAGE_ABORT,
    PACKAGE_ACTIVATE,
    PACKAGE_PULL,
    PACKAGE_PIECE,
    PACKAGE_ROLLBACK,
    PACKAGE_QUERY,
    PACKAGE_SOURCE,
    OTA_ANNOUNCE,
    OTA_DATA,
  ]) {
    mesh.onPackage(type, dispatch);
  }

  function onFrame(bytes: Bytes): void {
    if (transfer && bytes.substr(2, 4) === transfer.session.tag) transfer.frame(bytes);
  }
  for (const type of [FRAME_CHUNK, FRAME_POLL, FRAME_CODED]) airwave.onFrame(type, onFrame);

  mesh.onChangedConnections(function () {
    if (transfer) transfer.ask();
  });

  return {
    stats: stats,
    state: function () {
      return node.state;
    },
    error: function () {
      return node.error;
    },
    percent: function () {
      "cold";
      return transfer ? transfer.donePercent() : node.state === "current" || node.state === "verified" ? 100 : 0;
    },
    trialOver: function () {
      "cold";
      identity.trial = false;
      // What was only passed on until now lies in the stage, and is gone on with from there.
      if (transfer && !transfer.session.forMe) end();
      if (offered && !transfer) takeOffer(offered as unknown as Package);
    },
    serveStaged: serveStaged,
    served: function () {
      "cold";
      return transfer ? transfer.server.stats : null;
    },
    servingPace: function () {
      "cold";
      return transfer ? transfer.server.currentPace() : 0;
    },
    query: function (everybody: boolean) {
      "cold";
      if (busy() || identity.trial || !identity.installs) return;
      sendQuery(node, undefined, everybody);
    },
  };
}
