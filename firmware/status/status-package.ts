/**
 * painlessMesh's status packages: type 604 with the field names that C++ nodes use, and telemetry made of what C++ nodes
 * broadcast in types 604, 202 (its shorter form) and 203 (the number that older documents give it).
 */
import { ENHANCED_STATUS, type Package, STATUS } from "../wire/packages";
import { TELEMETRY_MAGIC, type Telemetry } from "../wire/telemetry";

export const OLD_ENHANCED_STATUS = 203;

/** Bytes of an interpreter variable on an ESP32; C++ nodes count memory in KB. */
const VARIABLE_BYTES = 14;

/** What "status" says: at work. */
const AT_WORK = 1;

/** Signal as painlessMesh tells it: 0 at -100 dBm and below, 100 at -50 and above. */
export function signalPercent(rssi: number): number {
  "cold";
  return rssi ? Math.max(0, Math.min(100, (rssi + 100) * 2)) : 0;
}

/** The package. `fwMD5` is the id of the image, which tells builds apart as an MD5 would; `throughput` counts both directions. */
export function statusFields(
  t: Telemetry,
  identity: { version: string; image: string },
  error: string,
  bytesPerSecond: number,
): { type: number; [field: string]: unknown } {
  "cold";
  return {
    type: ENHANCED_STATUS,
    routing: 2,
    message_type: ENHANCED_STATUS,
    status: AT_WORK,
    uptime: t.uptime,
    mem: Math.floor((t.memoryFree * VARIABLE_BYTES) / 1024),
    wifi: signalPercent(t.rssi),
    fw: identity.version,
    fwMD5: identity.image,
    nodes: t.nodes,
    conns: t.children + (t.parent ? 1 : 0),
    msgRx: t.received,
    msgTx: t.sent,
    msgDrop: t.dropped,
    latency: t.latency < 65535 ? t.latency : 0,
    loss: Math.round(t.loss / 10),
    throughput: Math.min(65535, Math.round(bytesPerSecond)),
    alerts: t.alerts & 255,
    lastErr: error,
  };
}

function whole(value: unknown, most: number): number {
  return typeof value === "number" && value > 0 ? Math.min(most, Math.floor(value)) : 0;
}

/**
 * Telemetry of a node that told its status so; null when the package is none. `previous`: the same node's values before.
 * What such a package does not say is unknown. Bit 5 of `flags` marks its origin.
 */
export function telemetryOfStatus(p: Package, previous: Telemetry | null): Telemetry | null {
  const type = p.type;
  if ((type !== ENHANCED_STATUS && type !== STATUS && type !== OLD_ENHANCED_STATUS) || typeof p.uptime !== "number")
    return null;
  const full = type !== STATUS;
  const version = typeof p.fw === "string" ? p.fw.replace("v", "").split(".") : [];
  const number = function (at: number, most: number): number {
    return whole(parseInt(version[at], 10), most);
  };
  return {
    magic: TELEMETRY_MAGIC,
    node: p.from,
    sequence: previous ? (previous.sequence + 1) & 65535 : 0,
    uptime: whole(p.uptime, 4294967295),
    memoryFree: whole((whole(p.mem, 65535) * 1024) / VARIABLE_BYTES, 65535),
    rssi: whole(p.wifi, 100) ? Math.round(whole(p.wifi, 100) / 2) - 100 : 0,
    received: whole(p.msgRx, 4294967295),
    sent: whole(p.msgTx, 4294967295),
    latency: full && whole(p.latency, 65534) ? whole(p.latency, 65534) : 65535,
    temperature: -128,
    battery: 0,
    loss: whole(p.loss, 100) * 10,
    nodes: whole(p.nodes, 65535),
    children: whole(p.conns, 255),
    hops: 255,
    dropped: whole(p.msgDrop, 65535),
    refused: 0,
    flags: 32,
    alerts: whole(p.alerts, 65535),
    updateState: whole(p.alerts, 65535) & 16 ? 7 : 0,
    updatePercent: 0,
    parent: previous ? previous.parent : 0,
    memoryTotal: 0,
    interval: 0,
    starts: 0,
    reset: 0,
    major: number(0, 255),
    minor: number(1, 255),
    patch: number(2, 65535),
    image: 0,
    role: 255,
  };
}
