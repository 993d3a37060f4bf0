/**
 * A fleet at the level of its telemetry, in virtual time: traces of a day, a tree, lost frames, faults. What a collector
 * sees of it is a `MeshSession` like any other.
 */
import { crc32 } from "node:zlib";
import type { Engine } from "../../firmware/engine/engine";
import type { EspalierNode } from "../../firmware/node";
import { PACKAGE_STATUS_REPORT } from "../../firmware/status/reporter";
import { PACKAGE_STATUS_QUERY } from "../../firmware/status/telemetry-receiver";
import { encodeTelemetry, type Telemetry } from "../../firmware/wire/telemetry";
import type { MeshSession } from "../gateway/mesh-session";
import { EventQueue } from "./events";
import { Random } from "./random";
import { Trace } from "./status-traces";

export interface StatusWorldOptions {
  nodes: number;
  seed?: number;
  /** Seconds. */
  interval?: number;
  /** Share of frames that do not reach the collector, 0..1. */
  loss?: number;
  /** Children of a node: 3 unless given. */
  fanOut?: number;
}

export interface StatusNode {
  readonly id: number;
  readonly trace: Trace;
  /** Speaks and answers. */
  on: boolean;
  parent: StatusNode | null;
  /** Answers questions about its status. */
  answers: boolean;
  /** Microseconds that its clock is ahead. */
  clock: number;
}

/** Unix time at which the virtual day begins: 2030-01-01. */
const EPOCH = 1_893_456_000_000;
const PROBE_MS = 150;

export class StatusWorld {
  readonly events = new EventQueue();
  readonly nodes: StatusNode[] = [];
  readonly session: MeshSession;
  /** Share of frames that are lost. */
  loss: number;
  /** Sees each frame before it may be lost. */
  onFrame: ((frame: Telemetry, node: StatusNode) => void) | null = null;
  /** Sent by the collector so far. */
  packages = 0;
  readonly interval: number;
  readonly #random: Random;
  readonly #listeners = new Set<(frame: Telemetry) => void>();
  readonly #delays: ((id: number, microseconds: number) => void)[] = [];
  readonly #packages = new Map<number, ((p: unknown, neighbour: number) => void)[]>();

  constructor(options: StatusWorldOptions) {
    this.interval = options.interval ?? 60;
    this.loss = options.loss ?? 0;
    this.#random = new Random(options.seed ?? 1).stream("status");
    const fanOut = options.fanOut ?? 3;
    const id = (number: number): number => 0xc4a00001 + 2 * number;
    for (let number = 0; number < options.nodes; number++) {
      const parent = number === 0 ? null : this.nodes[Math.floor((number - 1) / fanOut)]!;
      let hops = 0;
      for (let at = parent; at; at = at.parent) hops++;
      const first = number * fanOut + 1;
      const children = Math.max(0, Math.min(options.nodes, first + fanOut) - first);
      const own = this.#random.stream(`node ${number}`);
      const shape = {
        id: id(number),
        parent: parent?.id ?? 0,
        hops,
        root: number === 0,
        children,
        nodes: options.nodes,
        interval: this.interval,
        battery: children === 0 && number % 2 === 1,
      };
      const node: StatusNode = {
        id: id(number),
        trace: new Trace(shape, own, 0),
        on: true,
        parent,
        answers: true,
        clock: 0,
      };
      this.nodes.push(node);
      const jitter = own.stream("jitter");
      const speak = (): void => {
        this.say(node);
        this.events.after(this.interval * 1000 + jitter.between(-400, 400), speak);
      };
      this.events.after(jitter.between(0, this.interval * 1000), speak);
    }
    this.session = this.#openSession();
  }

  /** Unix milliseconds. */
  now(): number {
    return EPOCH + this.events.now();
  }

  /** Sends a frame now, besides those that come by themselves: what is critical does not wait. */
  say(node: StatusNode): void {
    if (!node.on) return;
    const frame = { ...node.trace.at(this.events.now() / 1000) };
    node.trace.values.sequence = (node.trace.values.sequence + 1) & 65535;
    this.onFrame?.(frame, node);
    if (!this.#reachable(node) || this.#random.chance(this.loss)) return;
    for (const listener of this.#listeners) listener(frame);
  }

  /** A package as if it had come through the root. */
  receive(p: { type: number; from: number; [field: string]: unknown }): void {
    for (const run of this.#packages.get(p.type) ?? []) run({ dest: 0, ...p }, this.nodes[0]!.id);
  }

  /** Seconds of virtual time pass. */
  run(seconds: number): void {
    this.events.run(this.events.now() + seconds * 1000);
  }

  /** A node is on, and so is all that lies between it and the root. */
  #reachable(node: StatusNode): boolean {
    for (let at: StatusNode | null = node; at; at = at.parent) if (!at.on) return false;
    return true;
  }

  /** Lets one node, or (0) all that can be reached, answer a status query. */
  #ask(id: number, q: number | undefined, spread: number): void {
    for (const node of this.nodes) {
      if ((id && node.id !== id) || !this.#reachable(node) || !node.answers) continue;
      this.events.after(PROBE_MS + this.#random.between(0, spread), () => {
        if (!this.#reachable(node)) return;
        const frame = encodeTelemetry(node.trace.at(this.events.now() / 1000), (b) => crc32(Buffer.from(b, "latin1")));
        const t = (this.events.now() * 1000 + node.clock + 4294967296) % 4294967296;
        const d = Buffer.from(frame, "latin1").toString("base64");
        this.receive({ type: PACKAGE_STATUS_REPORT, from: node.id, dest: 1, q, d, t: Math.floor(t) });
      });
    }
  }

  #tree(node: StatusNode): object {
    const subs = this.nodes.filter((one) => one.parent === node && one.on).map((one) => this.#tree(one));
    return { nodeId: node.id, ...(node.parent ? {} : { root: true }), ...(subs.length > 0 ? { subs } : {}) };
  }

  #openSession(): MeshSession {
    const { events } = this;
    const timers = new Map<number, object>();
    let last = 0;
    const start = (milliseconds: number, run: () => void, again: boolean): number => {
      const id = ++last;
      const fire = (): void => {
        if (again) timers.set(id, events.after(milliseconds, fire));
        run();
      };
      timers.set(id, events.after(milliseconds, fire));
      return id;
    };
    const engine = {
      now: () => events.now(),
      random: () => this.#random.uint32(),
      crc32: (bytes: string) => crc32(Buffer.from(bytes, "latin1")),
      toBase64: (bytes: string) => Buffer.from(bytes, "latin1").toString("base64"),
      fromBase64: (text: string) => Buffer.from(text, "base64").toString("latin1"),
      after: (milliseconds: number, run: () => void) => start(milliseconds, run, false),
      every: (milliseconds: number, run: () => void) => start(milliseconds, run, true),
      cancel: (id: number) => {
        const event = timers.get(id);
        if (event) events.cancel(event as never);
        timers.delete(id);
      },
    } as unknown as Engine;
    const byId = (id: number): StatusNode | undefined => this.nodes.find((one) => one.id === id);
    const mesh = {
      getNodeId: () => 1,
      rootId: () => (this.nodes[0]!.on ? this.nodes[0]!.id : 0),
      subConnectionJson: () =>
        JSON.stringify({ nodeId: 1, subs: this.nodes[0]!.on ? [this.#tree(this.nodes[0]!)] : [] }),
      getHopCount: (id: number) => {
        const node = byId(id);
        if (!node || !this.#reachable(node)) return -1;
        let hops = 1;
        for (let at = node.parent; at; at = at.parent) hops++;
        return hops;
      },
      isConnected: (id: number) => {
        const node = byId(id);
        return node !== undefined && this.#reachable(node);
      },
      getNodeList: () => this.nodes.filter((one) => this.#reachable(one)).map(({ id }) => id),
      startDelayMeas: (id: number) => {
        const node = byId(id);
        if (!node || !this.#reachable(node)) return false;
        events.after(PROBE_MS, () => {
          if (this.#reachable(node)) for (const run of this.#delays) run(id, 20000);
        });
        return true;
      },
      onNodeDelayReceived: (run: (id: number, microseconds: number) => void) => void this.#delays.push(run),
      onChangedConnections: () => undefined,
      onPackage: (type: number, run: (p: unknown, neighbour: number) => void) =>
        void this.#packages.set(type, [...(this.#packages.get(type) ?? []), run]),
      getNodeTime: () => (events.now() * 1000) % 4294967296,
      sendPackage: (p: { type: number; dest?: number; q?: number; w?: number; k?: number }) => {
        this.packages++;
        if (p.type === PACKAGE_STATUS_QUERY && p.k !== 1) this.#ask(p.dest ?? 0, p.q, p.w ?? 0);
        return true;
      },
    };
    return {
      via: "virtual",
      node: { engine, mesh } as unknown as EspalierNode,
      onTelemetry: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      joined: () => Promise.resolve(),
      now: () => this.now(),
      close: () => Promise.resolve(),
    };
  }
}
