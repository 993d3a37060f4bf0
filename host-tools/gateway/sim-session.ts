/** A place in a simulated mesh: virtual time runs along with the clock on the wall, as fast as is wanted. */
import type { EventQueue } from "../simulator/events";
import type { Fleet } from "../simulator/fleet";
import type { Scenario } from "../simulator/scenario";
import { createScenarioFleet } from "../simulator/scenario-fleet";
import type { MeshSession } from "./mesh-session";
import { createSession, createTelemetryHub } from "./session";

export interface SimulationOptions {
  /** Virtual seconds a second; Infinity for as many as this machine manages. 1 unless given. */
  speed?: number;
  /** Unix time in milliseconds at which virtual time begins; the present unless given. */
  epoch?: number;
  /** Each console line of a board, with its number in the scenario. */
  onPrint?: (node: number, line: string) => void;
  /** Seconds between telemetry frames; the firmware's own unless given. */
  telemetrySeconds?: number;
}

export interface SimulatedSession extends MeshSession {
  readonly fleet: Fleet;
}

/** Virtual milliseconds run at once. */
const SLICE_MS = 20;
/** Virtual and wall milliseconds after which the event loop has its turn: who waits for something there acts upon it in time. */
const TURN_VIRTUAL_MS = 200;
const TURN_MS = 15;
const TICK_MS = 10;
/** A machine that cannot keep up lets virtual time fall behind by so many wall milliseconds, then gives them up. */
const LAG_MS = 1000;

/** Lets virtual time run until the returned function is called. */
export function runAlong(events: EventQueue, speed: number): () => void {
  let last = performance.now();
  let target = events.now();
  let stopped = false;
  let timer: NodeJS.Timeout | NodeJS.Immediate;

  function tick(): void {
    if (stopped) return;
    const now = performance.now();
    target = speed === Infinity ? Infinity : target + (now - last) * speed;
    last = now;
    const end = Math.min(target, events.now() + TURN_VIRTUAL_MS);
    while (!stopped && events.now() < end && performance.now() - now < TURN_MS) {
      events.run(Math.min(end, events.now() + SLICE_MS));
    }
    if (speed !== Infinity) target = Math.min(target, events.now() + LAG_MS * speed);
    if (stopped) return;
    timer = events.now() < target ? setImmediate(tick) : setTimeout(tick, TICK_MS);
  }
  timer = setImmediate(tick);
  return () => {
    stopped = true;
    clearTimeout(timer as NodeJS.Timeout);
    clearImmediate(timer as NodeJS.Immediate);
  };
}

/**
 * Boots the scenario's boards. Its events happen; its update, its end and its expectations are left to the caller.
 * @throws EspalierError when its application cannot be built
 */
export async function openSimulation(
  scenario: Scenario,
  via: string,
  options: SimulationOptions = {},
): Promise<SimulatedSession> {
  const hub = createTelemetryHub();
  const { fleet } = await createScenarioFleet(scenario, {
    onTelemetry: (frame) => hub.publish(frame),
    onPrint: options.onPrint,
    telemetrySeconds: options.telemetrySeconds,
  });
  const { events } = fleet.world;
  const epoch = options.epoch ?? Date.now();
  const stop = runAlong(events, options.speed ?? 1);
  const session = createSession({
    via,
    node: fleet.gateway,
    hub,
    now: () => epoch + events.now(),
    close() {
      stop();
      fleet.stop();
      return Promise.resolve();
    },
  });
  return { ...session, fleet, size: () => fleet.nodes.filter(({ chip }) => chip.on).length };
}
