/** How much of a serial line's capacity flashing uses, on a virtual board and in virtual time. */
import { createHash } from "node:crypto";
import type { ChipName } from "../device/chips";
import { CHIPS } from "../device/chips";
import { buildImage } from "../device/esp-image";
import { parseFirmware } from "../device/firmware";
import { planFlash, type PlanBoard } from "../device/flash-plan";
import { flashBoard, FLASH_DEFAULTS } from "../device/flasher";
import { encodePartitionTable } from "../device/partition-table";
import { layOutStorage } from "../device/storage-image";
import { VirtualBoard } from "../device/virtual/board";

export interface LineUsage {
  baudRate: number;
  /** Bytes of content that were brought onto the chip, and of them in Storage's files. */
  contentBytes: number;
  /** Bytes that the host sent, after compression, framing included. */
  wireBytes: number;
  /** Virtual seconds from the first comparison to the last. */
  seconds: number;
  /** wireBytes of the capacity of these seconds, 0..1. */
  usage: number;
}

const STORAGE = { address: 0x320000, bytes: 0xe0000, page: 4096 };
const APP = { address: 0x10000, bytes: 0x180000 };

/** Half noise, half text: deflate leaves about 60 % of it, as of machine code. */
function codeLike(bytes: number): Buffer {
  const content = Buffer.alloc(bytes, "l32r a8, 0x400d1234; callx8 a8; retw.n; ");
  const noise = createHash("shake256", { outputLength: bytes }).update("code").digest();
  for (let at = 0; at < bytes; at += 64) noise.copy(content, at, at, Math.min(at + 36, bytes));
  return content;
}

/**
 * Flashes a 1.5 MB application and 896 KB of Storage onto an erased board.
 * @param storageFill share of Storage that holds files
 */
export async function measureFlashLine(
  chip: ChipName = "ESP32",
  baudRate = 921600,
  storageFill = 0.4,
): Promise<LineUsage> {
  const { imageId } = CHIPS.find((one) => one.name === chip)!;
  const pages = Math.floor((STORAGE.bytes * storageFill) / STORAGE.page);
  const storage = layOutStorage({
    areaBytes: STORAGE.bytes,
    pageBytes: STORAGE.page,
    files: [{ name: ".boot0", data: codeLike(3000) }],
    area: { name: "espalier", pages, data: codeLike(pages * STORAGE.page) },
  });
  const table = encodePartitionTable([
    { name: "factory", type: 0, subtype: 0, offset: APP.address, size: APP.bytes },
    { name: "storage", type: 1, subtype: 0x41, offset: STORAGE.address, size: STORAGE.bytes },
  ]);
  const files = new Map([
    ["bootloader.bin", buildImage(imageId, codeLike(20000))],
    ["partitions.bin", table],
    ["espruino.bin", buildImage(imageId, codeLike(APP.bytes - 8192))],
  ]);
  const firmware = parseFirmware(
    "bench",
    files,
    CHIPS.find((one) => one.name === chip)!,
  );
  const board: PlanBoard = {
    name: "bench",
    hardware: chip,
    storage: { ...STORAGE, partition: "storage" },
    regions: {},
  };
  const regions = planFlash(board, firmware, storage);
  const { line } = new VirtualBoard({ path: "bench", chip });
  let start: { seconds: number; bytes: number } | null = null;
  await flashBoard(
    {
      port: line.port(),
      plan: () => regions,
      progress({ step }) {
        if (step === "comparing") start ??= { seconds: line.meter.now(), bytes: line.toBoard };
      },
    },
    { ...FLASH_DEFAULTS, baudRate },
  );
  const begun = start ?? { seconds: 0, bytes: 0 };
  const seconds = line.meter.now() - begun.seconds;
  const wireBytes = line.toBoard - begun.bytes;
  return {
    baudRate,
    contentBytes: regions.reduce((sum, region) => sum + region.data.length, 0),
    wireBytes,
    seconds,
    usage: (wireBytes * 10) / baudRate / seconds,
  };
}
