/**
 * The telemetry key frame: 64 bytes, little-endian. The table below is the format, of key frames and of the deltas against
 * them (telemetry-delta.ts); encoders, decoders, the page docs/wire.md and the test vectors all come from it.
 */
import type { Bytes } from "../engine/engine";

export interface Telemetry {
  magic: number;
  flags: number;
  node: number;
  sequence: number;
  uptime: number;
  memoryFree: number;
  rssi: number;
  received: number;
  sent: number;
  latency: number;
  temperature: number;
  battery: number;
  loss: number;
  nodes: number;
  children: number;
  hops: number;
  dropped: number;
  refused: number;
  alerts: number;
  updateState: number;
  updatePercent: number;
  parent: number;
  memoryTotal: number;
  interval: number;
  starts: number;
  reset: number;
  major: number;
  minor: number;
  patch: number;
  image: number;
  role: number;
}

export const TELEMETRY_BYTES = 64;
export const TELEMETRY_MAGIC = 0xe1;
/** Seconds that one unit of `interval` stands for. */
export const INTERVAL_UNIT = 5;

/**
 * Fields in order, a type letter before each name: B and b one byte without and with sign, H two bytes, I four. Sizes
 * add up to 60; a CRC-32 of those bytes follows.
 */
export function telemetryFields(): string[] {
  "cold";
  const table =
    "Bmagic,Inode,Hsequence,Iuptime,HmemoryFree,brssi,Ireceived,Isent,Hlatency,btemperature,Hbattery,Hloss,Hnodes," +
    "Bchildren,Bhops,Hdropped,Hrefused,Bflags,Halerts,BupdateState,BupdatePercent,Iparent,HmemoryTotal,Binterval," +
    "Bstarts,Breset,Bmajor,Bminor,Hpatch,Iimage,Brole";
  return table.split(",");
}

/** The first field that deltas carry, and how many there are; bits of a delta's mask are in the order of the table. */
export const DELTA_FIRST = 4;
export const DELTA_FIELDS = 18;

/**
 * How deltas treat fields, from `DELTA_FIRST` on: "~n" a gauge, told in units of n and only when it is off by more than n;
 * "+n" a counter, the same for what differs from its even growth; "~0" told exactly. ":n" is the value that means unknown:
 * to and from it takes a key frame, and so does a change of any field that is not here.
 */
export function telemetryDeltas(): string[] {
  "cold";
  return "~32,~4:0,+64,+64,~25:65535,~1:-128,~25:0,~10,~0,~0,~0,+4,+4,~0,~0,~0,~4,~0".split(",");
}

/** CRC-32 (IEEE 802.3, as E.CRC32 and zlib's crc32) of a binary string; handed in because the engine has it natively. */
export type Crc32 = (bytes: Bytes) => number;

/**
 * Numbers that do not fit are cut to the nearest that does. `kept`, if it is given, takes the values as they are, in the
 * order of the table; `table` is that of `telemetryFields`, for who has it at hand.
 */
export function encodeTelemetry(values: Telemetry, crc32: Crc32, kept?: Float64Array, table?: string[]): Bytes {
  "cold";
  const buffer = new ArrayBuffer(TELEMETRY_BYTES);
  const view = new DataView(buffer);
  const bytes = new Uint8Array(buffer);
  const fields = table || telemetryFields();
  let at = 0;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    const type = field[0];
    const value = (values as unknown as { [name: string]: number })[field.substr(1)];
    if (kept) kept[i] = value;
    if (type === "B") bytes[at++] = value < 0 ? 0 : value > 255 ? 255 : value;
    else if (type === "H") {
      view.setUint16(at, value < 0 ? 0 : value > 65535 ? 65535 : value, true);
      at += 2;
    } else if (type === "I") {
      view.setUint32(at, value < 0 ? 0 : value > 4294967295 ? 4294967295 : value, true);
      at += 4;
    } else view.setInt8(at++, value < -128 ? -128 : value > 127 ? 127 : value);
  }
  const code = String.fromCharCode;
  view.setUint32(at, crc32(code.apply(null, bytes as unknown as number[]).substr(0, at)), true);
  return code.apply(null, bytes as unknown as number[]);
}

/** The decoded frame, or null when its length, magic or CRC is wrong. */
export function decodeTelemetry(frame: Bytes, crc32: Crc32): Telemetry | null {
  "cold";
  if (frame.length !== TELEMETRY_BYTES || frame.charCodeAt(0) !== TELEMETRY_MAGIC) return null;
  const buffer = new ArrayBuffer(TELEMETRY_BYTES);
  const bytes = new Uint8Array(buffer);
  for (let i = 0; i < TELEMETRY_BYTES; i++) bytes[i] = frame.charCodeAt(i);
  const view = new DataView(buffer);
  const end = TELEMETRY_BYTES - 4;
  if (view.getUint32(end, true) !== crc32(frame.substr(0, end)) >>> 0) return null;
  const fields = telemetryFields();
  const out: { [name: string]: number } = {};
  let at = 0;
  for (let i = 0; i < fields.length; i++) {
    const type = fields[i][0];
    const name = fields[i].substr(1);
    if (type === "B") out[name] = bytes[at++];
    else if (type === "H") {
      out[name] = view.getUint16(at, true);
      at += 2;
    } else if (type === "I") {
      out[name] = view.getUint32(at, true);
      at += 4;
    } else out[name] = view.getInt8(at++);
  }
  return out as unknown as Telemetry;
}
