/** JSON of a board's bridge: the form that a computer's bridge gives it (host-tools/exporters/schemas). */
import type { Bytes } from "../engine/engine";
import { INTERVAL_UNIT, type Telemetry } from "../wire/telemetry";

export interface BridgedNode {
  id: number;
  /** Newest values, as a key frame. */
  frame: Bytes;
  /** engine.now() when they came, and Unix seconds if the board knows the time. */
  at: number;
  time: number;
  lost: boolean;
  /** Bits of what fires, and since when there is any, Unix seconds. */
  alerts: number;
  since: number;
  fresh: boolean;
}

/** Bytes that one interpreter variable stands for. */
export const VARIABLE = 14;
/** What a node without an interval of its own is thought to have, ms. */
export const USUAL_INTERVAL = 60000;
/** Intervals of silence until a node is stale. */
const STALE = 2;
const UPDATE_STATES = "idle,preparing,receiving,relaying,decoding,verified,current,failed";

export function presenceOf(node: BridgedNode, t: Telemetry, now: number): string {
  "cold";
  if (node.lost) return "lost";
  return now - node.at > STALE * (t.interval * INTERVAL_UNIT * 1000 || USUAL_INTERVAL) ? "stale" : "online";
}

export function versionOf(t: Telemetry): string {
  "cold";
  return t.major + "." + t.minor + "." + t.patch;
}

/** Of status/node/{id}. */
export function nodeText(node: BridgedNode, t: Telemetry, now: number): string {
  "cold";
  const state = t.updateState;
  const busy = state > 0 && state < 6;
  return JSON.stringify({
    timestamp: node.time,
    id: node.id,
    name: ("0000000" + node.id.toString(16)).substr(-8),
    hardware: "",
    role: ["node", "root", "dashboard", "bridge"][t.role] || "other",
    version: versionOf(t),
    presence: presenceOf(node, t, now),
    parent: t.parent || null,
    hops: t.hops === 255 ? null : t.hops,
    uptime: t.uptime,
    memory: t.memoryFree * VARIABLE,
    memory_total: t.memoryTotal * VARIABLE,
    rssi: t.rssi || null,
    children: t.children,
    received: t.received,
    sent: t.sent,
    dropped: t.dropped,
    refused: t.refused,
    loss: t.loss / 1000,
    latency: t.latency === 65535 ? null : t.latency / 1000,
    starts: t.starts,
    reset: t.reset === 1 ? "requested" : "other",
    battery: t.battery ? t.battery / 1000 : null,
    temperature: t.temperature === -128 ? null : t.temperature,
    trial: (t.flags & 8) > 0,
    update_state: UPDATE_STATES.split(",")[state] || null,
    update: {
      installed_version: versionOf(t),
      latest_version: versionOf(t),
      in_progress: busy,
      update_percentage: busy ? t.updatePercent : null,
    },
  });
}

/** What status/alerts and its events say; `time` is Unix seconds. */
export function alertBody(node: BridgedNode, bit: number, state: string, time: number): object {
  "cold";
  const rule = bit === 1 ? "low-memory" : bit === 16 ? "update-failed" : bit === 64 ? "weak-signal" : "node-lost";
  return {
    id: rule + ":" + node.id + "@" + node.since,
    rule: rule,
    node: node.id,
    severity: bit === 64 ? "warning" : "critical",
    state: state,
    message: rule,
    value: null,
    threshold: null,
    since: node.since,
    resolved: state === "resolved" ? time : null,
    inhibited_by: null,
    flapping: false,
    acknowledged: false,
  };
}
