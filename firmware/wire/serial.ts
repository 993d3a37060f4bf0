/** Lines between a computer and a board's console, see mesh/serial-link.ts. */
import type { Bytes } from "../engine/engine";

/** What a line from the computer carries. */
export const SERIAL_OPEN = "o";
export const SERIAL_STREAM = "s";
export const SERIAL_DATAGRAM = "d";
export const SERIAL_CLOSE = "c";
/** Nothing but an acknowledgement. */
export const SERIAL_POLL = "p";
/** In place of data from the board: it knows no such session. */
export const SERIAL_STRANGER = "-";
/** Stands for the neighbour's address on the airwave. */
export const SERIAL_ADDRESS = "serial";

/** The number that ends a line in either direction; `head` is what stands before the data. */
export function serialCheck(crc32: (bytes: Bytes) => number, head: string, data: string): number {
  "cold";
  return (crc32(data) ^ crc32(head)) >>> 0;
}
