/**
 * The mesh as an application sees it, under the names of painlessMesh: messages to one node or to all, who is there, and
 * a common clock.
 */
import type { Engine, Socket } from "../engine/engine";
import { BROADCAST, SINGLE, TIME_DELAY, TIME_REQUEST } from "../wire/packages";
import type { Package } from "../wire/packages";
import { createDelivery } from "./delivery";
import type { SendOptions } from "./delivery";
import { createEvents } from "./events";
import { PRIORITY_NORMAL } from "./link";
import { createRouter } from "./router";
import type { MeshConfig } from "./router";
import { depthInSubs, idsInSubs } from "./tree";

export type { MeshConfig } from "./router";
export type { SendError, SendOptions } from "./delivery";

export interface MeshEvents {
  receive?(from: number, message: string): void;
  newConnection?(id: number): void;
  droppedConnection?(id: number): void;
  changedConnections?(): void;
  nodeTimeAdjusted?(microseconds: number): void;
  nodeDelayReceived?(from: number, microseconds: number): void;
}

export interface Neighbour {
  id: number;
  /** It is this node's parent. */
  up: boolean;
  espalier: boolean;
  /** From HELLO; "" and 0 for a C++ node. */
  v: string;
  c: number;
  /** ms to it and back at the last exchange of times that this node asked for, -1 unknown */
  roundTrip: number;
  /** Nodes reached through it, itself included. */
  nodes: number;
}

export type Mesh = ReturnType<typeof createMesh>;

export function createMesh(engine: Engine, config: MeshConfig, events?: MeshEvents) {
  const bus = createEvents(engine);
  const router = createRouter(engine, config, bus);
  const delivery = createDelivery(engine, router, bus);
  let listening = false;
  let timer = 0;

  function message(p: Package): void {
    "cold";
    if (typeof p.msg === "string") bus.fire("receive", p.from, p.msg);
    else router.stats.malformed++;
  }

  bus.hear("p" + SINGLE, message);
  bus.hear("p" + BROADCAST, message);
  if (events) {
    bus.hear("receive", events.receive);
    bus.hear("connected", events.newConnection);
    bus.hear("dropped", events.droppedConnection);
    bus.hear("changed", events.changedConnections);
    bus.hear("adjusted", events.nodeTimeAdjusted);
    bus.hear("delay", events.nodeDelayReceived);
  }

  return {
    stats: router.stats,
    config: config,
    /** Live: `parentIp` and `apIp`, "" while there is none; `stability` 0..1000. */
    state: router as { readonly parentIp: string; readonly apIp: string; readonly stability: number },
    /** JOIN_OFF .. JOIN_STANDING, see join.ts */
    joinPhase: function (): number {
      "cold";
      return router.join.phase();
    },
    /** Takes a connection that did not come through the listening port. */
    accept: function (socket: Socket) {
      "cold";
      return router.accept(socket);
    },
    start: function () {
      "cold";
      if (router.running) return;
      router.running = true;
      if (!listening) engine.listen(config.port, router.accept);
      listening = true;
      router.join.seek();
      timer = engine.every(1000, function () {
        const now = engine.now();
        router.tick(now);
        delivery.resend(now);
      });
    },
    /** Closes all links and the WiFi; messages that wait for a receipt fail. */
    stop: function () {
      "cold";
      if (!router.running) return;
      router.running = false;
      engine.cancel(timer);
      router.join.giveUp();
      delivery.abandon();
    },
    /**
     * Sends text (UTF-8 bytes) to one node. False if there is no way to it, or the queue is full; with `ack`, false if
     * it is this node itself or too many messages are under way, and otherwise `done` tells.
     */
    sendSingle: function (dest: number, message: string, options?: SendOptions): boolean {
      "cold";
      const priority = options && options.priority !== undefined ? options.priority : PRIORITY_NORMAL;
      if (options && options.ack) return router.running && delivery.post(dest, message, priority, options);
      return router.route({ type: SINGLE, dest: dest, from: router.id, msg: message }, priority);
    },
    /** Sends text (UTF-8 bytes) to all other nodes, and with `includeSelf` to this one. False without neighbours. */
    sendBroadcast: function (message: string, includeSelf?: boolean, priority?: number): boolean {
      "cold";
      const p: Package = { type: BROADCAST, dest: 0, from: router.id, msg: message };
      const sent = router.route(p, priority === undefined ? PRIORITY_NORMAL : priority);
      if (includeSelf) bus.fire("receive", router.id, message);
      return sent;
    },
    /** Sends any package by its routing; `from` is filled in if it is missing. */
    sendPackage: function (fields: { type: number; [field: string]: unknown }, priority?: number): boolean {
      "cold";
      const p = fields as Package;
      if (!p.from) p.from = router.id;
      return router.route(p, priority === undefined ? PRIORITY_NORMAL : priority);
    },
    /** Calls for each package of a type that is for this node, with the neighbour that it came through. */
    onPackage: function (type: number, run: (p: Package, neighbour: number) => void) {
      "cold";
      bus.hear("p" + type, run);
    },
    onReceive: function (run: (from: number, message: string) => void) {
      "cold";
      bus.hear("receive", run);
    },
    onNewConnection: function (run: (neighbour: number) => void) {
      "cold";
      bus.hear("connected", run);
    },
    onDroppedConnection: function (run: (neighbour: number) => void) {
      "cold";
      bus.hear("dropped", run);
    },
    onChangedConnections: function (run: () => void) {
      "cold";
      bus.hear("changed", run);
    },
    onNodeTimeAdjusted: function (run: (microseconds: number) => void) {
      "cold";
      bus.hear("adjusted", run);
    },
    onNodeDelayReceived: function (run: (from: number, microseconds: number) => void) {
      "cold";
      bus.hear("delay", run);
    },
    getNodeId: function () {
      "cold";
      return router.id;
    },
    /** Microseconds, modulo 2^32, the same on all nodes. */
    getNodeTime: router.clock.now,
    /** Depth first, in the order of the tree. */
    getNodeList: function (includeSelf?: boolean): number[] {
      "cold";
      const list: number[] = includeSelf ? [router.id] : [];
      for (const link of router.links) if (link.id) list.push.apply(list, [link.id].concat(idsInSubs(link.subs)));
      return list;
    },
    subConnectionJson: function () {
      "cold";
      return "{" + router.treeFields(null) + "}";
    },
    isConnected: function (dest: number) {
      "cold";
      return !!router.linkTo(dest);
    },
    /** Hops to a node, 0 to this one, -1 if there is no way. */
    getHopCount: function (dest: number): number {
      "cold";
      if (dest === router.id) return 0;
      const link = router.linkTo(dest);
      return link ? (link.id === dest ? 1 : depthInSubs(link.subs, dest) + 1) : -1;
    },
    /** The neighbour through which a node is reached, or 0. */
    routeTo: function (dest: number): number {
      "cold";
      const link = router.linkTo(dest);
      return link ? link.id : 0;
    },
    rootId: router.rootId,
    neighbours: function (): Neighbour[] {
      "cold";
      const list: Neighbour[] = [];
      for (const link of router.links)
        if (link.id)
          list.push({
            id: link.id,
            up: link.up,
            espalier: link.abilities >= 0,
            v: link.version,
            c: Math.max(0, link.abilities),
            roundTrip: link.roundTrip,
            nodes: link.tree.length,
          });
      return list;
    },
    /** Measures the way to a node; onNodeDelayReceived tells. False if there is no way. */
    startDelayMeas: function (dest: number): boolean {
      "cold";
      const link = router.linkTo(dest);
      if (link) router.sendTime(TIME_DELAY, link, dest, { type: TIME_REQUEST, t0: router.clock.now() });
      return !!link;
    },
    setRoot: function (on: boolean) {
      "cold";
      if (router.isRoot === on) return;
      router.isRoot = on;
      if (router.running) router.changed(null);
    },
    isRoot: function () {
      return router.isRoot;
    },
    /** Tells that some node is the root, so that this one keeps looking for it. */
    setContainsRoot: function (on?: boolean) {
      "cold";
      router.containsRoot = on !== false;
    },
    /** Tells that this node knows the time, so that the others adopt it. */
    setTimeAuthority: function (on: boolean) {
      "cold";
      if (router.authority === on) return;
      router.authority = on;
      if (router.running) router.changed(null);
    },
  };
}
