/**
 * Links and trees: who the neighbours are, what lies behind each, and where a package goes. Loops and ids that appear
 * twice are refused here, since a broadcast would circle in a loop for ever.
 */
import type { Engine, Socket } from "../engine/engine";
import {
  DELIVERED,
  HELLO,
  NODE_SYNC_REPLY,
  NODE_SYNC_REQUEST,
  NOT_JSON,
  ROUTE_BROADCAST,
  ROUTE_NEIGHBOUR,
  ROUTE_SINGLE,
  TIME_DELAY,
  TIME_SYNC,
  isUint32,
  packageText,
  parsePackage,
  readJson,
  routingOf,
  tooNested,
} from "../wire/packages";
import type { Package } from "../wire/packages";
import { createClock } from "./clock";
import type { Clock, ClockHost, TimeMessage } from "./clock";
import type { Events } from "./events";
import { createJoin, idOfMac } from "./join";
import type { Join, JoinConfig, JoinHost } from "./join";
import { Link, PATIENCE, PRIORITY_HIGH, PRIORITY_NORMAL, RESERVE } from "./link";
import type { LinkOwner } from "./link";
import { nodeFields, treeNodes } from "./tree";

/** Milliseconds that a neighbour has for introducing itself. */
export const NODE_TIMEOUT = 10000;
/** Ten seconds less than a C++ node's, so that a dead neighbour is noticed within 70 s as there, see PATIENCE. */
export const SYNC_PERIOD = 50000;
/** What the access point's side waits before its first node sync and time sync. */
export const FIRST_SYNC = 10000;
/** A neighbour that is suspected to be gone has this long to answer. */
export const PROBE_TIMEOUT = 5000;
/** A dialled connection has to stand by then. */
const OPEN_TIMEOUT = 20000;
const TICK = 1000;
/** Frames that wait go before a node sync that is due, but for no longer than this. */
const SYNC_PATIENCE = 200;
/** The interpreter may be held up this long (a blocking connect) before time-outs are pushed back by it. */
const LATE_TICK = 3000;
const QUEUE_LIMIT = 4096;
const MAX_LINKS = 8;
const MAX_STABILITY = 1000;
/** See parsePackage: Espruino's stack bounds what a package may hold. */
const OPENERS_ESPRUINO = 150;
const OPENERS = 2000;

export interface MeshConfig extends JoinConfig {
  /** Node id where there is no access point to take it from; random by default. */
  nodeId?: number;
  /** Bytes a link may queue, 4096 by default; and how many links there may be, 8 by default. */
  queueLimit?: number;
  maxLinks?: number;
  /** What neighbours are told in HELLO: firmware version and capability bits. Read whenever one is sent. */
  hello?: { v: string; c: number };
}

export interface Router extends LinkOwner, ClockHost, JoinHost {
  running: boolean;
  isRoot: boolean;
  clock: Clock;
  join: Join;
  /** The link through which a node is reached, or null. */
  linkTo(dest: number): Link | null;
  rootId(): number;
  /** Queues a frame on a link, see Link.push(). */
  transmit(link: Link, text: string, priority: number, reserve: number): boolean;
  /** Sends by the package's own routing; false if it went nowhere. */
  route(p: Package, priority: number): boolean;
  /** The tree without what is behind one link, as JSON fields of this node. */
  treeFields(without: Link | null): string;
  /** Tells all neighbours but one, and the application, that the tree is another. */
  changed(except: Link | null): void;
  accept(socket: Socket): Link;
  /** Once a second. */
  tick(now: number): void;
}

export function createRouter(engine: Engine, config: MeshConfig, events: Events): Router {
  const wifi = engine.wifi;
  const id = (wifi ? idOfMac(wifi.accessPointMac()) : config.nodeId) || engine.random() || 1;
  const links: Link[] = [];
  const stats = { rx: 0, tx: 0, forwarded: 0, bytes: 0, dropped: 0, queueDrops: 0, malformed: 0, refused: 0 };
  const fire = events.fire;
  const openers = engine.name === "espruino" ? OPENERS_ESPRUINO : OPENERS;
  let changes = 0;
  let lastTick = 0;
  /** Timer of the next piece of work, the link that had the last, and whether the application is to hear of changes. */
  let working = 0;
  let turn = 0;
  let news = false;

  function linkTo(dest: number): Link | null {
    "cold";
    let best: Link | null = null;
    for (const link of links) if (link.tree.indexOf(dest) >= 0 && (!best || link.changed > best.changed)) best = link;
    return best;
  }

  function rootId(): number {
    "cold";
    let found = router.isRoot ? id : 0;
    for (let i = 0; !found && i < links.length; i++) found = links[i]!.root;
    return found;
  }

  function transmit(link: Link, text: string, priority: number, reserve: number): boolean {
    "cold";
    const taken = link.push(text, priority, reserve);
    if (taken) stats.tx++;
    return taken;
  }

  function treeFields(without: Link | null): string {
    "cold";
    let text = nodeFields(id, router.isRoot, router.authority);
    let mark = ',"subs":[';
    for (const link of links) {
      if (link === without || !link.id) continue;
      text += mark + "{" + link.head;
      if (link.subs) {
        text += ',"subs":';
        text += link.subs;
      }
      text += "}";
      mark = ",";
    }
    return mark === "," ? text + "]" : text;
  }

  function sendSync(link: Link, type: number): void {
    "cold";
    if (type === NODE_SYNC_REQUEST) {
      const now = engine.now();
      link.syncAt = now + SYNC_PERIOD;
      if (!link.timeoutAt || !link.id) link.timeoutAt = now + (link.id ? PATIENCE : NODE_TIMEOUT);
    }
    let text = "{";
    text += treeFields(link);
    text += ',"type":' + type + ',"dest":' + link.id + ',"from":' + id + "}";
    transmit(link, text, PRIORITY_HIGH, RESERVE);
  }

  function changed(except: Link | null): void {
    "cold";
    router.stability = router.stability >> 1;
    const now = engine.now();
    // Several changes that come together are told once.
    for (const link of links) if (link !== except && link.id) link.syncAt = now;
    news = true;
    wake();
  }

  function wake(): void {
    if (!working) working = engine.after(0, work);
  }

  /**
   * Does one thing that waits, and comes back for the next one in an event of its own, so that no pile of them holds the
   * interpreter. Links take turns.
   */
  function work(): void {
    working = 0;
    const now = engine.now();
    for (let left = links.length; left > 0; left--) {
      turn = (turn + 1) % links.length;
      const link = links[turn]!;
      if (
        link.owes ||
        link.greets ||
        link.told ||
        link.inbox.length ||
        now >= (link.syncAt || Infinity) ||
        now >= (link.timeAt || Infinity)
      ) {
        wake();
        serve(link, now);
        return;
      }
    }
    if (!news) return;
    news = false;
    fire("changed");
  }

  function serve(link: Link, now: number): void {
    "cold";
    if (link.owes) {
      link.owes = false;
      sendSync(link, NODE_SYNC_REPLY);
    } else if (link.greets) {
      // After the answer: before it the peer does not know who this is.
      link.greets = false;
      const hello = config.hello || { v: "", c: 0 };
      const introduction = { type: HELLO, routing: ROUTE_NEIGHBOUR, dest: link.id, from: id, v: hello.v, c: hello.c };
      transmit(link, packageText(introduction), PRIORITY_HIGH, RESERVE);
      fire("connected", link.id);
    } else if (link.told) {
      const p = link.told;
      // Reading a text of sixty nodes is a piece of work of its own; subs that were cut out are 0 until then.
      if (link.cut && !p.subs) {
        p.subs = readJson(link.cut);
        link.cut = JSON.stringify(p.subs);
      } else {
        link.told = null;
        adopt(link, p);
      }
    } else if (link.syncAt && now >= link.syncAt + (link.inbox.length ? SYNC_PATIENCE : 0)) {
      sendSync(link, NODE_SYNC_REQUEST);
    } else if (link.inbox.length) {
      frame(link, link.take());
    } else router.clock.exchange(link);
  }

  /** Finds out soon whether a neighbour is still there. */
  function probe(link: Link): void {
    "cold";
    const now = engine.now();
    if (!link.timeoutAt) {
      link.syncAt = now;
      wake();
    }
    link.timeoutAt = Math.min(link.timeoutAt || Infinity, now + PROBE_TIMEOUT);
  }

  /** The fields of the node that a node sync comes from; "" if it has no id. */
  function headOf(link: Link, p: Package): string {
    "cold";
    const peer = p.nodeId === undefined ? p.from : p.nodeId;
    if (!isUint32(peer) || !peer) return "";
    // C++ nodes leave the flag out of replies, which would flip it all over the mesh once a minute.
    const kept = p.type === NODE_SYNC_REPLY && link.id > 0 && link.authority === link.id;
    return nodeFields(peer, p.root === true, p.hasTimeAuthority === true || kept);
  }

  /** A node sync was understood. */
  function confirm(link: Link, p: Package): void {
    "cold";
    if (p.type === NODE_SYNC_REPLY) link.timeoutAt = 0;
    else link.owes = true;
    wake();
  }

  function unchanged(link: Link, p: Package): void {
    "cold";
    confirm(link, p);
    const now = engine.now();
    if (link.syncAt > now) link.syncAt = now + SYNC_PERIOD;
    router.stability = Math.min(MAX_STABILITY, router.stability + 25);
  }

  /** Takes a node sync; what is new in it is looked into later. `cut` is the text of its subs if they were cut out. */
  function nodeSync(link: Link, p: Package, cut: string): void {
    "cold";
    const head = headOf(link, p);
    if (!head || (cut && cut !== link.subs && tooNested(cut, openers))) stats.malformed++;
    else if (link.id && head === link.head && cut === link.subs && (cut || p.subs === undefined)) unchanged(link, p);
    else {
      link.told = p;
      link.cut = cut;
      wake();
    }
  }

  /** Takes over the tree that a node sync brought. */
  function adopt(link: Link, p: Package): void {
    "cold";
    const head = headOf(link, p);
    const peer = parseInt(head.substr(9));
    const fresh = !link.id;
    const list: unknown = p.subs === undefined ? [] : p.subs;
    const listed = Array.isArray(list);
    const subs = listed && list.length ? link.cut || JSON.stringify(list) : "";
    const nodes = listed ? treeNodes(peer, list, subs) : null;
    if (!nodes) {
      stats.malformed++;
      return;
    }
    if (!welcome(link, peer, nodes.ids)) {
      stats.refused++;
      link.close(true);
      return;
    }
    if (!fresh && subs === link.subs && head === link.head) {
      unchanged(link, p);
      return;
    }
    confirm(link, p);
    link.id = peer;
    link.tree = nodes.ids;
    link.root = head.indexOf("root") > 0 ? peer : nodes.root;
    link.authority = head.indexOf("Time") > 0 ? peer : nodes.authority;
    link.head = head;
    link.subs = subs;
    link.changed = ++changes;
    if (fresh) {
      link.greets = true;
      if (link.up) {
        router.join.linked();
        link.timeAt = engine.now();
      } else link.timeAt = engine.now() + FIRST_SYNC;
    }
    changed(link);
  }

  /** Whether a tree that a neighbour brings makes no loop. */
  function welcome(link: Link, peer: number, ids: Uint32Array): boolean {
    "cold";
    const fresh = !link.id;
    const known = fresh ? linkTo(peer) : null;
    // A neighbour that restarted is back before its old connection has timed out.
    if (known && known.id === peer) probe(known);
    // This node or the peer below the peer is a loop. In a standing tree the lower end of each edge breaks it.
    return !(
      known ||
      (!fresh && peer !== link.id) ||
      peer === id ||
      ids.indexOf(peer, 1) >= 0 ||
      ((fresh || link.up) && ids.indexOf(id) >= 0)
    );
  }

  function frame(link: Link, text: string): void {
    "cold";
    let p: Package | number = NOT_JSON;
    let cut = "";
    // Most node syncs bring nothing new: their subs are compared as text, and parsed only when they differ.
    if (text.substr(0, 10) === '{"nodeId":') {
      const from = text.indexOf('"subs":[');
      if (from > 0) {
        const to = text.lastIndexOf("]") + 1;
        cut = text.substring(from + 7, to);
        p = parsePackage(text.substr(0, from) + '"subs":0' + text.substr(to), openers);
      }
    }
    if (typeof p === "number" || (p.type !== NODE_SYNC_REQUEST && p.type !== NODE_SYNC_REPLY)) {
      cut = "";
      p = parsePackage(text, openers);
    }
    if (typeof p === "number") {
      stats.malformed++;
      return;
    }
    const type = p.type;
    const routing = routingOf(p);
    const sync = type === NODE_SYNC_REQUEST || type === NODE_SYNC_REPLY;
    if ((!link.id && !sync) || ((sync || type === TIME_SYNC) && routing !== ROUTE_NEIGHBOUR)) {
      stats.dropped++;
      return;
    }
    if (routing === ROUTE_SINGLE && p.dest !== id) {
      // Receipts and delay measurements are short, and useless when late.
      const urgent = type === DELIVERED || type === TIME_DELAY;
      const next = linkTo(p.dest);
      if (!next || next === link) stats.dropped++;
      else if (next.push(text, urgent ? PRIORITY_HIGH : PRIORITY_NORMAL, urgent ? RESERVE : 0)) stats.forwarded++;
      return;
    }
    stats.rx++;
    if (routing === ROUTE_BROADCAST) {
      for (const other of links)
        if (other !== link && other.id && other.push(text, PRIORITY_NORMAL, 0)) stats.forwarded++;
    }
    if (sync) nodeSync(link, p, cut);
    else if (type === TIME_SYNC || type === TIME_DELAY) router.clock.handle(link, p);
    else if (type === HELLO && p.from === link.id) {
      link.version = typeof p.v === "string" ? p.v : "";
      link.abilities = isUint32(p.c) ? p.c : 0;
    }
    fire("p" + type, p, link.id);
  }

  /** What links, clock, join and the application's side see. */
  const router: Router = {
    id: id,
    links: links,
    stats: stats,
    queueLimit: config.queueLimit || QUEUE_LIMIT,
    running: false,
    isRoot: !!config.root,
    authority: false,
    containsRoot: false,
    stability: 0,
    parentIp: "",
    apIp: "",
    // Both need the router itself; they are filled in below.
    clock: null as never,
    join: null as never,
    rootId: rootId,
    linkTo: linkTo,
    transmit: transmit,
    treeFields: treeFields,
    changed: changed,
    waiting: 0,
    engine: engine,
    wake: wake,
    serve: serve,
    opened: function (link: Link) {
      "cold";
      sendSync(link, NODE_SYNC_REQUEST);
    },
    closed: function (link: Link) {
      "cold";
      const at = links.indexOf(link);
      if (at < 0) return;
      links.splice(at, 1);
      if (link.up) router.join.unlinked();
      if (!link.id) return;
      if (!link.greets) fire("dropped", link.id);
      if (router.running) changed(null);
    },
    route: function (p: Package, priority: number) {
      "cold";
      const routing = routingOf(p);
      const text = packageText(p);
      let sent = false;
      if (routing === ROUTE_BROADCAST) {
        for (const each of links) if (each.id && transmit(each, text, priority, 0)) sent = true;
        return sent;
      }
      const link = linkTo(p.dest);
      if (!link || (routing !== ROUTE_SINGLE && link.id !== p.dest)) return false;
      return transmit(link, text, priority, 0);
    },
    sendTime: function (type: number, link: Link, dest: number, message: TimeMessage) {
      "cold";
      const text = '{"type":' + type + ',"dest":' + dest + ',"from":' + id + ',"msg":' + JSON.stringify(message) + "}";
      const way = type === TIME_DELAY ? linkTo(dest) : link;
      if (way) transmit(way, text, PRIORITY_HIGH, RESERVE);
    },
    dial: function (host: string, port: number) {
      "cold";
      for (const other of links) if (other.up) return;
      const link = new Link(router, null);
      links.push(link);
      link.timeoutAt = engine.now() + OPEN_TIMEOUT;
      link.socket = engine.connect(host, port, link);
      link.drain(-1);
    },
    hangUp: function (all: boolean) {
      "cold";
      const list = links.slice(0);
      for (const link of list) if (all || link.up) link.close(true);
    },
    accept: function (socket: Socket) {
      "cold";
      const link = new Link(router, socket);
      if (router.running && links.length < (config.maxLinks || MAX_LINKS)) {
        links.push(link);
        link.syncAt = engine.now() + FIRST_SYNC;
      } else {
        stats.refused++;
        link.ended = true;
        socket.close();
      }
      return link;
    },
    tick: function (now: number) {
      "cold";
      const late = now - lastTick - TICK;
      const list = links.slice(0);
      for (const link of list) {
        if (late > LATE_TICK && lastTick && link.timeoutAt) link.timeoutAt += late;
        // What it waits for may have come, and wait in turn.
        if (link.timeoutAt && now >= link.timeoutAt && !link.inbox.length) link.close(true);
      }
      wake();
      lastTick = now;
      router.join.advance(now);
    },
  };
  router.clock = createClock(engine, router, fire);
  router.join = createJoin(engine, config, router);
  if (wifi)
    wifi.onStationLeft(function () {
      for (const link of links) if (!link.up && link.id) probe(link);
    });
  return router;
}
