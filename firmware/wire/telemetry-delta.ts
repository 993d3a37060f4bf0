/**
 * Telemetry frames as they follow one another: a key frame, then what differs from it, as often as the node speaks. All
 * deltas are against the key frame, so that one that is lost takes nothing with it; a frame that only says "as before"
 * names the delta that it repeats.
 *
 *   0   bytes that follow; bit 7: nothing changed since the delta in `repeats`
 *   1   key frame of 64 bytes; or, when fewer follow:
 *   1   u32 node
 *   5   u8 number of the key frame (its sequence modulo 256)
 *   6   u8 frames since the key frame, 1..200
 *   7   u8 repeats, only with bit 7: number of the delta in the same count, 0 for the key frame
 *   ..  numbers as LEB128: seconds since the key frame (less what the count of frames makes of it, zigzag), then without
 *       bit 7 a mask of fields and the difference of each of them (zigzag), in the order of the table in telemetry.ts
 */
import type { Bytes } from "../engine/engine";
import { le32 } from "./bytes";
import {
  type Crc32,
  decodeTelemetry,
  DELTA_FIELDS,
  DELTA_FIRST,
  encodeTelemetry,
  fit,
  INTERVAL_UNIT,
  type Telemetry,
  TELEMETRY_BYTES,
  telemetryDeltas,
  telemetryFields,
} from "./telemetry";

/** Bit 7 of the first byte. */
export const FRAME_REPEATS = 128;
/** Bytes before the numbers, the first included; one more in a frame that repeats. */
export const DELTA_HEADER = 7;
/** Frames from one key frame to the next, at most. */
export const MOST_FRAMES = 200;
/** A delta that is longer than this, in bytes, gives way to a key frame. */
const LONGEST = 30;
/** Free memory, in interpreter variables, below which it is told with every frame. */
const MEMORY_MATTERS = 1000;

/** What a sender remembers of what it sent. */
export interface DeltaState {
  /** The key frame; "" before the first. */
  key: Bytes;
  /** Mask and differences of the last delta, and its number. */
  body: Bytes;
  number: number;
}

type Values = { [name: string]: number };

/** 7 bits a byte, lowest first; bit 7 says that more follow. `value` is a whole number 0..2^40. */
export function leb128(value: number): Bytes {
  "cold";
  let out = "";
  while (value > 127) {
    out += String.fromCharCode((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  return out + String.fromCharCode(value);
}

/** 0, -1, 1, -2, 2 ... as 0, 1, 2, 3, 4 ... */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

export function unzigzag(value: number): number {
  return value % 2 ? -(value + 1) / 2 : value / 2;
}

/** All LEB128 numbers from `at` to the end; null when the last one has no end, or one is too long. */
export function readNumbers(bytes: Bytes, at: number): number[] | null {
  "cold";
  const list: number[] = [];
  let value = 0;
  let unit = 1;
  for (let i = at; i < bytes.length; i++) {
    const byte = bytes.charCodeAt(i);
    value += (byte & 127) * unit;
    if (byte < 128) {
      list.push(value);
      value = 0;
      unit = 1;
    } else {
      unit *= 128;
      if (unit > 34359738368) return null;
    }
  }
  return unit === 1 ? list : null;
}

/** What a field is taken to be so many seconds after the key frame; counters go on as they went since the start. */
function expected(base: Values, name: string, treatment: string, passed: number): number {
  "cold";
  const value = base[name];
  const uptime = base.uptime;
  return treatment[0] === "+" && uptime ? value + Math.round((value * passed) / uptime) : value;
}

/** The frame with which a node tells `t`, its first byte included; `state` remembers it. */
export function encodeFrame(state: DeltaState, t: Telemetry, crc32: Crc32): Bytes {
  "cold";
  const base = state.key ? decodeTelemetry(state.key, crc32) : null;
  const frame = base ? deltaFrame(state, base, t) : "";
  if (frame) return frame;
  state.key = encodeTelemetry(t, crc32);
  state.body = "\0";
  state.number = 0;
  return String.fromCharCode(TELEMETRY_BYTES) + state.key;
}

/** A delta, or a frame that repeats the last one; "" when it takes a key frame. */
function deltaFrame(state: DeltaState, key: Telemetry, t: Telemetry): Bytes {
  "cold";
  const base = key as unknown as Values;
  const now = t as unknown as Values;
  const count = (t.sequence - key.sequence) & 65535;
  const passed = t.uptime - key.uptime;
  if (!count || count > MOST_FRAMES || passed < 0) return "";
  const fields = telemetryFields();
  const treatments = telemetryDeltas();
  const told = readNumbers(state.body, 0) as number[];
  const toldMask = told[0];
  let toldAt = 1;
  let mask = 0;
  let values = "";
  // What is critical is told every time.
  let news = t.alerts > 0 || t.memoryFree < MEMORY_MATTERS;
  for (let i = DELTA_FIRST; i < fields.length; i++) {
    const type = fields[i][0];
    const name = fields[i].substr(1);
    const value = fit(type, now[name]);
    const bit = i - DELTA_FIRST;
    if (bit >= DELTA_FIELDS) {
      if (value !== base[name]) return "";
      continue;
    }
    const parts = treatments[bit].split(":");
    const band = +parts[0].substr(1);
    if (parts[1] && (value === +parts[1]) !== (base[name] === +parts[1])) return "";
    const start = expected(base, name, parts[0], passed);
    const difference = Math.round((value - start) / (band || 1));
    if (difference) {
      mask |= 1 << bit;
      values += leb128(zigzag(difference));
    }
    const was = (toldMask >> bit) & 1 ? unzigzag(told[toldAt++]) : 0;
    if (was !== difference && Math.abs(value - fit(type, start + was * (band || 1))) > band) news = true;
  }
  const head = le32(t.node) + String.fromCharCode(key.sequence & 255, count);
  const time = leb128(zigzag(passed - count * key.interval * INTERVAL_UNIT));
  if (!news) {
    const repeat = head + String.fromCharCode(state.number) + time;
    return String.fromCharCode(FRAME_REPEATS | repeat.length) + repeat;
  }
  const body = leb128(mask) + values;
  const frame = head + time + body;
  if (frame.length > LONGEST) return "";
  state.body = body;
  state.number = count;
  return String.fromCharCode(frame.length) + frame;
}

/**
 * The values that a delta tells. `numbers`: mask and differences; `passed`: seconds since the key frame; `count`: frames
 * since then. Null when the numbers do not go with the mask.
 */
export function applyDelta(key: Telemetry, numbers: number[], passed: number, count: number): Telemetry | null {
  "cold";
  const base = key as unknown as Values;
  const fields = telemetryFields();
  const treatments = telemetryDeltas();
  const out: Values = {};
  const mask = numbers[0];
  let at = 1;
  if (!(mask < 1 << DELTA_FIELDS)) return null;
  for (let i = 0; i < fields.length; i++) {
    const type = fields[i][0];
    const name = fields[i].substr(1);
    const bit = i - DELTA_FIRST;
    out[name] = base[name];
    if (bit < 0 || bit >= DELTA_FIELDS) continue;
    const treatment = treatments[bit];
    const difference = (mask >> bit) & 1 ? unzigzag(numbers[at++]) : 0;
    const band = parseInt(treatment.substr(1), 10);
    out[name] = fit(type, expected(base, name, treatment, passed) + difference * (band || 1));
  }
  out.sequence = (base.sequence + count) & 65535;
  out.uptime = base.uptime + passed;
  return at === numbers.length ? (out as unknown as Telemetry) : null;
}
