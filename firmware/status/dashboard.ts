/**
 * The dashboard of a node (role "dashboard"): the same page and interface as a computer's (docs/api.md), for twenty nodes
 * and three browsers. Nodes are kept as their newest frame; a day of history and the last alerts lie in flash.
 */
import { type Bytes, type Engine, type Region } from "../engine/engine";
import { le16, le32, u16, u32 } from "../wire/bytes";
import { decodeTelemetry, encodeTelemetry, INTERVAL_UNIT, type Telemetry, TELEMETRY_BYTES } from "../wire/telemetry";
import {
  alertView,
  type Entry,
  eventView,
  type Happening,
  type InfoJson,
  nodeJson,
  type NodeJson,
  RULE_LOST,
  ruleNames,
  ruleWords,
  type TopologyJson,
} from "./dashboard-views";
import { createRing, RECORD } from "./ring";
import { type Browser, createWeb, failure, MAX_BROWSERS, type Pieces, type WebAnswer, type WebRequest } from "./web";
import { CONTENT, hostAllowed, json, listOf, parameter } from "./web-answers";

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

export interface NodeDashboard {
  received(telemetry: Telemetry): void;
  start(): void;
}

export function createDashboard(parts: DashboardParts): NodeDashboard {
  const engine = parts.engine;
  // Columns instead of objects: twenty of those would cost 400 variables more.
  const ids = new Uint32Array(MAX_NODES);
  const frames = new Uint8Array(MAX_NODES * TELEMETRY_BYTES);
  /** ms of `now()` when a node last spoke, seconds between its frames, packages at the last record. */
  const heard = new Float64Array(MAX_NODES);
  const intervals = new Uint16Array(MAX_NODES);
  const counters = new Uint32Array(MAX_NODES);
  const changes = new Uint32Array(MAX_NODES);
  /** 0 online, 1 late, 2 lost */
  const presences = new Uint8Array(MAX_NODES);
  let count = 0;
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

  /** The place of a node, -1 when it is not known. */
  function find(id: number): number {
    for (let i = 0; i < count; i++) if (ids[i] === id) return i;
    return -1;
  }

  function values(i: number): Telemetry {
    "cold";
    const part = new Uint8Array(frames.buffer, i * TELEMETRY_BYTES, TELEMETRY_BYTES);
    const text = String.fromCharCode.apply(null, part as unknown as number[]);
    return decodeTelemetry(text, engine.crc32) as Telemetry;
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

  function nodeView(i: number): NodeJson {
    return nodeJson(values(i), presences[i], heard[i]);
  }

  function topology(): TopologyJson {
    "cold";
    let root = 0;
    const list: TopologyJson["nodes"] = [];
    for (let i = 0; i < count; i++) {
      const t = values(i);
      if (t.flags & 4) root = t.node;
      list.push({ id: t.node, parent: t.parent, hops: t.hops === 255 ? -1 : t.hops, rssi: t.rssi });
    }
    return { root: root, nodes: list };
  }

  function info(): InfoJson {
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

  /** The oldest change that a browser has not been told; everything is one when it has just come. */
  function next(browser: Browser): Bytes {
    "cold";
    if (browser.stage === 0) {
      browser.stage = 1;
      return JSON.stringify({ type: "hello", info: info() });
    }
    let node = -1;
    let alert: Entry | null = null;
    let event: Happening | null = null;
    let least = Infinity;
    for (let i = 0; i < count; i++) {
      if (changes[i] > browser.seen && changes[i] < least) {
        least = changes[i];
        node = i;
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
      return JSON.stringify({ type: "nodes", nodes: [nodeView(node)] });
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

  function historyOf(id: number, query: string): WebAnswer {
    "cold";
    const time = now();
    const to = parameter(query, "to", time);
    const from = parameter(query, "from", Math.max(0, to - DAY_MS));
    if (to < 0 || from < 0 || from > to || parameter(query, "points", 2) < 2) {
      return failure("400 Bad Request", "BAD_REQUEST", "from, to and points must be numbers in order");
    }
    const present = Math.floor(time / STEP_MS);
    const wanted = le32(id);
    let index = -1;
    let comma = "";
    const body: Pieces = function () {
      index++;
      if (index === 0) {
        return (
          '{"node":' +
          id +
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

  function nodeIn(text: string): number {
    "cold";
    return find(parameter("id=" + text, "id", -1));
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
      if (n < 0) return failure("404 Not Found", "NO_SUCH_NODE", "no node with this id was heard");
      return what === "nodes" ? json(nodeView(n)) : historyOf(ids[n], request.query);
    }
    if (path.length === 1) {
      if (what === "live" && request.header("upgrade").toLowerCase() === "websocket") {
        return { status: "101", headers: "", body: "" };
      }
      if (what === "info") return json(info());
      if (what === "nodes") {
        return listOf("nodes", count, nodeView);
      }
      if (what === "topology") return json(topology());
      if (what === "alerts") return alertList();
      if (what === "rollout") return json({ rollout: null });
      if (what === "images") return json({ images: [] });
      if (what === "events") {
        const limit = parameter(request.query, "limit", 100);
        if (limit < 1 || limit > 1000) return failure("400 Bad Request", "BAD_REQUEST", '"limit" must be 1 to 1000');
        const length = Math.min(limit, events.length);
        const last = events.length - 1;
        return listOf("events", length, function (i) {
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

  /** A place for a new node: a free one, or that of the node that is lost for longest; -1 when all are there. */
  function placeFor(id: number): number {
    "cold";
    let place = -1;
    if (count < MAX_NODES) place = count++;
    else {
      for (let i = 0; i < count; i++) if (presences[i] === 2 && (place < 0 || heard[i] < heard[place])) place = i;
      if (place < 0) return -1;
    }
    ids[place] = id;
    counters[place] = 0;
    return place;
  }

  function received(t: Telemetry): void {
    "cold";
    const known = find(t.node);
    const i = known < 0 ? placeFor(t.node) : known;
    if (i < 0) return;
    let changed = t.alerts;
    if (known < 0) tell("node-joined", t.node, "was heard");
    else {
      const before = values(i);
      changed ^= before.alerts;
      if (t.uptime < before.uptime) tell("restart", t.node, "restarted");
      if (t.major !== before.major || t.minor !== before.minor || t.patch !== before.patch) {
        tell("version", t.node, "runs " + t.major + "." + t.minor + "." + t.patch);
      }
    }
    frames.set(encodeTelemetry(t, engine.crc32) as unknown as number[], i * TELEMETRY_BYTES);
    heard[i] = now();
    intervals[i] = t.interval * INTERVAL_UNIT || 60;
    presences[i] = 0;
    changes[i] = ++sequence;
    for (let bit = 0; bit < RULE_LOST; bit++)
      if (changed & (1 << bit)) setAlert(bit, t.node, !!(t.alerts & (1 << bit)));
    setAlert(RULE_LOST, t.node, false);
    web.changed();
  }

  /** One record of each node that spoke, five minutes apart; one write a turn, for a page may have to be erased first. */
  function record(i: number): void {
    "cold";
    if (i >= count) return;
    if (now() - heard[i] < STEP_MS) {
      const t = values(i);
      const got = t.received >= counters[i] ? t.received - counters[i] : 0;
      counters[i] = t.received;
      history.append(
        le32(t.node) +
          le16(step & 65535) +
          String.fromCharCode(t.rssi & 255, t.hops) +
          le16(t.memoryFree) +
          le16(t.loss) +
          le16(t.latency) +
          le16(Math.min(65535, got)),
      );
    }
    engine.after(100, function () {
      record(i + 1);
    });
  }

  function sweep(): void {
    "cold";
    const time = now();
    for (let i = 0; i < count; i++) {
      const silence = (time - heard[i]) / intervals[i] / 1000;
      const presence = silence > LOST ? 2 : silence > LATE ? 1 : 0;
      if (presence === presences[i]) continue;
      presences[i] = presence;
      changes[i] = ++sequence;
      if (presence === 2) setAlert(RULE_LOST, ids[i], true);
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
