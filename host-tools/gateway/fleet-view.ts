/** What dashboards, bridges and commands see of a mesh: plain data, ready for JSON. */
import type { Telemetry } from "../../firmware/wire/telemetry";

/** "lost" is silence for longer than the alert rules allow; "stale" is silence for more than two intervals. */
export type Presence = "online" | "stale" | "lost";

export interface NodeView {
  id: number;
  /** From the site's configuration, or the id in hexadecimal. */
  name: string;
  hardware: string;
  role: string;
  /** "1.2.3", or "" before the first telemetry. */
  version: string;
  presence: Presence;
  /** Unix milliseconds of the last telemetry, 0 for never. */
  heardAt: number;
  /** Node id of the parent, 0 for none. */
  parent: number;
  /** Links to the root, -1 when unknown. */
  hops: number;
  /** The newest values, deltas applied; null before the first. */
  telemetry: Telemetry | null;
}

export type Severity = "info" | "warning" | "critical";

export interface AlertView {
  /** Rule and node, "low-memory:3298000001"; unique among the active ones. */
  key: string;
  rule: string;
  /** 0 for an alert about the mesh. */
  node: number;
  severity: Severity;
  state: "pending" | "firing" | "nodata" | "resolved";
  /** In words, with units. */
  message: string;
  value: number | null;
  threshold: number | null;
  /** Unix milliseconds. */
  since: number;
  resolvedAt: number;
  /** Key of the alert that mutes this one, or "". */
  inhibitedBy: string;
  flapping: boolean;
  acknowledged: boolean;
}

export interface TopologyView {
  root: number;
  nodes: { id: number; parent: number; hops: number; rssi: number }[];
}

export interface MeshEvent {
  /** Unix milliseconds. */
  at: number;
  kind: "node-joined" | "node-left" | "restart" | "version" | "alert" | "topology" | "rollout" | "note";
  node: number;
  text: string;
}

export interface CollectorEvents {
  node: (view: NodeView) => void;
  alert: (alert: AlertView) => void;
  topology: (view: TopologyView) => void;
  event: (event: MeshEvent) => void;
}

/** State of a fleet, kept from telemetry; one per session. */
export interface Collector {
  nodes(): NodeView[];
  node(id: number): NodeView | null;
  topology(): TopologyView;
  /** Active ones first, then the newest resolved. */
  alerts(): AlertView[];
  acknowledge(key: string): boolean;
  on<K extends keyof CollectorEvents>(name: K, listener: CollectorEvents[K]): () => void;
  close(): void;
}

/** "aborting": nodes are being told to drop the image, and keep what they run. The last three are ends. */
/** A collector that also asks nodes (StatusQuery), besides waiting for what they say. */
export interface StatusCollector extends Collector {
  /** Asks these nodes, or (null) all there are; resolves with who answered and who did not, after 12 s at the latest. */
  query(ids: number[] | null): Promise<{ answered: number[]; missing: number[] }>;
}

export type RolloutState =
  "preview" | "running" | "paused" | "waiting-approval" | "aborting" | "rolling-back" | "done" | "aborted" | "failed";

export interface RolloutNode {
  node: number;
  /** As the node reported, never what was hoped. */
  state: string;
  /** 0..100 */
  percent: number;
  chunks: number;
  total: number;
  repaired: number;
  error: string;
  /** What its telemetry shows to be worse than before, in words, or "". */
  health: string;
  /** Index into `waves`, -1 for none: up to date already, or offline so far. */
  wave: number;
  versionBefore: string;
  version: string;
  /** Seconds from the start of its wave until the new version was seen, -1 when it never was. */
  seconds: number;
}

export interface RolloutWave {
  name: string;
  nodes: number[];
  state: "waiting" | "updating" | "soaking" | "passed" | "failed";
  /** Unix milliseconds, 0 for not yet. */
  startedAt: number;
  soakUntil: number;
  /** Why the gate said no, in words. */
  verdict: string;
}

export interface RolloutView {
  id: string;
  state: RolloutState;
  image: { id: string; version: string; hardware: string; role: string; bytes: number; notes: string };
  policy: string;
  transport: string;
  waves: RolloutWave[];
  nodes: RolloutNode[];
  /** What the preview found: ids. */
  preview: { update: number[]; current: number[]; offline: number[]; incompatible: number[] };
  /**
   * Chunk frames that the computer and the nodes sent, those sent again included, and the least that as many senders need;
   * 0 when nobody counted them. A node counts until it restarts.
   */
  transmissions: number;
  lowerBound: number;
  startedAt: number;
  endedAt: number;
  /** Why it ended or stands still, in words. */
  reason: string;
}

/** A rollout under way, or one taken up again from its journal. */
export interface Rollout {
  view(): RolloutView;
  start(): void;
  pause(): void;
  resume(): void;
  /** Lets the next wave begin where the policy waits for a person. */
  approve(): void;
  /** @returns what can no longer be stopped: ids of nodes that restart into the image already */
  abort(): number[];
  retryFailed(): void;
  /** Sends every node that runs the new version back to the one before. */
  rollback(): void;
  onChange(listener: (view: RolloutView) => void): () => void;
  /** Waves that begin, pass and fail, aborts, the end: kind "rollout". */
  onEvent(listener: (event: MeshEvent) => void): () => void;
  /** Rules "rollout-aborted" and "rollout-failed", about the mesh; firing until acknowledged by a retry. */
  alerts(): AlertView[];
  onAlert(listener: (alert: AlertView) => void): () => void;
  /** Lets go of the mesh; the journal keeps where the rollout stands. */
  close(): void;
}
