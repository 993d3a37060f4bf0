/**
 * A laptop in the simulated world: the firmware's `Engine` over the virtual air, in virtual time, without a chip's
 * limits. Code of the gateway runs on it unchanged.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Engine, Region, Timer } from "../../firmware/engine/engine";
import { decompress } from "./chip/heatshrink";
import { createLaptopSockets } from "./laptop-sockets";
import { createLaptopWifi } from "./laptop-wifi";
import { memoryRegion } from "../device/memory-region";
import type { World } from "./world";
import type { WorldNode } from "./world-node";

export interface LaptopOptions {
  mac?: string;
  /** Metres; without them the laptop hears everyone equally. */
  x?: number;
  y?: number;
  /** Pages of each region. */
  regions?: { [name: string]: number };
  settings?: string;
  log?: (text: string) => void;
  /** Called by restart(). */
  restarted?: () => void;
}

export interface Laptop {
  readonly node: WorldNode;
  readonly engine: Engine;
  /** Puts the laptop next to a node: a strong signal that nothing disturbs. */
  placeBeside(node: WorldNode): void;
  /** Goes away without a word; timers stop. */
  stop(): void;
}

/** Interpreter variables, as many as a program could wish for. */
const MEMORY = 1 << 20;

export function createLaptop(world: World, options: LaptopOptions = {}): Laptop {
  const { events } = world;
  const mac = options.mac ?? "02:00:00:ff:ff:00";
  const limits = { chip: "HOST", sockets: Infinity, stations: 0, accessPointBesideStation: false };
  const node = world.addNode({ mac, x: options.x, y: options.y, limits });
  node.powerUp();
  const sockets = createLaptopSockets(node);
  const random = world.random.stream(`laptop ${mac}`);
  const started = events.now();
  const timers = new Map<Timer, object>();
  const regions = new Map<string, Region>();
  for (const [name, pages] of Object.entries(options.regions ?? {})) regions.set(name, memoryRegion(pages));
  let nextTimer = 1;
  let running = true;

  function schedule(timer: Timer, milliseconds: number, run: () => void, repeat: boolean): void {
    const event = events.after(Math.max(0, milliseconds), () => {
      if (!running) return;
      if (repeat) schedule(timer, Math.max(1, milliseconds), run, true);
      else timers.delete(timer);
      run();
    });
    timers.set(timer, event);
  }

  function startTimer(milliseconds: number, run: () => void, repeat: boolean): Timer {
    const timer = nextTimer++;
    schedule(timer, milliseconds, run, repeat);
    return timer;
  }

  const engine: Engine = {
    name: "node",
    hardware: "HOST",
    now: () => events.now() - started,
    random: () => random.uint32(),
    after: (milliseconds, run) => startTimer(milliseconds, run, false),
    every: (milliseconds, run) => startTimer(milliseconds, run, true),
    cancel(timer) {
      const event = timers.get(timer);
      timers.delete(timer);
      if (event) events.cancel(event as never);
    },
    sha256(data) {
      const hash = createHash("sha256");
      const digest = typeof data === "string" ? hash.update(data, "latin1").digest() : hash.update(data).digest();
      return new Uint8Array(digest).buffer;
    },
    digest: (bytes) => createHash("sha256").update(bytes, "latin1").digest().toString("latin1"),
    crc32: (bytes) => crc32(Buffer.from(bytes, "latin1")),
    unshrink: (bytes) => decompress(Buffer.from(bytes, "latin1")).toString("latin1"),
    toBase64: (bytes) => Buffer.from(bytes, "latin1").toString("base64"),
    fromBase64: (text) => Buffer.from(text, "base64").toString("latin1"),
    memory: () => ({ free: MEMORY, total: MEMORY }),
    resetReason: () => "other",
    restart: () => options.restarted?.(),
    wifi: createLaptopWifi(node),
    listen: sockets.listen,
    connect: sockets.connect,
    openDatagrams: sockets.openDatagrams,
    region: (name) => regions.get(name) ?? null,
    settings: () => options.settings ?? "",
    log: (text) => options.log?.(text),
  };

  return {
    node,
    engine,
    placeBeside(other) {
      world.setSignal(node, other, -30);
      world.setLoss(0, node, other);
    },
    stop() {
      running = false;
      for (const event of timers.values()) events.cancel(event as never);
      timers.clear();
      node.powerDown(false);
    },
  };
}
