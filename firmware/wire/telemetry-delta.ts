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
  DELTA_FIELDS,
  DELTA_FIRST,
  encodeTelemetry,
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

/**
 * What a sender remembers of what it sent, numbers in one array: the fields of the key frame in the order of the table (all
 * zero before the first), the differences of the last delta, its number.
 */
export const DELTA_STATE = 50;
const KEY_SEQUENCE = 2;
const KEY_UPTIME = 3;
const TOLD = 31;
const TOLD_NUMBER = 49;

type Values = { [name: string]: number };

/**
 * The frame with which a node tells `t`, whose values fit their fields; its first byte included. `state` remembers it. When
 * it takes a key frame and there was one before, "": the next call gives it, for looking for differences and making a key
 * frame together hold an interpreter for more than a tenth of a second. `fields`, `treatments`: what telemetryFields() and
 * telemetryDeltas() give.
 */
export function encodeFrame(
  state: Float64Array,
  t: Telemetry,
  crc32: Crc32,
  fields: string[],
  treatments: string[],
): Bytes {
  "cold";
  // Everything in one function: each call of a cold one costs an interpreter a millisecond.
  const code = String.fromCharCode;
  const count = (t.sequence - state[KEY_SEQUENCE]) & 65535;
  const passed = t.uptime - state[KEY_UPTIME];
  const late = passed - count * t.interval * INTERVAL_UNIT;
  const numbers = [late < 0 ? -2 * late - 1 : 2 * late, 0];
  const told: number[] = [];
  // What is critical is told every time.
  let news = t.alerts > 0 || t.memoryFree < MEMORY_MATTERS;
  let whole = !state[0] || !count || count > MOST_FRAMES || passed < 0;
  for (let i = DELTA_FIRST; i < fields.length && !whole; i++) {
    const before = state[i];
    const value = (t as unknown as Values)[fields[i].substr(1)];
    const bit = i - DELTA_FIRST;
    if (bit >= DELTA_FIELDS) {
      whole = value !== before;
      continue;
    }
    const treatment = treatments[bit];
    const counter = treatment[0] === "+";
    const was = state[TOLD + bit];
    // Most fields are as they were.
    if (value === before && !was && !counter) {
      told[bit] = 0;
      continue;
    }
    const parts = treatment.substr(1).split(":");
    const band = +parts[0];
    const unit = band || 1;
    whole = parts.length > 1 && (value === +parts[1]) !== (before === +parts[1]);
    // Counters are taken to go on as they went since the start.
    const grown = counter && state[KEY_UPTIME] ? Math.floor((before * passed) / state[KEY_UPTIME]) : 0;
    const off = value - before - grown;
    const difference = Math.floor(off / unit + 0.5);
    if (difference) {
      numbers[1] |= 1 << bit;
      numbers.push(difference < 0 ? -2 * difference - 1 : 2 * difference);
    }
    told[bit] = difference;
    const drift = off - was * unit;
    if (drift > band || -drift > band) news = true;
  }
  if (!whole) {
    let frame = le32(t.node) + code(state[KEY_SEQUENCE] & 255, count);
    if (!news) frame += code(state[TOLD_NUMBER]);
    for (let i = 0; i < (news ? numbers.length : 1); i++) {
      let rest = numbers[i];
      for (; rest > 127; rest = Math.floor(rest / 128)) frame += code((rest % 128) | 128);
      frame += code(rest);
    }
    if (!news) return code(FRAME_REPEATS | frame.length) + frame;
    if (frame.length <= LONGEST) {
      for (let i = 0; i < DELTA_FIELDS; i++) state[TOLD + i] = told[i];
      state[TOLD_NUMBER] = count;
      return code(frame.length) + frame;
    }
  }
  if (state[0]) {
    state[0] = 0;
    return "";
  }
  for (let i = TOLD; i < DELTA_STATE; i++) state[i] = 0;
  return code(TELEMETRY_BYTES) + encodeTelemetry(t, crc32, state, fields);
}

/** All LEB128 numbers (7 bits a byte, lowest first) from `at` on; null when the last one has no end, or one is too long. */
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

/** 0, 1, 2, 3, 4 ... as 0, -1, 1, -2, 2 ... */
export function unzigzag(value: number): number {
  return value % 2 ? -(value + 1) / 2 : value / 2;
}

/**
 * Makes of the values of a key frame those that a delta tells, in place. `numbers`: mask and differences; `passed`: seconds
 * since the key frame; `count`: frames since then. False when the numbers do not go with the mask.
 */
export function applyDelta(key: Telemetry, numbers: number[], passed: number, count: number): boolean {
  "cold";
  const values = key as unknown as Values;
  const fields = telemetryFields();
  const treatments = telemetryDeltas();
  const limits: Values = { B: 255, b: 127, H: 65535, I: 4294967295 };
  const uptime = key.uptime;
  const mask = numbers[0];
  let at = 1;
  if (!(mask < 1 << DELTA_FIELDS)) return false;
  for (let bit = 0; bit < DELTA_FIELDS; bit++) {
    const treatment = treatments[bit];
    const counter = treatment[0] === "+";
    const told = (mask >> bit) & 1;
    if (!told && !counter) continue;
    const field = fields[DELTA_FIRST + bit];
    const name = field.substr(1);
    const type = field[0];
    let value = values[name];
    if (counter && uptime) value += Math.floor((value * passed) / uptime);
    if (told) value += unzigzag(numbers[at++]) * (parseInt(treatment.substr(1), 10) || 1);
    const least = type === "b" ? -128 : 0;
    values[name] = value < least ? least : value > limits[type] ? limits[type] : value;
  }
  key.sequence = (key.sequence + count) & 65535;
  key.uptime = uptime + passed;
  return at === numbers.length;
}
