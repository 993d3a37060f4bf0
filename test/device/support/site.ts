/** Small firmware and Storage images for virtual boards. */
import { planFlash, type FlashRegion, type PlanBoard } from "../../../host-tools/device/flash-plan";
import { CHIPS, type ChipName } from "../../../host-tools/device/chips";
import { buildImage } from "../../../host-tools/device/esp-image";
import { type Firmware, parseFirmware } from "../../../host-tools/device/firmware";
import { encodePartitionTable, type Partition } from "../../../host-tools/device/partition-table";
import { layOutStorage } from "../../../host-tools/device/storage-image";

export const STORAGE = { address: 0x320000, bytes: 0x20000, page: 4096, partition: "storage" };

export const TABLE: Partition[] = [
  { name: "nvs", type: 1, subtype: 2, offset: 0x9000, size: 0x3000 },
  { name: "factory", type: 0, subtype: 0, offset: 0x10000, size: 0x100000 },
  { name: "storage", type: 1, subtype: 0x41, offset: STORAGE.address, size: STORAGE.bytes },
];

/** Bytes that do not compress, the same for the same seed. */
export function randomBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 0xff;
  }
  return bytes;
}

export function firmwareFiles(chip: ChipName, appBytes = 20000, seed = 1): Map<string, Buffer> {
  const { imageId } = CHIPS.find((one) => one.name === chip)!;
  return new Map([
    ["bootloader.bin", buildImage(imageId, randomBytes(3000, seed + 1))],
    ["partitions.bin", encodePartitionTable(TABLE)],
    ["espruino.bin", buildImage(imageId, randomBytes(appBytes, seed))],
  ]);
}

export function firmware(chip: ChipName, appBytes?: number, seed?: number): Firmware {
  return parseFirmware(
    "firmware",
    firmwareFiles(chip, appBytes, seed),
    CHIPS.find((one) => one.name === chip)!,
  );
}

export function board(chip: ChipName): PlanBoard {
  return {
    name: `test-${chip.toLowerCase()}`,
    hardware: chip,
    storage: STORAGE,
    regions: { state: [0, 1], slot0: [1, 2] },
  };
}

/** A Storage image as a node has it: loader, settings, one page-aligned file. */
export function storageImage(text = "first", pages = 3, loader = 'print("boot0 runs");'): Buffer {
  return layOutStorage({
    areaBytes: STORAGE.bytes,
    pageBytes: STORAGE.page,
    files: [
      { name: ".boot0", data: loader },
      { name: "cfg", data: JSON.stringify({ role: "node", text }) },
    ],
    area: { name: "espalier", pages, data: Buffer.concat([Buffer.alloc(4096, 0xff), randomBytes(5000, text.length)]) },
  });
}

export function plan(chip: ChipName, appBytes?: number, text?: string): FlashRegion[] {
  return planFlash(board(chip), firmware(chip, appBytes), storageImage(text));
}
