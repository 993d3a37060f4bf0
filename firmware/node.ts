/** Puts a node together: mesh, airwave, update, telemetry. The laptop is one too, without the parts that install. */
import type { Engine, Region } from "./engine/engine";
import { type Airwave, createAirwave } from "./mesh/airwave";
import { createMesh, type Mesh, type MeshConfig } from "./mesh/mesh";
import { type ControlAuth, createControlAuth } from "./ota/control-auth";
import { MARK, SLOT_CONFIRMED } from "./ota/layout";
import { createReceiver, type Receiver } from "./ota/receiver";
import { readSlot } from "./ota/slots";
import type { Identity } from "./ota/update-node";
import { createSampler } from "./status/sampler";
import { createStream, type Stream } from "./status/stream";
import { encodeTelemetry, INTERVAL_UNIT, type Telemetry } from "./wire/telemetry";

/** An image on trial confirms itself after so long in the mesh, or is started again, which counts against it. */
const CONFIRM_MS = 30000;
const TRIAL_LIMIT_MS = 300000;
/** Twelve times five seconds. */
const TELEMETRY_UNITS = 12;
/** The first frame goes out when the mesh stands, or is dropped for want of a root after so many tries. */
const FIRST_FRAME_TRIES = 60;

/** When a node first asks its neighbours for a newer image, and how often it does so again. */
const QUERY_FIRST_MS = 30000;
const QUERY_SPREAD_MS = 15000;
const QUERY_MS = 1800000;

const FLAG_FIRST = 1;
const FLAG_TRIAL = 8;

/** The node's configuration as provisioned, JSON in the Storage file "cfg". */
export interface Settings {
  meshKey?: string;
  publicKey?: string;
  product?: string;
  mesh: MeshConfig;
  role: string;
  /** seconds between telemetry frames, 10..1200 in steps of five; 60 unless given */
  telemetrySeconds?: number;
}

export interface NodeParts {
  engine: Engine;
  settings: Settings;
  version: string;
  capabilities: number;
  stage: Region;
  running: Region;
  spare: Region;
  trial: boolean;
  starts: number;
  /** false on a laptop */
  installs: boolean;
  /** Called with every telemetry frame that reaches this node. */
  telemetry: ((telemetry: Telemetry) => void) | null;
  /** Called when the state of an update here changes. */
  updateChanged?: () => void;
  /** Who commands others: first number of its control messages (host-tools/gateway/control-clock.ts). */
  controlStart?: number;
  /** A node could not take the last control message: what still holds shall be said again. */
  controlRepeat?: () => void;
}

export interface EspalierNode {
  readonly version: string;
  readonly role: string;
  readonly hardware: string;
  readonly engine: Engine;
  readonly mesh: Mesh;
  readonly airwave: Airwave;
  readonly receiver: Receiver;
  readonly stream: Stream;
  /** Seals and opens control messages. */
  readonly control: ControlAuth;
  /** Runs `handler` once the node has started. */
  onReady(handler: () => void): void;
  after(milliseconds: number, run: () => void): number;
  every(milliseconds: number, run: () => void): number;
  start(): void;
}

/** `resultHash` of a slot's manifest, "" when there is none to read. */
function resultHash(manifest: string): string {
  "cold";
  try {
    return JSON.parse(manifest).resultHash || "";
  } catch (error) {
    return "";
  }
}

export function createNode(parts: NodeParts): EspalierNode {
  const engine = parts.engine;
  const settings = parts.settings;
  const running = readSlot(parts.running);
  const identity: Identity = {
    hardware: engine.hardware,
    role: settings.role,
    version: parts.version,
    image: running && running.verified ? running.id : "",
    hash: running ? resultHash(running.manifest) : "",
    installs: parts.installs,
    trial: parts.trial,
  };
  settings.mesh.hello = { v: parts.version, c: parts.capabilities };
  const mesh = createMesh(engine, settings.mesh);
  const airwave = createAirwave(engine, mesh);
  const control = createControlAuth(engine, mesh, {
    key: settings.meshKey || "",
    start: parts.controlStart || 0,
    repeat: parts.controlRepeat,
  });
  const receiver = createReceiver(
    {
      control: control,
      engine: engine,
      mesh: mesh,
      airwave: airwave,
      stage: parts.stage,
      running: parts.running,
      spare: parts.spare,
      identity: identity,
    },
    parts.updateChanged || function () {},
  );
  const stream = createStream(engine, mesh, airwave, parts.telemetry);
  const units = Math.round((settings.telemetrySeconds || 0) / INTERVAL_UNIT) || TELEMETRY_UNITS;
  const interval = units * INTERVAL_UNIT * 1000;
  const sample = createSampler({
    engine: engine,
    mesh: mesh,
    airwave: airwave,
    receiver: receiver,
    identity: identity,
    starts: parts.starts,
    interval: units,
  });
  const ready: (() => void)[] = [];
  let trial = parts.trial;
  let connectedSince = -1;
  let tries = 0;
  let asked = false;

  function sendTelemetry(flags: number): void {
    "cold";
    stream.forward(encodeTelemetry(sample(flags | (trial ? FLAG_TRIAL : 0)), engine.crc32));
  }

  function firstTelemetry(): void {
    "cold";
    if (mesh.isRoot() || mesh.rootId() || ++tries > FIRST_FRAME_TRIES) {
      sendTelemetry(FLAG_FIRST);
      // Spread over the interval, so that nodes that started together do not all speak together.
      engine.after(engine.random() % interval, function () {
        sendTelemetry(0);
        engine.every(interval, function () {
          sendTelemetry(0);
        });
      });
    } else engine.after(1000, firstTelemetry);
  }

  /** Neighbours first; all nodes when none of them had an answer. */
  function askPeers(): void {
    "cold";
    const state = receiver.state();
    const idle = state === "idle" || state === "failed";
    if (idle && mesh.neighbours().length) receiver.query(asked);
    asked = idle && !asked;
    engine.after(asked ? QUERY_SPREAD_MS : QUERY_MS, askPeers);
  }

  /** On trial: confirmed by a stretch of time in the mesh; started again when that does not come. */
  function judge(): void {
    "cold";
    if (!trial) return;
    const now = engine.now();
    if (!mesh.neighbours().length && !mesh.isRoot()) connectedSince = -1;
    else if (connectedSince < 0) connectedSince = now;
    if (connectedSince >= 0 && now - connectedSince >= CONFIRM_MS) {
      trial = false;
      parts.running.write(SLOT_CONFIRMED, MARK);
      receiver.trialOver();
      sendTelemetry(0);
      return;
    }
    if (now > TRIAL_LIMIT_MS) engine.restart();
    else engine.after(5000, judge);
  }

  return {
    version: parts.version,
    role: settings.role,
    hardware: engine.hardware,
    engine: engine,
    mesh: mesh,
    airwave: airwave,
    receiver: receiver,
    stream: stream,
    control: control,
    onReady: function (handler: () => void) {
      "cold";
      ready.push(handler);
    },
    after: engine.after,
    every: engine.every,
    start: function () {
      "cold";
      mesh.start();
      airwave.start();
      if (parts.installs) {
        engine.after(2000, firstTelemetry);
        judge();
        engine.after(QUERY_FIRST_MS + (engine.random() % QUERY_SPREAD_MS), askPeers);
      }
      for (let i = 0; i < ready.length; i++) ready[i]();
    },
  };
}
