/** A rollout's record as dashboards, bridges and commands see it. */
import type { AlertView, MeshEvent, RolloutNode, RolloutView } from "../fleet-view";
import { type NodeReport, tally } from "../distribution";
import type { NodeRecord, RolloutEvent, RolloutRecord } from "./record";

/** Phases in which the node's own word says more than ours. */
const OWN_WORD = ["offered", "verified", "dropping"];

function stateOf(node: NodeRecord): string {
  if (!OWN_WORD.includes(node.phase)) return node.phase;
  if (node.phase === "dropping") return "dropping";
  // A node that passes the image on while it takes it says "relaying".
  return node.reported === "relaying" ? "receiving" : node.reported || "silent";
}

function nodeView(record: RolloutRecord, node: NodeRecord, live: NodeReport | undefined): RolloutNode {
  const { wave, phase } = node;
  const started = record.waves[wave]?.startedAt ?? record.startedAt;
  const taking = OWN_WORD.includes(phase) && live !== undefined;
  return {
    node: node.node,
    state: stateOf(node),
    percent: phase === "running" ? 100 : taking ? live.percent : node.percent,
    chunks: taking ? live.chunks || node.chunks : node.chunks,
    total: taking ? live.total || node.total : node.total,
    repaired: taking ? Math.max(live.repaired, node.repaired) : node.repaired,
    error: node.error,
    health: node.health,
    wave,
    versionBefore: node.versionBefore,
    version: node.version,
    seconds: node.runningAt && started ? (node.runningAt - started) / 1000 : -1,
  };
}

function transmissionsOf(record: RolloutRecord, live: ReadonlyMap<number, NodeReport>, own: number) {
  const counts = [
    own,
    ...Object.values(record.nodes).map(({ node, sent }) => Math.max(sent, live.get(node)?.sent ?? 0)),
  ];
  // In such a wave the whole image went out beside its delta.
  const mixed = record.waves.some(({ wholeAt }) => wholeAt > 0);
  return tally(counts, record.image.chunks, mixed);
}

/**
 * @param live what nodes reported since the journal's last entry about them
 * @param own chunk frames that the computer itself sent
 */
export function viewOf(record: RolloutRecord, live: ReadonlyMap<number, NodeReport> = new Map(), own = 0): RolloutView {
  const { id, state, image, policy, preview, startedAt, endedAt, reason } = record;
  return {
    id,
    state,
    image: {
      id: image.id,
      version: image.version,
      hardware: image.hardware,
      role: image.role,
      bytes: image.bytes,
      notes: image.notes,
    },
    policy: policy.policy,
    transport: policy.transport,
    waves: record.waves.map((wave) => ({
      name: wave.name,
      nodes: wave.nodes,
      state: wave.state,
      startedAt: wave.startedAt,
      soakUntil: wave.soakUntil,
      verdict: wave.verdict,
    })),
    nodes: Object.values(record.nodes).map((node) => nodeView(record, node, live.get(node.node))),
    preview,
    ...transmissionsOf(record, live, own),
    startedAt,
    endedAt,
    reason,
  };
}

/** What an event says to a person, or "" for those that are nothing but bookkeeping. */
function textOf(record: RolloutRecord, event: RolloutEvent): string {
  const wave = (index: number): string => record.waves[index]?.name ?? `wave ${index + 1}`;
  const name = (node: number): string => record.nodes[node]?.name ?? node.toString(16);
  switch (event.kind) {
    case "started":
      return `started: ${record.image.version} for ${Object.keys(record.nodes).length} nodes`;
    case "reopened":
      return "taken up again from its journal";
    case "linked":
      return event.linked ? "in the mesh again" : "the computer has lost the mesh; nothing is judged meanwhile";
    case "paused":
      return `paused${event.reason ? `: ${event.reason}` : ""}`;
    case "resumed":
      return "resumed";
    case "asking":
      return `${wave(event.wave)} waits for approval`;
    case "approved":
      return `${wave(event.wave)} approved`;
    case "wave-added":
      return `${event.wave.name}: ${event.wave.nodes.length} nodes are back`;
    case "joined":
      return `${event.nodes.length} nodes are back and join ${wave(event.wave)}`;
    case "wave-begun":
      return `${wave(event.wave)} begins`;
    case "activating":
      return `${event.nodes.length} nodes restart into the image: too late to stop them`;
    case "whole":
      return `${event.nodes.length} nodes run something else than the delta changes, and get the whole image`;
    case "soaking":
      return `${wave(event.wave)} is watched for ${Math.round((event.until - event.at) / 1000)} s`;
    case "queued":
      return `${name(event.node)} is offline and gets its turn when it is back`;
    case "failed":
      return `${name(event.node)} failed: ${event.health || event.error}`;
    case "wave-passed":
      return `${wave(event.wave)} passed: ${event.verdict}`;
    case "wave-failed":
      return `${wave(event.wave)} failed: ${event.verdict}`;
    case "undoing":
      return `${event.rollback ? "rolling back" : "aborting"}: ${event.reason}`;
    case "stuck":
      return `${name(event.node)} could not be undone: ${event.error}`;
    case "retried":
      return `another try for ${event.nodes.length} nodes`;
    case "ended":
      return `${event.state}: ${event.reason}`;
    default:
      return "";
  }
}

/** The event for a log or a bridge, or null. `record` is the one after it. */
export function meshEvent(record: RolloutRecord, event: RolloutEvent): MeshEvent | null {
  const text = textOf(record, event);
  const node = "node" in event ? event.node : 0;
  return text ? { at: event.at, kind: "rollout", node, text: `rollout ${record.id}: ${text}` } : null;
}

/** What an abort or a failure leaves firing until the failed nodes get another try. */
export function alertsOf(record: RolloutRecord): AlertView[] {
  const { id, undo, state, reason, endedAt } = record;
  const rule = undo ? "rollout-aborted" : state === "failed" ? "rollout-failed" : null;
  if (!rule) return [];
  return [
    {
      key: `${rule}:${id}`,
      rule,
      node: 0,
      severity: undo?.by === "person" ? "warning" : "critical",
      state: "firing",
      message: `rollout of ${record.image.version}: ${reason}`,
      value: null,
      threshold: null,
      since: undo?.at ?? endedAt,
      resolvedAt: 0,
      inhibitedBy: "",
      flapping: false,
      acknowledged: false,
    },
  ];
}
