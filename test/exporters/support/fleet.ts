/** A collector fed by hand, with whatever fleet a test wants. */
import type {
  AlertView,
  Collector,
  CollectorEvents,
  NodeView,
  TopologyView,
} from "../../../host-tools/gateway/fleet-view";
import type { Telemetry } from "../../../firmware/wire/telemetry";

export const ROOT = 3000000001;

export function telemetry(fields: Partial<Telemetry> = {}): Telemetry {
  return {
    magic: 0xe1,
    flags: 0,
    node: ROOT,
    sequence: 1,
    uptime: 86400,
    memoryFree: 2000,
    memoryTotal: 4000,
    interval: 6,
    rssi: -65,
    parent: 0,
    hops: 0,
    children: 1,
    nodes: 3,
    received: 1000,
    sent: 900,
    dropped: 2,
    refused: 1,
    loss: 31,
    latency: 12,
    starts: 3,
    reset: 1,
    alerts: 0,
    major: 2,
    minor: 1,
    patch: 0,
    image: 0x1234,
    updateState: 0,
    updatePercent: 0,
    battery: 3700,
    temperature: 21,
    role: 0,
    ...fields,
  } as Telemetry;
}

export function nodeView(index: number, fields: Partial<NodeView> = {}, frame: Partial<Telemetry> = {}): NodeView {
  const id = ROOT + index;
  const parent = index === 0 ? 0 : ROOT + Math.floor((index - 1) / 4);
  const hops = index === 0 ? 0 : Math.ceil(Math.log(index * 3 + 1) / Math.log(4));
  return {
    id,
    name: `node-${index}`,
    hardware: "ESP32",
    role: index === 0 ? "root" : "node",
    version: "2.1.0",
    presence: "online",
    heardAt: 1638360000000,
    parent,
    hops,
    telemetry: telemetry({ node: id, parent, hops, uptime: 86400 + index, ...frame }),
    ...fields,
  };
}

export function alertView(fields: Partial<AlertView> = {}): AlertView {
  const node = fields.node ?? ROOT + 1;
  const rule = fields.rule ?? "low-memory";
  return {
    key: `${rule}:${node}`,
    rule,
    node,
    severity: "warning",
    state: "firing",
    message: "8 KB free, 10 KB wanted",
    value: 8192,
    threshold: 10240,
    since: 1638360000000,
    resolvedAt: 0,
    inhibitedBy: "",
    flapping: false,
    acknowledged: false,
    ...fields,
  };
}

export class HandFed implements Collector {
  private readonly views = new Map<number, NodeView>();
  private active: AlertView[] = [];
  private readonly listeners = new Map<keyof CollectorEvents, Set<(value: never) => void>>();

  constructor(views: readonly NodeView[] = []) {
    for (const view of views) this.views.set(view.id, view);
  }

  private fire(name: keyof CollectorEvents, value: unknown): void {
    for (const listener of this.listeners.get(name) ?? []) listener(value as never);
  }

  /** As a telemetry frame would. */
  feed(view: NodeView): void {
    this.views.set(view.id, view);
    this.fire("node", view);
  }

  move(): void {
    this.fire("topology", this.topology());
  }

  alert(alert: AlertView): void {
    this.active = [alert, ...this.active.filter((one) => one.key !== alert.key)];
    this.fire("alert", alert);
  }

  nodes(): NodeView[] {
    return [...this.views.values()];
  }

  node(id: number): NodeView | null {
    return this.views.get(id) ?? null;
  }

  topology(): TopologyView {
    return {
      root: ROOT,
      nodes: this.nodes().map(({ id, parent, hops, telemetry: t }) => ({ id, parent, hops, rssi: t?.rssi ?? 0 })),
    };
  }

  alerts(): AlertView[] {
    return this.active;
  }

  acknowledge(): boolean {
    return false;
  }

  on<K extends keyof CollectorEvents>(name: K, listener: CollectorEvents[K]): () => void {
    const set = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, set);
    set.add(listener as (value: never) => void);
    return () => set.delete(listener as (value: never) => void);
  }

  close(): void {}
}
