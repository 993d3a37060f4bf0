/**
 * Telemetry of nodes as a day in a building brings it: noise, drift, spikes and seasons, without the boards. For a study of
 * a day a simulated interpreter is too slow, and too quiet: nobody walks through its radio links.
 */
import { TELEMETRY_MAGIC, type Telemetry } from "../../firmware/wire/telemetry";
import type { Random } from "./random";

export interface TraceOptions {
  id: number;
  parent: number;
  hops: number;
  root: boolean;
  children: number;
  nodes: number;
  /** Seconds between frames. */
  interval: number;
  /** Runs from a battery, which then shows. */
  battery: boolean;
}

const DAY = 86400;

/** One node's values; every draw comes from its own stream. Time goes forward only. */
export class Trace {
  readonly values: Telemetry;
  /** Seconds of the node's start. */
  started: number;
  /** Adds to what is drawn; faults are made with it. */
  readonly bias = { memory: 0, rssi: 0, latency: 0, loss: 0 };
  #time: number;
  readonly #memory: number;
  readonly #signal: number;
  readonly #rate: number;
  readonly #delay: number;
  #allocation = 0;
  #allocationUntil = 0;
  #heap = 0;
  #shadow = 0;
  #dip = 0;
  #dipUntil = 0;
  #received = 0;
  #sent = 0;

  constructor(
    private readonly options: TraceOptions,
    private readonly random: Random,
    now: number,
  ) {
    this.started = now - random.between(30, 90);
    this.#time = this.started;
    this.#memory = 2100 + random.normal() * 120;
    this.#signal = random.between(-68, -50);
    this.#rate = random.between(0.3, 1.1);
    this.#delay = random.between(14, 35);
    this.values = {
      magic: TELEMETRY_MAGIC,
      node: options.id,
      sequence: random.below(65536),
      uptime: 0,
      memoryFree: 0,
      rssi: 0,
      received: 0,
      sent: 0,
      latency: 65535,
      temperature: -128,
      battery: 0,
      loss: 0,
      nodes: options.nodes,
      children: options.children,
      hops: options.hops,
      dropped: 0,
      refused: 0,
      flags: options.root ? 4 : 0,
      alerts: 0,
      updateState: 0,
      updatePercent: 0,
      parent: options.parent,
      memoryTotal: 4000,
      interval: options.interval / 5,
      starts: 1 + random.below(20),
      reset: 0,
      major: 1,
      minor: 2,
      patch: 0,
      image: 0x12345678,
      role: options.root ? 1 : 0,
    };
  }

  /** As after a reset: counters and uptime begin anew. */
  restart(now: number, asked = false): void {
    this.started = now;
    this.#time = now;
    this.#received = this.#sent = 0;
    this.#heap = 0;
    const { values, random } = this;
    values.starts = (values.starts + 1) & 255;
    values.reset = asked ? 1 : 0;
    values.sequence = random.below(65536);
    values.dropped = values.refused = 0;
    values.latency = 65535;
  }

  /** The values at `now` seconds. */
  at(now: number): Telemetry {
    const { values, random, options, bias } = this;
    const passed = now - this.#time;
    this.#time = now;
    const decay = (tau: number): number => Math.exp(-passed / tau);
    const drift = (old: number, tau: number, deviation: number): number =>
      old * decay(tau) + random.normal() * deviation * Math.sqrt(1 - decay(tau) ** 2);

    values.uptime = Math.floor(now - this.started);
    // What is queued and what an application holds for a while.
    this.#heap = drift(this.#heap, 90, 12);
    if (now > this.#allocationUntil && random.chance(passed / 2400)) {
      this.#allocation = random.between(40, 220);
      this.#allocationUntil = now + random.exponential(240);
    }
    const held = now < this.#allocationUntil ? this.#allocation : 0;
    values.memoryFree = Math.max(0, Math.round(this.#memory + this.#heap - held + bias.memory));

    // Furniture and people: slow shadowing of 2 dB, some dips a day, and what the receiver's own estimate scatters.
    this.#shadow = drift(this.#shadow, 1800, 2);
    if (now > this.#dipUntil && random.chance(passed / 18000)) {
      this.#dip = random.between(4, 9);
      this.#dipUntil = now + random.exponential(400);
    }
    const dip = now < this.#dipUntil ? this.#dip : 0;
    const signal = this.#signal + this.#shadow - dip + random.normal() * 1.2 + bias.rssi;
    values.rssi = options.root ? 0 : Math.round(Math.min(-30, Math.max(-95, signal)));

    const season = 1 + 0.25 * Math.sin((2 * Math.PI * now) / DAY);
    const packages = (rate: number): number => Math.max(0, rate * passed + random.normal() * Math.sqrt(rate * passed));
    this.#received += packages(this.#rate * season);
    this.#sent += packages(this.#rate * 0.7 * season);
    values.received = Math.round(this.#received);
    values.sent = Math.round(this.#sent);

    if (!options.root && values.uptime > 30) {
      const spike = random.chance(0.03) ? random.exponential(90) : 0;
      values.latency = Math.round(this.#delay * Math.exp(random.normal() * 0.25) + spike + bias.latency);
    }
    values.loss = Math.round(bias.loss);
    if (random.chance(passed / 20000)) values.dropped = (values.dropped + 1) & 65535;
    if (options.battery) {
      values.battery = Math.round(4050 - (150 * (now % (7 * DAY))) / DAY + random.normal() * 6);
      values.temperature = Math.round(21 + 4 * Math.sin((2 * Math.PI * (now - 32400)) / DAY) + random.normal() * 0.2);
    }
    return values;
  }
}
