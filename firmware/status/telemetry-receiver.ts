/**
 * Puts telemetry frames together to values again: remembers the key frame of each node, applies deltas to it, and asks for
 * a key frame where one was lost. For root nodes and computers; the others only pass frames on.
 */
import type { Bytes, Engine } from "../engine/engine";
import type { Mesh } from "../mesh/mesh";
import { le32, u32 } from "../wire/bytes";
import { decodeTelemetry, INTERVAL_UNIT, type Telemetry, TELEMETRY_BYTES } from "../wire/telemetry";
import { applyDelta, DELTA_HEADER, FRAME_REPEATS, MOST_FRAMES, readNumbers, unzigzag } from "../wire/telemetry-delta";

/** Asks a node for a status report, or (`k`: 1) for a key frame; the other fields are in docs/status.md. */
export const PACKAGE_STATUS_QUERY = 722;

/**
 * What is known of a node, as one string: an object for each of twenty nodes would cost 300 variables more.
 *   0  u32 id                    4  u32 ms when the key frame was made, as far as can be told from here
 *   8  u32 ms of the last question, or 0xFFFFFFFF
 *   12 u8 frames since the key frame, of the newest one    13 u8 number of the delta in the body
 *   14 the key frame, then the body; nothing before the first key frame
 */
type Known = Bytes;
const KEY_AT = 4;
const ASKED_AT = 8;
const COUNT = 12;
const NUMBER = 13;
const KEY = 14;
const NEVER = "\xff\xff\xff\xff";

/** ms between two questions to one node, and how many questions a second there are at most. */
const ASK_AGAIN = 10000;
const ASKS = 8;
/** A delta's age may differ from the age of the key frame here by so many ms, and by one in so many. */
const AGE_SLACK = 6000;
const AGE_DRIFT = 500;
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

  function find(id: Bytes): number {
    for (let i = 0; i < known.length; i++) if (known[i].substr(0, 4) === id) return i;
    return -1;
  }

  function add(id: Bytes): number {
    "cold";
    if (known.length >= MOST_NODES) known.shift();
    return known.push(id + "\0\0\0\0" + NEVER + "\0\0") - 1;
  }

  /** ms from a stored moment to now; both count to 2^32. */
  function since(one: Known, at: number, now: number): number {
    "cold";
    return (Math.floor(now) - u32(one, at)) >>> 0;
  }

  function question(i: number, now: number): void {
    "cold";
    const one = known[i];
    if (one.substr(ASKED_AT, 4) !== NEVER && since(one, ASKED_AT, now) < ASK_AGAIN) return;
    if (now - asksSince >= 1000) {
      asksSince = now;
      asks = 0;
    }
    if (asks >= ASKS) return;
    asks++;
    known[i] = one.substr(0, ASKED_AT) + le32(Math.floor(now)) + one.substr(COUNT);
    ask(u32(one, 0));
  }

  function takeKey(frame: Bytes, now: number): void {
    "cold";
    const t = decodeTelemetry(frame, crc32);
    if (!t || !t.node) {
      malformed++;
      return;
    }
    const id = le32(t.node);
    const found = find(id);
    const i = found < 0 ? add(id) : found;
    known[i] = id + le32(Math.floor(now)) + known[i].substr(ASKED_AT, 4) + "\0\0" + frame + "\0";
    received(t);
  }

  /** `frame`: with its first byte. */
  function takeDelta(frame: Bytes, now: number): void {
    "cold";
    const repeats = frame.charCodeAt(0) >= FRAME_REPEATS;
    const count = frame.charCodeAt(6);
    const numbers = readNumbers(frame, repeats ? DELTA_HEADER + 1 : DELTA_HEADER);
    const id = frame.substr(1, 4);
    if (
      id === "\0\0\0\0" ||
      !count ||
      count > MOST_FRAMES ||
      !numbers ||
      (repeats ? numbers.length !== 1 : numbers.length < 2)
    ) {
      malformed++;
      return;
    }
    const found = find(id);
    const i = found < 0 ? add(id) : found;
    const one = known[i];
    const key = one.length > KEY ? decodeTelemetry(one.substr(KEY, TELEMETRY_BYTES), crc32) : null;
    if (!key || (key.sequence & 255) !== frame.charCodeAt(5)) return question(i, now);
    const passed = count * key.interval * INTERVAL_UNIT + unzigzag(numbers[0]);
    const age = since(one, KEY_AT, now);
    if (!(passed >= 0)) {
      malformed++;
      return;
    }
    // A key frame that has the number by chance: of before a restart, or 256 frames older.
    if (Math.abs(age - passed * 1000) > AGE_SLACK + age / AGE_DRIFT) return question(i, now);
    // It took a longer way than one that came after it.
    if (count <= one.charCodeAt(COUNT)) return;
    const counted = one.substr(0, COUNT) + String.fromCharCode(count);
    if (repeats) {
      known[i] = counted + one.substr(NUMBER);
      if (frame.charCodeAt(7) !== one.charCodeAt(NUMBER)) return question(i, now);
    }
    const body = repeats ? (readNumbers(one, KEY + TELEMETRY_BYTES) as number[]) : numbers.slice(1);
    if (!applyDelta(key, body, passed, count)) {
      malformed++;
      return;
    }
    if (!repeats) {
      let at = DELTA_HEADER;
      while (frame.charCodeAt(at) > 127) at++;
      known[i] = counted + String.fromCharCode(count) + one.substr(KEY, TELEMETRY_BYTES) + frame.substr(at + 1);
    } else known[i] = counted + one.substr(NUMBER);
    received(key);
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
