/**
 * The data plane: binary datagrams to a neighbour's whole access point at once, or to the parent. Nothing is repaired
 * here. A datagram's first byte is its frame type.
 */
import type { Bytes, DatagramSocket, Engine } from "../engine/engine";
import type { Mesh } from "./mesh";

/** Datagrams that may wait for the one in flight. */
export const AIRWAVE_QUEUE = 8;
/** Largest datagram that Espruino delivers, bytes. */
export const MAX_DATAGRAM = 1472;
/** The socket is looked at this often, and opened anew after so long without a datagram from a neighbour. */
const CHECK = 30000;
const SILENCE = 90000;
/** One datagram may be in flight so long, milliseconds. */
const STUCK = 2000;

export type FrameHandler = (bytes: Bytes, fromParent: boolean) => void;

interface Waiting {
  bytes: Bytes;
  address: string;
  sent: (() => void) | undefined;
}

export interface AirwaveStats {
  rx: number;
  tx: number;
  /** datagrams of a type nobody handles */
  malformed: number;
  /** datagrams that did not leave: no address, a full queue, a stuck socket */
  failures: number;
}

export type Airwave = ReturnType<typeof createAirwave>;

export function createAirwave(engine: Engine, mesh: Mesh) {
  const port = mesh.config.port + 1;
  const state = mesh.state;
  const stats: AirwaveStats = { rx: 0, tx: 0, malformed: 0, failures: 0 };
  const handlers: FrameHandler[] = [];
  const queue: Waiting[] = [];
  let socket: DatagramSocket | null = null;
  let flying: Waiting | null = null;
  let since = 0;
  let heard = 0;
  let timer = 0;

  function received(bytes: Bytes, address: string): void {
    const run = handlers[bytes.charCodeAt(0)];
    stats.rx++;
    if (!run) {
      stats.malformed++;
      return;
    }
    const parent = address === state.parentIp;
    // Some network stacks hand a sender its own broadcast.
    if (parent || address !== state.apIp) run(bytes, parent);
  }

  function next(): void {
    "cold";
    while (socket && !flying && queue.length) {
      const item = queue.shift() as Waiting;
      flying = item;
      since = engine.now();
      const landed = function (): void {
        if (flying !== item) return;
        flying = null;
        if (item.sent) item.sent();
        next();
      };
      if (socket.send(item.bytes, item.address, port, landed)) stats.tx++;
      else {
        stats.failures++;
        landed();
      }
    }
  }

  function send(bytes: Bytes, address: string, sent: (() => void) | undefined): boolean {
    "cold";
    if (!socket || !address || !bytes.length || bytes.length > MAX_DATAGRAM || queue.length >= AIRWAVE_QUEUE) {
      stats.failures++;
      return false;
    }
    queue.push({ bytes: bytes, address: address, sent: sent });
    next();
    return true;
  }

  function open(): void {
    "cold";
    if (socket) socket.close();
    heard = stats.rx;
    since = engine.now();
    socket = engine.openDatagrams(port, received);
  }

  /** Espruino closes a socket over an empty datagram and says so to nobody: silence is the only sign. */
  function check(): void {
    "cold";
    const now = engine.now();
    if (flying && now - since > STUCK) {
      const lost = flying;
      flying = null;
      stats.failures++;
      open();
      if (lost.sent) lost.sent();
      next();
    } else if (stats.rx !== heard) {
      heard = stats.rx;
      since = now;
    } else if (!flying && now - since > SILENCE && (state.parentIp || state.apIp)) open();
  }

  return {
    stats: stats,
    /** Takes a datagram that came another way. */
    take: received,
    start: function () {
      "cold";
      if (timer) return;
      open();
      timer = engine.every(CHECK, check);
    },
    shut: function () {
      "cold";
      engine.cancel(timer);
      timer = 0;
      if (socket) socket.close();
      socket = flying = null;
      queue.splice(0, queue.length);
    },
    /** One datagram to all stations of the own access point. False if it cannot be sent now; `sent` when the next may. */
    sendToChildren: function (bytes: Bytes, sent?: () => void): boolean {
      "cold";
      const ip = state.apIp;
      return send(bytes, ip && ip.substr(0, ip.lastIndexOf(".") + 1) + "255", sent);
    },
    sendToParent: function (bytes: Bytes, sent?: () => void): boolean {
      "cold";
      return send(bytes, state.parentIp, sent);
    },
    /** Datagrams that wait, the one in flight included. */
    backlog: function () {
      "cold";
      return queue.length + (flying ? 1 : 0);
    },
    /** Who takes frames with this first byte (0..255). The handler must be quick: the seventh waiting datagram is lost. */
    onFrame: function (firstByte: number, run: FrameHandler) {
      "cold";
      handlers[firstByte] = run;
    },
  };
}
