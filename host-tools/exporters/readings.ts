/** What a node measured, in the units that other systems expect; every bridge and exporter starts from here. */
import { boardNames, loadBoard } from "../build/board";
import type { NodeView } from "../gateway/fleet-view";

/** null where the node does not know. */
export interface Readings {
  /** seconds since start */
  uptime: number | null;
  /** free memory, bytes */
  memory: number | null;
  /** bytes */
  memoryTotal: number | null;
  /** dBm of the link to the parent */
  rssi: number | null;
  children: number | null;
  /** packages since start */
  received: number | null;
  sent: number | null;
  /** packages, modulo 65536 */
  dropped: number | null;
  /** frames and packages that a parser refused, modulo 65536 */
  refused: number | null;
  /** 0..1, broadcast frames not heard at first */
  loss: number | null;
  /** seconds, round trip to the parent */
  latency: number | null;
  /** starts, modulo 256 */
  starts: number | null;
  reset: "requested" | "other" | null;
  /** volts */
  battery: number | null;
  /** degrees Celsius */
  temperature: number | null;
  /** the running image has not confirmed itself */
  trial: boolean | null;
  updateState: string | null;
  /** 0..100 */
  updatePercent: number | null;
}

const UPDATE_STATES = ["idle", "preparing", "receiving", "relaying", "decoding", "verified", "current", "failed"];
const FLAG_TRIAL = 8;
/** Of Espruino on an ESP32; for hardware that no board file describes. */
const USUAL_VARIABLE_BYTES = 14;

let variableBytes: Map<string, number> | null = null;

/** Bytes of one interpreter variable, the unit in which a node counts its memory. */
export function bytesOfVariable(hardware: string): number {
  if (variableBytes === null) {
    variableBytes = new Map();
    for (const name of boardNames()) {
      const board = loadBoard(name);
      variableBytes.set(board.hardware, board.memory.variableBytes);
    }
  }
  return variableBytes.get(hardware) ?? USUAL_VARIABLE_BYTES;
}

const known = (value: number, unknown: number): number | null => (value === unknown ? null : value);

export function readingsOf(view: NodeView): Readings | null {
  const t = view.telemetry;
  if (!t) return null;
  const bytes = bytesOfVariable(view.hardware);
  const latency = known(t.latency, 65535);
  const battery = known(t.battery, 0);
  return {
    uptime: t.uptime,
    memory: t.memoryFree * bytes,
    memoryTotal: t.memoryTotal * bytes,
    rssi: known(t.rssi, 0),
    children: t.children,
    received: t.received,
    sent: t.sent,
    dropped: t.dropped,
    refused: t.refused,
    loss: t.loss / 1000,
    latency: latency === null ? null : latency / 1000,
    starts: t.starts,
    reset: t.reset === 1 ? "requested" : "other",
    battery: battery === null ? null : battery / 1000,
    temperature: known(t.temperature, -128),
    trial: (t.flags & FLAG_TRIAL) !== 0,
    updateState: UPDATE_STATES[t.updateState] ?? null,
    updatePercent: t.updatePercent,
  };
}

/** A node with its readings, from a collector or from a message of a bridge. */
export interface NodeStatus extends Omit<NodeView, "telemetry"> {
  readings: Readings | null;
}

export function statusOf(view: NodeView): NodeStatus {
  const { id, name, hardware, role, version, presence, heardAt, parent, hops } = view;
  return { id, name, hardware, role, version, presence, heardAt, parent, hops, readings: readingsOf(view) };
}

export const EMPTY_READINGS: Readings = {
  uptime: null,
  memory: null,
  memoryTotal: null,
  rssi: null,
  children: null,
  received: null,
  sent: null,
  dropped: null,
  refused: null,
  loss: null,
  latency: null,
  starts: null,
  reset: null,
  battery: null,
  temperature: null,
  trial: null,
  updateState: null,
  updatePercent: null,
};
