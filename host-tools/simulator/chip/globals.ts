/** E, process, crypto, heatshrink and the other globals that Espruino adds to the language. */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { ChipBoard } from "./board";
import { asBytes, asText } from "./bytes";
import { UNIT_COST } from "./cost-table";
import { createGraphics } from "./graphics";
import * as heatshrink from "./heatshrink";
import { MemoryMap } from "./memory-map";
import type { RealmHelpers } from "./prelude";
import type { ChipRandom } from "./random";
import { show } from "./print";

export interface GlobalsContext {
  realm: RealmHelpers;
  board: ChipBoard;
  mac: string;
  random: ChipRandom;
  charge(instructions: number): void;
  print(text: string): void;
  /** Unix time in ms as the chip believes it. */
  time(): number;
  setTime(milliseconds: number): void;
  /** Stops this life and boots again. */
  reboot(): never;
  /** Ends this life after the running event, then boots; `isReset` skips .bootcde. */
  reload(isReset: boolean): void;
  watchdog(seconds: number): void;
  kickWatchdog(): void;
  variablesUsed(): number;
  /** A view on flash at an address, or null. */
  flashText(address: number, length: number): string | null;
}

export function createGlobals(context: GlobalsContext): Record<string, unknown> {
  const { realm } = context;
  const print = (...values: unknown[]): void => {
    context.charge(2000);
    context.print(show(values));
  };
  return {
    E: createE(context),
    Graphics: createGraphics(context),
    process: createProcess(context),
    console: { log: print, warn: print, error: print, info: print, debug: print, trace: () => {} },
    print,
    trace: () => {},
    getTime: () => context.time() / 1000,
    setTime: (seconds: unknown) => context.setTime(Number(seconds) * 1000),
    load: () => context.reload(false),
    reset: () => context.reload(true),
    getSerial: () => context.mac.replaceAll(":", ""),
    btoa(data: unknown): string {
      const bytes = asBytes(data) ?? Buffer.from(String(data), "latin1");
      context.charge(bytes.length * UNIT_COST.btoa!);
      return bytes.toString("base64");
    },
    atob(text: unknown): string {
      const bytes = Buffer.from(String(text), "base64");
      context.charge(bytes.length * UNIT_COST.atob!);
      return asText(bytes);
    },
    echo: () => {},
    save: () => {
      throw realm.error("save() is not supported by the virtual chip");
    },
  };
}

/** require("crypto"): the hashes. */
export function createCrypto({ realm, charge }: GlobalsContext): object {
  const hash = (algorithm: string) => (data: unknown) => {
    const bytes = asBytes(data);
    if (!bytes) throw realm.error("Expecting something iterable");
    charge(bytes.length * UNIT_COST.hash!);
    return buffer(realm, createHash(algorithm).update(bytes).digest());
  };
  return {
    SHA1: hash("sha1"),
    SHA224: hash("sha224"),
    SHA256: hash("sha256"),
    SHA384: hash("sha384"),
    SHA512: hash("sha512"),
  };
}

export function createHeatshrink({ realm, charge }: GlobalsContext): object {
  const through = (work: (data: Uint8Array) => Buffer) => (data: unknown) => {
    const bytes = asBytes(data);
    if (!bytes) throw realm.typeError("Expecting something iterable");
    const result = work(bytes);
    charge(bytes.length * UNIT_COST["heatshrink in"]! + result.length * UNIT_COST["heatshrink out"]!);
    return buffer(realm, result);
  };
  return { compress: through(heatshrink.compress), decompress: through(heatshrink.decompress) };
}

function createE(context: GlobalsContext): object {
  const { realm, random, charge } = context;
  const map = new MemoryMap();
  const all = (values: unknown[]): Buffer => asBytes(values) ?? Buffer.alloc(0);
  return {
    CRC32(data: unknown): number {
      const bytes = asBytes(data) ?? Buffer.alloc(0);
      charge(bytes.length * UNIT_COST[typeof data === "string" ? "CRC32 text" : "CRC32 array"]!);
      return crc32(bytes);
    },
    toString(...values: unknown[]): string {
      const bytes = all(values);
      charge(bytes.length * UNIT_COST.bytes!);
      return asText(bytes);
    },
    toUint8Array(...values: unknown[]): Uint8Array {
      const bytes = all(values);
      charge(bytes.length * UNIT_COST.bytes!);
      const result = realm.uint8Array(bytes.length);
      bytes.copy(Buffer.from(result.buffer));
      return result;
    },
    mapInPlace(from: unknown, to: ArrayBufferView, map?: unknown): void {
      if (map !== undefined) throw realm.error("mapInPlace with a map is not supported by the virtual chip");
      // `asBytes` copies arrays of another realm.
      const target = Buffer.from(to.buffer, to.byteOffset, to.byteLength);
      const copied = asBytes(from)!.copy(target);
      charge(copied * UNIT_COST["set array"]!);
    },
    toArrayBuffer: (text: unknown) => (typeof text === "string" ? buffer(realm, asBytes(text)!) : undefined),
    getAddressOf: (value: unknown, flat?: unknown) => (flat ? map.addressOf(value) : 0x3fff0000),
    memoryArea(address: unknown, length: unknown): string | undefined {
      const at = Number(address) >>> 0;
      const count = Number(length) | 0;
      if (!at || count < 0) return undefined;
      const flash = context.flashText(at, count);
      if (flash !== null) return flash;
      const bytes = map.at(at, count);
      if (!bytes) throw realm.error(`No known memory at 0x${at.toString(16)}`);
      return realm.liveString(asText(bytes), bytes);
    },
    getSizeOf: () => 1,
    getErrorFlags: () => realm.local([]),
    getFlags: () => realm.local({}),
    setFlags: () => {},
    srand: (seed?: unknown) => random.seed(seed === undefined ? random.next() : Number(seed) >>> 0),
    hwRand: () => random.next() | 0,
    reboot: () => context.reboot(),
    enableWatchdog: (seconds: unknown) => context.watchdog(Number(seconds)),
    kickWatchdog: () => context.kickWatchdog(),
    getTemperature: () => 53.3,
    getAnalogVRef: () => 3.3,
    reverseByte: (value: unknown) => {
      let result = 0;
      for (let i = 0; i < 8; i++) result |= ((Number(value) >> i) & 1) << (7 - i);
      return result;
    },
    clip: (value: number, low: number, high: number) => Math.min(Math.max(value, low), high),
    sum: (list: ArrayLike<number>) => Array.from(list).reduce((sum, value) => sum + value, 0),
    defrag: () => {},
    dumpStr: () => "",
    setTimeZone: () => {},
    lockConsole: () => {},
    setConsole: () => {},
  };
}

function createProcess(context: GlobalsContext): object {
  const { board, realm, mac } = context;
  const total = board.variables;
  return {
    version: "2v29",
    env: realm.local({
      VERSION: "2v29",
      GIT_COMMIT: "virtual",
      BOARD: board.name,
      FLASH: 0,
      STORAGE: 917504,
      RAM: 520 * 1024,
      SERIAL: mac.replaceAll(":", ""),
      CONSOLE: "Serial1",
      MODULES: "Flash,Storage,heatshrink,net,dgram,http,tls,Wifi,crypto",
    }),
    memory() {
      const usage = Math.min(context.variablesUsed(), total);
      return realm.local({ free: total - usage, usage, total, history: 0, blocksize: 14 });
    },
  };
}

function buffer(realm: RealmHelpers, bytes: Uint8Array): ArrayBuffer {
  const result = realm.arrayBuffer(bytes.length);
  new Uint8Array(result).set(bytes);
  return result;
}
