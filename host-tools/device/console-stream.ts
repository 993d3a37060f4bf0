/**
 * What comes out of an Espruino console, taken apart: text, flow control, acknowledgements and packets.
 * https://github.com/espruino/Espruino/blob/master/README_Protocol.md
 */

export interface ConsoleEvents {
  /** Text as printed, control characters of the protocol taken out. */
  text(text: string): void;
  /** XOFF (true) or XON (false): whether the board wants a pause. */
  pause(wanted: boolean): void;
  /** ACK (true) or NAK (false). */
  acknowledge(good: boolean): void;
  /** A packet: type in the high three bits of the word, data as sent. */
  packet(type: number, data: Buffer): void;
}

const SOH = 0x01;
const ACK = 0x06;
const DLE = 0x10;
const XON = 0x11;
const XOFF = 0x13;
const NAK = 0x15;

/** The first bytes of a packet. */
export const PACKET_START = Buffer.from([DLE, SOH]);
export const TYPE_RESPONSE = 0x0000;
export const TYPE_EVAL = 0x2000;
export const TYPE_FILE_SEND = 0x6000;
export const TYPE_DATA = 0x8000;
export const MAX_PACKET = 0x1fff;

/** @throws RangeError beyond MAX_PACKET bytes */
export function encodePacket(type: number, data: Uint8Array): Buffer {
  if (data.length > MAX_PACKET) throw new RangeError(`a packet holds ${MAX_PACKET} bytes`);
  const word = type | data.length;
  return Buffer.concat([PACKET_START, Buffer.from([word >> 8, word & 0xff]), data]);
}

/** A state machine over the stream, cut anywhere. O(1) a byte. */
export function createConsoleDecoder(events: ConsoleEvents): (bytes: Uint8Array) => void {
  let state: "text" | "dle" | "high" | "low" | "data" = "text";
  let word = 0;
  let data: number[] = [];
  let text = "";

  function flush(): void {
    if (text) events.text(text);
    text = "";
  }

  function control(byte: number): boolean {
    if (byte === XON || byte === XOFF) events.pause(byte === XOFF);
    else if (byte === ACK || byte === NAK) {
      flush();
      events.acknowledge(byte === ACK);
    } else if (byte === DLE) state = "dle";
    else return false;
    return true;
  }

  function end(): void {
    state = "text";
    flush();
    events.packet(word & 0xe000, Buffer.from(data));
  }

  return (bytes) => {
    for (const byte of bytes) {
      if (state === "text") {
        if (!control(byte)) text += String.fromCharCode(byte);
      } else if (state === "dle") {
        state = byte === SOH ? "high" : "text";
        if (byte !== SOH && !control(byte)) text += String.fromCharCode(byte);
      } else if (state === "high") {
        word = byte << 8;
        state = "low";
      } else if (state === "low") {
        word |= byte;
        data = [];
        state = "data";
        if ((word & MAX_PACKET) === 0) end();
      } else {
        data.push(byte);
        if (data.length === (word & MAX_PACKET)) end();
      }
    }
    flush();
  };
}
