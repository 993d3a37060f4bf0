/**
 * The telemetry key frame: 64 bytes, little-endian. The table below is the format; encoder, decoder, the page
 * docs/wire.md and the test vectors all come from it.
 */
import type { Bytes } from "../engine/engine";

export interface Telemetry {
  magic: number;
  flags: number;
  node: number;
  sequence: number;
  uptime: number;
  memoryFree: number;
  memoryTotal: number;
  load: number;
  rssi: number;
  parent: number;
  hops: number;
  children: number;
  nodes: number;
  received: number;
  sent: number;
  dropped: number;
  refused: number;
  loss: number;
  latency: number;
  starts: number;
  reset: number;
  alerts: number;
  major: number;
  minor: number;
  patch: number;
  image: number;
  updateState: number;
  updatePercent: number;
  battery: number;
  temperature: number;
  role: number;
}

export const TELEMETRY_BYTES = 64;
export const TELEMETRY_MAGIC = 0xe1;

/**
 * Fields in order, a type letter before each name: B and b one byte without and with sign, H two bytes, I four. Sizes
 * add up to 60; a CRC-32 of those bytes follows.
 */
export function telemetryFields(): string[] {
  "cold";
  const table =
    "Bmagic,Bflags,Inode,Hsequence,Iuptime,HmemoryFree,HmemoryTotal,Bload,brssi,Iparent,Bhops,Bchildren," +
    "Hnodes,Ireceived,Isent,Hdropped,Hrefused,Hloss,Hlatency,Bstarts,Breset,Halerts,Bmajor,Bminor,Hpatch," +
    "Iimage,BupdateState,BupdatePercent,Hbattery,btemperature,Brole";
  return table.split(",");
}

/** CRC-32 (IEEE 802.3, as E.CRC32 and zlib's crc32) of a binary string; handed in because the engine has it natively. */
export type Crc32 = (bytes: Bytes) => number;

/** Numbers that do not fit are cut to the nearest that does. */
export function encodeTelemetry(values: Telemetry, crc32: Crc32): Bytes {
  "cold";
  const buffer = new ArrayBuffer(TELEMETRY_BYTES);
  const view = new DataView(buffer);
  const bytes = new Uint8Array(buffer);
  const fields = telemetryFields();
  let at = 0;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    const type = field[0];
    const value = (values as unknown as { [name: string]: number })[field.substr(1)];
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
    const field = fields[i];
    const type = field[0];
    const name = field.substr(1);
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
