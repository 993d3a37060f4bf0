/** A terminal on a board: prints what it says, line by line where wanted, and comes back after a lost cable. */
import { isConnectionFault } from "./console";
import { type ConsoleLink, openConsoleLink } from "./console-link";
import type { DevicePort } from "./port";

export interface TerminalOptions {
  /** A closed port; asked for again after the line was lost. */
  open(): DevicePort;
  baudRate: number;
  print(text: string): void;
  /** What the terminal itself has to say, a line without its end. */
  note(text: string): void;
  /** Gets everything that is printed. */
  log?: (text: string) => void;
  /** Puts the time in front of each line. */
  timestamp?: () => string;
  signal: AbortSignal;
  /** Restart the board at the beginning, by its reset line. */
  reset?: boolean;
}

export interface Terminal {
  /** Sends bytes; nothing happens while the line is lost. */
  send(text: string): Promise<void>;
  /** Settles when the signal says so, rejects when the first connection fails. */
  readonly ended: Promise<void>;
}

const RETRY_MS = 1000;

export function startTerminal(options: TerminalOptions): Terminal {
  const { signal } = options;
  let link: ConsoleLink | null = null;
  let lineStart = true;

  function print(text: string): void {
    const plain = text.replaceAll("\r", "");
    if (!plain) return;
    const shown = options.timestamp ? stamped(plain, options.timestamp) : plain;
    options.print(shown);
    options.log?.(shown);
  }

  function stamped(text: string, timestamp: () => string): string {
    let out = "";
    for (const part of text.split(/(?<=\n)/)) {
      out += lineStart ? `${timestamp()} ${part}` : part;
      lineStart = part.endsWith("\n");
    }
    return out;
  }

  const aborted = new Promise<"aborted">((resolve) => {
    if (signal.aborted) resolve("aborted");
    else signal.addEventListener("abort", () => resolve("aborted"), { once: true });
  });

  async function connect(): Promise<ConsoleLink> {
    const opened = await openConsoleLink(options.open(), options.baudRate);
    opened.listen({ text: print, acknowledge() {}, packet() {} });
    return opened;
  }

  async function pulse(port: DevicePort): Promise<void> {
    await port.setSignals({ dataTerminalReady: false, requestToSend: true });
    await wait(100);
    await port.setSignals({ requestToSend: false });
  }

  function wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      void aborted.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async function run(): Promise<void> {
    link = await connect();
    if (options.reset) await pulse(link.port);
    while (!signal.aborted) {
      const how = await Promise.race([aborted, link.port.whenLost.catch(() => "lost" as const)]);
      await link.close().catch(() => {});
      link = null;
      if (how === "aborted") return;
      options.note("connection lost, waiting for the board");
      while (!link && !signal.aborted) {
        await wait(RETRY_MS);
        try {
          if (!signal.aborted) link = await connect();
        } catch (error) {
          if (!isConnectionFault(error)) throw error;
        }
      }
      if (!link) return;
      options.note("connected again");
    }
    await link.close().catch(() => {});
  }

  return {
    async send(text) {
      await link?.send(Buffer.from(text, "latin1")).catch(() => {});
    },
    ended: run(),
  };
}

/**
 * A REPL line that runs what a user typed and prints its value. It is not echoed, and exceptions print as the
 * interpreter prints them.
 */
export function replLine(source: string): string {
  const value = '(function(v){print("="+(E.toJS?E.toJS(v):JSON.stringify(v)))})';
  return `\x10${value}(eval(${JSON.stringify(source)}))\n`;
}
