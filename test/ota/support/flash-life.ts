/**
 * Lives of one node on one flash: the loader's own text chooses, the node's own code runs, a laptop pushes an image, and
 * power may fail at any operation of the flash. Needs the modules of fake-mesh.ts in place.
 */
import type { Engine, Region } from "../../../firmware/engine/engine";
import { createNode, type Settings } from "../../../firmware/node";
import { PACKAGE_ACTIVATE, PACKAGE_NAK, PACKAGE_OFFER, PACKAGE_REPORT } from "../../../firmware/ota/session";
import { addBitmapBytes, Bitmap } from "../../../firmware/wire/bitmap";
import { FLAG_PAYLOAD, FRAME_CHUNK, frameHeader } from "../../../firmware/wire/frames";
import type { Package } from "../../../firmware/wire/packages";
import { type Board, loadBoard } from "../../../host-tools/build/board";
import { type Image, makeImage } from "../../../host-tools/build/image";
import { buildLoader } from "../../../host-tools/build/loader";
import { provision } from "../../../host-tools/device/provision";
import { decodeStorage } from "../../../host-tools/device/storage-image";
import { NorFlash, PowerCut } from "../../../host-tools/simulator/chip/flash";
import { around } from "./fake-mesh";
import { codecs } from "./update-mesh";

const PAGE = 4096;
const MAX_CHUNK = 1016;
const PRODUCT = "espalier";

/** What the loader leaves behind. */
interface BootInfo {
  slot: string;
  trial: boolean;
  starts: number;
  reason: "software" | "other";
}

/** Thrown by what ends a life on purpose. */
class Restart extends Error {}

export interface Bundle {
  name: string;
  code: string;
  image: Image;
}

/** A bundle that says its name when it is run. */
export function bundleOf(name: string, bytes: number, more: Partial<Parameters<typeof makeImage>[0]> = {}): Bundle {
  let code = `ran(${JSON.stringify(name)});/*`;
  for (let i = 0; code.length < bytes - 2; i++)
    code += String.fromCharCode(97 + ((i * 7 + name.length * 3 + (i >> 5)) % 26));
  code += "*/";
  const target = { product: PRODUCT, hardware: "ESP32", role: "node", version: "1.0.0" };
  return { name, code, image: makeImage({ ...target, code, encoding: "raw", ...more }) };
}

/** A board with no more flash than such bundles need. */
export function smallBoard(slotPages: number, stagePages: number): Board {
  const board = structuredClone(loadBoard("esp32-devkitc"));
  const sizes = { state: 1, slot0: slotPages, slot1: slotPages, stage: stagePages, recovery: slotPages, trust: 2 };
  let at = 0;
  board.regions = {};
  for (const [name, pages] of Object.entries(sizes)) {
    board.regions[name] = [at, pages];
    at += pages;
  }
  board.storage.bytes = (at + 3) * PAGE;
  return board;
}

export interface Site {
  board: Board;
  loader: string;
  settings: Settings;
  first: Bundle;
  recovery: Bundle;
}

export async function siteOf(board: Board, first: Bundle, recovery: Bundle): Promise<Site> {
  const mesh = { meshName: PRODUCT, password: "", port: 5555, channel: 1 };
  return { board, loader: await buildLoader(board), settings: { role: "node", mesh }, first, recovery };
}

/** The flash of a new node, and where its regions begin in it. */
export function newFlash(site: Site): { bytes: Buffer; base: number } {
  const { board, loader, settings, first, recovery } = site;
  const bytes = provision({ board, loader, settings, code: first.code, image: first.image, recovery });
  const base = decodeStorage(bytes).files.find(({ name }) => name === "espalier")!.offset;
  return { bytes, base };
}

/** What the laptop does. */
export interface Laptop {
  push: Bundle | null;
  /** Bundles that find nobody while they run. */
  lonely: readonly string[];
}

export interface LifeEnd {
  /** Names of the bundles that the loader started: one, or none. */
  ran: string[];
  slot: string;
  why: "restart" | "power" | "settled" | "time";
  /** Last state and error that the node reported. */
  state: string;
  error: string;
}

/** Virtual milliseconds of a life. */
const LIFE_MS = 400_000;

export class Device {
  private readonly start: (world: object) => void;

  constructor(
    private readonly site: Site,
    readonly flash: NorFlash,
    private readonly base: number,
  ) {
    // As the engine runs it: every global is looked up when it is used.
    this.start = new Function("world", `with(world){${site.loader}}`) as (world: object) => void;
  }

  /** One life, from the loader's first line to a restart, a power cut, or until there is nothing more to do. */
  live(laptop: Laptop): LifeEnd {
    const end: LifeEnd = { ran: [], slot: "", why: "time", state: "", error: "" };
    try {
      this.run(laptop, end);
    } catch (error) {
      if (error instanceof Restart) end.why = "restart";
      else if (error instanceof PowerCut) end.why = "power";
      else throw error;
    }
    return end;
  }

  /** Lives until one settles, at most so many. */
  settle(laptop: Laptop, most = 12): LifeEnd[] {
    const ends: LifeEnd[] = [];
    do ends.push(this.live(laptop));
    while (ends.at(-1)!.why !== "settled" && ends.length < most);
    return ends;
  }

  region(name: string): Region {
    const [first, pages] = this.site.board.regions[name]!;
    const start = this.base + first * PAGE;
    const { flash } = this;
    return {
      size: pages * PAGE,
      read: (offset, length) => flash.bytes.toString("latin1", start + offset, start + offset + length),
      write: (offset, bytes) => flash.write(start + offset, Buffer.from(bytes, "latin1")),
      erase: (offset) => flash.erasePage(start + offset),
    };
  }

  private run(laptop: Laptop, end: LifeEnd): void {
    const boot = this.load(end);
    if (!boot) {
      end.why = "settled";
      return;
    }
    end.slot = boot.slot;
    around.alone = laptop.lonely.includes(end.ran[0]!);
    around.packages.clear();
    around.frames.clear();
    const events: { at: number; run: () => void; every: number; id: number }[] = [];
    let now = 0;
    let ids = 0;
    const at = (delay: number, run: () => void, every = 0): number => {
      const event = { at: now + Math.max(1, delay), run, every, id: ++ids };
      let i = events.length;
      while (i > 0 && events[i - 1]!.at > event.at) i--;
      events.splice(i, 0, event);
      return event.id;
    };
    const engine: Engine = {
      ...codecs,
      name: "node",
      hardware: "ESP32",
      now: () => now,
      random: () => 12345,
      after: (delay: number, run: () => void) => at(delay, run),
      every: (delay: number, run: () => void) => at(delay, run, delay),
      cancel: (id: number) => void events.splice(0, events.length, ...events.filter((one) => one.id !== id)),
      memory: () => ({ free: 3000, total: 4000 }),
      resetReason: () => boot.reason,
      restart: () => {
        const state = this.region("state");
        state.write(boot.starts - 1, "\xfc");
        throw new Restart();
      },
      wifi: null,
      listen: () => {},
      region: (name: string) => this.region(name),
      settings: () => "",
      log: () => {},
    } as unknown as Engine;
    const running = this.region(boot.slot);
    const node = createNode({
      engine,
      settings: structuredClone(this.site.settings),
      version: "1.0.0",
      capabilities: 63,
      stage: this.region("stage"),
      running,
      spare: this.region(boot.slot === "slot0" ? "slot1" : "slot0"),
      trust: this.region("trust"),
      trial: boot.trial,
      starts: boot.starts,
      installs: true,
      telemetry: null,
    });
    node.start();
    this.attach(laptop, end, at);
    const confirmed = (): boolean => running.read(17, 1) === "\0";
    while (events.length && now < LIFE_MS) {
      const event = events.shift()!;
      now = event.at;
      if (event.every) {
        at(event.every, event.run, event.every);
        events.find(({ id }) => id === ids)!.id = event.id;
      }
      event.run();
      const over = !laptop.push || end.state === "current" || end.state === "failed";
      if (now > 2000 && over && confirmed() && !around.alone) {
        end.why = "settled";
        return;
      }
      if (around.alone && confirmed()) {
        end.why = "settled";
        return;
      }
    }
  }

  /** The laptop's side of the mesh. */
  private attach(laptop: Laptop, end: LifeEnd, at: (delay: number, run: () => void, every?: number) => number): void {
    const bundle = laptop.push;
    if (!bundle || around.alone) {
      around.sent = () => {};
      return;
    }
    const { image } = bundle;
    const { manifest } = image;
    const tell = (type: number, fields: object): void =>
      around.packages.get(type)?.({ type, from: 1, dest: 0, routing: 2, id: image.id, ...fields } as Package, 1);
    const offer = (): void =>
      tell(PACKAGE_OFFER, {
        blob: image.blob.length,
        hardware: manifest.hardware,
        role: manifest.role,
        version: manifest.version,
        transport: "broadcast",
        pace: 20,
      });
    const tag = Buffer.from(image.id, "hex").toString("latin1", 0, 4);
    const pieces: Buffer[] = [];
    for (let i = 0; i < image.blob.length; i += MAX_CHUNK) pieces.push(image.blob.subarray(i, i + MAX_CHUNK));
    around.sent = (p) => {
      if (p.id !== image.id) return;
      if (p.type === PACKAGE_REPORT) {
        end.state = p.s as string;
        end.error = p.e as string;
        if (p.s === "verified") at(50, () => tell(PACKAGE_ACTIVATE, {}));
      }
      if (p.type !== PACKAGE_NAK) return;
      const list = p.p === 1 ? image.chunks : pieces;
      const missing = new Bitmap(list.length);
      addBitmapBytes(missing, codecs.fromBase64(p.m as string));
      let delay = 5;
      for (let i = 0; i < list.length; i++) {
        if (!missing.has(i)) continue;
        const frame = frameHeader(FRAME_CHUNK, p.p === 1 ? FLAG_PAYLOAD : 0, tag, i) + list[i]!.toString("latin1");
        at((delay += 2), () => around.frames.get(FRAME_CHUNK)!(frame, true));
      }
    };
    at(500, offer);
    // The laptop says it again; what has verified an image and missed the word to restart gets it so.
    at(10_000, offer, 10_000);
    at(10_050, () => (end.state === "verified" ? tell(PACKAGE_ACTIVATE, {}) : undefined), 10_000);
  }

  /** Runs the loader. */
  private load(end: LifeEnd): BootInfo | null {
    const { flash, base } = this;
    const { address } = this.site.board.storage;
    const { size } = { size: Object.values(this.site.board.regions).reduce((sum, [, pages]) => sum + pages * PAGE, 0) };
    const modules: Record<string, object> = {
      Storage: {
        read: (name: string, offset: number, length: number) => {
          if (name !== "espalier" || offset + length > size) throw new Error(`read ${name} ${offset} ${length}`);
          return flash.bytes.toString("latin1", base + offset, base + offset + length);
        },
        getStats: () => ({ freeBytes: 100_000, trashBytes: 0 }),
      },
      Flash: {
        read: (length: number, from: number) =>
          new Uint8Array(flash.bytes.subarray(from - address, from - address + length)),
        write: (data: string, to: number) => flash.write(to - address, Buffer.from(data, "latin1")),
        erasePage: (at: number) => flash.erasePage(at - address),
      },
      crypto: { SHA256: codecs.sha256 },
    };
    const world: Record<string, unknown> = {
      require: (name: string) => modules[name],
      E: {
        toString: (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1"),
        enableWatchdog: () => {},
        reboot: () => {},
      },
      print: () => {},
      setTimeout: () => {},
      ran: (name: string) => end.ran.push(name),
      espalierBoot: undefined,
    };
    world.global = world;
    this.start(world);
    return (world.espalierBoot as BootInfo | undefined) ?? null;
  }
}

/** One operation of the flash: a write, or the erasure of a page (no data). */
export interface Operation {
  offset: number;
  data: Buffer | null;
}

/** Lets the flash note down what is done to it. */
export function record(flash: NorFlash): Operation[] {
  const list: Operation[] = [];
  const { write, erasePage } = flash;
  flash.write = (offset, data) => {
    list.push({ offset, data: Buffer.from(data) });
    write.call(flash, offset, data);
  };
  flash.erasePage = (offset) => {
    list.push({ offset: offset - (offset % PAGE), data: null });
    erasePage.call(flash, offset);
  };
  return list;
}

/** How an operation is cut: a share of its bytes, one after another, and some bits of the next one; or here and there. */
export const TEARS = [0, 0.02, 0.15, 0.3, 0.5, 0.7, 0.85, 0.98, 1, "scattered"] as const;
export type Tear = (typeof TEARS)[number];

/** Does an operation as far as power lasted. */
export function tear(bytes: Buffer, { offset, data }: Operation, how: Tear, seed: number): void {
  const length = data ? data.length : PAGE;
  const done = how === "scattered" ? 0 : Math.floor(length * how);
  let state = (seed * 2654435761) >>> 0 || 1;
  const random = (): number => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
  for (let i = 0; i < length; i++) {
    // Bits that got their new state.
    let mask = i < done ? 255 : 0;
    if (how === "scattered") mask = random() & (random() & 1 ? 255 : 0);
    else if (i === done && length > done && how !== 0) mask = random() & 255;
    if (data) bytes[offset + i]! &= data[i]! | (255 ^ mask);
    else bytes[offset + i]! |= mask;
  }
}
