/** Sends an image into the mesh and follows every node until its telemetry says that it runs the new version. */
import type { EspalierNode } from "../../firmware/node";
import { MAX_CHUNK } from "../../firmware/ota/image";
import { PACKAGE_ABORT, PACKAGE_ACTIVATE, PACKAGE_OFFER, PACKAGE_REPORT } from "../../firmware/ota/session";
import { FRAME_HEADER } from "../../firmware/wire/frames";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { fillStage, type Image } from "../build/image";

export interface PushOptions {
  transport: "broadcast" | "sequential";
  /** Nodes that are to run the image in the end. */
  targets: number[];
  /** Milliseconds between the frames of one sender; computed from the mesh unless given. */
  pace?: number;
  /** Milliseconds after which what is verified is activated and the rest is reported as failed. */
  deadline: number;
}

export interface NodeProgress {
  node: number;
  /** As the node reported, or "silent"; "running" once its telemetry shows the new image. */
  state: string;
  percent: number;
  chunks: number;
  total: number;
  /** Chunks that came only after the node had asked for them again. */
  repaired: number;
  error: string;
  versionBefore: string;
  version: string;
  /** Milliseconds on the engine's clock from the start until the new version was seen, or -1. */
  doneAfter: number;
}

export interface Push {
  readonly progress: Map<number, NodeProgress>;
  phase(): "distributing" | "activating" | "done" | "aborted";
  /** To be called with every telemetry frame that the gateway receives. */
  telemetry(frame: Telemetry): void;
  /** Tells the nodes to drop the image. Nodes that have verified and activated it go on: too late. */
  abort(): void;
}

/** Share of the channel that an update may fill. */
const AIRTIME_SHARE = 0.75;
/** Bits a millisecond that one sender gets through at the basic rate on a real site (Espressif, in the open: 214 kb/s). */
const SITE_THROUGHPUT = 214;
const OFFER_EVERY_MS = 60000;
const ACTIVATE_EVERY_MS = 5000;

/** Milliseconds between frames so that all senders of one collision domain together keep to the airtime share. */
export function paceFor(senders: number): number {
  const frameMs = ((MAX_CHUNK + FRAME_HEADER) * 8) / SITE_THROUGHPUT;
  return Math.ceil((frameMs / AIRTIME_SHARE) * Math.max(1, senders));
}

interface TreeNode {
  nodeId: number;
  subs?: TreeNode[];
}

/** Nodes of the tree that serve others: the laptop, and whoever has somebody below on the way from it. */
export function sendersIn(tree: TreeNode): number {
  if (!tree.subs?.length) return 0;
  return 1 + tree.subs.reduce((sum, sub) => sum + sendersIn(sub), 0);
}

export function startPush(gateway: EspalierNode, image: Image, options: PushOptions, done: () => void): Push {
  const { engine, mesh } = gateway;
  const started = engine.now();
  const progress = new Map<number, NodeProgress>();
  for (const node of options.targets) {
    progress.set(node, {
      node,
      state: "silent",
      percent: 0,
      chunks: 0,
      total: 0,
      repaired: 0,
      error: "",
      versionBefore: "",
      version: "",
      doneAfter: -1,
    });
  }
  let phase: "distributing" | "activating" | "done" | "aborted" = "distributing";

  fillStage(engine.region("stage")!, image);
  const pace = (): number => options.pace ?? paceFor(sendersIn(JSON.parse(mesh.subConnectionJson()) as TreeNode));
  gateway.receiver.serveStaged(image.id, pace());

  const offer = (): void => {
    mesh.sendPackage({
      type: PACKAGE_OFFER,
      routing: 2,
      from: mesh.getNodeId(),
      id: image.id,
      blob: image.blob.length,
      hardware: image.manifest.hardware,
      role: image.manifest.role,
      version: image.manifest.version,
      transport: options.transport,
      pace: pace(),
    });
  };
  const activate = (): void => {
    mesh.sendPackage({ type: PACKAGE_ACTIVATE, routing: 2, from: mesh.getNodeId(), id: image.id });
  };
  const each = (test: (p: NodeProgress) => boolean): boolean => [...progress.values()].every(test);
  const timers: number[] = [];
  const finish = (as: "done" | "aborted"): void => {
    phase = as;
    for (const timer of timers) engine.cancel(timer);
    done();
  };

  let lastOffer = engine.now();
  let lastActivate = -Infinity;
  let nodesKnown = mesh.getNodeList(false).length;
  const check = (): void => {
    const now = engine.now();
    if (phase === "done" || phase === "aborted") return;
    const nodes = mesh.getNodeList(false).length;
    if (now - lastOffer >= OFFER_EVERY_MS || (nodes > nodesKnown && now - lastOffer > 3000)) {
      lastOffer = now;
      offer();
    }
    nodesKnown = nodes;
    const late = now - started > options.deadline;
    if (
      phase === "distributing" &&
      (late || each((p) => ["verified", "failed", "running", "current"].includes(p.state)))
    ) {
      phase = "activating";
    }
    if (phase === "activating") {
      if (each((p) => p.state === "running" || p.state === "failed")) return finish("done");
      if (now - started > options.deadline + 120000) return finish("done");
      if (now - lastActivate >= ACTIVATE_EVERY_MS) {
        lastActivate = now;
        activate();
      }
    }
  };

  mesh.onPackage(PACKAGE_REPORT, (pkg) => {
    const p = progress.get(pkg.from);
    if (!p || pkg.id !== image.id || p.state === "running" || typeof pkg.s !== "string") return;
    p.state = pkg.s === "relaying" ? "receiving" : pkg.s;
    p.chunks = Number(pkg.h) || p.chunks;
    p.total = Number(pkg.n) || p.total;
    p.percent = Number(pkg.p) || 0;
    p.repaired = Number(pkg.r) || 0;
    p.error = typeof pkg.e === "string" ? pkg.e : "";
    if (!p.versionBefore && typeof pkg.v === "string") p.versionBefore = pkg.v;
  });

  offer();
  timers.push(engine.every(500, check));
  const imageWord = Buffer.from(image.id, "hex").readUInt32LE(0);

  return {
    progress,
    phase: () => phase,
    telemetry(frame) {
      const p = progress.get(frame.node);
      if (!p) return;
      p.version = `${frame.major}.${frame.minor}.${frame.patch}`;
      if (frame.image === imageWord) {
        if (p.state !== "running") p.doneAfter = engine.now() - started;
        p.state = "running";
        p.percent = 100;
      } else if (!p.versionBefore) p.versionBefore = p.version;
    },
    abort() {
      if (phase === "done" || phase === "aborted") return;
      mesh.sendPackage({ type: PACKAGE_ABORT, routing: 2, from: mesh.getNodeId(), id: image.id });
      finish("aborted");
    },
  };
}
