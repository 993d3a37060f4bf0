/** A fleet of the simplest nodes that behave as the firmware does towards a rollout, on a clock of its own. */
import type { Telemetry } from "../../../../firmware/wire/telemetry";
import type { Distribution, NodeReport } from "../../../../host-tools/gateway/distribution";
import { type Journal, memoryJournal } from "../../../../host-tools/gateway/rollout/journal";
import { type ImageFacts, imageWord, type NodeFacts } from "../../../../host-tools/gateway/rollout/plan";
import { parsePolicy, type PolicyInput } from "../../../../host-tools/gateway/rollout/policy";
import type { RolloutEvent } from "../../../../host-tools/gateway/rollout/record";
import { createRollout, planRollout, type RunningRollout } from "../../../../host-tools/gateway/rollout/rollout";
import { EventQueue } from "../../../../host-tools/simulator/events";

export const IMAGE: ImageFacts = {
  id: "0123456789abcdef",
  also: [],
  version: "1.1.0",
  hardware: "ESP32",
  role: "node",
  bytes: 50_000,
  chunks: 40,
  notes: "Faster.",
};
export const NEW = imageWord(IMAGE.id);
export const OLD = 7;
/** Where the image is a delta: the same bundle as a whole. */
const WHOLE_ID = "fedcba9876543210";
type Form = "image" | "whole";
const AUTO_ACTIVATE_MS = 300_000;
const START = 1_700_000_000_000;

/** What the new version does on a node. */
export type Fault =
  /** Refuses the image. */
  | "refuses"
  /** Runs something else than the delta changes. */
  | "other-base"
  /** Starts three times, never reaches the mesh, and is taken back by the loader. */
  | "never-joins"
  /** Runs for half a minute, then the loader goes back. */
  | "goes-back"
  /** Restarts a minute after each start. */
  | "restarts"
  /** Loses memory steadily. */
  | "leaks"
  /** Takes the order to go back, and does not. */
  | "stays";

export class FakeNode {
  image = OLD;
  /** "idle" or as the firmware reports. */
  state = "idle";
  on = true;
  bootedAt = 0;
  starts = 1;
  /** What it was offered last. */
  form: Form = "image";
  memory = 2000;
  fault: Fault | null = null;
  /** The loader took the image back: it is refused from now on. */
  bad = false;
  /** When the node starts a verified image by itself; an offer puts it off. */
  patience = 0;
  /** Counts lives, so that what one life planned does not happen in the next. */
  life = 0;

  constructor(
    readonly fleet: FakeFleet,
    readonly id: number,
  ) {}

  report(state: string, error = ""): void {
    this.state = state;
    if (!this.on || this.fleet.lossy()) return;
    const report: NodeReport = {
      node: this.id,
      state,
      percent: state === "verified" ? 100 : 0,
      chunks: state === "verified" ? 40 : 0,
      total: 40,
      repaired: 0,
      sent: state === "verified" && this.id % 4 === 1 ? 41 : 0,
      error,
      version: this.image === NEW ? "1.1.0" : "1.0.0",
    };
    for (const listener of [...this.fleet.reportListeners[this.form]]) listener(report);
  }

  telemetry(): void {
    if (!this.on || this.fleet.lossy()) return;
    const up = (this.fleet.queue.now() - this.bootedAt) / 1000;
    const leaking = this.fault === "leaks" && this.image === NEW;
    this.fleet.sequence++;
    const frame = {
      node: this.id,
      sequence: this.fleet.sequence,
      uptime: Math.floor(up),
      memoryFree: Math.round(this.memory - (leaking ? up * 0.8 : 0)),
      memoryTotal: 4000,
      starts: this.starts & 255,
      loss: 0,
      latency: 20,
      interval: 12,
      image: this.image,
      updateState: ["idle", "preparing", "receiving", "relaying", "decoding", "verified", "current", "failed"].indexOf(
        this.state,
      ),
      major: 1,
      minor: this.image === NEW ? 1 : 0,
      patch: 0,
    } as Telemetry;
    for (const listener of [...this.fleet.telemetryListeners]) listener(frame);
  }

  later(ms: number, run: () => void): void {
    const { life } = this;
    this.fleet.queue.after(ms, () => {
      if (this.on && this.life === life) run();
    });
  }

  boot(image: number): void {
    this.life++;
    this.starts++;
    this.image = image;
    this.bootedAt = this.fleet.queue.now();
    this.state = "idle";
    this.on = true;
    this.later(8000, () => this.telemetry());
    const everyMinute = (): void => {
      this.telemetry();
      this.later(60_000, everyMinute);
    };
    this.later(20_000 + (this.id % 7) * 5000, everyMinute);
    if (image !== NEW) return;
    if (this.fault === "restarts") this.later(60_000, () => this.boot(NEW));
    if (this.fault === "goes-back") {
      this.later(30_000, () => {
        this.bad = true;
        this.boot(OLD);
      });
    }
  }

  powerOff(): void {
    this.on = false;
    this.life++;
  }

  powerOn(): void {
    if (this.on) return;
    this.boot(this.state === "verified" && !this.bad ? NEW : this.image);
  }

  offer(form: Form): void {
    if (!this.on) return;
    if (!["preparing", "receiving", "decoding", "verified"].includes(this.state)) this.form = form;
    if (this.image === NEW) return this.report("current");
    if (this.bad) return this.report("failed", "bad-image");
    this.patience = this.fleet.queue.now() + AUTO_ACTIVATE_MS;
    if (this.state === "verified") return this.report("verified");
    if (!["idle", "failed"].includes(this.state)) return;
    if (this.fault === "other-base" && this.form === "image" && this.fleet.whole)
      return this.report("failed", "wrong-base");
    if (this.fault === "refuses") return this.report("failed", "bad-hash");
    this.report("preparing");
    this.later(3000, () => this.report("receiving"));
    this.later(20_000 + (this.id % 5) * 3000, () => this.report("decoding"));
    this.later(30_000 + (this.id % 5) * 3000, () => {
      this.report("verified");
      this.waitForWord();
    });
  }

  waitForWord(): void {
    if (this.state !== "verified") return;
    if (this.fleet.queue.now() >= this.patience) this.activate();
    else this.later(1000, () => this.waitForWord());
  }

  activate(): void {
    if (!this.on || this.state !== "verified") return;
    this.state = "restarting";
    this.later(1500, () => {
      if (this.fault !== "never-joins") return this.boot(NEW);
      this.powerOff();
      this.starts += 3;
      this.fleet.queue.after(60_000, () => {
        this.bad = true;
        this.on = true;
        this.boot(OLD);
      });
    });
  }

  drop(): void {
    if (!this.on || ["idle", "failed", "current", "restarting"].includes(this.state)) return;
    this.life++;
    this.report("failed", "aborted");
    this.later(20_000, () => this.telemetry());
  }

  rollBack(): void {
    if (!this.on || this.image !== NEW) return;
    if (this.fault === "stays") return this.report("failed", "no-rollback");
    this.bad = true;
    this.later(1500, () => this.boot(OLD));
  }
}

export class FakeFleet {
  readonly queue = new EventQueue();
  readonly nodes: FakeNode[];
  readonly reportListeners = {
    image: new Set<(report: NodeReport) => void>(),
    whole: new Set<(report: NodeReport) => void>(),
  };
  readonly telemetryListeners = new Set<(frame: Telemetry) => void>();
  sequence = 0;
  linked = true;
  /** The image is a delta, and there is a whole one too. */
  whole = false;
  /** What the computer has for the nodes. */
  served: Form | null = null;
  /** Whether the next word of a node is lost on its way. */
  lossy: () => boolean = () => false;
  /** Called with every word that goes out to the nodes. */
  heard: (what: "offer" | "activate" | "drop" | "rollback", nodes: readonly number[]) => void = () => {};

  constructor(count: number) {
    this.nodes = Array.from({ length: count }, (_, i) => new FakeNode(this, 0xc4a00001 + i * 2));
    this.nodes.forEach((node, i) => {
      const everyMinute = (): void => {
        node.telemetry();
        node.later(60_000, everyMinute);
      };
      node.later(1000 * i, everyMinute);
    });
  }

  node(id: number): FakeNode {
    return this.nodes.find((node) => node.id === id)!;
  }

  facts(): NodeFacts[] {
    return this.nodes.map((node, i) => ({
      id: node.id,
      name: `n${i}`,
      hardware: "ESP32",
      role: "node",
      version: node.image === NEW ? "1.1.0" : "1.0.0",
      image: node.image,
      online: node.on,
      root: i === 0,
      children: i === 0 ? 2 : 0,
      hops: i === 0 ? 0 : 1,
    }));
  }

  now = (): number => START + this.queue.now();

  distribution(form: Form): Distribution {
    const each = (ids: readonly number[] | null, run: (node: FakeNode) => void): void => {
      for (const node of this.nodes) if (!ids || ids.includes(node.id)) run(node);
    };
    const say = (what: "offer" | "activate" | "drop" | "rollback", ids: readonly number[] | null): boolean => {
      this.heard(what, ids ?? this.nodes.map(({ id }) => id));
      return this.linked && !this.lossy();
    };
    return {
      serve: () => void (this.served = form),
      sent: () => 50,
      offer: (ids) => say("offer", ids) && each(ids, (node) => node.offer(form)),
      activate: (ids) => say("activate", ids) && each(ids, (node) => node.activate()),
      drop: () => say("drop", null) && each(null, (node) => node.drop()),
      rollBack: (ids) => say("rollback", ids) && each(ids, (node) => node.rollBack()),
      onReport: (listener) => {
        this.reportListeners[form].add(listener);
        return () => void this.reportListeners[form].delete(listener);
      },
      members: () => (this.linked ? this.nodes.filter(({ on }) => on).map(({ id }) => id) : []),
      linked: () => this.linked,
    };
  }

  /** A laptop that carries a rollout out; with events, one that takes it up again. */
  laptop(policy: PolicyInput | null, journal: Journal = memoryJournal()): RunningRollout {
    const image = this.whole ? { ...IMAGE, also: [WHOLE_ID] } : IMAGE;
    const planned = policy && planRollout("test", this.facts(), image, parsePolicy(policy), this.now());
    return createRollout(planned, {
      now: this.now,
      every: (ms, run) => {
        let on = true;
        const again = (): void => {
          if (!on) return;
          run();
          this.queue.after(ms, again);
        };
        this.queue.after(ms, again);
        return () => void (on = false);
      },
      distribution: this.distribution("image"),
      ...(this.whole ? { whole: this.distribution("whole") } : {}),
      onTelemetry: (listener) => {
        this.telemetryListeners.add(listener);
        return () => void this.telemetryListeners.delete(listener);
      },
      journal,
    });
  }

  advance(seconds: number): void {
    this.queue.run(this.queue.now() + seconds * 1000);
  }

  /** Lets time pass until a condition holds; false when it did not within `limit` seconds. */
  until(condition: () => boolean, limit = 7200): boolean {
    const end = this.queue.now() + limit * 1000;
    while (!condition() && this.queue.now() < end) this.advance(1);
    return condition();
  }
}

export function kinds(events: readonly RolloutEvent[]): string[] {
  return events.map(({ kind }) => kind).filter((kind) => !["sample", "report", "presence"].includes(kind));
}
