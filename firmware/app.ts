/** What an application imports as "espalier": the node it runs on, and its mesh. */
import { type BootInfo, createEspruinoEngine } from "./engine/espruino";
import { createNode, type EspalierNode, type Settings } from "./node";
import type { Mesh } from "./mesh/mesh";
import { rootTelemetry } from "./status/root";
import { createDashboard, type NodeDashboard } from "./status/dashboard";
import { bytesOf } from "./wire/bytes";
import { createSerialLink } from "./mesh/serial-link";
import { type Bridge, createBridge } from "./status/bridge";
import { networkTime } from "./status/network-time";
import { receiveTelemetry } from "./status/telemetry-receiver";
import { CAN_AIRWAVE, CAN_DEFLATE, CAN_DELTA, CAN_HEATSHRINK, CAN_REPAIR } from "./wire/packages";

/** Set by the build. */
declare const ESPALIER_VERSION: string;
declare const ESPALIER_ROLE: string;
declare const BOARD_PINS: { [name: string]: number };

const boot = global.espalierBoot as BootInfo;
const engine = createEspruinoEngine(boot);
const settings = JSON.parse(engine.settings()) as Settings;
let bridge: Bridge | null = null;
let dashboard: NodeDashboard | null = null;
if (ESPALIER_ROLE === "dashboard") {
  // Browsers take the sockets that children would need.
  settings.mesh.leaf = true;
}

export const node: EspalierNode = createNode({
  engine: engine,
  settings: settings,
  version: ESPALIER_VERSION,
  capabilities: CAN_AIRWAVE | CAN_DEFLATE | CAN_HEATSHRINK | CAN_DELTA | CAN_REPAIR,
  stage: engine.region("stage")!,
  running: engine.region(boot.slot)!,
  spare: engine.region(boot.slot === "slot0" ? "slot1" : "slot0")!,
  trust: engine.region("trust"),
  trial: boot.trial,
  starts: boot.starts,
  installs: true,
  telemetry:
    ESPALIER_ROLE === "root"
      ? rootTelemetry
      : ESPALIER_ROLE === "bridge" || ESPALIER_ROLE === "dashboard"
        ? receiveTelemetry(function (telemetry) {
            if (ESPALIER_ROLE === "bridge" && bridge) bridge.observe(telemetry);
            if (ESPALIER_ROLE === "dashboard" && dashboard) dashboard.received(telemetry);
          })
        : null,
});

// A dashboard has its browsers; nobody reaches the mesh through its console.
if (ESPALIER_ROLE !== "dashboard") createSerialLink(engine, node.mesh, node.airwave);

if (ESPALIER_ROLE === "dashboard") {
  dashboard = createDashboard({
    engine: engine,
    version: ESPALIER_VERSION,
    mesh: settings.mesh.meshName,
    token: (settings.dashboard && settings.dashboard.token) || "",
    port: (settings.dashboard && settings.dashboard.port) || 80,
    region: engine.region("history")!,
    page: function (offset: number, length: number) {
      return (require("Storage").read("page", offset, length) as string) || "";
    },
    sha1: function (text: string) {
      return bytesOf(require("crypto").SHA1(text));
    },
    subscribe: node.stream.subscribe,
  });
  node.onReady(dashboard.start);
}

if (ESPALIER_ROLE === "bridge" && settings.bridge) {
  bridge = createBridge(engine, node.mesh, settings.bridge, networkTime(engine, settings.bridge.timeServer || ""));
  node.onReady(bridge.beginBridge);
  // The root hands telemetry to who asks for it again and again; if this node is the root, that does nothing.
  node.every(60000, node.stream.subscribe);
}

// Needed no more, and some forty variables of RAM.
boot.regions = {};

export const mesh: Mesh = node.mesh;

/** Pin numbers of the board the bundle was built for: `pins.led`, `pins.button`. */
export const pins: { [name: string]: number } = BOARD_PINS;
