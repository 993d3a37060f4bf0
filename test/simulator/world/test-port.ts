/** A chip without an interpreter: events cost nothing, only blocking holds it. */
import type { NetModules, NetPort } from "../../../host-tools/simulator/chip/seam";
import type { World } from "../../../host-tools/simulator/world";
import type { WorldNode } from "../../../host-tools/simulator/world-node";

/* eslint-disable @typescript-eslint/no-explicit-any -- Espruino's modules are used as firmware uses them, untyped */

export interface TestChip {
  node: WorldNode;
  Wifi: any;
  net: any;
  dgram: any;
  /** Uncaught errors of events. */
  errors: unknown[];
  /** Runs code as an interpreter event. */
  run(code: () => void): void;
  /** The time as the running event has it, ms. */
  now(): number;
  /** Holds the interpreter busy. */
  busy(ms: number): void;
  down(farewell?: boolean): void;
}

export function startChip(world: World, node: WorldNode): TestChip {
  const { events } = world;
  const queue: (() => void)[] = [];
  const errors: unknown[] = [];
  let alive = true;
  let running = false;
  let at = 0;
  let busyUntil = 0;

  function pump(): void {
    if (!alive || running || !queue.length) return;
    running = true;
    events.at(Math.max(events.now(), busyUntil), () => {
      const run = queue.shift();
      if (!alive || !run) return;
      at = events.now();
      inEvent = true;
      try {
        run();
      } catch (error) {
        errors.push(error);
      }
      inEvent = false;
      busyUntil = at;
      running = false;
      pump();
    });
  }
  let inEvent = false;

  const port: NetPort = {
    mac: node.mac,
    limits: node.limits,
    now: () => (inEvent ? at : events.now()),
    schedule: (delay, run) => events.after(delay, () => alive && run()),
    cancel: (handle) => events.cancel(handle as never),
    deliver(run) {
      queue.push(run);
      pump();
    },
    waiting: () => queue.length,
    block: (ms) => void (at += ms),
    charge: () => {},
    note: () => {},
    local: (value) => value,
    error: (message) => new Error(message),
  };
  const modules = node.netFactory(port) as NetModules & { down(farewell?: boolean): void };
  return {
    ...(modules as { Wifi: any; net: any; dgram: any }),
    node,
    errors,
    run: (code) => port.deliver(code, "test"),
    now: port.now,
    busy: (ms) => port.deliver(() => void (at += ms), "busy"),
    down(farewell = false) {
      alive = false;
      modules.down(farewell);
    },
  };
}

/** A world of chips with MACs 02:00:00:00:00:10, :20, ... */
export function startChips(world: World, count: number, place: (index: number) => object = () => ({})): TestChip[] {
  const chips: TestChip[] = [];
  for (let i = 0; i < count; i++) {
    const mac = `02:00:00:00:${(i >> 4).toString(16).padStart(2, "0")}:${((i & 15) * 16).toString(16).padStart(2, "0")}`;
    chips.push(startChip(world, world.addNode({ mac, ...place(i) })));
  }
  return chips;
}

/** Opens an access point "net-<n>" on 10.0.<n>.1 and joins the others to it; runs the world until they have addresses. */
export function joinAll(world: World, access: TestChip, stations: TestChip[], n = 1): void {
  access.run(() => {
    access.Wifi.startAP(`net-${n}`, { password: "password", channel: 6 }, () => {
      access.Wifi.setAPIP({ ip: `10.0.${n}.1`, gw: `10.0.${n}.1`, netmask: "255.255.255.0" }, () => {});
    });
  });
  world.events.run(world.events.now() + 100);
  for (const station of stations) station.run(() => station.Wifi.connect(`net-${n}`, { password: "password" }));
  world.events.run(world.events.now() + 8000);
}
