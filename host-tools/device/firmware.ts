/** Espruino's firmware as released: a .tgz or a folder with three images, or one merged image. */
import * as fs from "node:fs";
import * as path from "node:path";
import { gunzipSync } from "node:zlib";
import { chipNameOf, type ChipFacts } from "./chips";
import { inspectImage } from "./esp-image";
import { deviceError } from "./faults";
import {
  appPartition,
  parsePartitionTable,
  type Partition,
  storagePartition,
  TABLE_ADDRESS,
  TABLE_BYTES,
} from "./partition-table";

export interface Firmware {
  bootloader: Buffer;
  table: Buffer;
  partitions: readonly Partition[];
  app: Buffer;
}

/** Reads firmware for a chip from a file or folder. @throws EspalierError NOT_AN_IMAGE, IMAGE_WRONG_CHIP, OLD_LAYOUT... */
export function readFirmware(source: string, chip: ChipFacts): Firmware {
  let files: Map<string, Buffer>;
  try {
    files = fs.statSync(source).isDirectory() ? readFolder(source) : unpack(source, fs.readFileSync(source));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw deviceError("NOT_AN_IMAGE", `cannot read the firmware ${source}: ${reason}`, { cause: error });
  }
  return parseFirmware(source, files, chip);
}

/** @param files by name; one file alone is taken for a merged image. `source` serves messages. */
export function parseFirmware(source: string, files: ReadonlyMap<string, Buffer>, chip: ChipFacts): Firmware {
  const parts = files.size === 1 ? splitMerged(source, [...files.values()][0]!, chip) : pick(source, files);
  const partitions = parsePartitionTable(parts.table);
  if (!partitions) throw deviceError("NOT_AN_IMAGE", `${source} holds no valid partition table`);
  for (const [what, bytes] of [["boot loader", parts.bootloader] as const, ["application", parts.app] as const]) {
    const facts = inspectImage(bytes);
    if (typeof facts === "string")
      throw deviceError("NOT_AN_IMAGE", `the ${what} in ${source} is no ESP image (${facts})`, {
        context: { fault: facts },
      });
    if (facts.chipId !== chip.imageId) {
      const message = `the ${what} in ${source} is for an ${chipNameOf(facts.chipId)}, the chip is an ${chip.name}`;
      throw deviceError("IMAGE_WRONG_CHIP", message, { context: { image: chipNameOf(facts.chipId), chip: chip.name } });
    }
  }
  const app = appPartition(partitions);
  const room = TABLE_ADDRESS - chip.bootloader;
  if (!app || parts.app.length > app.size || parts.bootloader.length > room) {
    const message = `${source} does not fit: the application has ${parts.app.length} bytes, its partition ${app?.size ?? 0}`;
    throw deviceError("IMAGE_TOO_LARGE", message, { context: { bytes: parts.app.length, allowed: app?.size ?? 0 } });
  }
  return { ...parts, partitions };
}

/** @throws EspalierError OLD_LAYOUT when Espruino's files are not where the board's description has them. */
export function checkLayout(
  what: string,
  partitions: readonly Partition[],
  storage: { address: number; bytes: number },
): Partition {
  const found = storagePartition(partitions);
  if (found && found.offset === storage.address && found.size >= storage.bytes) return found;
  const where = found ? `at 0x${found.offset.toString(16)}, ${found.size} bytes, named "${found.name}"` : "nowhere";
  throw deviceError("OLD_LAYOUT", `${what} has an older layout: its Storage is ${where}`, {
    context: { expected: storage, found: found ?? null },
  });
}

function readFolder(folder: string): Map<string, Buffer> {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".bin"));
  return new Map(names.map((name) => [name, fs.readFileSync(path.join(folder, name))]));
}

function unpack(file: string, bytes: Buffer): Map<string, Buffer> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return new Map([[path.basename(file), bytes]]);
  return untar(gunzipSync(bytes, { maxOutputLength: 64 * 1024 * 1024 }));
}

/** Plain files of a tar archive (POSIX ustar) that end in .bin, by base name. */
function untar(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= archive.length;) {
    const header = archive.subarray(at, at + 512);
    const text = (from: number, length: number): string =>
      header.toString("latin1", from, from + length).replace(/\0[^]*$/, "");
    const name = text(0, 100);
    const size = parseInt(text(124, 12), 8) || 0;
    if (name === "" || at + 512 + size > archive.length) break;
    const plain = header[156] === 0x30 || header[156] === 0;
    if (plain && name.endsWith(".bin"))
      files.set(path.posix.basename(name), archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

function pick(source: string, files: ReadonlyMap<string, Buffer>): Omit<Firmware, "partitions"> {
  const find = (what: string, pattern: RegExp): Buffer => {
    const names = [...files.keys()].filter((name) => pattern.test(name));
    if (names.length === 1) return files.get(names[0]!)!;
    const found = names.length ? `several: ${names.join(", ")}` : "none";
    throw deviceError("NOT_AN_IMAGE", `${source} must hold one ${what}, it holds ${found}`);
  };
  return {
    bootloader: find("boot loader (bootloader*.bin)", /^bootloader.*\.bin$/i),
    table: find("partition table (partition*.bin)", /^partition.*\.bin$/i),
    app: find("application (espruino*.bin)", /^espruino(?!.*(full|merged)).*\.bin$/i),
  };
}

/** A merged image starts at flash address 0 or, on the ESP32, at the boot loader's. */
function splitMerged(source: string, merged: Buffer, chip: ChipFacts): Omit<Firmware, "partitions"> {
  for (const start of [0, chip.bootloader]) {
    const at = TABLE_ADDRESS - start;
    if (merged.length < at + TABLE_BYTES) continue;
    const partitions = parsePartitionTable(merged.subarray(at, at + TABLE_BYTES));
    const app = partitions && appPartition(partitions);
    if (!app) continue;
    const content = (from: number, to: number): Buffer => {
      const part = merged.subarray(from - start, to - start);
      const facts = inspectImage(part);
      return typeof facts === "string" ? part : part.subarray(0, facts.length);
    };
    return {
      bootloader: content(chip.bootloader, TABLE_ADDRESS),
      table: merged.subarray(at, at + TABLE_BYTES),
      app: content(app.offset, app.offset + app.size),
    };
  }
  throw deviceError("NOT_AN_IMAGE", `${source} is no firmware image: it has no partition table at 0x8000`);
}
