/** Reads what a node can say of itself; everything that reports status starts from here. */
import type { Engine } from "../engine/engine";
import type { Mesh } from "../mesh/mesh";
import type { Airwave } from "../mesh/airwave";
import type { Receiver } from "../ota/receiver";
import type { Identity } from "../ota/update-node";
import { u32, unhex } from "../wire/bytes";
import { TELEMETRY_MAGIC, type Telemetry } from "../wire/telemetry";

/** Free memory below which a node counts as short of it, in interpreter variables (some 10 KB). */
const LOW_MEMORY = 700;
/** ms, per mille, dBm. */
const HIGH_LATENCY = 500;
const HIGH_LOSS = 100;
const WEAK_SIGNAL = -80;

/**
 * The values of now, but for the sequence number, which is left to whoever sends the frame. `flags` are added to what the
 * node knows of itself; `starts` since the state page was erased; `interval` between frames, in INTERVAL_UNIT; `rooted`:
 * there was a root.
 */
export function sampleTelemetry(
  engine: Engine,
  mesh: Mesh,
  airwave: Airwave,
  receiver: Receiver,
  identity: Identity,
  starts: number,
  interval: number,
  flags: number,
  rooted: boolean,
): Telemetry {
  "cold";
  const roles = ["node", "root", "dashboard", "bridge"];
  const updateStates = ["idle", "preparing", "receiving", "relaying", "decoding", "verified", "current", "failed"];
  const version = identity.version.split(".");
  const memory = engine.memory();
  const neighbours = mesh.neighbours();
  const root = mesh.rootId();
  let parent = 0;
  let children = 0;
  let nodes = 1;
  let latency = 65535;
  for (let i = 0; i < neighbours.length; i++) {
    nodes += neighbours[i].nodes;
    if (neighbours[i].up) {
      parent = neighbours[i].id;
      if (neighbours[i].roundTrip >= 0) latency = Math.min(65534, Math.round(neighbours[i].roundTrip));
    } else children++;
  }
  const role = roles.indexOf(identity.role);
  const rssi = engine.wifi ? engine.wifi.rssi() : 0;
  const state = receiver.state();
  const isRoot = mesh.isRoot();
  const stats = receiver.stats;
  const loss = stats.chunks ? Math.round((stats.repaired * 1000) / stats.chunks) : 0;
  return {
    magic: TELEMETRY_MAGIC,
    flags: flags | (isRoot ? 4 : 0) | (identity.trial ? 8 : 0),
    node: mesh.getNodeId(),
    sequence: 0,
    uptime: Math.floor(engine.now() / 1000),
    memoryFree: Math.min(65535, memory.free),
    memoryTotal: Math.min(65535, memory.total),
    interval: interval,
    rssi: rssi,
    parent: parent,
    hops: isRoot ? 0 : root ? mesh.getHopCount(root) & 255 : 255,
    children: children,
    nodes: nodes,
    received: mesh.stats.rx,
    sent: mesh.stats.tx,
    dropped: (mesh.stats.dropped + mesh.stats.queueDrops) & 65535,
    refused: (mesh.stats.malformed + airwave.stats.malformed + stats.refused) & 65535,
    loss: loss,
    latency: latency,
    starts: starts & 255,
    reset: engine.resetReason() === "software" ? 1 : 0,
    // The bits of painlessMesh's enhanced status.
    alerts:
      (memory.free < LOW_MEMORY ? 1 : 0) |
      (latency > HIGH_LATENCY && latency < 65535 ? 2 : 0) |
      (loss > HIGH_LOSS ? 4 : 0) |
      (rooted && !root ? 8 : 0) |
      (state === "failed" ? 16 : 0) |
      (rssi && rssi < WEAK_SIGNAL ? 64 : 0),
    major: +version[0] || 0,
    minor: +version[1] || 0,
    patch: +version[2] || 0,
    image: identity.image ? u32(unhex(identity.image.substr(0, 8)) as string, 0) : 0,
    updateState: updateStates.indexOf(state),
    updatePercent: receiver.percent(),
    battery: 0,
    temperature: -128,
    role: role < 0 ? 255 : role,
  };
}
