/**
 * For unit tests of applications: a mesh of virtual boards that boot the built application, in virtual time.
 *
 *     const mesh = await virtualMesh({ nodes: 3, app: "apps/sensor.ts" });
 *     mesh.advanceUntil(() => mesh.formed, 60);
 *     mesh.send(1, "hello");
 *     mesh.advance(2);
 *     expect(mesh.nodes[1].console).toContain("...");
 *     mesh.stop();
 */
import type { Telemetry } from "../firmware/wire/telemetry";
import { loadBoard } from "./build/board";
import { Fleet } from "./simulator/fleet";
import { buildFor, loaderFor } from "./simulator/firmware-builds";
import { Random } from "./simulator/random";
import { places } from "./simulator/topology";

export interface VirtualMeshOptions {
  /** Boards; the first is the root. 1..250 */
  nodes: number;
  /** The application's module, relative to the project or absolute. */
  app: string;
  /** Another seed is another run; the same seed is the same run. */
  seed?: number;
  /** Share of broadcast frames that a receiver loses, 0..1. */
  loss?: number;
  /** A board of boards/. */
  board?: string;
  version?: string;
  topology?: "line" | "star" | "grid" | "random";
  /** Metres, see docs/simulator.md. */
  spacing?: number;
}

export interface VirtualNode {
  /** Mesh id. */
  readonly id: number;
  /** Lines that the application printed, oldest first. */
  readonly console: readonly string[];
  /** The last telemetry frame that reached the laptop. */
  telemetry(): Telemetry | undefined;
  /** As the reset button does. */
  reset(): void;
  powerOff(): void;
  powerOn(): void;
  /** Runs a line of JavaScript at the board's console and gives its value. */
  evaluate(source: string): unknown;
}

export interface VirtualMesh {
  readonly nodes: readonly VirtualNode[];
  /** All boards that are on, and the laptop, see each other. */
  readonly formed: boolean;
  /** Messages that reached the laptop, oldest first. */
  readonly received: readonly { from: number; message: string }[];
  /** Virtual seconds since the boards were switched on. */
  seconds(): number;
  /** Lets virtual time pass. */
  advance(seconds: number): void;
  /** Lets time pass until a condition holds, at most `limit` seconds; false when it never did. */
  advanceUntil(condition: () => boolean, limit: number): boolean;
  /** Sends from the laptop to a node, by its number; false when there is no way. */
  send(node: number, message: string): boolean;
  broadcast(message: string): boolean;
  stop(): void;
}

/** Builds the application and switches the boards on. @throws BuildError, BoardError */
export async function virtualMesh(options: VirtualMeshOptions): Promise<VirtualMesh> {
  const { nodes, app, seed = 1, board: boardName = "esp32-devkitc", version = "1.0.0" } = options;
  const { code, image } = await buildFor({ app, board: boardName, version, encoding: "raw" });
  const telemetry = new Map<number, Telemetry>();
  const received: { from: number; message: string }[] = [];
  const consoles: string[][] = Array.from({ length: nodes }, () => []);
  const fleet = new Fleet({
    board: loadBoard(boardName),
    seed,
    places: places(options.topology ?? "grid", nodes, options.spacing ?? 8, new Random(seed).stream("places")),
    loss: options.loss ?? 0,
    throughput: 691,
    loader: await loaderFor(boardName),
    code,
    image,
    onPrint: (node, line) => void consoles[node]!.push(line),
    onTelemetry: (frame) => void telemetry.set(frame.node, frame),
  });
  const { events } = fleet.world;
  const { mesh } = fleet.gateway;
  mesh.onReceive((from: number, message: string) => void received.push({ from, message }));
  fleet.start(fleet.nodes.keys());
  const advance = (seconds: number): void => events.run(events.now() + seconds * 1000);
  return {
    nodes: fleet.nodes.map(({ id, number, chip }) => ({
      id,
      console: consoles[number]!,
      telemetry: () => telemetry.get(id),
      reset: () => chip.reset(),
      powerOff: () => chip.powerOff(),
      powerOn: () => chip.powerOn(),
      evaluate: (source) => chip.evaluate(source),
    })),
    get formed() {
      return mesh.getNodeList(false).length === fleet.nodes.filter(({ chip }) => chip.on).length;
    },
    received,
    seconds: () => fleet.seconds(),
    advance,
    advanceUntil(condition, limit) {
      const until = fleet.seconds() + limit;
      while (!condition() && fleet.seconds() < until) advance(0.1);
      return condition();
    },
    send: (node, message) => mesh.sendSingle(fleet.nodes[node]!.id, message),
    broadcast: (message) => mesh.sendBroadcast(message),
    stop: () => fleet.stop(),
  };
}
