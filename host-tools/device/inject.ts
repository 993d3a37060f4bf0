/**
 * Makes a node of a board that runs Espruino already, over its console: Storage gets settings, the page-aligned regions
 * with the bundle, and the loader as the last file, so that nothing half-written starts. The regions are written page by
 * page straight into flash; a run that was cut is taken up at the page where it stopped.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { MARK, SLOT_BAD } from "../../firmware/ota/layout";
import { type BoardConsole, attachConsole, type AttachOptions, isConnectionFault } from "./console";
import { deviceError } from "./faults";
import { BOOKS } from "./flash-plan";
import {
  type BoardRecord,
  fileHashExpression,
  flashWriteExpression,
  pageSumsExpression,
  recordsExpression,
  treeHashExpression,
} from "./inject-expressions";
import type { DevicePort } from "./port";
import { decodeStorage, layOutStorage } from "./storage-image";

export interface InjectOptions extends AttachOptions {
  /** The node's Storage, as `provision` lays it out: loader, settings, filler, regions. */
  image: Buffer;
  /** Address of the Storage area; Espruino's own answer is taken on Linux. Bytes of a page. */
  storage: { address: number; page: number };
  /** First page and number of pages of each region, as in a board's file. */
  regions: Readonly<Record<string, readonly [number, number]>>;
  /** Removes files of others, which otherwise stop the injection. */
  erase?: boolean;
  /** Restart into the node at the end; true unless given. */
  restart?: boolean;
  progress?: (event: InjectProgress) => void;
}

export interface InjectProgress {
  step: "connecting" | "stopping" | "erasing" | "settings" | "regions" | "verifying" | "loader" | "restarting" | "done";
  /** Bytes that are right on the board, and that shall be. */
  done: number;
  total: number;
}

export interface InjectReport {
  path: string;
  version: string;
  board: string;
  packets: boolean;
  /** Storage was erased and laid out anew. */
  laidOut: boolean;
  pagesWritten: number;
  pagesKept: number;
  loaderWritten: boolean;
  /** SHA-256 over the SHA-256 of the pages that a node does not write itself, computed by the board. */
  hash: string;
  restarted: boolean;
}

interface Wanted {
  loader: Buffer;
  settings: Buffer;
  fillerBytes: number;
  area: Buffer;
  areaName: string;
  areaOffset: number;
  bytes: number;
}

const LOADER = ".boot0";
const SETTINGS = "cfg";
const FILLER = "pad";
const SUMS_AT_ONCE = 8;
/** Bytes in one write: a line of it fits into the input buffer. */
const PIECE = 768;
const ERASE_ALL_MS = 60_000;
const HASH_MS = 20_000;
const RESTART_MS = 20_000;

/**
 * @param open a closed port for the board; called again after a restart, since native USB vanishes with it
 * @throws EspalierError of DeviceErrorCode
 */
export async function inject(open: () => DevicePort, options: InjectOptions): Promise<InjectReport> {
  const session = new Session(open, options, wantedFrom(options));
  try {
    return await session.run();
  } finally {
    await session.close();
  }
}

/** The loader comes last on a board that is written bit by bit, so the layout in front of the regions is another one. */
function wantedFrom({ image, storage }: InjectOptions): Wanted {
  const { files } = decodeStorage(image, storage.page);
  const find = (name: string): Buffer => {
    const file = files.find((one) => one.name === name);
    if (!file) throw deviceError("STORAGE_IMAGE", `the Storage image has no file ${name}`);
    return file.data;
  };
  const known = [LOADER, SETTINGS, FILLER];
  const area = files.find((file) => !known.includes(file.name) && file.offset % storage.page === 0);
  if (!area) throw deviceError("STORAGE_IMAGE", "the Storage image has no regions on a page boundary");
  const settings = find(SETTINGS);
  const laidOut = layOutStorage({
    areaBytes: image.length,
    pageBytes: storage.page,
    files: [{ name: SETTINGS, data: settings }],
    area: { name: area.name, pages: area.data.length / storage.page, data: area.data },
  });
  const records = decodeStorage(laidOut, storage.page).files;
  return {
    loader: find(LOADER),
    settings,
    fillerBytes: records.find((file) => file.name === FILLER)?.data.length ?? 0,
    area: area.data,
    areaName: area.name,
    areaOffset: records.find((file) => file.name === area.name)!.offset,
    bytes: image.length,
  };
}

const sha256 = (data: Uint8Array): Buffer => createHash("sha256").update(data).digest();

class Session {
  private board: BoardConsole | null = null;
  private address = 0;
  private laidOut = false;

  constructor(
    private readonly open: () => DevicePort,
    private readonly options: InjectOptions,
    private readonly wanted: Wanted,
  ) {}

  async run(): Promise<InjectReport> {
    const { wanted, options } = this;
    this.tell("connecting", 0);
    const board = await this.attach();
    this.address =
      board.facts.board === "LINUX"
        ? Number(await board.evaluate('require("Flash").getFree()[0].addr'))
        : options.storage.address;
    const records = await this.records();
    const fits = this.fits(records) && (await this.holdsSettings());
    if (!fits) await this.layOut(records);
    const pages = wanted.area.length / options.storage.page;
    const differing = await this.wrongPages(pages);
    // What a node writes into its own books is no reason to stop it.
    let wrong = differing.some((index) => !this.isBook(index)) ? differing : [];
    if (wrong.length && !this.laidOut && (await this.isStarted())) {
      await this.silence();
      // The marks that gave the slots up are in pages that may have been right.
      wrong = await this.wrongPages(pages);
    }
    await this.writePages(wrong, pages);
    this.tell("verifying", wanted.area.length);
    const hash = await this.verify();
    const loaderWritten = await this.writeLoader();
    const { facts, packets, path } = this.console;
    const restarted = options.restart !== false;
    if (restarted) {
      this.tell("restarting", wanted.area.length);
      await this.console.fire("E.reboot()");
    }
    this.tell("done", wanted.area.length);
    return {
      path,
      version: facts.version,
      board: facts.board,
      packets,
      laidOut: this.laidOut,
      pagesWritten: wrong.length,
      pagesKept: pages - wrong.length,
      loaderWritten,
      hash,
      restarted,
    };
  }

  async close(): Promise<void> {
    await this.board?.close().catch(() => {});
  }

  private get console(): BoardConsole {
    return this.board!;
  }

  private tell(step: InjectProgress["step"], done: number): void {
    this.options.progress?.({ step, done, total: this.wanted.area.length });
  }

  private async attach(): Promise<BoardConsole> {
    this.board = await attachConsole(this.open(), this.options);
    return this.board;
  }

  private async records(): Promise<BoardRecord[]> {
    const { bytes } = this.wanted;
    return (await this.console.evaluate(recordsExpression(this.address, bytes), HASH_MS)) as BoardRecord[];
  }

  /** Settings, filler and regions lie where they shall; what comes behind them is the loader or the user's. */
  private fits(records: readonly BoardRecord[]): boolean {
    const { wanted } = this;
    const live = records.map(([name, size, , offset]) => ({ name: unbase64(name), size, offset }));
    const area = live.find((record) => record.name === wanted.areaName);
    if (area?.size !== wanted.area.length || area.offset % this.options.storage.page !== 0) return false;
    const before = live.filter((record) => record.offset < area.offset).map((record) => record.name);
    return before.every((name) => [LOADER, SETTINGS, FILLER].includes(name)) && before.includes(SETTINGS);
  }

  private async holdsSettings(): Promise<boolean> {
    const hash = await this.console.evaluate(fileHashExpression(SETTINGS));
    return hash === sha256(this.wanted.settings).toString("hex");
  }

  /** Erases Storage and creates the files in front of the loader. */
  private async layOut(records: readonly BoardRecord[]): Promise<void> {
    const { wanted, options } = this;
    const own = ["", LOADER, SETTINGS, FILLER, wanted.areaName];
    const others = records.map(([name]) => unbase64(name)).filter((name) => !own.includes(name));
    if (others.length && !options.erase)
      throw deviceError("STORAGE_NOT_EMPTY", `the board holds other files: ${others.slice(0, 8).join(", ")}`, {
        context: { files: others },
      });
    this.tell("erasing", 0);
    await this.console.evaluate('require("Storage").eraseAll()', ERASE_ALL_MS);
    if (records.length) await this.restart();
    this.tell("settings", 0);
    await this.console.writeFile(SETTINGS, wanted.settings);
    const create = (name: string, size: number): Promise<unknown> =>
      this.console.evaluate(`require("Storage").write(${JSON.stringify(name)},"\\xff",0,${size})`);
    if (wanted.fillerBytes) await create(FILLER, wanted.fillerBytes);
    await create(wanted.areaName, wanted.area.length);
    this.laidOut = true;
    if (!this.fits(await this.records()))
      throw deviceError("OLD_LAYOUT", `${this.console.path}: Storage is not at 0x${this.address.toString(16)}`, {
        context: { address: this.address },
      });
  }

  private async areaAddress(): Promise<number> {
    const record = (await this.records()).find(([name]) => unbase64(name) === this.wanted.areaName);
    if (!record) throw deviceError("BOARD_REFUSED", `${this.console.path}: the regions vanished`);
    return this.address + record[3];
  }

  private async wrongPages(pages: number): Promise<number[]> {
    const { wanted } = this;
    const { page } = this.options.storage;
    const wrong: number[] = [];
    for (let first = 0; first < pages; first += SUMS_AT_ONCE) {
      const count = Math.min(SUMS_AT_ONCE, pages - first);
      const sums = (await this.console.evaluate(pageSumsExpression(wanted.areaName, first, count, page))) as number[];
      for (let i = 0; i < count; i++) {
        const at = (first + i) * page;
        if (Number(sums[i]) >>> 0 !== crc32(wanted.area.subarray(at, at + page))) wrong.push(first + i);
      }
    }
    return wrong;
  }

  private async isStarted(): Promise<boolean> {
    return (await this.console.evaluate('typeof espalierBoot==="object"')) === true;
  }

  /** A running node would be pulled from under itself: its slots are given up, and the loader starts none. */
  private async silence(): Promise<void> {
    this.tell("stopping", 0);
    const base = await this.areaAddress();
    const { page } = this.options.storage;
    for (const name of ["slot0", "slot1", "recovery"]) {
      const region = this.options.regions[name];
      if (!region) continue;
      await this.console.evaluate(
        flashWriteExpression(base + region[0] * page + SLOT_BAD, Buffer.from(MARK, "latin1")),
      );
    }
    await this.restart();
    if (await this.isStarted())
      throw deviceError("BOARD_REFUSED", `${this.console.path}: the running node cannot be stopped`);
  }

  private async restart(): Promise<void> {
    await this.console.fire("E.reboot()");
    await this.console.close();
    this.board = null;
    const steps = Math.ceil(RESTART_MS / 1000);
    for (let i = 0; ; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      this.options.signal?.throwIfAborted();
      try {
        await this.attach();
        return;
      } catch (error) {
        if (i >= steps || !isConnectionFault(error)) throw error;
      }
    }
  }

  /** The header of a slot makes its code valid, so it goes last. */
  private async writePages(wrong: readonly number[], pages: number): Promise<void> {
    const heads = ["slot0", "slot1", "recovery"].map((name) => this.options.regions[name]?.[0] ?? -1);
    const order = [...wrong.filter((page) => !heads.includes(page)), ...wrong.filter((page) => heads.includes(page))];
    if (!order.length) return;
    const base = await this.areaAddress();
    const { page } = this.options.storage;
    let good = pages - wrong.length;
    for (const index of order) {
      this.tell("regions", good * page);
      const content = this.wanted.area.subarray(index * page, (index + 1) * page);
      await this.writePage(base + index * page, content);
      good++;
    }
  }

  /** From the end, since a slot's marks are the first bytes of its header. */
  private async writePage(address: number, content: Buffer): Promise<void> {
    const { evaluate } = this.console;
    await evaluate(`require("Flash").erasePage(${address})`);
    for (let at = content.length - (content.length % PIECE || PIECE); at >= 0; at -= PIECE) {
      const piece = trimmed(content.subarray(at, at + PIECE));
      if (piece.length) await evaluate(flashWriteExpression(address + at, piece));
    }
  }

  /** A page in which a running node counts its starts or keeps an update. */
  private isBook(index: number): boolean {
    return BOOKS.some((name) => {
      const [first, count] = this.options.regions[name] ?? [0, 0];
      return index >= first && index < first + count;
    });
  }

  private async verify(): Promise<string> {
    const { wanted } = this;
    const { page } = this.options.storage;
    const ranges: [number, number][] = [];
    const leaves: Buffer[] = [];
    for (let index = 0; index * page < wanted.area.length; index++) {
      if (this.isBook(index)) continue;
      const last = ranges.at(-1);
      if (last && last[0] + last[1] === index) last[1]++;
      else ranges.push([index, 1]);
      leaves.push(sha256(wanted.area.subarray(index * page, (index + 1) * page)));
    }
    const expected = sha256(Buffer.concat(leaves)).toString("hex");
    const found = await this.console.evaluate(treeHashExpression(wanted.areaName, ranges, page), HASH_MS);
    if (found !== expected)
      throw deviceError("VERIFY_FAILED", `${this.console.path}: the regions differ from what was sent`, {
        context: { expected, found },
      });
    return expected;
  }

  /** Gathered in memory and stored in one call: a part of a loader never is a file. */
  private async writeLoader(): Promise<boolean> {
    const { loader } = this.wanted;
    const wanted = sha256(loader).toString("hex");
    if ((await this.console.evaluate(fileHashExpression(LOADER))) === wanted) return false;
    this.tell("loader", this.wanted.area.length);
    const { evaluate } = this.console;
    await evaluate(`require("Storage").erase("${LOADER}")`);
    await evaluate("(global.espalierPart=[],0)");
    for (let at = 0, index = 0; at < loader.length; at += PIECE, index++)
      await evaluate(`(espalierPart[${index}]=atob("${loader.subarray(at, at + PIECE).toString("base64")}"),0)`);
    await evaluate(`require("Storage").write("${LOADER}",espalierPart.join(""))`);
    await evaluate("delete global.espalierPart");
    if ((await evaluate(fileHashExpression(LOADER))) !== wanted)
      throw deviceError("VERIFY_FAILED", `${this.console.path}: the loader differs from what was sent`);
    return true;
  }
}

function trimmed(piece: Buffer): Buffer {
  let end = piece.length;
  while (end > 0 && piece[end - 1] === 0xff) end--;
  return piece.subarray(0, end);
}

function unbase64(text: string): string {
  return Buffer.from(text, "base64").toString("latin1");
}
