/** Puts a node together: mesh, airwave, update, telemetry. The laptop is one too, without the parts that install. */
import type { Engine, Region } from "./engine/engine";
import { type Airwave, createAirwave } from "./mesh/airwave";
import { createMesh, type Mesh, type MeshConfig } from "./mesh/mesh";
import { type ControlAuth, createControlAuth } from "./ota/control-auth";
import type { Manifest } from "./ota/image";
import { MARK, SLOT_CONFIRMED } from "./ota/layout";
import { createReceiver, type Receiver } from "./ota/receiver";
import { readSlot } from "./ota/slots";
import { configuredKey, confirmTrust, readTrust, type SecuritySettings } from "./ota/trust";
import type { Identity } from "./ota/update-node";
import type { BridgeSettings } from "./status/bridge";
import { createReporter } from "./status/reporter";
import { createStream, type Stream } from "./status/stream";
import type { TelemetryReceiver } from "./status/telemetry-receiver";
import { INTERVAL_UNIT } from "./wire/telemetry";

/** An image on trial confirms itself after so long in the mesh, or is started again, which counts against it. */
const CONFIRM_MS = 30000;
const TRIAL_LIMIT_MS = 300000;
/** Twelve times five seconds. */
const TELEMETRY_UNITS = 12;

/** When a node first asks its neighbours for a newer image, and how often it does so again. */
const QUERY_FIRST_MS = 30000;
const QUERY_SPREAD_MS = 15000;
const QUERY_MS = 1800000;

/** The node's configuration as provisioned, JSON in the Storage file "cfg". */
export interface Settings extends SecuritySettings {
  /** Of a node with the role "bridge". */
  bridge?: BridgeSettings;
  mesh: MeshConfig;
  role: string;
  /** seconds between telemetry frames, 10..1200 in steps of five; 60 unless given */
  telemetrySeconds?: number;
  /** Of role "dashboard": what changes need (read-only without), and the port, 80 unless given. */
  dashboard?: { token?: string; port?: number };
  /** seconds between painlessMesh status packages (type 604) to all nodes, 10..3600; none unless given */
  statusSeconds?: number;
  /** Alert rules of a root node in place of the default ones, as texts (rules.ts). */
  alerts?: string[];
}

export interface NodeParts {
  engine: Engine;
  settings: Settings;
  version: string;
  capabilities: number;
  stage: Region;
  running: Region;
  spare: Region;
  /** Where what the node believes about images is kept; null on a laptop. */
  trust?: Region | null;
  trial: boolean;
  starts: number;
  /** false on a laptop */
  installs: boolean;
  /** Takes the telemetry that reaches this node; `receiveTelemetry` makes one. Null where it is only passed on. */
  telemetry: TelemetryReceiver | null;
  /** Called when the state of an update here changes. */
  updateChanged?: () => void;
  /** Who commands others: first number of its control messages (host-tools/gateway/control-clock.ts). */
  controlStart?: number;
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

/** A slot's manifest, parsed once already when it was written; {} when there is none to read. */
function manifestOf(text: string): Partial<Manifest> {
  "cold";
  try {
    return JSON.parse(text) as Manifest;
  } catch (error) {
    return {};
  }
}

export function createNode(parts: NodeParts): EspalierNode {
  const engine = parts.engine;
  const settings = parts.settings;
  const running = readSlot(parts.running);
  const manifest = running ? manifestOf(running.manifest) : {};
  const key = configuredKey(engine, settings.publicKey);
  const trust = readTrust(engine, parts.trust || null, key, manifest.counter || 0);
  const identity: Identity = {
    product: settings.product || settings.mesh.meshName,
    hardware: engine.hardware,
    role: settings.role,
    version: parts.version,
    image: running && running.verified ? running.id : "",
    hash: manifest.resultHash || "",
    installs: parts.installs,
    trial: parts.trial,
  };
  settings.mesh.hello = { v: parts.version, c: parts.capabilities };
  const mesh = createMesh(engine, settings.mesh);
  const airwave = createAirwave(engine, mesh);
  const control = createControlAuth(engine, mesh, {
    key: settings.meshKey || "",
    start: parts.controlStart || 0,
  });
  const receiver = createReceiver(
    {
      control: control,
      trust: trust,
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
  const reporter = createReporter(
    engine,
    mesh,
    airwave,
    stream,
    receiver,
    identity,
    parts.starts,
    Math.round((settings.telemetrySeconds || 0) / INTERVAL_UNIT) || TELEMETRY_UNITS,
    (settings.statusSeconds || 0) * 1000,
  );
  const ready: (() => void)[] = [];
  let trial = parts.trial;
  let connectedSince = -1;
  let asked = false;

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
      const confirmed = readSlot(parts.running);
      // Before the mark: a start with the mark does not come back to this.
      if (confirmed) confirmTrust(engine, parts.trust || null, key, trust, JSON.parse(confirmed.manifest));
      parts.running.write(SLOT_CONFIRMED, MARK);
      receiver.trialOver();
      reporter.send(0);
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
        reporter.start();
        judge();
        engine.after(QUERY_FIRST_MS + (engine.random() % QUERY_SPREAD_MS), askPeers);
      }
      for (let i = 0; i < ready.length; i++) ready[i]();
    },
  };
}
