/**
 * The input side of an Espruino console: lines, their echo, and packets.
 * After https://github.com/espruino/Espruino/blob/master/README_Protocol.md and its src/jsinteractive.c.
 */
import { show } from "../../simulator/chip/print";
import type { ConsoleHost } from "./console";
import { createPacketReceiver } from "./packet-receiver";

export interface ConsoleInputParts {
  host: Pick<ConsoleHost, "chip" | "send" | "after">;
  /** As process.env.VERSION gives it; packets exist from 2v25. */
  version: string;
  /** Bytes in a packet beyond which it is refused. */
  packetLimit: number;
  print(text: string): void;
  /** Runs source in the program's global scope; throws what it throws. */
  evaluate(source: string): unknown;
  /** Storage.write; throws when it fails. */
  write(name: string, data: Uint8Array, offset: number, size: number): boolean;
  /** What was run threw. */
  failed(error: unknown): void;
}

export interface ConsoleInput {
  receive(byte: number): void;
  stop(): void;
}

const DLE = 0x10;
const SOH = 0x01;
const CTRL_C = 0x03;
const ENQ = 0x05;
const ESC = 0x1b;

export function createConsoleInput(parts: ConsoleInputParts): ConsoleInput {
  const { host, print, version } = parts;
  const packets = Number(version.slice(2)) >= 25;
  let line = "";
  let quiet = false;
  let afterDle = false;
  let escape: string | null = null;

  const receiver = createPacketReceiver({
    limit: parts.packetLimit,
    send: (bytes) => host.send(bytes),
    after: (milliseconds, run) => host.after(milliseconds, run),
    evaluate: (source) => parts.evaluate(`(${source})`),
    write: (name, data, offset, size) => parts.write(name, data, offset, size),
    failed: (error) => parts.failed(error),
  });

  function execute(source: string, silent: boolean): void {
    try {
      const value = parts.evaluate(source);
      if (!silent) print(`=${show([value])}\r\n`);
    } catch (error) {
      parts.failed(error);
    }
    if (!silent) print(">");
  }

  /** ESC [ 2 H throws the line away; arrow keys and line numbers change nothing here. */
  function inEscape(byte: number): boolean {
    if (byte === ESC) {
      escape = "";
      return true;
    }
    if (escape === null) return false;
    escape += String.fromCharCode(byte);
    if (byte === 0x5b || (byte >= 0x30 && byte <= 0x3b)) return true;
    if (escape === "[2H") {
      line = "";
      quiet = false;
    }
    escape = null;
    return true;
  }

  return {
    receive(byte) {
      if (receiver.active) {
        receiver.take(byte);
        return;
      }
      const wasDle = afterDle;
      afterDle = false;
      if (inEscape(byte)) return;
      if (byte === SOH && wasDle && packets) {
        quiet = false;
        receiver.begin();
      } else if (byte === DLE) {
        if (line === "") quiet = true;
        afterDle = true;
      } else if (byte === CTRL_C) {
        line = "";
        quiet = false;
      } else if (byte === ENQ && line === "") print(`Espruino ${version} ${host.chip.replace("-", "")}\r\n`);
      else if (byte === 10 || byte === 13) {
        const source = line;
        const silent = quiet;
        line = "";
        quiet = false;
        if (!silent) print("\r\n");
        if (source.trim()) execute(source, silent);
      } else if (byte >= 32 || byte === 9) {
        line += String.fromCharCode(byte);
        if (!quiet) print(String.fromCharCode(byte));
      }
    },
    stop: () => receiver.stop(),
  };
}
