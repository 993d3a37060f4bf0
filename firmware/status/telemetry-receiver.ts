/**
 * Puts telemetry frames together to values again: remembers the key frame of each node, applies deltas to it, and asks for
 * a key frame where one was lost. For root nodes and computers; the others only pass frames on.
 */
import type { Bytes, Engine } from "../engine/engine";
import type { Mesh } from "../mesh/mesh";
import { u32 } from "../wire/bytes";
import { decodeTelemetry, INTERVAL_UNIT, type Telemetry, TELEMETRY_BYTES } from "../wire/telemetry";
import { applyDelta, DELTA_HEADER, FRAME_REPEATS, MOST_FRAMES, readNumbers, unzigzag } from "../wire/telemetry-delta";

/** Asks a node for a status report, or (`k`: 1) for a key frame; the other fields are in docs/status.md. */
export const PACKAGE_STATUS_QUERY = 722;

interface Known {
  id: number;
  key: Bytes;
  /** ms when the key frame was made, as far as can be told from here */
  keyAt: number;
  /** Frames since the key frame, of the newest one; number of the delta in `body`. */
  count: number;
  number: number;
  body: Bytes;
  askedAt: number;
}

/** ms between two questions to one node, and how many questions a second there are at most. */
const ASK_AGAIN = 10000;
const ASKS = 8;
/** A delta's age may differ from the age of the key frame here by so many ms, and by one in so many. */
const AGE_SLACK = 20000;
const AGE_DRIFT = 50;
const MOST_NODES = 2000;

/** What takes frames; made by the node when it starts. */
export type TelemetryReceiver = (engine: Engine, mesh: Mesh) => (frames: Bytes) => void;

export interface FrameReader {
  take(frames: Bytes, now: number): void;
  /** Frames that no decoder could read. */
  malformed(): number;
}

/** The reader alone. `ask` is called with the node whose key frame is missing. */
export function createFrameReader(
  crc32: Engine["crc32"],
  received: (telemetry: Telemetry) => void,
  ask: (id: number) => void,
): FrameReader {
  const known: Known[] = [];
  let malformed = 0;
  let asks = 0;
  let asksSince = -1000;

  function find(id: number): Known | null {
    for (let i = 0; i < known.length; i++) if (known[i].id === id) return known[i];
    return null;
  }

  function add(id: number): Known {
    "cold";
    if (known.length >= MOST_NODES) known.shift();
    const one: Known = { id: id, key: "", keyAt: 0, count: 0, number: 0, body: "", askedAt: -ASK_AGAIN };
    known.push(one);
    return one;
  }

  function question(one: Known, now: number): void {
    "cold";
    if (now - one.askedAt < ASK_AGAIN) return;
    if (now - asksSince >= 1000) {
      asksSince = now;
      asks = 0;
    }
    if (asks >= ASKS) return;
    asks++;
    one.askedAt = now;
    ask(one.id);
  }

  function takeKey(frame: Bytes, now: number): void {
    "cold";
    const t = decodeTelemetry(frame, crc32);
    if (!t || !t.node) {
      malformed++;
      return;
    }
    const one = find(t.node) || add(t.node);
    one.key = frame;
    one.keyAt = now;
    one.count = one.number = 0;
    one.body = "\0";
    received(t);
  }

  /** `frame`: with its first byte. */
  function takeDelta(frame: Bytes, now: number): void {
    "cold";
    const repeats = frame.charCodeAt(0) >= FRAME_REPEATS;
    const count = frame.charCodeAt(6);
    const numbers = readNumbers(frame, repeats ? DELTA_HEADER + 1 : DELTA_HEADER);
    const id = u32(frame, 1);
    if (!id || !count || count > MOST_FRAMES || !numbers || (repeats ? numbers.length !== 1 : numbers.length < 2)) {
      malformed++;
      return;
    }
    const one = find(id) || add(id);
    const key = one.key ? decodeTelemetry(one.key, crc32) : null;
    if (!key || (key.sequence & 255) !== frame.charCodeAt(5)) return question(one, now);
    const passed = count * key.interval * INTERVAL_UNIT + unzigzag(numbers[0]);
    const age = now - one.keyAt;
    if (!(passed >= 0)) {
      malformed++;
      return;
    }
    // A key frame that has the number by chance: of before a restart, or 256 frames older.
    if (Math.abs(age - passed * 1000) > AGE_SLACK + age / AGE_DRIFT) return question(one, now);
    // It took a longer way than one that came after it.
    if (count <= one.count) return;
    if (repeats) {
      one.count = count;
      if (frame.charCodeAt(7) !== one.number) return question(one, now);
    }
    const body = repeats ? (readNumbers(one.body, 0) as number[]) : numbers.slice(1);
    const t = applyDelta(key, body, passed, count);
    if (!t) {
      malformed++;
      return;
    }
    one.count = count;
    if (!repeats) {
      one.number = count;
      let at = DELTA_HEADER;
      while (frame.charCodeAt(at) > 127) at++;
      one.body = frame.substr(at + 1);
    }
    received(t);
  }

  return {
    take: function (frames: Bytes, now: number) {
      for (let at = 0; at < frames.length;) {
        const length = frames.charCodeAt(at) & 127;
        const frame = frames.substr(at, length + 1);
        at += length + 1;
        if (at > frames.length || length < DELTA_HEADER) {
          malformed++;
          return;
        }
        if (length === TELEMETRY_BYTES) takeKey(frame.substr(1), now);
        else takeDelta(frame, now);
      }
    },
    malformed: function () {
      return malformed;
    },
  };
}

/** Hands every node's values to `received`, and asks over the mesh for what is missing. */
export function receiveTelemetry(received: (telemetry: Telemetry) => void): TelemetryReceiver {
  return function (engine: Engine, mesh: Mesh) {
    const reader = createFrameReader(engine.crc32, received, function (id) {
      mesh.sendPackage({ type: PACKAGE_STATUS_QUERY, routing: 1, dest: id, from: mesh.getNodeId(), k: 1 });
    });
    return function (frames: Bytes) {
      reader.take(frames, engine.now());
    };
  };
}
