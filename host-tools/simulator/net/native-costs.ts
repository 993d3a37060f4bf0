/**
 * Interpreter instructions spent inside Espruino's own network code, beside the listeners that it calls: callgrind over
 * datagrams of 100 to 1000 bytes and TCP pieces of 100 to 500, on an optimised 32-bit Linux build with the ESP32's 14-byte
 * variables. `npm run bench -- costs` compares their sums with the interpreter's; sockets made and closed are older figures.
 */
export const COST = {
  /** One turn of the idle loop, for each socket. */
  turn: 4_320,
  /** Making a socket object, and opening its port or connection. */
  create: 22_680,
  accept: 16_200,
  close: 6_264,
  /** A datagram taken in and queued as an event, and each of its bytes. */
  datagram: 25_000,
  datagramByte: 277,
  /** A piece of a TCP stream handed on, and each of its bytes. */
  piece: 24_000,
  pieceByte: 100,
  /** A call of write() or send(). */
  write: 6_200,
  writeByte: 161,
  /** Handing bytes to the stack, its "drain" event included. */
  send: 3_000,
  sendByte: 70,
} as const;
