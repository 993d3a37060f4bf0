/** What an application imports as "espalier": the node it runs on, and its mesh. */
import { type BootInfo, createEspruinoEngine } from "./engine/espruino";
import { createNode, type EspalierNode, type Settings } from "./node";
import type { Mesh } from "./mesh/mesh";
import { createSerialLink } from "./mesh/serial-link";
import { CAN_AIRWAVE, CAN_DEFLATE, CAN_DELTA, CAN_HEATSHRINK, CAN_REPAIR } from "./wire/packages";

/** Set by the build. */
declare const ESPALIER_VERSION: string;
declare const BOARD_PINS: { [name: string]: number };

const boot = global.espalierBoot as BootInfo;
const engine = createEspruinoEngine(boot);

export const node: EspalierNode = createNode({
  engine: engine,
  settings: JSON.parse(engine.settings()) as Settings,
  version: ESPALIER_VERSION,
  capabilities: CAN_AIRWAVE | CAN_DEFLATE | CAN_HEATSHRINK | CAN_DELTA | CAN_REPAIR,
  stage: engine.region("stage")!,
  running: engine.region(boot.slot)!,
  spare: engine.region(boot.slot === "slot0" ? "slot1" : "slot0")!,
  trust: engine.region("trust"),
  trial: boot.trial,
  starts: boot.starts,
  installs: true,
  telemetry: null,
});

createSerialLink(engine, node.mesh, node.airwave);

// Needed no more, and some forty variables of RAM.
boot.regions = {};

export const mesh: Mesh = node.mesh;

/** Pin numbers of the board the bundle was built for: `pins.led`, `pins.button`. */
export const pins: { [name: string]: number } = BOARD_PINS;
