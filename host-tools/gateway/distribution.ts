/** Tells nodes what to do with one image, and hears what they report. What is to happen when is decided elsewhere. */
import type { EspalierNode } from "../../firmware/node";
import { MAX_CHUNK } from "../../firmware/ota/image";
import {
  PACKAGE_ABORT,
  PACKAGE_ACTIVATE,
  PACKAGE_OFFER,
  PACKAGE_REPORT,
  PACKAGE_ROLLBACK,
} from "../../firmware/ota/session";
import { FRAME_HEADER } from "../../firmware/wire/frames";
import type { Package } from "../../firmware/wire/packages";
import { fillStage, type Image } from "../build/image";

export type Transport = "broadcast" | "sequential" | "peer";

/** What a node says of the image. Every value is its own and may be anything that its type allows. */
export interface NodeReport {
  node: number;
  state: string;
  /** 0..100 */
  percent: number;
  chunks: number;
  total: number;
  repaired: number;
  /** Chunk frames that it sent to others while it took the image itself, those that were sent again included. */
  sent: number;
  error: string;
  /** What it runs. */
  version: string;
}

export interface Distribution {
  /** Puts the image where the computer's node serves it from, in place of another one. */
  serve(): void;
  /** Offers the image to these nodes, or to every node that it fits. */
  offer(nodes: readonly number[] | null): void;
  /** Nodes that have verified the image restart into it. */
  activate(nodes: readonly number[] | null): void;
  /** Nodes that have not restarted into the image drop it. */
  drop(): void;
  /** Nodes that run the image restart into the one before. */
  rollBack(nodes: readonly number[]): void;
  /** Chunk frames that the computer's node sent since it serves what it serves now. */
  sent(): number;
  onReport(listener: (report: NodeReport) => void): () => void;
  /** Ids of the nodes in the mesh, the computer's own not among them. */
  members(): number[];
  /** The computer is linked to the mesh. */
  linked(): boolean;
}

export interface DistributionOptions {
  transport: Transport;
  /** Milliseconds between the frames of one sender; computed from the mesh unless given. */
  pace?: number;
  /** Share of the channel that the update may fill, 0..1; AIRTIME_SHARE unless given. */
  airtime?: number;
}

/** Share of the channel that an update may fill. */
const AIRTIME_SHARE = 0.75;
/** Bits a millisecond that one sender gets through at the basic rate on a real site (Espressif, in the open: 214 kb/s). */
const SITE_THROUGHPUT = 214;
/** Nodes named in one package: an id costs a node two interpreter variables while it reads the list. */
const MAX_NAMED = 40;
const MAX_TEXT = 40;

/** Milliseconds between frames so that all senders of one collision domain together keep to the airtime share. */
export function paceFor(senders: number, airtime = AIRTIME_SHARE): number {
  const frameMs = ((MAX_CHUNK + FRAME_HEADER) * 8) / SITE_THROUGHPUT;
  return Math.ceil((frameMs / airtime) * Math.max(1, senders));
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

/**
 * Chunk frames of all who counted theirs, and the least that as many senders need for `chunks` each; 0 where more than one
 * image went out, which has no such bound.
 */
export function tally(counts: readonly number[], chunks: number, mixed: boolean) {
  return {
    transmissions: counts.reduce((sum, one) => sum + one, 0),
    lowerBound: mixed ? 0 : chunks * counts.filter((one) => one > 0).length,
  };
}

function count(value: unknown, most: number): number {
  return typeof value === "number" && value >= 0 ? Math.min(most, Math.floor(value)) : 0;
}

/** Printable, because it ends on terminals. */
function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, MAX_TEXT).replace(/[^ -~]/g, "?") : "";
}

/** The report in a package, or null when it is none about this image. */
export function readReport(pkg: Package, imageId: string): NodeReport | null {
  if (pkg.id !== imageId || typeof pkg.s !== "string") return null;
  return {
    node: pkg.from,
    state: text(pkg.s),
    percent: count(pkg.p, 100),
    chunks: count(pkg.h, 1e6),
    total: count(pkg.n, 1e6),
    repaired: count(pkg.r, 1e6),
    sent: count(pkg.u, 1e6),
    error: text(pkg.e),
    version: text(pkg.v),
  };
}

/** Puts the image where the computer's node serves it from. */
export function createDistribution(
  gateway: EspalierNode,
  image: Image,
  { transport, pace: fixedPace, airtime }: DistributionOptions,
): Distribution {
  const { engine, mesh } = gateway;
  const listeners = new Set<(report: NodeReport) => void>();
  const pace = (): number => fixedPace ?? paceFor(sendersIn(JSON.parse(mesh.subConnectionJson()) as TreeNode), airtime);

  function serve(): void {
    fillStage(engine.region("stage")!, image);
    gateway.receiver.serveStaged(image.id, pace());
  }
  serve();
  mesh.onPackage(PACKAGE_REPORT, (pkg) => {
    const report = readReport(pkg, image.id);
    if (report) for (const listener of [...listeners]) listener(report);
  });

  function send(type: number, nodes: readonly number[] | null, fields: object, once = false): void {
    const common = { type, routing: 2, from: mesh.getNodeId(), dest: 0, id: image.id, ...fields };
    if (!nodes) mesh.sendPackage(gateway.control.seal(common, once));
    for (let at = 0; nodes && at < nodes.length; at += MAX_NAMED) {
      mesh.sendPackage(gateway.control.seal({ ...common, only: nodes.slice(at, at + MAX_NAMED) }, once));
    }
  }

  return {
    serve,
    offer(nodes) {
      const { hardware, role, version, resultHash } = image.manifest;
      const h = resultHash.slice(0, 16);
      send(PACKAGE_OFFER, nodes, { blob: image.blob.length, hardware, role, version, h, transport, pace: pace() });
    },
    activate: (nodes) => send(PACKAGE_ACTIVATE, nodes, {}),
    drop: () => send(PACKAGE_ABORT, null, {}),
    rollBack: (nodes) => send(PACKAGE_ROLLBACK, nodes, {}, true),
    sent() {
      const stats = gateway.receiver.served();
      return stats ? stats.chunks + stats.pieces : 0;
    },
    onReport(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    members: () => mesh.getNodeList(false),
    linked: () => mesh.neighbours().length > 0,
  };
}
