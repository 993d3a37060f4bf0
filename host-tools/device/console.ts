/**
 * An Espruino console as a service: evaluates expressions on the board and writes files into its Storage. Uses packets
 * where the firmware has them (2v25 and newer) and REPL lines that begin with 0x10, so without echo, where not.
 */
import { EspalierError } from "../errors";
import { type ConsoleLink, openConsoleLink } from "./console-link";
import { encodePacket, TYPE_DATA, TYPE_EVAL, TYPE_FILE_SEND, TYPE_RESPONSE } from "./console-stream";
import { deviceError, workFault } from "./faults";
import type { DevicePort } from "./port";

export interface BoardFacts {
  /** "2v29" or "2v29.12" */
  version: string;
  /** process.env.BOARD: "ESP32", "ESP32C3", "ESP32S3", "LINUX", ... */
  board: string;
  serial: string;
}

export interface BoardConsole {
  readonly path: string;
  readonly facts: BoardFacts;
  /** The firmware knows packets. */
  readonly packets: boolean;
  /**
   * Value of an ES5 expression without line breaks, as far as JSON holds it; binary strings go through btoa. Repeated
   * when the line garbled it, so its effect must bear repetition.
   * @throws EspalierError BOARD_REFUSED when it throws on the board, NO_CONSOLE when nothing answers, LINE_LOST
   */
  evaluate(expression: string, timeoutMs?: number): Promise<unknown>;
  /** Sends an expression without waiting for anything. @throws EspalierError LINE_LOST */
  fire(expression: string): Promise<void>;
  /** Writes a file of 1 byte or more. @throws EspalierError BOARD_REFUSED, ... */
  writeFile(name: string, data: Uint8Array, progress?: (done: number) => void): Promise<void>;
  close(): Promise<void>;
}

export interface AttachOptions {
  baudRate?: number;
  /** How long the board may be silent, for instance because it starts; 8 s unless given. */
  patienceMs?: number;
  /** "auto" unless given. */
  protocol?: "auto" | "lines";
  signal?: AbortSignal;
}

const TRY_MS = 1000;
const ANSWER_MS = 5000;
const TRIES = 3;
/** Larger ones are refused where the input buffer has 1023 bytes. */
const FILE_PIECE = 256;
const LINE_PIECE = 512;
const CTRL_C = Buffer.from([3]);
const FACTS = 'function(e){return{version:e.VERSION,board:e.BOARD,serial:""+e.SERIAL}}(process.env)';

/** A reply that did not come, or came garbled: worth another try. */
class Garbled extends Error {}

/** Finds the console behind a port, which it opens. @throws EspalierError; the port is closed then */
export async function attachConsole(port: DevicePort, options: AttachOptions = {}): Promise<BoardConsole> {
  const link = await openConsoleLink(port, options.baudRate);
  try {
    const lines = new Conversation(link);
    const facts = await probe(lines, port, options);
    const packets = options.protocol !== "lines" && hasPackets(facts.version);
    return createConsole(link, lines, facts, packets, options.signal);
  } catch (error) {
    await link.close().catch(() => {});
    throw workFault(port.path, error, "NO_CONSOLE", "looking for Espruino's console");
  }
}

async function probe(lines: Conversation, port: DevicePort, options: AttachOptions): Promise<BoardFacts> {
  const tries = Math.max(1, Math.ceil((options.patienceMs ?? 8000) / TRY_MS));
  for (let i = 0; i < tries; i++) {
    options.signal?.throwIfAborted();
    // Ends what a former session left in the input line.
    await lines.send(CTRL_C);
    try {
      return (await lines.line(`(${FACTS})`, TRY_MS)) as BoardFacts;
    } catch (error) {
      if (!(error instanceof Garbled)) throw error;
    }
  }
  throw deviceError("NO_CONSOLE", `no Espruino console answers on ${port.path}`, { context: { port: port.path } });
}

function hasPackets(version: string): boolean {
  const [, major = "0", minor = "0"] = /^(\d+)v(\d+)/.exec(version) ?? [];
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 25);
}

/** Catches on the board what would otherwise end in its console. */
function wrapped(expression: string): string {
  return `JSON.stringify(function(){try{return{v:${expression}}}catch(e){return{e:""+e}}}())`;
}

function unwrapped(path: string, text: string): unknown {
  let answer: { v?: unknown; e?: string };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    throw new Garbled(text);
  }
  if (answer === null || typeof answer !== "object") throw new Garbled(text);
  if (answer.e !== undefined)
    throw deviceError("BOARD_REFUSED", `${path}: the board says: ${answer.e}`, {
      context: { port: path, error: answer.e },
    });
  return answer.v;
}

/** Requests and answers, one at a time. */
class Conversation {
  private text = "";
  private heard: (() => void) | null = null;
  private acknowledged: boolean | null = null;
  private packet: Buffer | null = null;
  private number = 0;

  constructor(private readonly link: ConsoleLink) {
    link.listen({
      text: (text) => {
        this.text = (this.text + text).slice(-65536);
        this.heard?.();
      },
      acknowledge: (good) => {
        this.acknowledged = good;
        this.heard?.();
      },
      packet: (type, data) => {
        if (type === TYPE_RESPONSE) this.packet = data;
        this.heard?.();
      },
    });
  }

  send(bytes: Uint8Array): Promise<void> {
    return this.link.send(bytes);
  }

  /** Evaluates through a REPL line. Its echo, should there be one, does not look like the answer. */
  async line(expression: string, timeoutMs: number): Promise<unknown> {
    const mark = `<#${++this.number}`;
    this.text = "";
    const source = `\x10print("<#"+"${this.number} "+${wrapped(expression)}+" #>")\n`;
    await this.send(Buffer.from(source, "latin1"));
    const pattern = new RegExp(`${mark} ([^]*?) #>`);
    const found = await this.wait(() => pattern.exec(this.text), timeoutMs);
    return unwrapped(this.link.port.path, found[1]!);
  }

  async eval(expression: string, timeoutMs: number): Promise<unknown> {
    await this.exchange(TYPE_EVAL, Buffer.from(wrapped(expression), "latin1"), timeoutMs);
    const data = await this.wait(() => this.packet, timeoutMs);
    let text: unknown;
    try {
      text = JSON.parse(data.toString("latin1"));
    } catch {
      throw new Garbled(data.toString("latin1"));
    }
    return unwrapped(this.link.port.path, String(text));
  }

  /** Sends a packet and waits for its acknowledgement. */
  async exchange(type: number, data: Uint8Array, timeoutMs: number): Promise<void> {
    this.acknowledged = null;
    this.packet = null;
    await this.send(encodePacket(type, data));
    const good = await this.wait(() => (this.acknowledged === null ? null : { good: this.acknowledged }), timeoutMs);
    if (!good.good) throw new Garbled("NAK");
  }

  private async wait<T>(test: () => T | null, timeoutMs: number): Promise<T> {
    const { promise, resolve, reject } = withResolvers<T>();
    const timer = setTimeout(() => reject(new Garbled("no answer")), timeoutMs);
    const check = (): void => {
      const result = test();
      if (result !== null) resolve(result);
    };
    this.heard = check;
    check();
    try {
      return await Promise.race([promise, this.link.port.whenLost]);
    } finally {
      clearTimeout(timer);
      this.heard = null;
    }
  }
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function createConsole(
  link: ConsoleLink,
  lines: Conversation,
  facts: BoardFacts,
  packets: boolean,
  signal: AbortSignal | undefined,
): BoardConsole {
  const { path } = link.port;

  /** Repeats what was garbled. A board in the middle of a packet is deaf for up to five seconds. */
  async function persistently<T>(what: string, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      try {
        if (attempt > 1) {
          await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
          await lines.send(CTRL_C);
        }
        return await work();
      } catch (error) {
        if (!(error instanceof Garbled)) throw workFault(path, error, "BOARD_REFUSED", what);
        if (attempt === TRIES)
          throw deviceError("NO_CONSOLE", `${path}: the console stopped answering while ${what}`, { cause: error });
      }
    }
  }

  async function sendFile(name: string, data: Uint8Array, progress: (done: number) => void): Promise<void> {
    const head = JSON.stringify({ fn: name, s: data.length });
    await lines.exchange(TYPE_FILE_SEND, Buffer.from(head, "latin1"), ANSWER_MS);
    for (let at = 0; at < data.length; at += FILE_PIECE) {
      await lines.exchange(TYPE_DATA, data.subarray(at, at + FILE_PIECE), ANSWER_MS);
      progress(Math.min(at + FILE_PIECE, data.length));
    }
  }

  const board: BoardConsole = {
    path,
    facts,
    packets,
    evaluate: (expression, timeoutMs = ANSWER_MS) =>
      persistently("waiting for an answer", () =>
        packets ? lines.eval(expression, timeoutMs) : lines.line(expression, timeoutMs),
      ),
    fire: (expression) =>
      persistently("sending a command", () => lines.send(Buffer.from(`\x10${expression}\n`, "latin1"))),
    async writeFile(name, data, progress = () => {}) {
      const quoted = JSON.stringify(name);
      if (packets) {
        let attempt = 0;
        await persistently(`writing ${name}`, async () => {
          // A packet that was cut tells no offset: what there is of the file goes first.
          if (attempt++) await lines.eval(`require("Storage").erase(${quoted})`, ANSWER_MS);
          await sendFile(name, data, progress);
        });
        return;
      }
      for (let at = 0; at < data.length; at += LINE_PIECE) {
        const piece = Buffer.from(data.subarray(at, at + LINE_PIECE)).toString("base64");
        await board.evaluate(`require("Storage").write(${quoted},atob("${piece}"),${at},${data.length})`);
        progress(Math.min(at + LINE_PIECE, data.length));
      }
    },
    close: () => link.close(),
  };
  return board;
}

/** True for what a new connection might cure. */
export function isConnectionFault(error: unknown): boolean {
  return (
    error instanceof EspalierError &&
    ["LINE_LOST", "NO_CONSOLE", "PORT_NOT_FOUND", "PORT_BUSY", "PORT_FAILED"].includes(error.code)
  );
}
