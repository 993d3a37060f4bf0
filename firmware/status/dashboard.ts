/**
 * The dashboard of a node (role "dashboard"): the same page and interface as a computer's (docs/api.md), for twenty nodes
 * and three browsers. Nodes are kept as their newest frame; a day of history and the last alerts lie in flash.
 */
import { type Bytes, type Engine, type Region } from "../engine/engine";
import { le16, le32, u16, u32 } from "../wire/bytes";
import { decodeTelemetry, encodeTelemetry, INTERVAL_UNIT, type Telemetry } from "../wire/telemetry";
import { createRing, RECORD } from "./ring";
import { type Browser, createWeb, failure, MAX_BROWSERS, type Pieces, type WebAnswer, type WebRequest } from "./web";

export const MAX_NODES = 20;
/** Pages of the region "history": 24 hold 20 nodes x 288 records and the page that is being erased. */
export const HISTORY_PAGES = 24;
export const ALERT_PAGES = 2;
const STEP_MS = 300000;
const STEPS = 288;
const DAY_MS = STEP_MS * STEPS;
const MAX_ALERTS = 32;
const MAX_EVENTS = 12;
const SWEEP_MS = 5000;
const SUBSCRIBE_MS = 30000;
/** Intervals of silence after which a node is late, and lost. */
const LATE = 2;
const LOST = 3;
const RULE_LOST = 8;
const PAGE_PIECE = 1400;
/** Characters in front of the page that name its version. */
const TAG = 16;
const WRONG_TOKENS = 10;

export interface DashboardParts {
  engine: Engine;
  version: string;
  mesh: string;
  /** What changes need; "" makes everything read-only. */
  token: string;
  port: number;
  region: Region;
  /** Bytes of the stored page, its tag in front; "" behind the end. */
  page(offset: number, length: number): Bytes;
  sha1(text: Bytes): Bytes;
  /** Asks the root for everything that is reported. */
  subscribe(): void;
}

interface Watched {
  id: number;
  frame: Bytes;
  heard: number;
  seq: number;
  /** ms between frames */
  interval: number;
  parent: number;
  /** 0 online, 1 late, 2 lost */
  presence: number;
  version: number;
  received: number;
}

interface Entry {
  rule: number;
  node: number;
  since: number;
  /** 0 while it is active. */
  resolved: number;
  acknowledged: boolean;
  seq: number;
}

interface Happening {
  at: number;
  kind: string;
  node: number;
  text: string;
  seq: number;
}

export interface NodeDashboard {
  received(telemetry: Telemetry): void;
  start(): void;
}

const CONTENT = "Content-Type: application/json\r\nCache-Control: no-store\r\n";

export function createDashboard(parts: DashboardParts): NodeDashboard {
  const engine = parts.engine;
  const nodes: Watched[] = [];
  const alerts: Entry[] = [];
  const events: Happening[] = [];
  const history = createRing(parts.region, 0, HISTORY_PAGES);
  const log = createRing(parts.region, HISTORY_PAGES, ALERT_PAGES);
  let sequence = 1;
  let logged = 0;
  let wrongTokens = 0;
  let wrongSince = 0;
  let step = 0;
  let clock = 0;

  /** ms since a moment of the node's own, which restarts do not set back. */
  function now(): number {
    return Math.floor(clock + engine.now());
  }

  function restore(): void {
    "cold";
    const newest = history.last();
    if (newest) clock = (u16(newest, 4) + 1) * STEP_MS;
    const entry = log.last();
    if (entry) {
      logged = u16(entry, 4) + 1;
      clock = Math.max(clock, u32(entry, 12) * 1000 + 1000);
    }
    step = Math.floor(now() / STEP_MS);
  }

  restore();

  const web = createWeb(engine, parts.port, {
    answer: answer,
    next: next,
    message: function (text: Bytes) {
      "cold";
      let value: { type?: string } | null = null;
      try {
        value = JSON.parse(text);
      } catch (error) {
        return null;
      }
      // The engine's parser takes text behind the value; there is none in what the page sends.
      if (!value || value.type !== "ping" || text[text.length - 1] !== "}") return null;
      return JSON.stringify({ type: "pong", now: now() });
    },
    sha1: parts.sha1,
  });

  function find(id: number): Watched | null {
    for (let i = 0; i < nodes.length; i++) if (nodes[i].id === id) return nodes[i];
    return null;
  }

  function tell(kind: string, node: number, text: string): void {
    "cold";
    events.push({ at: now(), kind: kind, node: node, text: text, seq: ++sequence });
    if (events.length > MAX_EVENTS) events.shift();
  }

  function write(entry: Entry, state: number): void {
    "cold";
    const at = entry.resolved || (state === 1 ? entry.since : now());
    log.append(
      le32(entry.node) +
        le16(logged++ & 65535) +
        String.fromCharCode(entry.rule, state) +
        le32(Math.floor(entry.since / 1000)) +
        le32(Math.floor(at / 1000)),
    );
  }

  /** Rules in the order of the bits that a node reports, and silence. */
  function ruleNames(): string[] {
    "cold";
    return "low-memory,latency,loss,isolated,update-failed,sensor,weak-signal,reboot-loop,node-lost".split(",");
  }

  function ruleWords(): string[] {
    "cold";
    return (
      "is short of memory,has a slow link to its parent,loses many frames,does not know the root,failed to update," +
      "reports a broken sensor,has a weak signal,restarts again and again,was not heard for three intervals"
    ).split(",");
  }

  function activeAlert(rule: number, node: number): Entry | null {
    for (let i = 0; i < alerts.length; i++) {
      const a = alerts[i];
      if (a.rule === rule && a.node === node && !a.resolved) return a;
    }
    return null;
  }

  function setAlert(rule: number, node: number, on: boolean): void {
    "cold";
    const known = activeAlert(rule, node);
    if (on === !!known) return;
    let entry = known;
    if (entry) {
      entry.resolved = now();
    } else {
      if (alerts.length >= MAX_ALERTS) {
        let oldest = 0;
        for (let i = alerts.length - 1; i >= 0; i--) if (alerts[i].resolved) oldest = i;
        alerts.splice(oldest, 1);
      }
      entry = { rule: rule, node: node, since: now(), resolved: 0, acknowledged: false, seq: 0 };
      alerts.push(entry);
    }
    entry.seq = ++sequence;
    write(entry, on ? 1 : 2);
    tell("alert", node, (on ? "" : "resolved: ") + ruleWords()[rule]);
  }

  function alertView(a: Entry): object {
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

  function nodeView(n: Watched): object {
    "cold";
    const t = decodeTelemetry(n.frame, engine.crc32) as Telemetry;
    const roles = ["node", "root", "dashboard", "bridge"];
    return {
      id: n.id,
      name: (4294967296 + n.id).toString(16).substr(1),
      hardware: "",
      role: t.flags & 4 ? "root" : roles[t.role] || "other",
      version: t.major + "." + t.minor + "." + t.patch,
      presence: ["online", "stale", "lost"][n.presence],
      heardAt: n.heard,
      parent: n.parent,
      hops: t.hops === 255 ? -1 : t.hops,
      telemetry: t,
    };
  }

  function topology(): object {
    "cold";
    let root = 0;
    const list: object[] = [];
    for (let i = 0; i < nodes.length; i++) {
      const t = decodeTelemetry(nodes[i].frame, engine.crc32) as Telemetry;
      if (t.flags & 4) root = t.node;
      list.push({ id: t.node, parent: t.parent, hops: t.hops === 255 ? -1 : t.hops, rssi: t.rssi });
    }
    return { root: root, nodes: list };
  }

  function info(): object {
    "cold";
    return {
      server: "esp32",
      version: parts.version,
      mesh: parts.mesh,
      via: "",
      clock: "device",
      now: now(),
      writable: parts.token !== "",
      rollouts: false,
      history: { hours: 24, resolution: STEP_MS / 1000 },
      clients: web.browsers(),
      maxClients: MAX_BROWSERS,
    };
  }

  function eventView(e: Happening): object {
    "cold";
    return { at: e.at, kind: e.kind, node: e.node, text: e.text };
  }

  /** The oldest change that a browser has not been told; everything is one when it has just come. */
  function next(browser: Browser): Bytes {
    "cold";
    if (browser.stage === 0) {
      browser.stage = 1;
      return JSON.stringify({ type: "hello", info: info() });
    }
    let node: Watched | null = null;
    let alert: Entry | null = null;
    let event: Happening | null = null;
    let least = Infinity;
    for (let i = 0; i < nodes.length; i++) {
      const n = nodes[i];
      if (n.seq > browser.seen && n.seq < least) {
        least = n.seq;
        node = n;
      }
    }
    for (let i = 0; i < alerts.length; i++) {
      const a = alerts[i];
      if (a.seq > browser.seen && a.seq < least) {
        least = a.seq;
        alert = a;
      }
    }
    for (let i = 0; i < events.length; i++) {
      const e = events[i];
      if (e.seq > browser.seen && e.seq < least) {
        least = e.seq;
        event = e;
      }
    }
    if (least < Infinity) {
      browser.seen = least;
      if (event) return JSON.stringify({ type: "events", events: [eventView(event)] });
      if (alert) return JSON.stringify({ type: "alerts", alerts: [alertView(alert)] });
      return JSON.stringify({ type: "nodes", nodes: [nodeView(node as Watched)] });
    }
    if (browser.stage === 1) {
      browser.stage = 2;
      return JSON.stringify({ type: "topology", topology: topology() });
    }
    if (browser.stage === 2) {
      browser.stage = 3;
      return '{"type":"rollout","rollout":null}';
    }
    if (browser.stage === 3) {
      browser.stage = 4;
      return '{"type":"ready"}';
    }
    return "";
  }

  /** A list as pieces, one item each. */
  function listOf(name: string, count: number, item: (index: number) => object): WebAnswer {
    "cold";
    let i = -1;
    return {
      status: "200 OK",
      headers: CONTENT,
      body: function (): Bytes | null {
        i++;
        if (i > count) return null;
        if (i === count) return (count ? "" : '{"' + name + '":[') + "]}";
        return (i ? "," : '{"' + name + '":[') + JSON.stringify(item(i));
      },
    };
  }

  function json(value: object): WebAnswer {
    "cold";
    return { status: "200 OK", headers: CONTENT, body: JSON.stringify(value) };
  }

  /** A whole number out of a query; -1 when it is none. */
  function parameter(query: string, name: string, fallback: number): number {
    "cold";
    const list = query.split("&");
    for (let i = 0; i < list.length; i++) {
      if (list[i].substr(0, name.length + 1) !== name + "=") continue;
      const text = list[i].substr(name.length + 1);
      if (!text.length || text.length > 15) return -1;
      for (let j = 0; j < text.length; j++) if (text[j] < "0" || text[j] > "9") return -1;
      return +text;
    }
    return fallback;
  }

  function historyOf(n: Watched, query: string): WebAnswer {
    "cold";
    const time = now();
    const to = parameter(query, "to", time);
    const from = parameter(query, "from", Math.max(0, to - DAY_MS));
    if (to < 0 || from < 0 || from > to || parameter(query, "points", 2) < 2) {
      return failure("400 Bad Request", "BAD_REQUEST", "from, to and points must be numbers in order");
    }
    const present = Math.floor(time / STEP_MS);
    const wanted = le32(n.id);
    let index = -1;
    let comma = "";
    const body: Pieces = function () {
      index++;
      if (index === 0) {
        return (
          '{"node":' +
          n.id +
          ',"from":' +
          from +
          ',"to":' +
          to +
          ',"resolution":300,"fields":["memoryFree","rssi","loss","latency","received","hops"],"points":['
        );
      }
      if (index > HISTORY_PAGES + 1) return null;
      if (index === HISTORY_PAGES + 1) return "]}";
      const text = history.page(index - 1);
      let piece = "";
      for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
        if (at % RECORD) continue;
        const when = (present - ((present - u16(text, at + 4)) & 65535)) * STEP_MS;
        if (when < from || when > to) continue;
        const rssi = text.charCodeAt(at + 6);
        const latency = u16(text, at + 12);
        const hops = text.charCodeAt(at + 7);
        piece +=
          comma +
          "[" +
          [
            when,
            u16(text, at + 8),
            rssi ? rssi - 256 : "null",
            u16(text, at + 10),
            latency === 65535 ? "null" : latency,
            u16(text, at + 14) / 5,
            hops === 255 ? "null" : hops,
          ].join(",") +
          "]";
        comma = ",";
      }
      return piece;
    };
    return { status: "200 OK", headers: CONTENT, body: body };
  }

  /** Active alerts and those in memory, then what flash still knows of older ones. */
  function alertList(): WebAnswer {
    "cold";
    const known = alerts.length;
    let i = -1;
    let page = 0;
    let comma = "";
    const body: Pieces = function () {
      i++;
      if (i === 0) return '{"alerts":[';
      if (i <= known) {
        const a = alerts[known - i];
        const piece = a ? comma + JSON.stringify(alertView(a)) : "";
        comma = ",";
        return piece;
      }
      if (page > ALERT_PAGES) return null;
      if (page === ALERT_PAGES) {
        page++;
        return "]}";
      }
      const text = log.page(page++);
      let piece = "";
      for (let at = 0; at + RECORD <= text.length && piece.length < 3000; at += RECORD) {
        if (text.charCodeAt(at + 7) !== 2) continue;
        const a: Entry = {
          node: u32(text, at),
          rule: text.charCodeAt(at + 6),
          since: u32(text, at + 8) * 1000,
          resolved: u32(text, at + 12) * 1000,
          acknowledged: false,
          seq: 0,
        };
        let listed = a.rule > RULE_LOST;
        for (let j = 0; j < alerts.length; j++) {
          const other = alerts[j];
          if (other.node === a.node && other.rule === a.rule && Math.abs(other.since - a.since) < 1500) listed = true;
        }
        if (listed) continue;
        piece += comma + JSON.stringify(alertView(a));
        comma = ",";
      }
      return piece;
    };
    return { status: "200 OK", headers: CONTENT, body: body };
  }

  function page(request: WebRequest): WebAnswer {
    "cold";
    const tag = '"' + parts.page(0, TAG) + '"';
    if (request.header("if-none-match") === tag) return { status: "304 Not Modified", headers: "", body: "" };
    let at = TAG;
    return {
      status: "200 OK",
      headers:
        "Content-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\nCache-Control: no-cache\r\nETag: " +
        tag +
        "\r\n",
      body: function () {
        const piece = parts.page(at, PAGE_PIECE);
        at += PAGE_PIECE;
        return piece || null;
      },
    };
  }

  function nodeIn(text: string): Watched | null {
    "cold";
    return find(parameter("id=" + text, "id", -1));
  }

  /** Numbers cannot be made to point here by another site's name server; names can. */
  function hostAllowed(host: string): boolean {
    "cold";
    const name = host.split(":")[0];
    if (name === "localhost") return true;
    for (let i = 0; i < name.length; i++) if (name[i] !== "." && (name[i] < "0" || name[i] > "9")) return false;
    return name.length > 0;
  }

  function answer(request: WebRequest): WebAnswer {
    "cold";
    const host = request.header("host");
    const origin = request.header("origin");
    const changes = request.method !== "GET";
    const live = request.path === "/api/v1/live";
    if (!hostAllowed(host)) return failure("403 Forbidden", "WRONG_HOST", "this is not a name of this server");
    if ((changes || live) && origin && origin !== "http://" + host) {
      return failure("403 Forbidden", "WRONG_ORIGIN", "requests of other sites are refused");
    }
    if (changes) return change(request);
    if (request.path === "/") return page(request);
    if (request.path.substr(0, 8) !== "/api/v1/") return failure("404 Not Found", "NOT_FOUND", "there is nothing here");
    return read(request.path.substr(8).split("/"), request);
  }

  function read(path: string[], request: WebRequest): WebAnswer {
    "cold";
    const what = path[0];
    if (path.length === 2 && (what === "nodes" || what === "history")) {
      const n = nodeIn(path[1]);
      if (!n) return failure("404 Not Found", "NO_SUCH_NODE", "no node with this id was heard");
      return what === "nodes" ? json(nodeView(n)) : historyOf(n, request.query);
    }
    if (path.length === 1) {
      if (what === "live" && request.header("upgrade").toLowerCase() === "websocket") {
        return { status: "101", headers: "", body: "" };
      }
      if (what === "info") return json(info());
      if (what === "nodes") {
        return listOf("nodes", nodes.length, function (i) {
          return nodeView(nodes[i]);
        });
      }
      if (what === "topology") return json(topology());
      if (what === "alerts") return alertList();
      if (what === "rollout") return json({ rollout: null });
      if (what === "images") return json({ images: [] });
      if (what === "events") {
        const limit = parameter(request.query, "limit", 100);
        if (limit < 1 || limit > 1000) return failure("400 Bad Request", "BAD_REQUEST", '"limit" must be 1 to 1000');
        const count = Math.min(limit, events.length);
        const last = events.length - 1;
        return listOf("events", count, function (i) {
          return eventView(events[Math.max(0, last - i)]);
        });
      }
    }
    return failure("404 Not Found", "NOT_FOUND", "there is nothing here");
  }

  function change(request: WebRequest): WebAnswer {
    "cold";
    if (!parts.token) return failure("403 Forbidden", "READ_ONLY", "no token is set: nothing can be changed here");
    if (request.header("authorization") !== "Bearer " + parts.token) {
      if (engine.now() - wrongSince > 60000) {
        wrongSince = engine.now();
        wrongTokens = 0;
      }
      if (++wrongTokens > WRONG_TOKENS) {
        return failure("429 Too Many Requests", "TOO_MANY_REQUESTS", "too many wrong tokens, wait a minute");
      }
      return failure("401 Unauthorized", "WRONG_TOKEN", "the token is the one that the node was provisioned with");
    }
    if (request.method !== "POST" || request.path.substr(0, 8) !== "/api/v1/") {
      return failure("404 Not Found", "NOT_FOUND", "there is nothing here");
    }
    const path = request.path.substr(8);
    let body: { [name: string]: unknown } | null = null;
    try {
      body = JSON.parse(request.body || "{}");
    } catch (error) {
      return failure("400 Bad Request", "BAD_REQUEST", "the request could not be read");
    }
    if (path === "alerts/acknowledge") return acknowledge(body ? body.key : null);
    if (path === "rollout/preview") {
      if (!body || typeof body.image !== "string" || typeof body.policy !== "string") {
        return failure("400 Bad Request", "BAD_REQUEST", "needs image, policy and transport");
      }
      return failure("409 Conflict", "NO_ROLLOUTS", "this server cannot roll out images");
    }
    const action = path.substr(0, 8) === "rollout/" ? path.substr(8) : "";
    if (action && "start,pause,resume,approve,abort,retry,rollback".split(",").indexOf(action) >= 0) {
      return failure("409 Conflict", "NO_ROLLOUT", "there is no rollout");
    }
    return failure("404 Not Found", "NOT_FOUND", "there is nothing here");
  }

  function acknowledge(key: unknown): WebAnswer {
    "cold";
    if (typeof key !== "string") return failure("400 Bad Request", "BAD_REQUEST", "needs a key");
    const at = key.indexOf(":");
    const entry = activeAlert(ruleNames().indexOf(key.substr(0, at)), +key.substr(at + 1));
    if (at < 0 || !entry) return failure("404 Not Found", "NO_SUCH_ALERT", "no active alert has this key");
    entry.acknowledged = true;
    entry.seq = ++sequence;
    write(entry, 3);
    engine.after(1, web.changed);
    return json({ acknowledged: true });
  }

  function add(id: number): Watched | null {
    "cold";
    if (nodes.length >= MAX_NODES) {
      // A node that is lost gives way to one that is there.
      let silent = -1;
      for (let i = 0; i < nodes.length; i++) {
        if (nodes[i].presence === 2 && (silent < 0 || nodes[i].heard < nodes[silent].heard)) silent = i;
      }
      if (silent < 0) return null;
      nodes.splice(silent, 1);
    }
    const n: Watched = {
      id: id,
      frame: "",
      heard: 0,
      seq: 0,
      interval: 60000,
      parent: 0,
      presence: 0,
      version: -1,
      received: 0,
    };
    nodes.push(n);
    return n;
  }

  function received(t: Telemetry): void {
    "cold";
    const n = find(t.node) || add(t.node);
    if (!n) return;
    const before = n.frame ? decodeTelemetry(n.frame, engine.crc32) : null;
    const version = t.major * 16777216 + t.minor * 65536 + t.patch;
    if (!before) tell("node-joined", n.id, "was heard");
    else {
      if (t.uptime < before.uptime) tell("restart", n.id, "restarted");
      if (n.version !== version) tell("version", n.id, "runs " + t.major + "." + t.minor + "." + t.patch);
    }
    n.frame = encodeTelemetry(t, engine.crc32);
    n.heard = now();
    n.interval = t.interval * INTERVAL_UNIT * 1000 || 60000;
    n.parent = t.parent;
    n.version = version;
    n.presence = 0;
    n.seq = ++sequence;
    const changed = before ? before.alerts ^ t.alerts : t.alerts;
    for (let bit = 0; bit < RULE_LOST; bit++) if (changed & (1 << bit)) setAlert(bit, n.id, !!(t.alerts & (1 << bit)));
    setAlert(RULE_LOST, n.id, false);
    web.changed();
  }

  /** One record of each node that spoke, five minutes apart; one write a turn, for a page may have to be erased first. */
  function record(index: number): void {
    "cold";
    if (index >= nodes.length) return;
    const n = nodes[index];
    const t = decodeTelemetry(n.frame, engine.crc32);
    if (t && now() - n.heard < STEP_MS) {
      const got = t.received >= n.received ? t.received - n.received : 0;
      n.received = t.received;
      history.append(
        le32(n.id) +
          le16(step & 65535) +
          String.fromCharCode(t.rssi & 255, t.hops) +
          le16(t.memoryFree) +
          le16(t.loss) +
          le16(t.latency) +
          le16(Math.min(65535, got)),
      );
    }
    engine.after(100, function () {
      record(index + 1);
    });
  }

  function sweep(): void {
    "cold";
    const time = now();
    for (let i = 0; i < nodes.length; i++) {
      const n = nodes[i];
      const silence = (time - n.heard) / n.interval;
      const presence = silence > LOST ? 2 : silence > LATE ? 1 : 0;
      if (presence === n.presence) continue;
      n.presence = presence;
      n.seq = ++sequence;
      if (presence === 2) setAlert(RULE_LOST, n.id, true);
    }
    const present = Math.floor(time / STEP_MS);
    if (present !== step) {
      step = present;
      record(0);
    }
    web.changed();
  }

  return {
    received: received,
    start: function () {
      "cold";
      engine.every(SWEEP_MS, sweep);
      engine.every(SUBSCRIBE_MS, parts.subscribe);
    },
  };
}
