/**
 * The computer's end of firmware/mesh/serial-link.ts: one connection and datagrams over a console, whatever the line
 * does to single bytes. Pure protocol; who owns it opens the port and hands in the clock.
 */
import type { Bytes, Engine, Socket, SocketHandler } from "../../firmware/engine/engine";
import {
  SERIAL_CLOSE,
  SERIAL_DATAGRAM,
  SERIAL_OPEN,
  SERIAL_POLL,
  SERIAL_STRANGER,
  SERIAL_STREAM,
  serialCheck,
} from "../../firmware/wire/serial";

export interface SerialLineOptions {
  engine: Pick<Engine, "now" | "after" | "cancel" | "random" | "crc32" | "toBase64" | "fromBase64">;
  /** Bits a second, for how long a line takes. */
  baudRate: number;
  /** Types text on the console; resolves when it has left, also when it was lost. */
  type(text: string): Promise<void>;
  /** A line that the board printed for people. */
  log(line: string): void;
}

export interface SerialLineStats {
  /** Lines typed, and how many of them were repeats. */
  lines: number;
  repeats: number;
  /** Lines from the board that were dropped because they did not check. */
  garbled: number;
}

export interface SerialLine {
  readonly stats: SerialLineStats;
  /** What came from the console, cut anywhere. */
  received(text: string): void;
  /** A connection to the board's node, in place of the one before. */
  connect(handler: SocketHandler): Socket;
  /** False while one waits to be sent. */
  send(datagram: Bytes, sent?: () => void): boolean;
  /** Ends the connection and says so to the board; resolves when that has left. */
  close(): Promise<void>;
}

/** ESP32 asks for a pause at 3071 bytes: two of the longest lines (a chunk frame in base64) never get there. */
const WINDOW = 2;
const STREAM_PIECE = 1000;
/** Time that the board gets to answer, beside what the lines take, and how far it grows. */
const PATIENCE_MS = 500;
const MAX_PATIENCE_MS = 4000;
/** Silence in reply to what was sent, after which the connection counts as lost. */
const LOST_MS = 20_000;
/** An idle connection is looked after so often: a board that restarted says that it knows nothing of it. */
const IDLE_MS = 3000;
/** Longest line from the board; what is longer holds no frame. */
const MAX_LINE = 4096;
/** ESC [ 2 H throws away what a garbled line left in the input; 0x10 keeps this one from being echoed. */
const BEGIN = "\x1b[2H\x10";
const FRAME = /~(\d+),(\d+),(\d+),([A-Za-z0-9+/]*=*|-),(\d+)~/g;

interface Item {
  number: number;
  kind: string;
  data: string;
}

interface Connection {
  session: number;
  handler: SocketHandler;
  /** The board has answered. */
  standing: boolean;
  /** Number of the last item made, and of the last that came in order from the board. */
  made: number;
  taken: number;
  unacknowledged: Item[];
  stream: Bytes;
  /** Stream bytes that the board has not acknowledged. */
  flying: boolean;
  closing: boolean;
  /** When the oldest unanswered line was typed, or the last answer came. */
  heardAt: number;
  patience: number;
}

export function createSerialLine(options: SerialLineOptions): SerialLine {
  const { engine } = options;
  const stats: SerialLineStats = { lines: 0, repeats: 0, garbled: 0 };
  let connection: Connection | null = null;
  let datagram: { bytes: Bytes; sent: (() => void) | undefined } | null = null;
  let buffer = "";
  let timer = 0;
  let typing = 0;
  let ended: Promise<void> = Promise.resolve();

  function type(c: Connection, item: Item): Promise<void> {
    const head = `${c.session},${item.number},${c.taken},${item.kind}`;
    const check = serialCheck(engine.crc32, head, item.data);
    const text = `${BEGIN}espalierLine(${c.session},${item.number},${c.taken},"${item.kind}","${item.data}",${check})\n`;
    stats.lines++;
    typing++;
    engine.cancel(timer);
    timer = 0;
    const left = options.type(text).finally(() => {
      typing--;
      if (connection === c) watch(c);
    });
    return left;
  }

  /** Sets the clock for what happens when nothing comes from the board. */
  function watch(c: Connection): void {
    engine.cancel(timer);
    timer = 0;
    if (typing > 0) return;
    const waiting = c.unacknowledged.reduce((sum, { data }) => sum + data.length, 0);
    const wait = waiting || c.unacknowledged.length ? c.patience + (waiting * 10_000) / options.baudRate : IDLE_MS;
    timer = engine.after(wait, () => {
      timer = 0;
      if (connection === c) overdue(c);
    });
  }

  function overdue(c: Connection): void {
    if (c.unacknowledged.length === 0) {
      c.unacknowledged.push(make(c, SERIAL_POLL, ""));
      c.heardAt = engine.now();
    } else {
      if (engine.now() - c.heardAt > LOST_MS) return lose(c);
      stats.repeats += c.unacknowledged.length;
      c.patience = Math.min(MAX_PATIENCE_MS, c.patience * 2);
    }
    for (const item of c.unacknowledged) void type(c, item);
  }

  function lose(c: Connection): void {
    if (connection !== c) return;
    connection = null;
    engine.cancel(timer);
    timer = 0;
    c.handler.close();
  }

  function make(c: Connection, kind: string, bytes: Bytes): Item {
    return { number: ++c.made, kind, data: engine.toBase64(bytes) };
  }

  /** Types what there is, as far as the window goes. Returns whether anything was typed. */
  function pump(c: Connection): boolean {
    let typed = false;
    while (connection === c && c.standing && c.unacknowledged.length < WINDOW) {
      let item: Item;
      if (c.stream) {
        item = make(c, SERIAL_STREAM, c.stream.slice(0, STREAM_PIECE));
        c.stream = c.stream.slice(STREAM_PIECE);
      } else if (c.closing) {
        item = make(c, SERIAL_CLOSE, "");
        ended = type(c, item);
        lose(c);
        return true;
      } else if (datagram) {
        const { bytes, sent } = datagram;
        datagram = null;
        item = make(c, SERIAL_DATAGRAM, bytes);
        if (sent) engine.after(0, sent);
      } else break;
      if (c.unacknowledged.length === 0) c.heardAt = engine.now();
      c.unacknowledged.push(item);
      void type(c, item);
      typed = true;
    }
    return typed;
  }

  /** Takes a frame of the present session. Returns whether the board waits for its acknowledgement. */
  function take(c: Connection, number: number, acknowledged: number, data: string): boolean {
    if (data === SERIAL_STRANGER) {
      // Before the first answer it is about a line that was typed in between.
      if (c.standing) lose(c);
      return false;
    }
    c.heardAt = engine.now();
    const before = c.unacknowledged.length;
    c.unacknowledged = c.unacknowledged.filter((item) => item.number > acknowledged);
    if (c.unacknowledged.length < before) c.patience = PATIENCE_MS;
    if (!c.standing) {
      c.standing = true;
      c.handler.open?.();
    }
    if (connection !== c) return false;
    if (c.flying && !c.stream && !c.unacknowledged.some(({ kind }) => kind === SERIAL_STREAM)) {
      c.flying = false;
      c.handler.drain();
    }
    if (number === c.taken + 1) {
      c.taken = number;
      c.handler.data(engine.fromBase64(data));
    }
    return number > 0;
  }

  /** Returns whether the board waits for an acknowledgement; null when it was no frame of this session. */
  function frame(match: RegExpMatchArray): boolean | null {
    const [session, number, acknowledged] = match.slice(1, 4).map(Number) as [number, number, number];
    const data = match[4]!;
    if (serialCheck(engine.crc32, `${session},${number},${acknowledged}`, data) !== Number(match[5])) {
      stats.garbled++;
      return null;
    }
    const c = connection;
    return c !== null && c.session === session ? take(c, number, acknowledged, data) : null;
  }

  return {
    stats,
    received(text) {
      buffer += text;
      const end = buffer.lastIndexOf("\n");
      if (end < 0) {
        if (buffer.length > MAX_LINE) buffer = "";
        return;
      }
      const whole = buffer.slice(0, end);
      buffer = buffer.slice(end + 1);
      let owed = false;
      let heard = false;
      for (const line of whole.split("\n")) {
        const printed = line.replace(FRAME, (...match) => {
          const result = frame(match as unknown as RegExpMatchArray);
          if (result !== null) heard = true;
          if (result) owed = true;
          return "";
        });
        // What the prompt does to the terminal is of no interest.
        // eslint-disable-next-line no-control-regex
        const plain = printed.replace(/\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f]/g, "").replace(/^>+/, "");
        if (plain.trim()) options.log(plain);
      }
      const c = connection;
      if (!c || !heard) return;
      if (!pump(c) && owed) void type(c, { number: 0, kind: SERIAL_POLL, data: "" });
      else if (typing === 0) watch(c);
    },
    connect(handler) {
      if (connection) lose(connection);
      const c: Connection = {
        session: 1 + (engine.random() % 0xffff),
        handler,
        standing: false,
        made: 0,
        taken: 0,
        unacknowledged: [],
        stream: "",
        flying: false,
        closing: false,
        heardAt: engine.now(),
        patience: PATIENCE_MS,
      };
      connection = c;
      c.unacknowledged.push(make(c, SERIAL_OPEN, ""));
      void type(c, c.unacknowledged[0]!);
      return {
        write(bytes) {
          if (connection !== c || c.closing || !bytes) return;
          c.stream += bytes;
          c.flying = true;
          pump(c);
        },
        close() {
          if (connection !== c || c.closing) return;
          c.closing = true;
          if (c.standing) pump(c);
          else lose(c);
        },
      };
    },
    send(bytes, sent) {
      if (datagram || !connection?.standing) return false;
      datagram = { bytes, sent };
      pump(connection);
      return true;
    },
    close() {
      const c = connection;
      if (c?.standing) {
        // What is queued goes out in any case; a farewell that finds no room is left to the board's time-outs.
        c.closing = true;
        pump(c);
      }
      if (c) lose(c);
      engine.cancel(timer);
      timer = 0;
      return ended;
    },
  };
}
