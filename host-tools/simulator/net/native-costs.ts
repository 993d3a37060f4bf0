/**
 * Interpreter instructions spent inside Espruino's own network code, beside the listeners that it calls: callgrind over
 * 40 datagrams of 100 and of 1000 bytes and 40 TCP pieces, on a 32-bit Linux build with the ESP32's 14-byte variables and
 * without optimisation, times 0.54, the ratio of an optimised build's instructions for the interpreter's own work.
 */
export const COST = {
  /** One turn of the idle loop, for each socket. */
  turn: 4_320,
  /** Making a socket object, and opening its port or connection. */
  create: 22_680,
  accept: 16_200,
  close: 6_264,
  /** A datagram taken in and queued as an event, and each of its bytes. */
  datagram: 35_640,
  datagramByte: 383,
  /** A piece of a TCP stream handed on, and each of its bytes. */
  piece: 20_520,
  pieceByte: 151,
  /** A call of write() or send(). */
  write: 7_560,
  writeByte: 227,
  /** Handing bytes to the stack, its "drain" event included. */
  send: 3_402,
  sendByte: 96,
} as const;
