/**
 * Interpreter instructions spent inside Espruino's own network code, beside the listeners that it calls: callgrind over
 * 40 datagrams of 100 and of 1000 bytes and 40 TCP pieces, on a 32-bit Linux build with the ESP32's 14-byte variables.
 */
export const COST = {
  /** One turn of the idle loop, for each socket. */
  turn: 8_000,
  /** Making a socket object, and opening its port or connection. */
  create: 42_000,
  accept: 30_000,
  close: 11_600,
  /** A datagram taken in and queued as an event, and each of its bytes. */
  datagram: 66_000,
  datagramByte: 710,
  /** A piece of a TCP stream handed on, and each of its bytes. */
  piece: 38_000,
  pieceByte: 280,
  /** A call of write() or send(). */
  write: 14_000,
  writeByte: 420,
  /** Handing bytes to the stack, its "drain" event included. */
  send: 6_300,
  sendByte: 177,
} as const;
