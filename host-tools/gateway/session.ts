/** What all ways into a mesh share: who listens to telemetry, and waiting for the first neighbour. */
import type { Engine } from "../../firmware/engine/engine";
import { createNode, type EspalierNode } from "../../firmware/node";
import { receiveTelemetry } from "../../firmware/status/telemetry-receiver";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { CAN_AIRWAVE, IS_GATEWAY } from "../../firmware/wire/packages";
import { boardNames, loadBoard } from "../build/board";
import { type MemoryRegion, memoryRegion } from "../device/memory-region";
import { EspalierError } from "../errors";
import { controlStart } from "./control-clock";
import type { MeshSession } from "./mesh-session";

const POLL_MS = 100;
/** The root forgets subscribers when it restarts. */
const SUBSCRIBE_MS = 5000;

export interface TelemetryHub {
  publish(frame: Telemetry): void;
  listen(listener: (frame: Telemetry) => void): () => void;
}

export function createTelemetryHub(): TelemetryHub {
  const listeners = new Set<(frame: Telemetry) => void>();
  return {
    publish(frame) {
      for (const listener of [...listeners]) listener(frame);
    },
    listen(listener) {
      // Wrapped, so that one function can listen twice.
      const entry = (frame: Telemetry): void => listener(frame);
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
  };
}

/** Flash of a computer's node, in memory: room for the largest image of any board. */
export function gatewayRegions(): (name: string) => MemoryRegion | null {
  const sizes = boardNames().map((name) => loadBoard(name).regions);
  const largest = (name: string): number => Math.max(...sizes.map((regions) => regions[name]?.[1] ?? 1));
  const regions = new Map<string, MemoryRegion>();
  regions.set("stage", memoryRegion(largest("stage")));
  // A receiver checks an image against the room of a slot.
  regions.set("slot", memoryRegion(largest("slot0")));
  return (name) => regions.get(name) ?? null;
}

/** The computer's node on an engine without WiFi; it dials `uplink` and accepts nobody. `meshKey` may be "". */
export function createGatewayNode(
  engine: Engine,
  uplink: { host: string; port: number },
  received: (frame: Telemetry) => void,
  meshKey: string,
): EspalierNode {
  const slot = engine.region("slot")!;
  const node = createNode({
    engine,
    settings: {
      role: "gateway",
      mesh: { meshName: "espalier", password: "", port: uplink.port, channel: 1, leaf: true, uplink },
      meshKey,
    },
    version: "0.0.0",
    capabilities: CAN_AIRWAVE | IS_GATEWAY,
    stage: engine.region("stage")!,
    running: slot,
    spare: slot,
    trial: false,
    starts: 0,
    controlStart: controlStart(Date.now()),
    installs: false,
    telemetry: receiveTelemetry(received),
  });
  node.mesh.onNewConnection(() => node.stream.subscribe());
  engine.every(SUBSCRIBE_MS, () => node.stream.subscribe());
  return node;
}

export interface SessionParts {
  via: string;
  node: EspalierNode;
  hub: TelemetryHub;
  now(): number;
  close(): Promise<void>;
  /** What stands in the way of joining, if something does. */
  failure?(): EspalierError | null;
}

/** @returns the session; its waiting goes by the clock of the node's engine */
export function createSession({ via, node, hub, now, close, failure }: SessionParts): MeshSession {
  let closing: Promise<void> | null = null;
  return {
    via,
    node,
    now,
    onTelemetry: (listener) => hub.listen(listener),
    joined(timeoutMs) {
      const { engine, mesh } = node;
      return new Promise((resolve, reject) => {
        const until = engine.now() + timeoutMs;
        const look = (): void => {
          const error = failure?.();
          if (mesh.neighbours().length > 0) resolve();
          else if (error) reject(error);
          else if (closing || engine.now() >= until) reject(unreachable(via, timeoutMs));
          else engine.after(POLL_MS, look);
        };
        look();
      });
    },
    close: () => (closing ??= close()),
  };
}

function unreachable(via: string, timeoutMs: number): EspalierError {
  const hints = {
    tcp: "Is this computer in the mesh's WiFi, and is that the address of the node whose network it is?",
    serial: "Does the board run a node (espalier inject), and is its console on this port (espalier monitor)?",
    sim: "Is the scenario's root switched on from the beginning?",
  };
  const kind = via.slice(0, via.indexOf(":")) as keyof typeof hints;
  return new EspalierError(
    "MESH_UNREACHABLE",
    `no node answered over ${via} within ${Math.round(timeoutMs / 1000)} s`,
    {
      hint: hints[kind],
      context: { via, timeoutMs },
    },
  );
}
