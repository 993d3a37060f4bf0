/** Brings chips to a planned content: writes what differs, checks it on the chip, and says what was done. */
import { createHash } from "node:crypto";
import type { EspalierError } from "../errors";
import { asEspalierError } from "../errors";
import { type After, type Before, type ChipLink, connectChip, mayBeNoise, ROM_BAUD } from "./chip-link";
import type { ChipName } from "./chips";
import { deviceError, workFault } from "./faults";
import { checkLayout } from "./firmware";
import { blockEnd, type FlashRegion } from "./flash-plan";
import { parsePartitionTable, TABLE_ADDRESS, TABLE_BYTES } from "./partition-table";
import type { DevicePort } from "./port";

const PAGE = 4096;
/** An interrupted write is taken up at such pieces. */
const PIECE = 128 * 1024;

export interface FlashOptions {
  baudRate: number;
  before: Before;
  after: After;
  stub: boolean;
  /** Compare with the chip's own MD5 after writing. */
  verify: boolean;
  eraseAll: boolean;
  /** Connect, compare and report, but change nothing. */
  dryRun: boolean;
  /** Refuse any other. */
  chip?: ChipName;
  signal?: AbortSignal;
}

export const FLASH_DEFAULTS: FlashOptions = {
  baudRate: 921600,
  before: "default-reset",
  after: "hard-reset",
  stub: true,
  verify: true,
  eraseAll: false,
  dryRun: false,
};

/** What stands on the chip that was found, to choose what to write by. */
export interface FoundChip {
  path: string;
  chip: ChipName;
  mac: string;
  flashBytes: number;
}

export interface FlashJob {
  port: DevicePort;
  /** What the chip shall hold, in the order of writing. Errors end the job before anything is written. */
  plan(found: FoundChip): FlashRegion[] | Promise<FlashRegion[]>;
  progress?: (event: FlashProgress) => void;
}

export interface FlashProgress {
  step: "connecting" | "comparing" | "erasing" | "writing" | "verifying" | "done";
  region: FlashRegion["name"] | "";
  /** Bytes of content that are right on the chip, and that shall be. */
  done: number;
  total: number;
}

export interface RegionReport {
  name: FlashRegion["name"];
  address: number;
  bytes: number;
  action: "skipped" | "written" | "would-write";
  /** Bytes of content taken over from an interrupted run. */
  kept: number;
  /** Compressed bytes sent. */
  sent: number;
}

export interface FlashReport extends FoundChip {
  baudRate: number;
  erasedAll: boolean;
  verified: boolean;
  regions: RegionReport[];
}

/** Flashes one board. The port is closed afterwards, whatever happened. @throws EspalierError of DeviceErrorCode */
export async function flashBoard(job: FlashJob, options: FlashOptions): Promise<FlashReport> {
  try {
    return await attempt(job, options);
  } catch (error) {
    if (options.baudRate === ROM_BAUD || !mayBeNoise(error) || options.signal?.aborted) throw error;
    return attempt(job, { ...options, baudRate: ROM_BAUD });
  }
}

/** Flashes boards side by side; one that fails does not stop the others. */
export async function flashBoards(
  jobs: readonly FlashJob[],
  options: FlashOptions,
): Promise<({ report: FlashReport } | { path: string; error: EspalierError })[]> {
  return Promise.all(
    jobs.map((job) =>
      flashBoard(job, options).then(
        (report) => ({ report }),
        (error: unknown) => ({ path: job.port.path, error: asEspalierError(error) }),
      ),
    ),
  );
}

/** Which chip is on a port. */
export async function readMac(port: DevicePort, options: FlashOptions): Promise<FoundChip> {
  const link = await connectChip(port, { ...options, stub: false, baudRate: ROM_BAUD });
  const found = foundChip(link);
  await link.leave(options.after);
  return found;
}

/** Erases the whole flash. */
export async function eraseChip(port: DevicePort, options: FlashOptions): Promise<FoundChip> {
  const link = await connectChip(port, { ...options, baudRate: ROM_BAUD });
  return guarded(link, "erasing", options.after, async () => {
    checkChip(link, options);
    if (!options.dryRun) await link.eraseAll();
    return foundChip(link);
  });
}

function foundChip(link: ChipLink): FoundChip {
  return { path: link.path, chip: link.chip.name, mac: link.mac, flashBytes: link.flashBytes };
}

function checkChip(link: ChipLink, options: FlashOptions): void {
  if (!options.chip || link.chip.name === options.chip) return;
  const message = `${link.path} has an ${link.chip.name}, not an ${options.chip}`;
  throw deviceError("WRONG_CHIP", message, {
    context: { port: link.path, found: link.chip.name, wanted: options.chip },
  });
}

async function checkOnChip(link: ChipLink, storage: { address: number; bytes: number }): Promise<void> {
  const partitions = parsePartitionTable(await link.read(TABLE_ADDRESS, TABLE_BYTES));
  checkLayout(`the chip on ${link.path}`, partitions ?? [], storage);
}

/** Runs work on a chip and lets go of it, also when the work fails: then without a reset, which could fail too. */
async function guarded<T>(link: ChipLink, what: string, after: After, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    // esptool-js would wait for an answer for minutes, and try again.
    result = await Promise.race([work(), link.whenLost]);
  } catch (error) {
    await link.leave("no-reset").catch(() => {});
    throw workFault(link.path, error, "WRITE_FAILED", what);
  }
  await link.leave(after).catch((error: unknown) => {
    throw workFault(link.path, error, "WRITE_FAILED", "resetting");
  });
  return result;
}

async function attempt(job: FlashJob, options: FlashOptions): Promise<FlashReport> {
  const tell = (step: FlashProgress["step"], region: FlashProgress["region"], done: number, total: number): void =>
    job.progress?.({ step, region, done, total });
  tell("connecting", "", 0, 0);
  const link = await connectChip(job.port, options);
  return guarded(link, "writing", options.after, async () => {
    checkChip(link, options);
    const found = foundChip(link);
    const plan = await planned(job, found);
    checkPlan(link, plan);
    if (!plan.some((region) => region.name === "bootloader")) {
      const files = plan.find((region) => region.name === "storage")!;
      await checkOnChip(link, { address: files.address, bytes: files.data.length });
    }
    const regions = await carryOut(link, plan, options, tell);
    const total = plan.reduce((sum, region) => sum + region.data.length, 0);
    tell("done", "", total, total);
    return {
      ...found,
      baudRate: link.baudRate,
      erasedAll: options.eraseAll && !options.dryRun,
      verified: options.verify,
      regions,
    };
  });
}

/** What fails in making the plan has nothing to do with the line. */
async function planned(job: FlashJob, found: FoundChip): Promise<FlashRegion[]> {
  try {
    return await job.plan(found);
  } catch (error) {
    throw asEspalierError(error);
  }
}

function checkPlan(link: ChipLink, plan: readonly FlashRegion[]): void {
  for (const { name, address, data } of plan) {
    if (address + data.length <= link.flashBytes) continue;
    const message = `${link.path} has ${link.flashBytes / 1024 / 1024} MB of flash, ${name} would end at 0x${(address + data.length).toString(16)}`;
    throw deviceError("FLASH_TOO_SMALL", message, { context: { port: link.path, flashBytes: link.flashBytes } });
  }
}

type Tell = (step: FlashProgress["step"], region: FlashProgress["region"], done: number, total: number) => void;

async function carryOut(
  link: ChipLink,
  plan: readonly FlashRegion[],
  options: FlashOptions,
  tell: Tell,
): Promise<RegionReport[]> {
  const total = plan.reduce((sum, region) => sum + region.data.length, 0);
  const reports: RegionReport[] = [];
  const writes = !options.dryRun;
  let done = 0;
  if (options.eraseAll && writes) {
    tell("erasing", "", 0, total);
    await link.eraseAll();
  }
  const same: boolean[] = [];
  for (const region of plan) {
    tell("comparing", region.name, done, total);
    same.push(!options.eraseAll && (await holdsAlready(link, region)));
    options.signal?.throwIfAborted();
  }
  const bootloader = plan.findIndex((region) => region.name === "bootloader");
  if (same.includes(false) && bootloader >= 0 && writes && !options.eraseAll) {
    // Whatever is interrupted from here on, the chip does not boot into the half of it.
    await link.erase(plan[bootloader]!.address, PAGE);
    same[bootloader] = false;
  }
  for (const [index, region] of plan.entries()) {
    const { name, address, data } = region;
    const report: RegionReport = { name, address, bytes: data.length, action: "skipped", kept: data.length, sent: 0 };
    reports.push(report);
    if (!same[index]) {
      report.action = writes ? "written" : "would-write";
      report.kept = options.eraseAll ? 0 : await samePrefix(link, region);
      if (writes) {
        const base = done;
        await writeRegion(link, region, report, options, (step, part) => tell(step, name, base + part, total));
      }
    }
    done += data.length;
    tell("writing", name, done, total);
  }
  return reports;
}

async function matches(link: ChipLink, address: number, data: Uint8Array): Promise<boolean> {
  return (await link.md5(address, data.length)) === createHash("md5").update(data).digest("hex");
}

/** As `matches`, but for what the board changes itself; a look at the first page spares hashing what is all different. */
async function holdsAlready(link: ChipLink, { address, data, own = [] }: FlashRegion): Promise<boolean> {
  if (!(await matches(link, address, data.subarray(0, PAGE)))) return false;
  let from = 0;
  for (const [offset, length] of [...own, [data.length, 0] as const]) {
    if (offset > from && !(await matches(link, address + from, data.subarray(from, offset)))) return false;
    from = offset + length;
  }
  return true;
}

/** Bytes at the start of a region that an interrupted run has written already, in whole pieces. */
async function samePrefix(link: ChipLink, { address, data }: FlashRegion): Promise<number> {
  let kept = 0;
  if (!(await matches(link, address, data.subarray(0, PAGE)))) return kept;
  while (kept + PIECE < data.length && (await matches(link, address + kept, data.subarray(kept, kept + PIECE))))
    kept += PIECE;
  return kept;
}

/** Erases and writes what differs, and compares afterwards. @throws EspalierError VERIFY_FAILED */
async function writeRegion(
  link: ChipLink,
  region: FlashRegion,
  report: RegionReport,
  options: FlashOptions,
  progress: (step: "writing" | "verifying", bytes: number) => void,
): Promise<void> {
  const { name, address, data } = region;
  const tail = Math.max(report.kept, filledBlocks(region));
  const rest = Math.ceil((data.length - tail) / PAGE) * PAGE;
  // Erased pages need no data on the wire, and on a new chip nothing at all.
  const blank = rest > 0 && (options.eraseAll || (await matches(link, address + tail, Buffer.alloc(rest, 0xff))));
  if (rest > 0 && !blank) await link.erase(address + tail, rest);
  const content = data.subarray(report.kept, tail);
  if (content.length > 0) {
    report.sent = await link.write(address + report.kept, content, (sent, all) => {
      options.signal?.throwIfAborted();
      progress("writing", report.kept + Math.floor((content.length * sent) / all));
    });
  }
  if (!options.verify) return;
  progress("verifying", data.length);
  const wanted = blank ? data.subarray(0, tail) : data;
  if (wanted.length === 0 || (await matches(link, address, wanted))) return;
  throw deviceError("VERIFY_FAILED", `${link.path}: ${name} differs from what was written`, {
    context: { port: link.path, region: name },
  });
}

/** Bytes of a region up to the end of the last erase block that holds anything but 0xFF. */
function filledBlocks({ address, data }: FlashRegion): number {
  let end = data.length;
  while (end > 0 && data[end - 1] === 0xff) end--;
  return end === 0 ? 0 : Math.min(data.length, blockEnd(address + end) - address);
}
