/** Sends an image into the mesh and follows every node until its telemetry says that it runs the new version. */
import type { EspalierNode } from "../../firmware/node";
import { WRONG_BASE } from "../../firmware/ota/policy";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { blobChunks, type Image } from "../build/image";
import { createDistribution, type NodeReport, tally, type Transport } from "./distribution";

export interface PushOptions {
  transport: Transport;
  /** Nodes that are to run the image in the end. */
  targets: number[];
  /** Milliseconds between the frames of one sender; computed from the mesh unless given. */
  pace?: number;
  /** Share of the channel that the update may fill, 0..1, as far as `pace` is not given. */
  airtime?: number;
  /** The image is offered to the targets alone; to every node that it fits unless given. */
  only?: boolean;
  /** Milliseconds after which nobody waits any more for targets that never said anything about the image. */
  answerWithin?: number;
  /** Milliseconds after which what is verified is activated and the rest is reported as failed. */
  deadline: number;
  /** Where `image` is a delta: the same bundle as a whole, for nodes that do not run what the delta changes. */
  whole?: Image;
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
  /**
   * Chunk frames that the computer and the targets sent, those sent again included, and the least that as many senders
   * need; 0 where a whole image went out beside its delta. A node counts until it restarts.
   */
  counts(): { transmissions: number; lowerBound: number };
  /** To be called with every telemetry frame that the gateway receives. */
  telemetry(frame: Telemetry): void;
  /** Tells the nodes to drop the image. Nodes that have verified and activated it go on: too late. */
  abort(): void;
}

const OFFER_EVERY_MS = 60000;
const ACTIVATE_EVERY_MS = 5000;
/** A node that says that it runs the image is believed without its telemetry after so long. */
const TELEMETRY_WAIT_MS = 150000;
/** Telemetry that was on its way when a node restarted comes at most so much later. */
const LATE_FRAME_MS = 15000;

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

  let distribution = createDistribution(gateway, image, options);
  /** Nodes that the offer is for; everybody whom it fits unless there is a list. */
  let named = options.only ? options.targets : null;
  let began = started;
  const expected = (p: NodeProgress): boolean =>
    p.state !== "silent" || engine.now() - began <= (options.answerWithin ?? Infinity);
  const each = (test: (p: NodeProgress) => boolean): boolean => [...progress.values()].filter(expected).every(test);
  const timers: number[] = [];
  /** Chunk frames that nodes sent, and that the computer's node had sent when it ended. */
  const sent = new Map<number, number>();
  let own = -1;
  /** When a node said that it runs the image; its telemetry is to confirm that. */
  const currentSince = new Map<number, number>();
  /** Nodes that refused the delta for what they run. */
  const refused = (): number[] => [...progress.values()].filter((p) => p.error === WRONG_BASE).map((p) => p.node);
  const settled = (p: NodeProgress): boolean => p.state === "running" || p.state === "failed";
  const finish = (as: "done" | "aborted"): void => {
    phase = as;
    for (const timer of timers) engine.cancel(timer);
    own = distribution.sent();
    done();
  };

  let lastOffer = engine.now();
  let lastActivate = -Infinity;
  let nodesKnown = mesh.getNodeList(false).length;
  const check = (): void => {
    const now = engine.now();
    if (phase === "done" || phase === "aborted") return;
    for (const [node, since] of currentSince) {
      const p = progress.get(node)!;
      if (p.state === "current" && now - since > TELEMETRY_WAIT_MS) runs(p);
    }
    const nodes = mesh.getNodeList(false).length;
    if (now - lastOffer >= OFFER_EVERY_MS || (nodes > nodesKnown && now - lastOffer > 3000)) {
      lastOffer = now;
      distribution.offer(named);
    }
    nodesKnown = nodes;
    const late = now - began > options.deadline;
    if (
      phase === "distributing" &&
      (late || each((p) => ["verified", "failed", "running", "current"].includes(p.state)))
    ) {
      phase = "activating";
    }
    if (phase === "activating") {
      const over = each(settled) || now - began > options.deadline + 120000;
      if (over && options.whole && refused().length > 0) return sendWhole(options.whole);
      if (over) return finish("done");
      if (now - lastActivate >= ACTIVATE_EVERY_MS) {
        lastActivate = now;
        distribution.activate(named);
      }
    }
  };

  /** The delta has done what it could; who could not use it gets everything, in the same session. */
  const sendWhole = (all: Image): void => {
    const left = refused();
    named = left;
    for (const node of left) Object.assign(progress.get(node)!, { state: "silent", error: "", percent: 0, chunks: 0 });
    distribution = createDistribution(gateway, all, options);
    distribution.onReport(take);
    distribution.offer(left);
    words.add(wordOf(all));
    began = lastOffer = engine.now();
    phase = "distributing";
  };

  const runs = (p: NodeProgress): void => {
    if (p.state !== "running") p.doneAfter = engine.now() - started;
    p.state = "running";
    p.percent = 100;
  };

  const take = (report: NodeReport): void => {
    const p = progress.get(report.node);
    if (!p || p.state === "running") return;
    if (report.state === "current" && p.state !== "current") currentSince.set(report.node, engine.now());
    p.state = report.state === "relaying" ? "receiving" : report.state;
    p.chunks = report.chunks || p.chunks;
    p.total = report.total || p.total;
    p.percent = report.percent;
    // A node that started again has no counts any more.
    p.repaired = Math.max(p.repaired, report.repaired);
    sent.set(report.node, Math.max(report.sent, sent.get(report.node) ?? 0));
    p.error = report.error;
    if (!p.versionBefore) p.versionBefore = report.version;
  };

  /** Images as telemetry names them. */
  const wordOf = ({ id }: Image): number => Buffer.from(id, "hex").readUInt32LE(0);
  const words = new Set([wordOf(image)]);
  distribution.onReport(take);
  distribution.offer(named);
  timers.push(engine.every(500, check));

  return {
    progress,
    phase: () => phase,
    counts() {
      const counts = [own < 0 ? distribution.sent() : own, ...sent.values()];
      return tally(counts, image.chunks.length + blobChunks(image), words.size > 1);
    },
    telemetry(frame) {
      const p = progress.get(frame.node);
      if (!p) return;
      const version = `${frame.major}.${frame.minor}.${frame.patch}`;
      // Who has the same bundle out of another image is current, and its version says so.
      const same = currentSince.has(frame.node) && version === image.manifest.version;
      const updated = words.has(frame.image) || same;
      if (p.state === "running" && !updated) {
        // Sent before its restart, or after it has gone back to what it ran before.
        if (engine.now() - started - p.doneAfter < LATE_FRAME_MS) return;
        p.state = "failed";
        p.error = "went-back";
      } else if (updated) runs(p);
      else if (!p.versionBefore) p.versionBefore = version;
      p.version = version;
    },
    abort() {
      if (phase === "done" || phase === "aborted") return;
      distribution.drop();
      finish("aborted");
    },
  };
}
