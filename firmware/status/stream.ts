/**
 * Carries telemetry frames towards the root, hop by hop over the airwave, and from the root to whoever subscribed. A node
 * holds what comes from below for a moment, so that it goes on in one datagram with its own.
 *
 * Where a neighbour on the way is no Espalier node the same bytes go over the links in base64.
 */
import type { Bytes, Engine } from "../engine/engine";
import type { Airwave } from "../mesh/airwave";
import type { Mesh } from "../mesh/mesh";
import { le32, u32 } from "../wire/bytes";
import { FRAME_TELEMETRY } from "../wire/frames";
import type { Package } from "../wire/packages";
import type { TelemetryReceiver } from "./telemetry-receiver";

export const PACKAGE_TELEMETRY = 720;
export const PACKAGE_SUBSCRIBE = 721;

/** A subscription that is not renewed ends. */
const SUBSCRIPTION_MS = 180000;
const MAX_SUBSCRIBERS = 4;
/** Frames wait so long for others; nodes farther from the root speak 700 ms earlier a hop. */
const BATCH_MS = 1500;
/** Bytes of frames in one datagram or package. */
const MAX_BATCH = 1000;

export interface Stream {
  /** Frames as telemetry-delta.ts makes them, one after another; at once, or with what else comes within a moment. */
  forward(frames: Bytes, atOnce: boolean): void;
  /** Asks the root for a copy of everything; to be repeated within three minutes. */
  subscribe(): void;
}

export function createStream(engine: Engine, mesh: Mesh, airwave: Airwave, receiver: TelemetryReceiver | null): Stream {
  const subscribers: { id: number; until: number }[] = [];
  const received = receiver && receiver(engine, mesh);
  let waiting = "";
  let timer = 0;

  function deliver(frames: Bytes): void {
    "cold";
    if (received) received(frames);
    for (let i = subscribers.length - 1; i >= 0; i--) {
      if (engine.now() > subscribers[i].until) subscribers.splice(i, 1);
      else overLinks(subscribers[i].id, frames);
    }
  }

  function overLinks(dest: number, frames: Bytes): void {
    "cold";
    mesh.sendPackage({
      type: PACKAGE_TELEMETRY,
      routing: 1,
      dest: dest,
      from: mesh.getNodeId(),
      d: engine.toBase64(frames),
    });
  }

  function flush(): void {
    "cold";
    const frames = waiting;
    waiting = "";
    timer = 0;
    if (!frames) return;
    if (mesh.isRoot()) {
      deliver(frames);
      return;
    }
    const root = mesh.rootId();
    const next = root && mesh.routeTo(root);
    if (!next) return;
    const list = mesh.neighbours();
    for (let i = 0; i < list.length; i++) {
      const n = list[i];
      if (n.id !== next) continue;
      if (!n.espalier) break;
      // All children hear what is for one of them; the parent is the only one to hear what goes up.
      if (n.up) airwave.sendToParent(String.fromCharCode(FRAME_TELEMETRY) + frames);
      else airwave.sendToChildren(String.fromCharCode(FRAME_TELEMETRY) + le32(next) + frames);
      return;
    }
    overLinks(root, frames);
  }

  function forward(frames: Bytes, atOnce: boolean): void {
    "cold";
    if (waiting.length + frames.length > MAX_BATCH) flush();
    waiting += frames;
    if (timer && !atOnce) return;
    engine.cancel(timer);
    // Even at once is an event of its own, so that none holds the interpreter for long.
    timer = engine.after(atOnce ? 1 : BATCH_MS, flush);
  }

  airwave.onFrame(FRAME_TELEMETRY, function (bytes, fromParent) {
    if (!fromParent) forward(bytes.substr(1), false);
    else if (u32(bytes, 1) === mesh.getNodeId()) forward(bytes.substr(5), false);
  });

  function onTelemetry(pkg: Package): void {
    "cold";
    if (typeof pkg.d !== "string" || pkg.d.length > 2000) return;
    if (mesh.isRoot() || !mesh.rootId() || received) deliver(engine.fromBase64(pkg.d));
  }

  function onSubscribe(pkg: Package): void {
    "cold";
    const until = engine.now() + SUBSCRIPTION_MS;
    for (let i = 0; i < subscribers.length; i++) {
      if (subscribers[i].id === pkg.from) {
        subscribers[i].until = until;
        return;
      }
    }
    if (subscribers.length < MAX_SUBSCRIBERS) subscribers.push({ id: pkg.from, until: until });
  }

  // One function for both: each costs memory all the time.
  function dispatch(pkg: Package): void {
    if (pkg.type === PACKAGE_TELEMETRY) onTelemetry(pkg);
    else onSubscribe(pkg);
  }
  mesh.onPackage(PACKAGE_TELEMETRY, dispatch);
  mesh.onPackage(PACKAGE_SUBSCRIBE, dispatch);

  return {
    forward: forward,
    subscribe: function () {
      "cold";
      const root = mesh.rootId();
      if (root && !mesh.isRoot()) {
        mesh.sendPackage({ type: PACKAGE_SUBSCRIBE, routing: 1, dest: root, from: mesh.getNodeId() });
      }
    },
  };
}
