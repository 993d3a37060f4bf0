/**
 * A fleet of virtual boards and a laptop: every board boots the built bundle out of its own flash, the laptop is a mesh
 * node that runs the gateway's code, and the world between them is simulated.
 */
import { createNode, type EspalierNode, type Settings } from "../../firmware/node";
import { receiveTelemetry } from "../../firmware/status/telemetry-receiver";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { PAGE } from "../../firmware/engine/engine";
import { AREA_FILE, SLOT_CODE_BYTES, SLOT_HEADER, SLOT_MANIFEST, SLOT_MANIFEST_BYTES } from "../../firmware/ota/layout";
import type { SecuritySettings } from "../../firmware/ota/trust";
import { CAN_AIRWAVE, IS_GATEWAY } from "../../firmware/wire/packages";
import type { Board } from "../build/board";
import { provision } from "../device/provision";
import { type Image, treeHashOf } from "../build/image";
import { type ChipBoard, ESP32 } from "./chip/board";
import { Chip, type ResetReason } from "./chip/chip";
import { createLaptop, type Laptop } from "./laptop";
import type { LossModel } from "./loss";
import type { Place } from "./topology";
import { World } from "./world";
import type { WorldNode } from "./world-node";

export interface FleetOptions {
  board: Board;
  seed: number;
  places: Place[];
  loss: LossModel;
  /** kb/s that one sender gets through at the basic rate. */
  throughput: number;
  /** Text of `.boot0`, and the first bundle with its image. */
  loader: string;
  code: string;
  image: Image;
  /** What some nodes run instead, by number; `outsider`: without the site's keys. */
  differing?: ReadonlyMap<number, { code: string; image: Image; outsider: boolean }>;
  /** Keys of the site. */
  security?: SecuritySettings;
  /** Seconds between telemetry frames. */
  telemetrySeconds?: number;
  /** Each console line of a board. */
  onPrint?: (node: number, line: string) => void;
  onBoot?: (node: number, reason: ResetReason) => void;
  /** Each interpreter event of a board: ms that it took, and what it was. */
  onEvent?: (node: number, milliseconds: number, label: string) => void;
  /** Each telemetry frame that reaches the laptop. */
  onTelemetry?: (frame: Telemetry) => void;
}

export interface FleetNode {
  /** Position in the list; 0 is the root. */
  number: number;
  /** Mesh id. */
  id: number;
  chip: Chip;
  place: WorldNode;
}

const MESH_NAME = "espalier";
const PORT = 5555;
/** Mb/s of acknowledged frames: ESP32s leave the basic rate for these as soon as the signal allows. */
const UNICAST_RATE = 11;

/** The board as a virtual chip knows it. */
export function chipBoard(board: Board): ChipBoard {
  return {
    ...ESP32,
    name: board.hardware.replace("-", ""),
    variables: board.memory.variables,
    variablesAtRest: Math.round(board.memory.variables * board.memory.restFraction),
    flashBytes: board.flash.bytes,
    storageAddress: board.storage.address,
    pageBytes: board.storage.page,
    instructionsPerSecond: board.cost.instructionsPerSecond,
    bootMs: board.cost.bootMilliseconds,
    limits: {
      chip: board.hardware.replace("-", ""),
      sockets: board.radio.sockets,
      stations: board.radio.accessPoint.stations,
      accessPointBesideStation: board.radio.accessPoint.besideStation,
    },
  };
}

/** Reads the slot that a board runs from, out of its own flash; null for one that is off or runs none. */
function slotReader({ chip }: FleetNode, board: Board): ((at: number, length: number) => Buffer) | null {
  if (!chip.on) return null;
  const slot = chip.evaluate("global.espalierBoot?global.espalierBoot.slot:''");
  const region = board.regions[String(slot)];
  if (!region) return null;
  return (at, length) => {
    const source = `require("Storage").read("${AREA_FILE}",${region[0] * PAGE + at},${length})`;
    return Buffer.from(String(chip.evaluate(source)), "latin1");
  };
}

/** Version of the image that a board runs; "" for one that is off or runs none. */
export function runningVersion(node: FleetNode, board: Board): string {
  const read = slotReader(node, board);
  if (!read) return "";
  const length = read(SLOT_MANIFEST_BYTES, 4).readUInt32LE();
  return (JSON.parse(read(SLOT_MANIFEST, length).toString("latin1")) as { version: string }).version;
}

/** Hash of the code that a board runs, as in an image's manifest; "" for one that is off or runs none. */
export function runningHash(node: FleetNode, board: Board): string {
  const read = slotReader(node, board);
  return read ? treeHashOf(read(SLOT_HEADER, read(SLOT_CODE_BYTES, 4).readUInt32LE())) : "";
}

/** Station MAC of node `number`; the access point's is one more, and its last four bytes are the node's id. */
export function macOf(number: number): string {
  const low = number * 2;
  return `24:0a:c4:a0:${(low >> 8).toString(16).padStart(2, "0")}:${(low & 255).toString(16).padStart(2, "0")}`;
}

export function idOf(number: number): number {
  return (0xc4a00000 + number * 2 + 1) >>> 0;
}

export class Fleet {
  readonly world: World;
  readonly nodes: FleetNode[];
  readonly laptop: Laptop;
  /** The laptop as a node of the mesh. */
  readonly gateway: EspalierNode;

  constructor(options: FleetOptions) {
    const radio = { loss: options.loss, throughputKbps: options.throughput, unicastRate: UNICAST_RATE };
    this.world = new World({ seed: options.seed, radio });
    const { world } = this;
    const virtual = chipBoard(options.board);
    this.nodes = options.places.map(({ x, y }, number) => {
      const settings: Settings = {
        role: "node",
        mesh: { meshName: MESH_NAME, password: "espalier-sim", port: PORT, channel: 1, root: number === 0 },
      };
      if (options.telemetrySeconds !== undefined) settings.telemetrySeconds = options.telemetrySeconds;
      const { board, loader } = options;
      const other = options.differing?.get(number);
      const { code, image } = other ?? options;
      if (!other?.outsider) Object.assign(settings, options.security);
      const place = world.addNode({ mac: macOf(number), x, y, limits: virtual.limits });
      const chip = new Chip({
        clock: world.events,
        mac: macOf(number),
        board: virtual,
        flash: provision({ board, loader, settings, code, image }),
        network: place.netFactory,
        onPrint: (line) => options.onPrint?.(number, line),
        onBoot: (reason) => options.onBoot?.(number, reason),
        onEvent: (milliseconds, label) => options.onEvent?.(number, milliseconds, label),
      });
      return { number, id: idOf(number), chip, place };
    });
    const root = this.nodes[0]!;
    this.laptop = createLaptop(world, {
      x: root.place.x,
      y: root.place.y,
      regions: { stage: options.board.regions.stage![1], slot: options.board.regions.slot0![1] },
    });
    this.laptop.placeBeside(root.place);
    const { engine } = this.laptop;
    const slot = engine.region("slot")!;
    this.gateway = createNode({
      engine,
      settings: {
        role: "gateway",
        meshKey: options.security?.meshKey,
        mesh: {
          meshName: MESH_NAME,
          password: "espalier-sim",
          port: PORT,
          channel: 1,
          leaf: true,
        },
      },
      version: "0.0.0",
      capabilities: CAN_AIRWAVE | IS_GATEWAY,
      stage: engine.region("stage")!,
      running: slot,
      spare: slot,
      trial: false,
      starts: 0,
      installs: false,
      controlStart: options.security?.meshKey ? 1 : 0,
      telemetry: receiveTelemetry((frame) => options.onTelemetry?.(frame)),
    });
  }

  /** Switches the laptop and the named boards on. */
  start(numbers: Iterable<number>): void {
    for (const number of numbers) this.nodes[number]!.chip.powerOn();
    this.gateway.start();
    const subscribe = (): void => this.gateway.stream.subscribe();
    // The root forgets a subscription when it restarts.
    this.laptop.engine.every(5000, subscribe);
  }

  /** Virtual seconds since the beginning. */
  seconds(): number {
    return this.world.events.now() / 1000;
  }

  stop(): void {
    for (const { chip } of this.nodes) chip.powerOff();
    this.laptop.stop();
  }
}
