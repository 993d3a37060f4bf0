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
  ROUTE_BROADCAST,
  ROUTE_NEIGHBOUR,
  ROUTE_SINGLE,
  TIME_DELAY,
  TIME_SYNC,
  isUint32,
  packageText,
  parsePackage,
  routingOf,
} from "../wire/packages";
import type { Package } from "../wire/packages";
import { createClock } from "./clock";
import type { Clock, ClockHost, TimeMessage } from "./clock";
import type { Events } from "./events";
import { createJoin, idOfMac } from "./join";
import type { Join, JoinConfig, JoinHost } from "./join";
import { Link, PRIORITY_HIGH, PRIORITY_NORMAL, RESERVE } from "./link";
import type { LinkOwner } from "./link";
import { TREE_AUTHORITY, TREE_NODE, TREE_ROOT, findInTree, flaggedInTree, idInTree, packTree, treeJson } from "./tree";
import type { TreeJson } from "./tree";

/** Milliseconds. */
export const NODE_TIMEOUT = 10000;
export const SYNC_PERIOD = 60000;
/** What the access point's side waits before its first node sync and time sync. */
export const FIRST_SYNC = 10000;
/** A neighbour that is suspected to be gone has this long to answer. */
export const PROBE_TIMEOUT = 5000;
/** A dialled connection has to stand by then. */
const OPEN_TIMEOUT = 20000;
const TICK = 1000;
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

  function linkTo(dest: number): Link | null {
    "cold";
    let best: Link | null = null;
    for (const link of links)
      if (findInTree(link.tree, dest) >= 0 && (!best || link.changed > best.changed)) best = link;
    return best;
  }

  function rootId(): number {
    "cold";
    let found = router.isRoot ? id : 0;
    for (let i = 0; !found && i < links.length; i++) found = flaggedInTree(links[i]!.tree, TREE_ROOT);
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
    const subs: string[] = [];
    for (const link of links) if (link !== without && link.id) subs.push(treeJson(link.tree));
    return (
      '"nodeId":' +
      id +
      (router.isRoot ? ',"root":true' : "") +
      (router.authority ? ',"hasTimeAuthority":true' : "") +
      (subs.length ? ',"subs":[' + subs.join(",") + "]" : "")
    );
  }

  function sendSync(link: Link, type: number): void {
    "cold";
    if (type === NODE_SYNC_REQUEST) {
      const now = engine.now();
      link.syncAt = now + SYNC_PERIOD;
      if (!link.timeoutAt || !link.id) link.timeoutAt = now + NODE_TIMEOUT;
    }
    const text = "{" + treeFields(link) + ',"type":' + type + ',"dest":' + link.id + ',"from":' + id + "}";
    transmit(link, text, PRIORITY_HIGH, RESERVE);
  }

  function changed(except: Link | null): void {
    "cold";
    router.stability = router.stability >> 1;
    for (const link of links) if (link !== except && link.id) sendSync(link, NODE_SYNC_REQUEST);
    fire("changed");
  }

  /** Finds out soon whether a neighbour is still there. */
  function probe(link: Link): void {
    "cold";
    if (!link.timeoutAt) sendSync(link, NODE_SYNC_REQUEST);
    link.timeoutAt = Math.min(link.timeoutAt, engine.now() + PROBE_TIMEOUT);
  }

  function nodeSync(link: Link, p: Package): void {
    "cold";
    const reply = p.type === NODE_SYNC_REPLY;
    let tree = packTree(p as TreeJson, p.from);
    if (!tree) {
      stats.malformed++;
      return;
    }
    // C++ nodes leave the flag out of replies, which would flip it all over the mesh once a minute.
    if (reply && (link.tree.charCodeAt(0) & TREE_AUTHORITY) > (tree.charCodeAt(0) & TREE_AUTHORITY))
      tree = String.fromCharCode(tree.charCodeAt(0) + TREE_AUTHORITY) + tree.substr(1);
    const peer = idInTree(tree, 0);
    const fresh = !link.id;
    const known = fresh ? linkTo(peer) : null;
    // A neighbour that restarted is back before its old connection has timed out.
    if (known && known.id === peer) probe(known);
    // This node or the peer below the peer is a loop. In a standing tree the lower end of each edge breaks it.
    if (
      known ||
      (!fresh && peer !== link.id) ||
      peer === id ||
      findInTree(tree.substr(TREE_NODE), peer) >= 0 ||
      ((fresh || link.up) && findInTree(tree, id) >= 0)
    ) {
      stats.refused++;
      link.close(true);
      return;
    }
    link.id = peer;
    if (reply) link.timeoutAt = 0;
    else sendSync(link, NODE_SYNC_REPLY);
    if (link.tree === tree) {
      link.syncAt = engine.now() + SYNC_PERIOD;
      router.stability = Math.min(MAX_STABILITY, router.stability + 25);
      return;
    }
    link.tree = tree;
    link.changed = ++changes;
    if (fresh) {
      const hello = config.hello || { v: "", c: 0 };
      const introduction = { type: HELLO, routing: ROUTE_NEIGHBOUR, dest: peer, from: id, v: hello.v, c: hello.c };
      transmit(link, packageText(introduction), PRIORITY_HIGH, RESERVE);
      if (link.up) {
        router.join.linked();
        router.clock.exchange(link);
      } else link.timeAt = engine.now() + FIRST_SYNC;
      fire("connected", peer);
    }
    changed(link);
  }

  function frame(link: Link, text: string): void {
    "cold";
    const arrival = router.clock.now();
    const p = parsePackage(text, openers);
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
    if (sync) nodeSync(link, p);
    else if (type === TIME_SYNC || type === TIME_DELAY) router.clock.handle(link, p, arrival);
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
    frame: frame,
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
      fire("dropped", link.id);
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
        if (link.timeoutAt && now >= link.timeoutAt) link.close(true);
        if (link.ended) continue;
        if (link.syncAt && now >= link.syncAt) sendSync(link, NODE_SYNC_REQUEST);
        if (link.timeAt && now >= link.timeAt) router.clock.exchange(link);
      }
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
