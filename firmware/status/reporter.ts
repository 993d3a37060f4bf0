/**
 * A node's own status: the telemetry stream at its interval, painlessMesh's status package where it is wanted, and answers
 * to status queries.
 */
import type { Engine } from "../engine/engine";
import type { Airwave } from "../mesh/airwave";
import type { Mesh } from "../mesh/mesh";
import type { Receiver } from "../ota/receiver";
import type { Identity } from "../ota/update-node";
import type { Package } from "../wire/packages";
import { encodeTelemetry, INTERVAL_UNIT, type Telemetry, telemetryDeltas, telemetryFields } from "../wire/telemetry";
import { DELTA_STATE, encodeFrame } from "../wire/telemetry-delta";
import { sampleTelemetry } from "./sampler";
import { statusFields } from "./status-package";
import type { Stream } from "./stream";
import { PACKAGE_STATUS_QUERY } from "./telemetry-receiver";

/** Answers a query: the asker's number `q`, a key frame in base64 `d`, and the node time when it was sent `t`. */
export const PACKAGE_STATUS_REPORT = 723;

/** The first frame goes out when the mesh stands, or is dropped for want of a root after so many tries. */
const FIRST_FRAME_TRIES = 60;
/** ms by which nodes speak earlier for each hop from the root, so that parents can send what their children said along. */
const SLOT_MS = 700;
/** Not all in one moment, either. */
const SLOT_SPREAD_MS = 300;
/** ms between two key frames that were asked for. */
const KEY_AGAIN_MS = 10000;
/** Longest time, ms, that a query may have its answers spread over. */
const MOST_SPREAD_MS = 30000;

const FLAG_FIRST = 1;

export interface Reporter {
  start(): void;
  /** Sends a frame now, besides those that go out by themselves. */
  send(flags: number): void;
}

/**
 * `starts`: of the node, since its state page was erased; `units`: between telemetry frames, in INTERVAL_UNIT;
 * `statusInterval`: ms between status packages, 0 for none. One by one, because an object of them would cost a node thirty
 * variables.
 */
export function createReporter(
  engine: Engine,
  mesh: Mesh,
  airwave: Airwave,
  stream: Stream,
  receiver: Receiver,
  identity: Identity,
  starts: number,
  units: number,
  statusInterval: number,
): Reporter {
  const state = new Float64Array(DELTA_STATE);
  let sequence = engine.random() & 65535;
  let tries = 0;
  let keyAt = -KEY_AGAIN_MS;
  let answering = 0;
  let bytes = 0;
  let rooted = false;

  function sample(flags: number): Telemetry {
    "cold";
    if (mesh.rootId()) rooted = true;
    return sampleTelemetry(engine, mesh, airwave, receiver, identity, starts, units, flags, rooted);
  }

  function tell(t: Telemetry): void {
    "cold";
    const fields = telemetryFields();
    const treatments = telemetryDeltas();
    engine.after(1, function () {
      const frame = encodeFrame(state, t, engine.crc32, fields, treatments);
      if (frame) stream.forward(frame, true);
      else tell(t);
    });
  }

  function send(flags: number): void {
    "cold";
    const t = sample(flags);
    sequence = (sequence + 1) & 65535;
    t.sequence = sequence;
    // In an event of its own: both together hold the interpreter for more than a tenth of a second.
    tell(t);
  }

  /** The next frame, in step with the mesh's time: those farther from the root first. */
  function next(): void {
    "cold";
    const interval = units * INTERVAL_UNIT * 1000;
    const hops = Math.max(0, mesh.getHopCount(mesh.rootId()));
    const phase = (mesh.getNodeTime() / 1000 + hops * SLOT_MS) % interval;
    let wait = interval - phase;
    if (wait < interval / 2) wait += interval;
    engine.after(wait + (engine.random() % SLOT_SPREAD_MS), function () {
      send(0);
      next();
    });
  }

  function first(): void {
    "cold";
    if (mesh.isRoot() || mesh.rootId() || ++tries > FIRST_FRAME_TRIES) {
      send(FLAG_FIRST);
      next();
    } else engine.after(1000, first);
  }

  function status(): void {
    "cold";
    const total = mesh.stats.bytes;
    const rate = ((total - bytes) * 1000) / statusInterval;
    bytes = total;
    const p = statusFields(sample(0), identity, receiver.error(), rate);
    mesh.sendPackage(p);
  }

  function answer(dest: number, q: unknown, t: Telemetry): void {
    "cold";
    answering--;
    t.sequence = sequence;
    mesh.sendPackage({
      type: PACKAGE_STATUS_REPORT,
      routing: 1,
      dest: dest,
      q: q,
      d: engine.toBase64(encodeTelemetry(t, engine.crc32)),
      t: mesh.getNodeTime(),
    });
  }

  mesh.onPackage(PACKAGE_STATUS_QUERY, function (p: Package) {
    const now = engine.now();
    // A computer is asked for nothing: it is no node to watch.
    if (!identity.installs) return;
    if (p.k === 1) {
      if (now - keyAt < KEY_AGAIN_MS) return;
      keyAt = now;
      state[0] = 0;
      send(0);
    } else if (answering < 2) {
      const spread = p.w as number;
      const t = sample(0);
      answering++;
      engine.after(1 + (spread > 0 && spread <= MOST_SPREAD_MS ? engine.random() % spread : 0), function () {
        answer(p.from, p.q, t);
      });
    }
  });

  return {
    send: send,
    start: function () {
      "cold";
      engine.after(2000, first);
      if (statusInterval) engine.every(statusInterval, status);
    },
  };
}
