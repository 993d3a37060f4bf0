/**
 * The state of a fleet as its telemetry tells it: newest values of each node, how fresh they are, what is usual for it.
 * Runs on a root node and on a computer; time is handed in with each call, in milliseconds from any beginning.
 */
import type { Bytes } from "../engine/engine";
import { type Crc32, decodeTelemetry, encodeTelemetry, INTERVAL_UNIT, type Telemetry } from "../wire/telemetry";
import {
  addFrames,
  addMemory,
  addTime,
  BASE_LATENCY,
  BASE_MEMORY,
  BASE_RSSI,
  BASELINE_NUMBERS,
  exhaustion,
  forgetMemory,
  FRAME_LOSS,
  learn,
  MOVES,
  RESTARTS,
  SURPRISE,
  timesSince,
} from "./baseline";

/** Where the metrics stand that rules look at; NaN is unknown. Their names, in this order, are in rules.ts. */
export const MISSED = 0;
export const MEMORY = 1;
export const EXHAUSTION = 2;
export const LOSS = 3;
export const RSSI = 4;
export const LATENCY = 5;
export const SINCE_RESET = 6;
export const RESTART_COUNT = 7;
export const ISOLATED = 8;
export const SKEW = 9;
export const UPDATE_FAILED = 10;
export const CLOCK = 11;
export const SILENT = 12;
export const MOVE_COUNT = 13;
export const UNUSUAL = 14;
export const METRIC_COUNT = 15;

/** Seconds back that restarts and changes of parent count. */
export const COUNT_SECONDS = 1800;
/** Least standard deviations: variables, dB, ms. */
const MEMORY_FLOOR = 64;
const RSSI_FLOOR = 4;
const LATENCY_FLOOR = 40;
/** Seconds by which an uptime may lag behind the clock, for frames wait on their way, before it means a restart. */
const UPTIME_SLACK = 60;
/** Ancestors that are looked at, at most: a loop in what nodes say of their parents must end. */
const MOST_HOPS = 32;

export interface FleetNode {
  id: number;
  /** The newest values as a key frame, "" before the first. */
  frame: Bytes;
  parent: number;
  root: boolean;
  role: number;
  /** Of the values before. */
  uptime: number;
  starts: number;
  sequence: number;
  /** Version as one number, major * 2^24 + minor * 2^16 + patch. */
  version: number;
  /** Of the last telemetry or status, and of the last sign of life; ms. */
  heardAt: number;
  aliveAt: number;
  /** ms between frames. */
  interval: number;
  /** When the last restart was seen that the node was not asked for, ms, or 0. */
  resetAt: number;
  /** How many unanswered probes there were since the last sign of life. */
  probes: number;
  metrics: Float32Array;
  numbers: Float32Array;
}

/** Bit of `flags`: the values come from a status package of a node that sends no telemetry. */
export const FLAG_FOREIGN = 32;

/** What happened to a node, besides new values. */
export type FleetNews = "joined" | "restarted" | "moved" | "version" | "gone";

export interface FleetHooks {
  /** New values; for histories, dashboards, bridges. */
  observed?(node: FleetNode, telemetry: Telemetry): void;
  news?(kind: FleetNews, node: FleetNode): void;
  /** Asks a node for a sign of life; `Fleet.alive` takes it. */
  probe?(id: number): void;
}

export interface FleetOptions {
  crc32: Crc32;
  /** ms between frames of nodes that do not say */
  interval: number;
  /** Nodes kept at most; beyond them the one that was silent for longest is forgotten. */
  limit: number;
  /** Runs something soon, in another event, so that none takes long; at once unless given. */
  later?(run: () => void): void;
  hooks: FleetHooks;
}

export type Fleet = ReturnType<typeof createFleet>;

/** Intervals of silence after which a node is asked for a sign of life, first and second time. */
const FIRST_PROBE = 1.2;
const SECOND_PROBE = 1.4;
/** Intervals of silence after which what a node said last counts as no data. */
const STALE = 2.5;

export function packVersion(t: Telemetry): number {
  "cold";
  return t.major * 16777216 + t.minor * 65536 + t.patch;
}

export function createFleet(options: FleetOptions) {
  const crc32 = options.crc32;
  const hooks = options.hooks;
  const nodes: FleetNode[] = [];
  let beginning = -1;

  function find(id: number): FleetNode | null {
    for (let i = 0; i < nodes.length; i++) if (nodes[i].id === id) return nodes[i];
    return null;
  }

  /** Seconds for the baselines: never 0, and small enough for their precision. */
  function seconds(now: number): number {
    "cold";
    if (beginning < 0) beginning = now - 1000;
    return (now - beginning) / 1000;
  }

  function add(id: number, now: number): FleetNode {
    "cold";
    if (nodes.length >= options.limit) {
      let oldest = 0;
      for (let i = 1; i < nodes.length; i++) if (nodes[i].aliveAt < nodes[oldest].aliveAt) oldest = i;
      forgetNode(nodes[oldest].id);
    }
    const metrics = new Float32Array(METRIC_COUNT);
    for (let i = 0; i < METRIC_COUNT; i++) metrics[i] = NaN;
    const node: FleetNode = {
      id: id,
      frame: "",
      parent: 0,
      root: false,
      role: 255,
      uptime: 0,
      starts: 0,
      sequence: 0,
      version: 0,
      heardAt: 0,
      aliveAt: now,
      interval: options.interval,
      resetAt: 0,
      probes: 0,
      metrics: metrics,
      numbers: new Float32Array(BASELINE_NUMBERS),
    };
    nodes.push(node);
    return node;
  }

  function forgetNode(id: number): void {
    "cold";
    for (let i = 0; i < nodes.length; i++) {
      if (nodes[i].id !== id) continue;
      const gone = nodes.splice(i, 1)[0];
      if (hooks.news) hooks.news("gone", gone);
    }
  }

  function values(node: FleetNode): Telemetry | null {
    return node.frame ? decodeTelemetry(node.frame, crc32) : null;
  }

  /** Restarts since the values before; more than one may have gone by unheard. */
  function countRestarts(node: FleetNode, t: Telemetry, now: number): number {
    "cold";
    const started = (t.starts - node.starts) & 255;
    // A state page that was erased begins to count anew.
    if (started) return started > 200 ? 1 : started;
    const expected = node.uptime + (now - node.heardAt) / 1000;
    return t.uptime < node.uptime || t.uptime + UPTIME_SLACK < expected ? 1 : 0;
  }

  function compare(node: FleetNode, t: Telemetry, now: number): void {
    "cold";
    const numbers = node.numbers;
    const news = hooks.news;
    const restarts = t.starts || node.starts ? countRestarts(node, t, now) : t.uptime < node.uptime ? 1 : 0;
    for (let i = 0; i < restarts && i < 4; i++) addTime(numbers, RESTARTS, seconds(now));
    if (restarts) {
      forgetMemory(numbers);
      if (restarts > 1 || t.reset !== 1) node.resetAt = now;
      if (news) news("restarted", node);
    } else addFrames(numbers, (t.sequence - node.sequence) & 65535);
    if (node.parent !== t.parent && !restarts) {
      addTime(numbers, MOVES, seconds(now));
      node.parent = t.parent;
      if (news) news("moved", node);
    }
    if (node.version !== packVersion(t)) {
      node.version = packVersion(t);
      if (news) news("version", node);
    }
  }

  /** A node that knows neither a neighbour, nor the root that there is. */
  function isolated(node: FleetNode, t: Telemetry): number {
    "cold";
    if (t.flags & FLAG_FOREIGN) return NaN;
    if (node.root || (t.hops !== 255 && t.parent)) return 0;
    if (!t.parent && !t.children) return 1;
    for (let i = 0; i < nodes.length; i++) if (nodes[i].root) return t.hops === 255 ? 1 : 0;
    return 0;
  }

  /** Takes new values of a node. */
  function takeValues(t: Telemetry, now: number): FleetNode {
    "cold";
    let node = find(t.node);
    const fresh = !node || !node.heardAt;
    node = node || add(t.node, now);
    const before = node.heardAt > 0;
    const numbers = node.numbers;
    const metrics = node.metrics;
    const time = seconds(now);
    if (before) compare(node, t, now);
    node.version = packVersion(t);
    node.parent = t.parent;
    node.uptime = t.uptime;
    node.starts = t.starts;
    node.sequence = t.sequence;
    const known = node;
    const remember = function (): void {
      known.frame = encodeTelemetry(t, crc32);
    };
    if (options.later) options.later(remember);
    else remember();
    node.root = (t.flags & 4) > 0;
    node.role = t.role;
    if (t.interval) node.interval = t.interval * INTERVAL_UNIT * 1000;
    // A foreign node does not say how often it speaks; the longest pause of late is what to expect.
    else if (before) node.interval = Math.max(options.interval, node.interval * 0.9, now - node.heardAt);
    node.heardAt = now;
    node.aliveAt = now;
    node.probes = 0;

    let surprise = 0;
    if (t.memoryFree) {
      addMemory(numbers, t.memoryFree, time);
      surprise = learn(numbers, BASE_MEMORY, t.memoryFree, MEMORY_FLOOR);
    }
    if (t.rssi) surprise = Math.max(surprise, learn(numbers, BASE_RSSI, t.rssi, RSSI_FLOOR));
    if (t.latency < 65535) surprise = Math.max(surprise, learn(numbers, BASE_LATENCY, t.latency, LATENCY_FLOOR));
    numbers[SURPRISE] = surprise;

    metrics[MEMORY] = t.memoryFree || NaN;
    metrics[EXHAUSTION] = t.memoryFree ? exhaustion(numbers, t.memoryFree) : NaN;
    metrics[LOSS] = Math.max(t.loss, numbers[FRAME_LOSS] * 1000);
    metrics[RSSI] = t.rssi || NaN;
    metrics[LATENCY] = t.latency < 65535 ? t.latency : NaN;
    metrics[ISOLATED] = isolated(node, t);
    metrics[UPDATE_FAILED] = t.updateState === 7 || (t.alerts & 16) > 0 ? 1 : 0;
    metrics[UNUSUAL] = surprise;
    // Where events have to be short the next sweep does it.
    if (!options.later) refresh(node, now);
    if (fresh && hooks.news) hooks.news("joined", node);
    if (hooks.observed) hooks.observed(node, t);
    return node;
  }

  /** Metrics that change by themselves as time goes by. */
  function refresh(node: FleetNode, now: number): void {
    "cold";
    const metrics = node.metrics;
    const time = seconds(now);
    if (!node.heardAt) return;
    metrics[MISSED] = (now - node.aliveAt) / node.interval;
    // One that does not even answer is lost, which says more.
    metrics[SILENT] = metrics[MISSED] > FIRST_PROBE ? NaN : (now - node.heardAt) / node.interval;
    metrics[SINCE_RESET] = node.resetAt ? (now - node.resetAt) / 1000 : Infinity;
    metrics[RESTART_COUNT] = timesSince(node.numbers, RESTARTS, time, COUNT_SECONDS);
    metrics[MOVE_COUNT] = timesSince(node.numbers, MOVES, time, COUNT_SECONDS);
  }

  /** To be called for each node every few seconds: time goes by, and a node that should have spoken is asked whether it is there. */
  function timePasses(node: FleetNode, now: number): void {
    "cold";
    refresh(node, now);
    const missed = node.metrics[MISSED];
    if (!hooks.probe || !(missed > FIRST_PROBE)) return;
    if (!node.probes || (node.probes === 1 && missed > SECOND_PROBE)) {
      node.probes++;
      hooks.probe(node.id);
    }
  }

  /** The version that most nodes of a role run, or 0 when there is none that more than half of them run. */
  function majority(role: number): number {
    "cold";
    // Boyer and Moore's majority vote, then a count.
    let candidate = 0;
    let votes = 0;
    for (let i = 0; i < nodes.length; i++) {
      if (nodes[i].role !== role || !nodes[i].version) continue;
      if (!votes) candidate = nodes[i].version;
      votes += nodes[i].version === candidate ? 1 : -1;
    }
    let all = 0;
    let same = 0;
    for (let i = 0; i < nodes.length; i++) {
      if (nodes[i].role !== role || !nodes[i].version) continue;
      all++;
      if (nodes[i].version === candidate) same++;
    }
    return same * 2 > all ? candidate : 0;
  }

  return {
    nodes: nodes,
    find: find,
    // Functions that are written here are fetched from flash for each call; by name they would stay in memory.
    takeValues: function (t: Telemetry, now: number): FleetNode {
      "cold";
      return takeValues(t, now);
    },
    timePasses: function (node: FleetNode, now: number): void {
      "cold";
      timePasses(node, now);
    },
    /** What the node said last is too old to judge by. */
    stale: function (node: FleetNode, now: number): boolean {
      "cold";
      return now - node.heardAt > STALE * node.interval;
    },
    values: values,
    forgetNode: function (id: number): void {
      "cold";
      forgetNode(id);
    },
    /** A node is known to be there, from a mesh's tree, before it has told anything. */
    present: function (id: number, now: number): FleetNode {
      "cold";
      const node = find(id) || add(id, now);
      if (!node.heardAt) node.aliveAt = now;
      return node;
    },
    /** A sign of life that is no telemetry. */
    alive: function (id: number, now: number): void {
      "cold";
      const node = find(id);
      if (!node) return;
      node.aliveAt = now;
      node.probes = 0;
      refresh(node, now);
    },
    /** How far a node's clock is from the mesh's, ms. */
    setClock: function (id: number, offset: number): void {
      "cold";
      const node = find(id);
      if (node) node.metrics[CLOCK] = Math.abs(offset);
    },
    /** Compares each node with the version that most of its role run. To be called once in a while. */
    compareVersions: function (): void {
      "cold";
      let role = -1;
      let usual = 0;
      for (let i = 0; i < nodes.length; i++) {
        const node = nodes[i];
        if (!node.frame) continue;
        if (node.role !== role) usual = majority((role = node.role));
        node.metrics[SKEW] = usual && node.version && node.version !== usual ? 1 : 0;
      }
    },
    /** Calls for each ancestor of a node, the nearest first, until `test` is true; that one's id, or 0. */
    ancestor: function (id: number, test: (node: FleetNode) => boolean): number {
      "cold";
      let at = find(id);
      for (let hops = 0; at && at.parent && at.parent !== id && hops < MOST_HOPS; hops++) {
        at = find(at.parent);
        if (at && test(at)) return at.id;
      }
      return 0;
    },
    /** Nodes whose way to the root leads through this one. */
    below: function (id: number): number[] {
      "cold";
      const found: number[] = [];
      for (let i = 0; i < nodes.length; i++) {
        let at: FleetNode | null = nodes[i];
        if (at.id === id) continue;
        for (let hops = 0; at && at.parent && hops < MOST_HOPS; hops++) {
          if (at.parent === id) {
            found.push(nodes[i].id);
            break;
          }
          at = find(at.parent);
        }
      }
      return found;
    },
  };
}
