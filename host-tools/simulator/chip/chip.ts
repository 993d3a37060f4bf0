/**
 * A virtual ESP32 with Espruino on it: flash with a Storage area, an interpreter that takes its time, and a context with
 * Espruino's globals. It boots as a board does, from .boot0 of its Storage; a restart tears its whole world down.
 */
import { FLAG_FILE } from "../../device/storage-format";
import { ESP32, ChipBoard } from "./board";
import { asText } from "./bytes";
import { FLASH, FLASH_WRITE, FLASH_WRITE_BYTE, MODULE_CALL, REQUIRE } from "./cost-table";
import { NorFlash, PowerCut } from "./flash";
import { createCrypto, createGlobals, createHeatshrink, GlobalsContext } from "./globals";
import { Halt, Interpreter, LIMIT, SPENT } from "./interpreter";
import { createPort } from "./port";
import { Pins } from "./pins";
import { describe } from "./print";
import { ChipRandom } from "./random";
import { Realm } from "./realm";
import type { Clock, NetFactory, NetModules } from "./seam";
import { StorageArea } from "./storage-area";
import { createFlash, createStorage } from "./storage-module";
import { Timers } from "./timers";

export type ResetReason = "power" | "software" | "watchdog" | "panic";

export interface ChipOptions {
  clock: Clock;
  /** Station MAC, "aa:bb:cc:dd:ee:ff"; the access point's is one higher. */
  mac: string;
  board?: ChipBoard;
  /** The Storage area: a flash (kept, not copied) or its image. */
  flash: NorFlash | Uint8Array;
  network?: NetFactory;
  /** Each line on the console. */
  onPrint?(line: string): void;
  /** A life begins; .boot0 has not run yet. */
  onBoot?(reason: ResetReason): void;
  /** An event of the interpreter is over: how long it held it, in ms, and what it was. */
  onEvent?(milliseconds: number, label: string): void;
}

export interface ChipStats {
  boots: number;
  events: number;
  /** Executed by the interpreter; waits for hardware are not in it. */
  instructions: number;
  /** Longest that one event held the interpreter, in ms, and what it was; the start of a life is not in it. */
  longestMs: number;
  longestIn: string;
  compactions: number;
  uncaught: number;
}

/** A program that is stopped neither by itself nor by a watchdog is taken to hang after so many seconds. */
const HANG_SECONDS = 60;
/** Lines of console kept. */
const KEPT_LINES = 1000;
/** Label of the event that a life begins with. */
const BOOT = "boot";
/** Work of the idle loop around an event, in instructions. */
const IDLE = 6000;

interface Life {
  interpreter: Interpreter;
  realm: Realm;
  timers: Timers;
  network: NetModules | null;
  watchdogSeconds: number;
  reload: "load" | "reset" | null;
  /** Flash that programs were evaluated from: [offset, end). */
  running: [number, number][];
  /** The last strings read from flash, by content. */
  fetched: Map<string, number>;
}

export class Chip {
  readonly board: ChipBoard;
  readonly mac: string;
  readonly flash: NorFlash;
  readonly storage: StorageArea;
  readonly pins: Pins;
  /** The newest console lines. */
  readonly log: string[] = [];
  /** Things a real board would suffer for in silence: code overwritten while it runs, writes outside of Storage. */
  readonly faults: string[] = [];
  readonly stats: ChipStats = {
    boots: 0,
    events: 0,
    instructions: 0,
    longestMs: 0,
    longestIn: "",
    compactions: 0,
    uncaught: 0,
  };
  resetReason: ResetReason = "power";
  private life: Life | null = null;
  private powered = false;
  private readonly random = new ChipRandom();
  private readonly clock: Clock;
  private readonly options: ChipOptions;
  private booting: object | null = null;
  /** Virtual time of Unix time 0 for this chip; survives a restart, not a power loss. */
  private epoch = 0;

  constructor(options: ChipOptions) {
    this.options = options;
    this.clock = options.clock;
    this.board = options.board ?? ESP32;
    this.mac = options.mac;
    this.flash = options.flash instanceof NorFlash ? options.flash : new NorFlash(options.flash, this.board.pageBytes);
    this.flash.onCut = () => {
      // From here on nothing in the program can catch it.
      if (this.life) this.life.interpreter.cost[LIMIT] = -1;
    };
    this.storage = new StorageArea(this.flash, {
      disturbs: (offset, length) => this.disturbed(offset, length),
      wrote: (bytes) => {
        this.life?.interpreter.charge(FLASH_WRITE + bytes * FLASH_WRITE_BYTE);
        this.blocked(FLASH.writeCallMs + bytes * FLASH.writeBytesMs);
      },
      erased: () => this.blocked(FLASH.erasePageMs),
      compacted: () => void this.stats.compactions++,
    });
    this.pins = new Pins(
      () => this.now(),
      (run, label) => this.life?.interpreter.deliver(run, label),
    );
  }

  /** True from power-on to power-off, also while it boots or hangs. */
  get on(): boolean {
    return this.powered;
  }

  /** True while a program can run. */
  get running(): boolean {
    return this.life !== null && this.life.interpreter.alive;
  }

  /** Virtual time in ms at which the interpreter is free again. */
  get busyUntil(): number {
    return this.life ? this.life.interpreter.busyUntil : this.clock.now();
  }

  /** Interpreter events that wait. */
  get waiting(): number {
    return this.life ? this.life.interpreter.waiting : 0;
  }

  powerOn(): void {
    if (this.powered) return;
    this.powered = true;
    this.epoch = this.clock.now();
    this.start("power", this.board.bootMs);
  }

  /** Everything stops at once, in the middle of whatever it was. */
  powerOff(): void {
    this.powered = false;
    this.stop();
  }

  /** Restarts as the reset button does. */
  reset(reason: ResetReason = "power"): void {
    if (!this.powered) return;
    this.stop();
    this.start(reason, this.board.bootMs);
  }

  /**
   * Runs source in the chip's global scope as an interpreter event (as if typed at its console) and gives its value.
   * Throws what it throws. It runs ahead of all events that wait; undefined while the chip is off or boots.
   */
  evaluate(source: string): unknown {
    const life = this.life;
    if (!life) return undefined;
    let value: unknown;
    let failure: { error: unknown } | null = null;
    life.interpreter.immediately(() => {
      try {
        value = life.realm.evaluate(source);
      } catch (error) {
        if (life.interpreter.cost[LIMIT]! < 0 || error instanceof PowerCut) throw error;
        failure = { error };
      }
    }, "console");
    if (failure) throw (failure as { error: unknown }).error;
    return value;
  }

  /** Virtual ms as the chip's program sees it. */
  now(): number {
    return this.life ? this.life.interpreter.now() : this.clock.now();
  }

  private start(reason: ResetReason, delayMs: number): void {
    this.resetReason = reason;
    this.booting = this.clock.at(this.clock.now() + delayMs, () => {
      this.booting = null;
      this.boot(reason, false);
    });
  }

  private stop(): void {
    if (this.booting) this.clock.cancel(this.booting);
    this.booting = null;
    const life = this.life;
    this.life = null;
    if (!life) return;
    life.interpreter.end();
    life.network?.down?.();
    this.pins.reset();
  }

  private boot(reason: ResetReason, isReset: boolean): void {
    this.stats.boots++;
    this.random.seed(1);
    const life = this.createLife();
    this.life = life;
    this.options.onBoot?.(reason);
    life.interpreter.deliver(() => {
      if (!this.storage.isSound()) {
        this.print("Storage is corrupt: erasing it");
        this.storage.eraseAll();
      }
      for (const name of [".boot0", ".boot1", ".boot2", ".boot3"]) this.runFile(life, name);
      const resetCode = this.storage.find(".bootrst") ? ".bootrst" : ".bootcde";
      if (!isReset || resetCode === ".bootrst") this.runFile(life, resetCode);
    }, BOOT);
  }

  private createLife(): Life {
    const perMs = this.board.instructionsPerSecond / 1000;
    const interpreter: Interpreter = new Interpreter(this.clock, perMs, {
      uncaught: (error, label) => this.uncaught(error, label),
      ended: (error) => this.ended(life, error),
      limit: () => (life.watchdogSeconds || HANG_SECONDS) * 1000 * perMs,
      finished: (instructions, milliseconds, label) => this.finished(life, instructions, milliseconds, label),
    });
    const halt = (cause: Halt["why"]): never => {
      interpreter.cost[LIMIT] = -1;
      throw new Halt(cause);
    };
    const realm = new Realm(interpreter.cost, () => halt(life.watchdogSeconds ? "watchdog" : "hang"));
    const timers = new Timers(interpreter, realm.helpers, (source) => this.run(life, source));
    const life: Life = {
      interpreter,
      realm,
      timers,
      network: null,
      watchdogSeconds: 0,
      reload: null,
      running: [],
      fetched: new Map(),
    };
    this.furnish(life, halt);
    return life;
  }

  private furnish(life: Life, halt: (cause: Halt["why"]) => never): void {
    const { interpreter, realm } = life;
    const { helpers } = realm;
    const port = createPort(interpreter, realm, this.mac, this.board.limits);
    life.network = this.options.network?.(port) ?? null;
    const globals: GlobalsContext = {
      realm: helpers,
      board: this.board,
      mac: this.mac,
      random: this.random,
      charge: (instructions) => interpreter.charge(instructions),
      print: (text) => this.print(text),
      time: () => interpreter.now() - this.epoch,
      setTime: (milliseconds) => void (this.epoch = interpreter.now() - milliseconds),
      reboot: () => halt("reboot"),
      reload: (isReset) => void (life.reload = isReset ? "reset" : "load"),
      watchdog: (seconds) => {
        life.watchdogSeconds = seconds;
        interpreter.cost[LIMIT] = interpreter.cost[SPENT]! + seconds * this.board.instructionsPerSecond;
      },
      kickWatchdog: () => {
        const seconds = life.watchdogSeconds || HANG_SECONDS;
        interpreter.cost[LIMIT] = interpreter.cost[SPENT]! + seconds * this.board.instructionsPerSecond;
      },
      variablesUsed: () => this.board.variablesAtRest + life.timers.size * 10,
      flashText: (address, length) => this.flashText(address, length),
    };
    const storage = {
      area: this.storage,
      realm: helpers,
      base: this.board.storageAddress,
      flashBytes: this.board.flashBytes,
      charge: globals.charge,
      reading: (bytes: number) => this.blocked(FLASH.readCallMs + bytes * FLASH.readBytesMs),
      fetched: (text: string, offset: number) => this.fetched(life, text, offset),
      fault: (text: string) => this.fault(text),
    };
    const modules: Record<string, unknown> = {
      Storage: charging(createStorage(storage), globals.charge),
      Flash: charging(createFlash(storage), globals.charge),
      crypto: charging(createCrypto(globals), globals.charge),
      heatshrink: charging(createHeatshrink(globals), globals.charge),
      ...life.network,
    };
    delete modules.down;
    helpers.clock(globals.time);
    helpers.random(() => this.random.next() / 0x100000000);
    helpers.later((run) => interpreter.deliver(run, "promise"));
    helpers.unhandled((reason) => this.printLine(`Unhandled promise rejection: ${describe(reason)}`));
    realm.defineRun((source) => (typeof source === "string" ? this.run(life, source) : source));
    realm.define({
      ...createGlobals(globals),
      ...life.timers.globals(),
      ...this.pins.globals(),
      global: realm.get("globalThis"),
      require: (name: unknown) => {
        const found = typeof name === "string" && Object.hasOwn(modules, name) ? modules[name] : undefined;
        if (!found) throw helpers.error(`Module "${String(name)}" not found`);
        interpreter.charge(REQUIRE);
        return found;
      },
    });
  }

  /** Evaluates source; what was read from flash is remembered as running from there. */
  private run(life: Life, source: string): unknown {
    const at = life.fetched.get(source);
    if (at !== undefined) life.running.push([at, at + source.length]);
    life.interpreter.charge(source.length * 2);
    return life.realm.evaluate(source);
  }

  private runFile(life: Life, name: string): void {
    const file = this.storage.find(name);
    if (!file || file.flags !== FLAG_FILE) return;
    const text = asText(this.flash.read(file.data, file.size));
    life.running.push([file.data, file.data + file.size]);
    try {
      life.realm.evaluate(text);
    } catch (error) {
      if (life.interpreter.cost[LIMIT]! < 0 || error instanceof PowerCut) throw error;
      this.uncaught(error, name);
    }
  }

  private fetched(life: Life, text: string, offset: number): void {
    // Only what is long enough to be a program is worth remembering, and only the newest few.
    if (text.length < 64) return;
    if (life.fetched.size >= 8) life.fetched.delete(life.fetched.keys().next().value!);
    life.fetched.set(text, offset);
  }

  private disturbed(offset: number, length: number): void {
    const life = this.life;
    if (!life) return;
    const hit = life.running.find(([from, to]) => offset < to && offset + length > from);
    if (!hit) return;
    this.fault(`flash of running code changed at ${offset}`);
  }

  private flashText(address: number, length: number): string | null {
    const offset = address - this.board.storageAddress;
    if (offset < 0 || offset + length > this.flash.bytes.length) return null;
    return asText(this.flash.read(offset, length));
  }

  private blocked(milliseconds: number): void {
    this.life?.interpreter.block(milliseconds);
  }

  private finished(life: Life, instructions: number, milliseconds: number, label: string): void {
    this.stats.events++;
    this.stats.instructions += instructions;
    this.options.onEvent?.(milliseconds, label);
    if (milliseconds > this.stats.longestMs && label !== BOOT) {
      this.stats.longestMs = milliseconds;
      this.stats.longestIn = label;
    }
    if (life.reload === null || this.life !== life) return;
    const isReset = life.reload === "reset";
    this.stop();
    this.booting = this.clock.at(life.interpreter.busyUntil, () => {
      this.booting = null;
      this.boot(this.resetReason, isReset);
    });
  }

  private ended(life: Life, error: unknown): void {
    if (this.life !== life) return;
    const cause = error instanceof Halt ? error.why : null;
    const spent = life.interpreter.now() - this.clock.now();
    if (cause === "hang") {
      this.fault("program hangs");
      life.interpreter.end();
      life.network?.down?.();
      return;
    }
    this.stop();
    if (error instanceof PowerCut || cause === null) {
      this.powered = false;
      return;
    }
    this.printLine(cause === "watchdog" ? "Watchdog" : "Rebooting");
    this.start(cause === "watchdog" ? "watchdog" : "software", spent + this.board.bootMs);
  }

  private uncaught(error: unknown, label: string): void {
    this.stats.uncaught++;
    this.life?.interpreter.charge(IDLE);
    const handlers = this.uncaughtHandlers();
    if (handlers.length) for (const handler of handlers) this.life?.interpreter.deliver(() => handler(error), label);
    else this.printLine(`Uncaught ${describe(error)} (in ${label})`);
  }

  private uncaughtHandlers(): ((...args: unknown[]) => void)[] {
    const realm = this.life?.realm;
    const process = realm?.get("process");
    return realm && process ? realm.helpers.listeners(process, "uncaughtException") : [];
  }

  private fault(text: string): void {
    this.faults.push(text);
    this.printLine(`FAULT ${text}`);
  }

  private print(text: string): void {
    for (const line of text.split("\n")) this.printLine(line);
  }

  private printLine(line: string): void {
    this.log.push(line);
    if (this.log.length > KEPT_LINES) this.log.splice(0, this.log.length - KEPT_LINES);
    this.options.onPrint?.(line);
  }
}

/** A module whose functions charge what it takes to find them. */
function charging(module: object, charge: (instructions: number) => void): object {
  const entries = Object.entries(module as Record<string, (...args: unknown[]) => unknown>);
  const wrapped = entries.map(([name, call]) => [
    name,
    (...args: unknown[]) => {
      charge(MODULE_CALL);
      return call(...args);
    },
  ]);
  return Object.fromEntries(wrapped) as object;
}
