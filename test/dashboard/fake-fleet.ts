/** A fleet that exists on paper only: any size, moved by a seeded generator, told what to do by the test. */
import type {
  AlertView,
  Collector,
  CollectorEvents,
  MeshEvent,
  NodeView,
  Rollout,
  RolloutNode,
  RolloutState,
  RolloutView,
  TopologyView,
} from "../../host-tools/gateway/fleet-view";
import type { Telemetry } from "../../firmware/wire/telemetry";

/** Mulberry32, so that a fleet looks the same in each run. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const idOf = (number: number): number => (0xc4a00000 + number * 2 + 1) >>> 0;

type Listeners = { [K in keyof CollectorEvents]: Set<CollectorEvents[K]> };

export class FakeFleet implements Collector {
  readonly views = new Map<number, NodeView>();
  readonly list: AlertView[] = [];
  private readonly random: () => number;
  private readonly listeners: Listeners = { node: new Set(), alert: new Set(), topology: new Set(), event: new Set() };

  constructor(
    count: number,
    readonly now: () => number,
    seed = 1,
  ) {
    this.random = generator(seed);
    for (let i = 0; i < count; i++) {
      const parent = i === 0 ? -1 : Math.floor((i - 1) / (i < 9 ? 2 : 3));
      const up = parent < 0 ? undefined : this.views.get(idOf(parent));
      const hops = up ? up.hops + 1 : 0;
      this.views.set(idOf(i), {
        id: idOf(i),
        name: i === 0 ? "root" : `greenhouse-${String(i).padStart(2, "0")}`,
        hardware: "ESP32",
        role: i === 0 ? "root" : "node",
        version: "1.0.0",
        presence: "online",
        heardAt: 0,
        parent: up?.id ?? 0,
        hops,
        telemetry: null,
      });
    }
  }

  /** One new frame of a node. */
  report(id: number, changes: Partial<Telemetry> = {}): void {
    const view = this.views.get(id)!;
    const before = view.telemetry;
    const wander = (value: number, step: number, low: number, high: number): number =>
      Math.max(low, Math.min(high, Math.round(value + (this.random() - 0.5) * step)));
    const [major, minor, patch] = view.version.split(".").map(Number) as [number, number, number];
    const telemetry: Telemetry = {
      magic: 0xe1,
      flags: view.parent ? 0 : 4,
      node: id,
      sequence: ((before?.sequence ?? -1) + 1) & 65535,
      uptime: (before?.uptime ?? 3600) + 30,
      memoryFree: wander(before?.memoryFree ?? 2100 + this.random() * 300, 80, 500, 2600),
      memoryTotal: 4000,
      interval: 6,
      rssi: view.parent ? wander(before?.rssi ?? -50 - this.random() * 30, 4, -92, -38) : 0,
      parent: view.parent,
      hops: view.hops,
      children: [...this.views.values()].filter((other) => other.parent === id).length,
      nodes: this.views.size,
      received: (before?.received ?? 0) + Math.round(this.random() * 60),
      sent: (before?.sent ?? 0) + Math.round(this.random() * 40),
      dropped: before?.dropped ?? 0,
      refused: 0,
      loss: wander(before?.loss ?? this.random() * 60, 12, 0, 300),
      latency: wander(before?.latency ?? 12 * (view.hops + 1), 10, 2, 900),
      starts: 3,
      reset: 1,
      alerts: 0,
      major,
      minor,
      patch,
      image: 1,
      updateState: 0,
      updatePercent: 0,
      battery: 0,
      temperature: wander(before?.temperature ?? 31, 2, 20, 60),
      role: view.parent ? 0 : 1,
      ...changes,
    };
    this.change(id, { telemetry, heardAt: this.now(), presence: "online" });
  }

  change(id: number, changes: Partial<NodeView>): void {
    const view = { ...this.views.get(id)!, ...changes };
    this.views.set(id, view);
    for (const listener of this.listeners.node) listener(view);
  }

  reportAll(): void {
    for (const id of this.views.keys()) this.report(id);
  }

  alert(changes: Partial<AlertView> & { key: string }): void {
    const before = this.list.find(({ key }) => key === changes.key);
    const alert: AlertView = {
      rule: changes.key.split(":")[0]!,
      node: Number(changes.key.split(":")[1] ?? 0),
      severity: "warning",
      state: "firing",
      message: changes.key,
      value: null,
      threshold: null,
      since: this.now(),
      resolvedAt: 0,
      inhibitedBy: "",
      flapping: false,
      acknowledged: false,
      ...before,
      ...changes,
    };
    if (before) this.list.splice(this.list.indexOf(before), 1);
    this.list.unshift(alert);
    for (const listener of this.listeners.alert) listener(alert);
  }

  event(event: Omit<MeshEvent, "at">): void {
    for (const listener of this.listeners.event) listener({ at: this.now(), ...event });
  }

  nodes(): NodeView[] {
    return [...this.views.values()];
  }

  node(id: number): NodeView | null {
    return this.views.get(id) ?? null;
  }

  topology(): TopologyView {
    const nodes = this.nodes().map(({ id, parent, hops, telemetry }) => ({
      id,
      parent,
      hops,
      rssi: telemetry?.rssi ?? 0,
    }));
    return { root: idOf(0), nodes };
  }

  alerts(): AlertView[] {
    return this.list;
  }

  acknowledge(key: string): boolean {
    const alert = this.list.find((one) => one.key === key && one.state !== "resolved");
    if (!alert) return false;
    this.alert({ ...alert, acknowledged: true });
    return true;
  }

  on<K extends keyof CollectorEvents>(name: K, listener: CollectorEvents[K]): () => void {
    this.listeners[name].add(listener);
    return () => void this.listeners[name].delete(listener);
  }

  close(): void {
    for (const set of Object.values(this.listeners)) set.clear();
  }
}

/** A rollout that only notes what it is asked for; `set` says what it shows. */
export class FakeRollout implements Rollout {
  readonly calls: string[] = [];
  private readonly listeners = new Set<(view: RolloutView) => void>();
  private current: RolloutView;

  constructor(nodes: number[], image: RolloutView["image"], policy = "progressive", transport = "broadcast") {
    const rows = nodes.map((node): RolloutNode => ({
      node,
      state: "waiting",
      percent: 0,
      chunks: 0,
      total: 0,
      repaired: 0,
      error: "",
      health: "",
      wave: 0,
      versionBefore: "1.0.0",
      version: "1.0.0",
      seconds: -1,
    }));
    const wave = (name: string, of: number[]) => ({
      name,
      nodes: of,
      state: "waiting" as const,
      startedAt: 0,
      soakUntil: 0,
      verdict: "",
    });
    this.current = {
      id: `${image.version}-1`,
      state: "preview",
      image,
      policy,
      transport,
      waves:
        policy === "all"
          ? [wave("all", nodes)]
          : [
              wave("canary", nodes.slice(0, 1)),
              wave("early adopters", nodes.slice(1, 5)),
              wave("everyone", nodes.slice(5)),
            ],
      nodes: rows,
      preview: { update: nodes, current: [], offline: [], incompatible: [] },
      transmissions: 0,
      lowerBound: 0,
      startedAt: 0,
      endedAt: 0,
      reason: "",
    };
  }

  set(changes: Partial<RolloutView>): void {
    this.current = { ...this.current, ...changes };
    for (const listener of this.listeners) listener(this.current);
  }

  private go(call: string, state: RolloutState): void {
    this.calls.push(call);
    this.set({ state });
  }

  view(): RolloutView {
    return this.current;
  }
  start(): void {
    this.go("start", "running");
  }
  pause(): void {
    this.go("pause", "paused");
  }
  resume(): void {
    this.go("resume", "running");
  }
  approve(): void {
    this.go("approve", "running");
  }
  abort(): number[] {
    this.go("abort", "aborted");
    return this.current.nodes.slice(0, 2).map(({ node }) => node);
  }
  retryFailed(): void {
    this.go("retry", "running");
  }
  rollback(): void {
    this.go("rollback", "rolling-back");
  }
  onChange(listener: (view: RolloutView) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
  onEvent(): () => void {
    return () => {};
  }
  alerts(): AlertView[] {
    return [];
  }
  onAlert(): () => void {
    return () => {};
  }
  close(): void {
    this.listeners.clear();
  }
}
