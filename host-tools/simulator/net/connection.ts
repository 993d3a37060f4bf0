/** What Espruino keeps with each socket object (the hidden fields of libs/network/socketserver.c), and its constants. */
import type { Emitter } from "./emitter";
import type { TcpListener, TcpSocket } from "./tcp";
import type { UdpSocket } from "./udp";

/** Bytes read or written in one go, the datagram's 8-byte header included; a receive buffer asked for makes it larger. */
export const CHUNK = 536;
/** Address, port and length before each datagram in Espruino's buffers (JsNetUDPPacketHeader). */
export const DATAGRAM_HEADER = 8;
/** Bytes kept for a socket that nobody listens to. */
export const STREAM_BUFFER = 512;
export const ERROR_CLOSED = -1;
export const ERROR_UNSENT_DATA = -8;
export const MESSAGES: { [code: number]: string } = { [ERROR_UNSENT_DATA]: "unsent data" };

export interface Connection {
  object: Emitter;
  udp: boolean;
  handle: TcpSocket | UdpSocket | null;
  options: { host?: unknown; port?: unknown; reuseAddr?: unknown };
  sendData: string;
  receiveData: string;
  /** What came while nobody listened for data. */
  buffered: string;
  connected: boolean;
  close: boolean;
  closeNow: boolean;
  ended: boolean;
  /** A send failed: what is queued behind it is read from the wrong place on. */
  outOfStep: boolean;
}

export interface Server {
  object: Emitter;
  listener: TcpListener | null;
}

/** A connection without a socket yet, seen by firmware as `object`. */
export function newConnection(object: Emitter, udp: boolean, options: Connection["options"]): Connection {
  return {
    object,
    udp,
    handle: null,
    options,
    sendData: "",
    receiveData: "",
    buffered: "",
    connected: false,
    close: false,
    closeNow: false,
    ended: false,
    outOfStep: false,
  };
}

/** The low 16 bits, as Espruino takes a port. */
export function toPort(value: unknown): number {
  return Number(value) & 0xffff;
}

/** The header that Espruino puts before a datagram in its send buffer. */
export function datagramHeader(address: string, port: number, length: number): string {
  const [a, b, c, d] = address.split(".").map(Number) as [number, number, number, number];
  return String.fromCharCode(a, b, c, d, port & 255, port >> 8, length & 255, (length >> 8) & 255);
}
