/** What a bridge costs and carries: bytes an hour of ten nodes, and messages a second through a real broker. */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { openBroker } from "../exporters/broker";
import { createMemoryEvents } from "../exporters/event-store";
import { type MqttBridge, startMqttBridge } from "../exporters/mqtt-bridge";
import { noUpdates } from "../exporters/updates";
import type { Collector, CollectorEvents, NodeView } from "../gateway/fleet-view";
import { Random } from "../simulator/random";

const ROOT = 3000000001;
const HOUR = 3_600_000;

/** A node as it reports at a time: counters grow, memory and signal wander. */
function report(index: number, at: number, random: Random): NodeView {
  const id = ROOT + index;
  const parent = index === 0 ? 0 : ROOT + Math.floor((index - 1) / 4);
  const minutes = Math.floor(at / 60_000);
  const telemetry = {
    magic: 0xe1,
    flags: index === 0 ? 4 : 0,
    node: id,
    sequence: minutes & 65535,
    uptime: minutes * 60 + index,
    memoryFree: 2000 + Math.floor(random.next() * 60),
    memoryTotal: 4000,
    interval: 12,
    rssi: index === 0 ? 0 : -60 - Math.floor(random.next() * 6),
    parent,
    hops: index === 0 ? 0 : index < 5 ? 1 : 2,
    children: 2,
    nodes: 10,
    received: minutes * 14,
    sent: minutes * 9,
    dropped: 0,
    refused: 0,
    loss: 10,
    latency: index === 0 ? 65535 : 12,
    starts: 1,
    reset: 0,
    alerts: 0,
    major: 2,
    minor: 1,
    patch: 0,
    image: 1,
    updateState: 0,
    updatePercent: 0,
    battery: 0,
    temperature: -128,
    role: index === 0 ? 1 : 0,
  };
  return {
    id,
    name: id.toString(16),
    hardware: "ESP32",
    role: index === 0 ? "root" : "node",
    version: "2.1.0",
    presence: "online",
    heardAt: 1_700_000_000_000 + at,
    parent,
    hops: telemetry.hops,
    telemetry,
  } as NodeView;
}

class Fleet implements Collector {
  readonly views = new Map<number, NodeView>();
  private readonly listeners = new Set<CollectorEvents["node"]>();

  feed(view: NodeView): void {
    this.views.set(view.id, view);
    for (const listener of this.listeners) listener(view);
  }
  nodes = (): NodeView[] => [...this.views.values()];
  node = (id: number): NodeView | null => this.views.get(id) ?? null;
  topology = () => ({
    root: ROOT,
    nodes: this.nodes().map(({ id, parent, hops, telemetry: t }) => ({ id, parent, hops, rssi: t?.rssi ?? 0 })),
  });
  alerts = () => [];
  acknowledge = () => false;
  on<K extends keyof CollectorEvents>(name: K, listener: CollectorEvents[K]): () => void {
    if (name === "node") this.listeners.add(listener as CollectorEvents["node"]);
    return () => this.listeners.delete(listener as CollectorEvents["node"]);
  }
  close(): void {}
}

export interface HourOfTraffic {
  topic: string;
  messages: number;
  /** MQTT packets with QoS 1: header, topic, packet id and payload, and the broker's PUBACK. */
  bytes: number;
}

const FIXED_HEADER = 3;
const TOPIC_LENGTH = 2;
const PACKET_ID = 2;
const PUBACK = 4;

/** One hour of ten nodes, a report each minute, the mesh reported every `intervalMs`; nothing but the bridge's own code. */
export function hourOfTraffic(intervalMs: number, homeAssistant = false): HourOfTraffic[] {
  const fleet = new Fleet();
  const random = new Random(1);
  let now = 0;
  const timers: { every: number; run: () => void }[] = [];
  const traffic = new Map<string, HourOfTraffic>();
  for (let i = 0; i < 10; i++) fleet.feed(report(i, 0, random));
  let up = (): void => {};
  let connected = false;
  const waiting: (() => void)[] = [];
  startMqttBridge({
    collector: fleet,
    updates: noUpdates(),
    events: createMemoryEvents(1e6),
    prefix: "mesh",
    intervalMs,
    now: () => 1_700_000_000_000 + now,
    every(every, run) {
      timers.push({ every, run });
      return () => {};
    },
    ...(homeAssistant ? { homeAssistant: { discoveryPrefix: "homeassistant", bridge: "mesh", version: "1.0.0" } } : {}),
    open(handlers) {
      up = handlers.up;
      return {
        get connected() {
          return connected;
        },
        reconnects: 0,
        publish(topic, payload) {
          const kind = topic.replace(/node\/\d+/, "node/{id}").replace(/^homeassistant.*/, "homeassistant/...");
          const row = traffic.get(kind) ?? { topic: kind, messages: 0, bytes: 0 };
          row.messages++;
          row.bytes += FIXED_HEADER + TOPIC_LENGTH + topic.length + PACKET_ID + Buffer.byteLength(payload) + PUBACK;
          traffic.set(kind, row);
          return { then: (done: () => void) => void waiting.push(done) } as unknown as Promise<void>;
        },
        subscribe() {},
        close: () => Promise.resolve(),
      };
    },
    log() {},
  });
  const settle = (): void => {
    for (let done = waiting.shift(); done; done = waiting.shift()) done();
  };
  connected = true;
  up();
  settle();
  for (now = 1000; now <= HOUR; now += 1000) {
    for (let i = 0; i < 10; i++) if (now % 60_000 === i * 6000) fleet.feed(report(i, now, random));
    for (const { every, run } of timers) if (now % every === 0) run();
    settle();
  }
  return [...traffic.values()];
}

async function startMosquitto(): Promise<{ url: string; stop: () => void }> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-bench-"));
  const probe = net.createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as net.AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const file = path.join(directory, "mosquitto.conf");
  fs.writeFileSync(file, `user root\nallow_anonymous true\nlistener ${port} 127.0.0.1\n`);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const child: ChildProcess = spawn("mosquitto", ["-c", file], { env, stdio: "ignore" });
  await new Promise<void>((resolve, reject) => {
    child.on("error", () => reject(new Error("Mosquitto is not installed: apt-get install mosquitto")));
    setTimeout(resolve, 500);
  });
  return {
    url: `mqtt://127.0.0.1:${port}`,
    stop() {
      child.kill("SIGKILL");
      fs.rmSync(directory, { recursive: true, force: true });
    },
  };
}

const idle = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Reports of a thousand nodes, through the bridge to Mosquitto, each acknowledged; messages a second. */
export async function messagesPerSecond(rounds: number): Promise<number> {
  const mosquitto = await startMosquitto();
  const fleet = new Fleet();
  const random = new Random(1);
  let bridge: MqttBridge | null = null;
  try {
    for (let i = 0; i < 1000; i++) fleet.feed(report(i, 0, random));
    bridge = startMqttBridge({
      collector: fleet,
      updates: noUpdates(),
      events: createMemoryEvents(1e6),
      prefix: "mesh",
      intervalMs: 1e9,
      flushMs: 5,
      now: () => Date.now(),
      every(every, run) {
        const timer = setInterval(run, every);
        return () => clearInterval(timer);
      },
      open: (handlers) => openBroker({ url: mosquitto.url, clientId: "bench" }, handlers),
      log() {},
    });
    const published = (): number => bridge!.state().published;
    for (let since = -1; published() !== since || since < 1000; await idle(200)) since = published();
    const before = published();
    const begin = performance.now();
    for (let round = 1; round <= rounds; round++) {
      for (let i = 0; i < 1000; i++) fleet.feed(report(i, round * 60_000, random));
      while (published() < before + round * 1000) await idle(1);
    }
    return (rounds * 1000) / ((performance.now() - begin) / 1000);
  } finally {
    await bridge?.close();
    mosquitto.stop();
  }
}

const SEED_BYTES = 20_000;

export async function benchBridge(print: (text: string) => void): Promise<void> {
  for (const homeAssistant of [false, true]) {
    const rows = hourOfTraffic(30_000, homeAssistant);
    const total = rows.reduce((sum, row) => sum + row.bytes, 0);
    print(`10 nodes, 1 hour, reports every 30 s${homeAssistant ? ", Home Assistant told" : ""}:`);
    for (const { topic, messages, bytes } of rows.sort((a, b) => b.bytes - a.bytes))
      print(`  ${String(bytes).padStart(8)} bytes in ${String(messages).padStart(4)} messages  ${topic}`);
    print(
      `  ${String(total).padStart(8)} bytes in all, ${(total / SEED_BYTES).toFixed(1)} times the 20 KB of the estimate`,
    );
  }
  const rate = await messagesPerSecond(10);
  print(`${Math.round(rate)} messages a second through one bridge to Mosquitto, QoS 1, each acknowledged`);
}
