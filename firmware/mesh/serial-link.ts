/**
 * A computer at the board's console as a neighbour: its link and its airwave frames travel over the serial line, among
 * whatever else is typed and printed there.
 *
 * The computer types `espalierLine(session,number,acknowledged,kind,data,check)` as lines that are not echoed; the board
 * prints `~session,number,acknowledged,data,check~`. Data is base64, so that no byte means anything to a console. Both
 * sides number what they send, repeat what is not acknowledged and drop what does not check: bytes lost on the line
 * cost a repeat. docs/wire.md, "Serial line".
 */
import type { Bytes, Engine, SocketHandler } from "../engine/engine";
import {
  SERIAL_ADDRESS,
  SERIAL_CLOSE,
  SERIAL_DATAGRAM,
  SERIAL_OPEN,
  SERIAL_STRANGER,
  SERIAL_STREAM,
  serialCheck,
} from "../wire/serial";
import type { Airwave } from "./airwave";
import type { Mesh } from "./mesh";

/** Bytes in one printed line: printing blocks the interpreter, for some 30 ms at 115200 baud. */
const PIECE = 240;
const REPEAT_MS = 1000;
/** Repeats without an answer after which the computer counts as gone. */
const REPEATS = 15;

interface Peer {
  session: number;
  /** Number of the last line that was taken, and of the last that was printed. */
  taken: number;
  sent: number;
  /** What waits for its acknowledgement, base64, and what comes after it. */
  out: string;
  pending: Bytes;
  tries: number;
  timer: number;
  /** Lines are written at the end of what is going on. */
  busy: boolean;
  handler: SocketHandler;
}

/** Starts to listen for a computer; costs next to nothing while there is none. */
export function createSerialLink(engine: Engine, mesh: Mesh, airwave: Airwave): void {
  let peer: Peer | null = null;

  function say(session: number, number: number, taken: number, data: string): void {
    "cold";
    const head = session + "," + number + "," + taken;
    engine.log("~" + head + "," + data + "," + serialCheck(engine.crc32, head, data) + "~");
  }

  function flush(p: Peer, answer: boolean): void {
    "cold";
    if (p.busy) return;
    if (!p.out && p.pending) {
      p.out = engine.toBase64(p.pending.substr(0, PIECE));
      p.pending = p.pending.substr(PIECE);
      p.tries = 0;
      say(p.session, ++p.sent, p.taken, p.out);
    } else if (answer) say(p.session, 0, p.taken, "");
  }

  /** The computer has gone, or asked for another session. */
  function end(): void {
    "cold";
    const p = peer;
    if (!p) return;
    peer = null;
    engine.cancel(p.timer);
    p.handler.close();
  }

  function repeat(): void {
    "cold";
    const p = peer;
    if (!p || !p.out) return;
    if (++p.tries > REPEATS) end();
    else if (p.tries > 1) say(p.session, p.sent, p.taken, p.out);
  }

  function open(session: number): void {
    "cold";
    end();
    const p: Peer = {
      session: session,
      taken: 0,
      sent: 0,
      out: "",
      pending: "",
      tries: 0,
      timer: engine.every(REPEAT_MS, repeat),
      busy: true,
      handler: null as never,
    };
    peer = p;
    p.handler = mesh.accept({
      write: function (bytes: Bytes) {
        if (peer !== p) return;
        p.pending += bytes;
        flush(p, false);
      },
      close: function () {
        if (peer !== p) return;
        peer = null;
        engine.cancel(p.timer);
      },
    });
  }

  function take(s: number, n: number, a: number, kind: string, data: string, check: number): void {
    "cold";
    if (serialCheck(engine.crc32, s + "," + n + "," + a + "," + kind, data) !== check) return;
    if (kind === SERIAL_OPEN && !(peer && peer.session === s)) open(s);
    const p = peer;
    if (!p || p.session !== s) {
      say(s, 0, n, SERIAL_STRANGER);
      return;
    }
    p.busy = true;
    if (p.out && a === p.sent) {
      p.out = "";
      if (!p.pending) p.handler.drain();
    }
    if (n === p.taken + 1) {
      p.taken = n;
      if (kind === SERIAL_STREAM) p.handler.data(engine.fromBase64(data));
      else if (kind === SERIAL_DATAGRAM) airwave.take(engine.fromBase64(data), SERIAL_ADDRESS);
      else if (kind === SERIAL_CLOSE) end();
    }
    p.busy = false;
    if (peer === p) flush(p, n > 0);
    else say(s, 0, p.taken, SERIAL_STRANGER);
  }

  global.espalierLine = function (s: number, n: number, a: number, kind: string, data: string, check: number) {
    take(s, n, a, kind, data, check);
  };
}
