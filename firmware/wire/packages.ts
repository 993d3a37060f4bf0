/**
 * painlessMesh packages: the JSON objects that travel over links, each ended by a zero byte.
 *
 * Numbers and fields are those of painlessMesh 1.x (https://gitlab.com/painlessMesh/painlessMesh/-/wikis/mesh-protocol)
 * and its Alteriom line; 700..739 are Espalier's own, always with an explicit `routing`, so that C++ nodes pass them on.
 */

export const TIME_DELAY = 3;
export const TIME_SYNC = 4;
export const NODE_SYNC_REQUEST = 5;
export const NODE_SYNC_REPLY = 6;
export const CONTROL = 7;
export const BROADCAST = 8;
export const SINGLE = 9;
export const OTA_ANNOUNCE = 10;
export const OTA_REQUEST = 11;
export const OTA_DATA = 12;
export const PERFORMANCE = 13;
export const REMOTE_LOG = 14;
export const SENSOR = 200;
export const STATUS = 202;
export const METRICS = 204;
export const COMMAND = 400;
export const NODE_LIST = 600;
export const TOPOLOGY = 601;
export const ALERT = 602;
export const BRIDGE = 603;
export const ENHANCED_STATUS = 604;
export const HEALTH_CHECK = 605;
export const BRIDGE_STATUS = 610;
export const BRIDGE_ELECTION = 611;
export const BRIDGE_TAKEOVER = 612;
export const BRIDGE_COORDINATION = 613;
export const NTP_TIME = 614;
export const GATEWAY_DATA = 620;
export const GATEWAY_ACK = 621;
/** "I am an Espalier node": {v: firmware version, c: capability bits}, to each new neighbour. */
export const HELLO = 700;
/** A message that wants a receipt: {id: u32, msg}. */
export const DELIVER = 701;
/** The receipt: {id: u32}. */
export const DELIVERED = 702;

/** Values of `routing`. */
export const ROUTE_NEIGHBOUR = 0;
export const ROUTE_SINGLE = 1;
export const ROUTE_BROADCAST = 2;
export const ROUTE_UNKNOWN = -1;

/** `msg.type` of TIME_SYNC and TIME_DELAY. */
export const TIME_ASK_PEER = 0;
export const TIME_REQUEST = 1;
export const TIME_REPLY = 2;

/** Capability bits in HELLO. */
export const CAN_AIRWAVE = 1;
export const CAN_DEFLATE = 2;
export const CAN_HEATSHRINK = 4;
export const IS_GATEWAY = 8;
export const CAN_DELTA = 16;
/** Takes combinations of chunks, see ota/repair.ts. */
export const CAN_REPAIR = 32;
/** Has a mesh key and takes sealed control messages only. */
export const CHECKS_CONTROL = 64;
/** Has a public key and takes signed images only. */
export const CHECKS_SIGNATURES = 128;

/** Why a frame was refused; what `parsePackage` returns instead of a package. */
export const NOT_AN_OBJECT = 1;
export const TOO_NESTED = 2;
export const NOT_JSON = 3;
export const BAD_TYPE = 4;
export const BAD_ADDRESS = 5;
export const BAD_ROUTING = 6;

/** A package as it stands in a frame. Ids are 1..2^32-1; `dest` 0 means nobody in particular. */
export interface Package {
  type: number;
  from: number;
  dest: number;
  routing?: number;
  [field: string]: unknown;
}

export function isUint32(value: unknown): value is number {
  "cold";
  // The type first: a hostile object may refuse to become a number.
  return typeof value === "number" && value >>> 0 === value;
}

/**
 * Whether a text opens more braces and brackets than `most`. Espruino's JSON.parse recurses without a look at its stack,
 * and running out of that resets the board: about 100 bytes a level of some 25,000.
 */
export function tooNested(text: string, most: number): boolean {
  "cold";
  if (text.length <= most) return false;
  let left = most;
  let at = text.indexOf("{");
  while (at >= 0 && --left >= 0) at = text.indexOf("{", at + 1);
  at = text.indexOf("[");
  while (at >= 0 && --left >= 0) at = text.indexOf("[", at + 1);
  return left < 0;
}

/** What JSON text stands for, or NOT_JSON. It must not be too nested. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return NOT_JSON;
  }
}

/** Reads one frame (without its zero byte). Returns the package, or the reason why it is none. */
export function parsePackage(frame: string, maxOpeners: number): Package | number {
  "cold";
  let text = frame;
  // Espruino ignores whatever follows the value, so the last character has to be looked at here.
  if (text[0] !== "{" || text[text.length - 1] !== "}") {
    text = text.trim();
    if (text[0] !== "{" || text[text.length - 1] !== "}") return NOT_AN_OBJECT;
  }
  if (tooNested(text, maxOpeners)) return TOO_NESTED;
  const p = readJson(text) as Package | number;
  if (typeof p === "number") return p;
  if (!p || typeof p !== "object") return NOT_JSON;
  if (!isUint32(p.type)) return BAD_TYPE;
  if (p.dest === undefined) p.dest = 0;
  if (!isUint32(p.from) || !p.from || !isUint32(p.dest)) return BAD_ADDRESS;
  if (p.routing !== undefined && !(isUint32(p.routing) && p.routing <= ROUTE_BROADCAST)) return BAD_ROUTING;
  return p;
}

/** How a package travels: its own `routing`, or what its type implies, or ROUTE_UNKNOWN (handled here, not passed on). */
export function routingOf(p: Package): number {
  "cold";
  if (p.routing !== undefined) return p.routing;
  const type = p.type;
  if (type === SINGLE || type === TIME_DELAY) return ROUTE_SINGLE;
  if (type === BROADCAST) return ROUTE_BROADCAST;
  return type >= TIME_SYNC && type <= NODE_SYNC_REPLY ? ROUTE_NEIGHBOUR : ROUTE_UNKNOWN;
}

/**
 * The frame of a package, without its zero byte. Strings are taken as UTF-8 bytes and stay so: Espruino escapes every
 * byte above 127 as if it were a character, which other nodes would read as two.
 */
export function packageText(p: object): string {
  "cold";
  const text = JSON.stringify(p);
  let at = text.indexOf("\\u00");
  if (at < 0) return text;
  let out = "";
  let taken = 0;
  while (at >= 0) {
    let before = at;
    while (text[before - 1] === "\\") before--;
    const code = parseInt(text.substr(at + 4, 2), 16);
    // After an odd number of backslashes this one is itself escaped, and the "u00" is plain text.
    if (code > 127 && (at - before) % 2 === 0) {
      out += text.substring(taken, at) + String.fromCharCode(code);
      taken = at + 6;
    }
    at = text.indexOf("\\u00", at + 4);
  }
  return out + text.substr(taken);
}
