/**
 * A small Espruino console: enough of the REPL and of the packet protocol for what the tools in device/ do.
 * After https://github.com/espruino/Espruino/blob/master/README_Protocol.md and its src/jsinteractive.c.
 */
import { createHash } from "node:crypto";
import * as vm from "node:vm";
import { crc32 } from "node:zlib";
import { asBytes, asText } from "../../simulator/chip/bytes";
import { NorFlash } from "../../simulator/chip/flash";
import { show } from "../../simulator/chip/print";
import type { RealmHelpers } from "../../simulator/chip/prelude";
import { StorageArea } from "../../simulator/chip/storage-area";
import { createFlash, createStorage } from "../../simulator/chip/storage-module";
import type { ChipName } from "../chips";
import { createPacketReceiver } from "./packet-receiver";

/** What a program on a virtual board is given. */
export interface ConsoleHost {
  flash: NorFlash;
  storageAddress: number;
  storageBytes: number;
  chip: ChipName;
  mac: string;
  send(bytes: Uint8Array): void;
  /** Starts the board again; to be called as the last thing. */
  reboot(): void;
  after(milliseconds: number, run: () => void): { cancel(): void };
}

export interface VirtualConsole {
  start(): void;
  receive(bytes: Uint8Array): void;
  /** The board was reset or lost power. */
  stop(): void;
}

export type ConsoleFactory = (host: ConsoleHost) => VirtualConsole;

export interface ConsoleOptions {
  /** As process.env.VERSION gives it; packets exist from 2v25. */
  version?: string;
  /** Largest packet that fits into the input buffer; longer ones are NAKed. */
  packetLimit?: number;
}

const DLE = 0x10;
const SOH = 0x01;
const CTRL_C = 0x03;
const ENQ = 0x05;
const ESC = 0x1b;

class Reboot extends Error {}

export function createVirtualConsole(host: ConsoleHost, options: ConsoleOptions = {}): VirtualConsole {
  const version = options.version ?? "2v29";
  const packets = Number(version.slice(2)) >= 25;
  const timers = new Set<{ cancel(): void }>();
  let alive = true;
  let line = "";
  let quiet = false;
  let afterDle = false;
  let escape = false;
  const print = (text: string): void => {
    if (alive) host.send(Buffer.from(text, "latin1"));
  };

  // The Storage area shares its bytes with the board's flash.
  const view = new NorFlash(host.flash.pageBytes, host.flash.pageBytes);
  (view as { bytes: Buffer }).bytes = host.flash.bytes.subarray(
    host.storageAddress,
    host.storageAddress + host.storageBytes,
  );
  (view as { writes: Uint32Array }).writes = new Uint32Array(host.storageBytes / host.flash.pageBytes);
  (view as { erases: Uint32Array }).erases = new Uint32Array(host.storageBytes / host.flash.pageBytes);
  const area = new StorageArea(view, { disturbs() {}, wrote() {}, erased() {}, compacted() {} });

  function after(run: () => void, milliseconds: number): number {
    const timer = host.after(milliseconds, () => {
      timers.delete(timer);
      guarded(run);
    });
    timers.add(timer);
    return timers.size;
  }

  const context = vm.createContext(createGlobals());

  function createGlobals(): Record<string, unknown> {
    const realm = hostRealm();
    const storageContext = {
      area,
      realm,
      base: host.storageAddress,
      flashBytes: host.flash.bytes.length,
      charge() {},
      reading() {},
      fetched() {},
      fault(text: string) {
        throw new Error(text);
      },
    };
    const modules: Record<string, object> = {
      Storage: createStorage(storageContext),
      Flash: createFlash(storageContext),
      crypto: { SHA256: (data: unknown) => arrayBuffer(createHash("sha256").update(asBytes(data)!).digest()) },
    };
    const env = { VERSION: version, BOARD: host.chip.replace("-", ""), FLASH: 0, SERIAL: host.mac.replaceAll(":", "") };
    const globals: Record<string, unknown> = {
      require(name: string): object {
        if (!modules[name]) throw new Error(`Module ${name} not found`);
        return modules[name];
      },
      E: {
        CRC32: (data: unknown) => crc32(asBytes(data) ?? Buffer.alloc(0)),
        toString: (data: unknown) => asText(asBytes(data) ?? Buffer.alloc(0)),
        reboot(): never {
          throw new Reboot();
        },
        enableWatchdog() {},
        kickWatchdog() {},
      },
      process: { env, version },
      print: (...values: unknown[]) => print(`${show(values)}\r\n`),
      btoa: (data: unknown) => (asBytes(data) ?? Buffer.alloc(0)).toString("base64"),
      atob: (text: unknown) => asText(Buffer.from(String(text), "base64")),
      setTimeout: (run: () => void, milliseconds: number) => after(run, milliseconds),
      echo() {},
      reset() {},
    };
    globals.global = globals;
    return globals;
  }

  /** Runs something of the program; its exceptions are printed, a restart is carried out. */
  function guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error instanceof Reboot) host.reboot();
      else print(`Uncaught ${String(error)}\r\n`);
    }
  }

  const receiver = createPacketReceiver({
    limit: options.packetLimit ?? 8191,
    send: (bytes) => alive && host.send(bytes),
    after: (milliseconds, run) => host.after(milliseconds, run),
    evaluate: (source) => vm.runInContext(`(${source})`, context) as unknown,
    write: (name, data, offset, size) => area.write(name, data, 0, offset, size),
    failed(error) {
      if (error instanceof Reboot) host.reboot();
      else print(`Uncaught ${String(error)}\r\n`);
    },
  });

  function execute(source: string, silent: boolean): void {
    guarded(() => {
      const value = vm.runInContext(source, context) as unknown;
      if (!silent) print(`=${show([value])}\r\n`);
    });
    if (!silent) print(">");
  }

  /** Arrow keys and line numbers, ESC [ digits letter, change nothing here. */
  function inEscape(byte: number): boolean {
    if (byte === ESC) escape = true;
    else if (!escape) return false;
    else if (byte !== 0x5b && !(byte >= 0x30 && byte <= 0x3b)) escape = false;
    return true;
  }

  function take(byte: number): void {
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
  }

  return {
    start() {
      if (!area.isSound()) area.eraseAll();
      print(`\r\n Espruino ${version}\r\n>`);
      const boot = area.read(".boot0");
      if (boot) guarded(() => void vm.runInContext(asText(boot), context));
    },
    receive(bytes) {
      for (let i = 0; i < bytes.length && alive; i++) {
        if (receiver.active) receiver.take(bytes[i]!);
        else take(bytes[i]!);
      }
    },
    stop() {
      alive = false;
      receiver.stop();
      for (const timer of timers) timer.cancel();
      timers.clear();
    },
  };
}

function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

/** Storage's modules make their values in this realm: a console has no need of one of its own. */
function hostRealm(): RealmHelpers {
  return {
    arrayBuffer: (length: number) => new ArrayBuffer(length),
    uint8Array: (length: number) => new Uint8Array(length),
    error: (message: string) => new Error(message),
    typeError: (message: string) => new TypeError(message),
    syntaxError: (message: string) => new SyntaxError(message),
    local: <T>(value: T) => value,
  } as RealmHelpers;
}
