/** Telnet as RFC 2217 uses it (https://www.rfc-editor.org/rfc/rfc2217): data, and commands that set up a serial port. */

const IAC = 255;
const SB = 250;
const SE = 240;
/** WILL, WONT, DO, DONT */
const FIRST_NEGOTIATION = 251;

export const COM_PORT = 44;
export const SET_BAUDRATE = 1;
export const SET_CONTROL = 5;
export const DTR_ON = 8;
export const DTR_OFF = 9;
export const RTS_ON = 11;
export const RTS_OFF = 12;
export const BREAK_ON = 5;
export const BREAK_OFF = 6;
/** The server's answers are numbered 100 higher. */
export const SERVER = 100;

/** "I will use COM-PORT-OPTION, do so too", and binary both ways. */
export const GREETING = Buffer.from([IAC, 251, COM_PORT, IAC, 253, COM_PORT, IAC, 251, 0, IAC, 253, 0]);

/** Data bytes with 255 doubled. */
export function telnetEscape(bytes: Uint8Array): Buffer {
  const out: number[] = [];
  for (const byte of bytes) {
    out.push(byte);
    if (byte === IAC) out.push(IAC);
  }
  return Buffer.from(out);
}

export function comPortCommand(command: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([IAC, SB, COM_PORT, command]), telnetEscape(value), Buffer.from([IAC, SE])]);
}

export interface TelnetEvents {
  data(bytes: Buffer): void;
  comPort(command: number, value: Buffer): void;
}

/** Takes a stream apart, cut anywhere. Negotiations are ignored. O(1) a byte. */
export function createTelnetDecoder(events: TelnetEvents): (bytes: Uint8Array) => void {
  let state: "data" | "iac" | "option" | "sub" | "sub-iac" = "data";
  let data: number[] = [];
  let sub: number[] = [];
  return (bytes) => {
    data = [];
    for (const byte of bytes) {
      if (state === "data") {
        if (byte === IAC) state = "iac";
        else data.push(byte);
      } else if (state === "iac") {
        state = "data";
        if (byte === IAC) data.push(IAC);
        else if (byte === SB) {
          state = "sub";
          sub = [];
        } else if (byte >= FIRST_NEGOTIATION) state = "option";
      } else if (state === "option") state = "data";
      else if (state === "sub") {
        if (byte === IAC) state = "sub-iac";
        else if (sub.length < 64) sub.push(byte);
      } else if (byte === IAC) {
        sub.push(IAC);
        state = "sub";
      } else {
        state = "data";
        if (data.length) events.data(Buffer.from(data));
        data = [];
        if (sub[0] === COM_PORT && sub.length >= 2) events.comPort(sub[1]!, Buffer.from(sub.slice(2)));
      }
    }
    if (data.length) events.data(Buffer.from(data));
  };
}
