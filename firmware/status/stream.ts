/**
 * Carries telemetry frames towards the root, hop by hop over the airwave, and from the root to whoever subscribed.
 * Where a neighbour on the way is no Espalier node the same bytes go over the links in base64.
 */
import type { Bytes, Engine } from "../engine/engine";
import type { Airwave } from "../mesh/airwave";
import type { Mesh } from "../mesh/mesh";
import { le32, u32 } from "../wire/bytes";
import { FRAME_TELEMETRY } from "../wire/frames";
import type { Package } from "../wire/packages";
import { decodeTelemetry, type Telemetry, TELEMETRY_BYTES } from "../wire/telemetry";

export const PACKAGE_TELEMETRY = 720;
export const PACKAGE_SUBSCRIBE = 721;

/** A subscription that is not renewed ends. */
const SUBSCRIPTION_MS = 180000;
const MAX_SUBSCRIBERS = 4;
/** type, count, next hop */
const HEADER = 6;

export interface Stream {
  /** Frames of `TELEMETRY_BYTES` each, one after another; from this node or from one below. */
  forward(frames: Bytes): void;
  /** Asks the root for a copy of everything; to be repeated within three minutes. */
  subscribe(): void;
}

export function createStream(
  engine: Engine,
  mesh: Mesh,
  airwave: Airwave,
  received: ((telemetry: Telemetry) => void) | null,
): Stream {
  const subscribers: { id: number; until: number }[] = [];

  function deliver(frames: Bytes): void {
    "cold";
    if (received) {
      for (let at = 0; at + TELEMETRY_BYTES <= frames.length; at += TELEMETRY_BYTES) {
        const telemetry = decodeTelemetry(frames.substr(at, TELEMETRY_BYTES), engine.crc32);
        if (telemetry) received(telemetry);
      }
    }
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

  function forward(frames: Bytes): void {
    "cold";
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
      const frame = String.fromCharCode(FRAME_TELEMETRY, frames.length / TELEMETRY_BYTES) + le32(next) + frames;
      if (n.up) airwave.sendToParent(frame);
      else airwave.sendToChildren(frame);
      return;
    }
    overLinks(root, frames);
  }

  airwave.onFrame(FRAME_TELEMETRY, function (bytes) {
    const count = bytes.charCodeAt(1);
    if (bytes.length !== HEADER + count * TELEMETRY_BYTES || !count) return;
    // Frames for another child of the same access point are heard too.
    if (u32(bytes, 2) === mesh.getNodeId()) forward(bytes.substr(HEADER));
  });

  function onTelemetry(pkg: Package): void {
    "cold";
    if (typeof pkg.d !== "string" || pkg.d.length > 2000) return;
    const frames = engine.fromBase64(pkg.d);
    if (frames.length % TELEMETRY_BYTES) return;
    if (mesh.isRoot() || !mesh.rootId() || received) deliver(frames);
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
