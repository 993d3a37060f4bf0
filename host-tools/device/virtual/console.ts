/**
 * A small Espruino console: enough of the REPL and of the packet protocol for what the tools in device/ do.
 * After https://github.com/espruino/Espruino/blob/master/README_Protocol.md and its src/jsinteractive.c.
 */
import { createHash } from "node:crypto";
import * as vm from "node:vm";
import { crc32 } from "node:zlib";
import { asBytes, asText } from "../../simulator/chip/bytes";
import type { NorFlash } from "../../simulator/chip/flash";
import { show } from "../../simulator/chip/print";
import type { RealmHelpers } from "../../simulator/chip/prelude";
import { StorageArea } from "../../simulator/chip/storage-area";
import { createFlash, createStorage } from "../../simulator/chip/storage-module";
import type { ChipName } from "../chips";
import { createConsoleInput } from "./console-input";
import { flashView } from "./flash-view";

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

class Reboot extends Error {}

export function createVirtualConsole(host: ConsoleHost, options: ConsoleOptions = {}): VirtualConsole {
  const version = options.version ?? "2v29";
  const timers = new Set<{ cancel(): void }>();
  let alive = true;
  const print = (text: string): void => {
    if (alive) host.send(Buffer.from(text, "latin1"));
  };

  // The Storage area shares its bytes with the board's flash.
  const view = flashView(host.flash, host.storageAddress, host.storageBytes);
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
      failed(error);
    }
  }

  function failed(error: unknown): void {
    if (error instanceof Reboot) host.reboot();
    else print(`Uncaught ${String(error)}\r\n`);
  }

  const input = createConsoleInput({
    host: { chip: host.chip, send: (bytes) => alive && host.send(bytes), after: host.after },
    version,
    packetLimit: options.packetLimit ?? 8191,
    print,
    evaluate: (source) => vm.runInContext(source, context) as unknown,
    write: (name, data, offset, size) => area.write(name, data, 0, offset, size),
    failed,
  });

  return {
    start() {
      if (!area.isSound()) area.eraseAll();
      print(`\r\n Espruino ${version}\r\n>`);
      const boot = area.read(".boot0");
      if (boot) guarded(() => void vm.runInContext(asText(boot), context));
    },
    receive(bytes) {
      for (let i = 0; i < bytes.length && alive; i++) {
        input.receive(bytes[i]!);
      }
    },
    stop() {
      alive = false;
      input.stop();
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
