/** What the dashboard of a node sends, by the names of docs/openapi.json, and the words in it. */
import type { Telemetry } from "../wire/telemetry";

/** The rule that the dashboard itself judges, behind the bits that nodes report. */
export const RULE_LOST = 8;

export interface Entry {
  rule: number;
  node: number;
  since: number;
  /** 0 while it is active. */
  resolved: number;
  acknowledged: boolean;
  seq: number;
}

export interface Happening {
  at: number;
  kind: string;
  node: number;
  text: string;
  seq: number;
}

export interface InfoJson {
  server: string;
  version: string;
  mesh: string;
  via: string;
  clock: string;
  now: number;
  writable: boolean;
  rollouts: boolean;
  history: { hours: number; resolution: number };
  clients: number;
  maxClients: number;
}

export interface NodeJson {
  id: number;
  name: string;
  hardware: string;
  role: string;
  version: string;
  presence: string;
  heardAt: number;
  parent: number;
  hops: number;
  telemetry: Telemetry;
}

export interface TopologyJson {
  root: number;
  nodes: { id: number; parent: number; hops: number; rssi: number }[];
}

export interface AlertJson {
  key: string;
  rule: string;
  node: number;
  severity: string;
  state: string;
  message: string;
  value: null;
  threshold: null;
  since: number;
  resolvedAt: number;
  inhibitedBy: string;
  flapping: boolean;
  acknowledged: boolean;
}

export interface EventJson {
  at: number;
  kind: string;
  node: number;
  text: string;
}

/** Rules in the order of the bits that a node reports, and silence. */
export function ruleNames(): string[] {
  "cold";
  return "low-memory,latency,loss,isolated,update-failed,sensor,weak-signal,reboot-loop,node-lost".split(",");
}

export function ruleWords(): string[] {
  "cold";
  return (
    "is short of memory,has a slow link to its parent,loses many frames,does not know the root,failed to update," +
    "reports a broken sensor,has a weak signal,restarts again and again,was not heard for three intervals"
  ).split(",");
}

export function alertView(a: Entry): AlertJson {
  "cold";
  return {
    key: ruleNames()[a.rule] + ":" + a.node,
    rule: ruleNames()[a.rule],
    node: a.node,
    severity: a.rule === RULE_LOST || a.rule === 4 ? "critical" : "warning",
    state: a.resolved ? "resolved" : "firing",
    message: ruleWords()[a.rule],
    value: null,
    threshold: null,
    since: a.since,
    resolvedAt: a.resolved,
    inhibitedBy: "",
    flapping: false,
    acknowledged: a.acknowledged,
  };
}

/** @param presence 0 online, 1 late, 2 lost */
export function nodeJson(t: Telemetry, presence: number, heardAt: number): NodeJson {
  "cold";
  const roles = ["node", "root", "dashboard", "bridge"];
  return {
    id: t.node,
    name: (4294967296 + t.node).toString(16).substr(1),
    hardware: "",
    role: t.flags & 4 ? "root" : roles[t.role] || "other",
    version: t.major + "." + t.minor + "." + t.patch,
    presence: ["online", "stale", "lost"][presence],
    heardAt: heardAt,
    parent: t.parent,
    hops: t.hops === 255 ? -1 : t.hops,
    telemetry: t,
  };
}

export function eventView(e: Happening): EventJson {
  "cold";
  return { at: e.at, kind: e.kind, node: e.node, text: e.text };
}
