/**
 * What a node asks of its engine: clock, timers, sockets, WiFi, flash, hashing, restart.
 *
 * Everything in firmware/ above this file talks to the world through an `Engine` that is handed in. There is one for
 * Espruino (espruino.ts, also run unchanged by the simulator's virtual ESP32) and one for Node.js sockets
 * (host-tools/gateway/node-engine.ts).
 */

/**
 * Binary data: a string with one character (code 0..255) a byte. Espruino receives datagrams, reads flash and hashes in
 * this form without a copy in JavaScript.
 */
export type Bytes = string;

/** Handle of a timer; opaque, never 0. */
export type Timer = number;

/** One TCP connection. */
export interface Socket {
  /** Queues bytes. Keep what is queued under 4 KB; `drain` tells when the queue is empty. */
  write(bytes: Bytes): void;
  /** Closes both directions; `close` of the handler follows once. */
  close(): void;
}

/** What the owner of a TCP connection wants to hear. Assigned once; never called after `close`. */
export interface SocketHandler {
  /** The connection stands (outgoing connections only). */
  open?(): void;
  /** Bytes arrived, cut anywhere, at most 1460 at a time. */
  data(bytes: Bytes): void;
  /** All that was queued has left. */
  drain(): void;
  /** The connection is gone, or could not be made. */
  close(): void;
}

/** A bound UDP port that also sends. */
export interface DatagramSocket {
  /**
   * Sends one datagram of 1..1472 bytes; broadcast addresses are allowed. `sent` is called when the next one may be
   * sent. Returns false, and sends nothing, while one is in flight.
   */
  send(bytes: Bytes, address: string, port: number, sent?: () => void): boolean;
  close(): void;
}

/** An access point seen by a scan. */
export interface ScanResult {
  ssid: string;
  /** "aa:bb:cc:dd:ee:ff" */
  mac: string;
  /** dBm, negative */
  rssi: number;
  channel: number;
}

export interface AccessPointOptions {
  ssid: string;
  /** 8..63 characters, or "" for an open network */
  password: string;
  channel: number;
  /** Own address on the access point's network, which is a /24 of its own. */
  ip: string;
}

export interface StationAddress {
  ip: string;
  gateway: string;
}

/** The radio. `null` in an engine that has none of its own (a laptop, whose system joins networks). */
export interface Wifi {
  /** MAC address of the own access point, known before it starts. The node id is made of its last four bytes. */
  accessPointMac(): string;
  /** `done` gets an error text or null. */
  startAccessPoint(options: AccessPointOptions, done: (error: string | null) => void): void;
  /** Closes the access point; its stations lose their link. */
  stopAccessPoint(): void;
  /** `done` gets what was heard; an empty list when the scan failed. */
  scan(done: (found: ScanResult[]) => void): void;
  /**
   * Joins a network as a station; the engine cannot choose among access points of one name. `done` is called once,
   * with an error text (after 20 s at the latest), or with null and the own address.
   *
   * Espruino dials only when the station interface starts or while it is connected, so with an access point up and no
   * station link this would never come to anything: call it before `startAccessPoint`, or after `stopAccessPoint` and
   * a scan, or to move from one standing link to another.
   */
  connect(ssid: string, password: string, done: (error: string | null, address: StationAddress | null) => void): void;
  disconnect(): void;
  /** Called when an established station link is lost. */
  onLost(handler: () => void): void;
  /** Called when a station left the own access point. */
  onStationLeft(handler: () => void): void;
  /** Signal of the station link in dBm, 0 when there is none. */
  rssi(): number;
}

/**
 * A named, page-aligned area of flash that is laid out when the node is provisioned and never moves or grows, so that
 * writing to it creates no Storage records and triggers no compaction. Flash rules hold: erasing sets a whole page to
 * 0xFF, writing only clears bits.
 */
export interface Region {
  /** bytes, a multiple of PAGE */
  readonly size: number;
  /** A view on flash where the engine has one (costs a few variables whatever its length). */
  read(offset: number, length: number): Bytes;
  write(offset: number, bytes: Bytes): void;
  /** Erases the page that contains `offset`; blocks for some 45 ms on an ESP32. */
  erase(offset: number): void;
}

/** Bytes in one page of flash. */
export const PAGE = 4096;

export interface Memory {
  /** interpreter variables (bytes / 64 on Node) not in use */
  free: number;
  total: number;
}

export interface Engine {
  readonly name: "espruino" | "jerryscript" | "node";
  /** Chip as it stands in manifests: "ESP32", "ESP32-C3", "ESP32-S3", or "HOST". */
  readonly hardware: string;
  /** Milliseconds since start, monotonic, with fractions. */
  now(): number;
  /** 0..2^32-1, seeded so that it does not repeat after a restart. */
  random(): number;
  after(milliseconds: number, run: () => void): Timer;
  every(milliseconds: number, run: () => void): Timer;
  /** Stops a timer; 0 and handles that have fired are ignored. */
  cancel(timer: Timer): void;
  sha256(data: Bytes | Uint8Array): ArrayBuffer;
  /** SHA-256 of `data` as 32 bytes. */
  digest(data: Bytes): Bytes;
  /** CRC-32 as in zlib, 0..2^32-1. */
  crc32(bytes: Bytes): number;
  /** Decodes a heatshrink stream (window 8, lookahead 6); null when it cannot. */
  unshrink(bytes: Bytes): Bytes | null;
  /** Standard base64 with padding. */
  toBase64(bytes: Bytes): string;
  fromBase64(text: string): Bytes;
  memory(): Memory;
  /** Copies as many bytes of `from` as `to` has room for, where the engine has one native call for it. */
  copy?(from: ArrayBuffer, to: Uint8Array): void;
  /** Puts free memory in order, where that has to be asked for; takes some milliseconds. */
  collect?(): void;
  /** Why the engine last started: a restart it was asked for, or anything else (power, watchdog, crash). */
  resetReason(): "software" | "other";
  /** The node boots again; what is scheduled is lost. */
  restart(): void;
  readonly wifi: Wifi | null;
  listen(port: number, accept: (socket: Socket) => SocketHandler): void;
  /** Connects; blocks the interpreter on an ESP32, so only to a peer that just answered. */
  connect(host: string, port: number, handler: SocketHandler): Socket;
  openDatagrams(port: number, received: (bytes: Bytes, address: string) => void): DatagramSocket;
  /** A region laid out at provisioning, or null. */
  region(name: string): Region | null;
  /** The node's configuration as provisioned, or "" (JSON text). */
  settings(): string;
  log(text: string): void;
}
