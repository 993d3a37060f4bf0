/** What goes where in a chip's flash. */
import type { Board } from "../build/board";
import { CHIPS, type ChipFacts } from "./chips";
import { deviceError } from "./faults";
import { checkLayout, type Firmware } from "./firmware";
import { AREA_FILE } from "../../firmware/ota/layout";
import { appPartition, TABLE_ADDRESS } from "./partition-table";
import { decodeStorage } from "./storage-image";

export interface FlashRegion {
  name: "bootloader" | "partition-table" | "app" | "storage";
  address: number;
  data: Buffer;
  /** [offset, length] of what a running board changes by itself: no reason to write, in ascending order. */
  own?: readonly (readonly [number, number])[];
}

/** Regions in which a running node keeps its own books. */
export const BOOKS = ["state", "stage"];

/** A flash chip erases 64 KB at once in little more than the time of three pages of 4 KB. */
const BLOCK = 0x10000;

/** The end of the erase block that ends at or behind an address. */
export function blockEnd(address: number): number {
  return Math.ceil(address / BLOCK) * BLOCK;
}

/** What of a board's description the plan needs. */
export type PlanBoard = Pick<Board, "name" | "hardware" | "storage" | "regions">;

/** The chip of a board. */
export function chipOf(board: PlanBoard): ChipFacts {
  const chip = CHIPS.find((one) => one.name === board.hardware);
  if (!chip) throw deviceError("UNSUPPORTED_CHIP", `the board ${board.name} has an unknown chip, ${board.hardware}`);
  return chip;
}

/**
 * Regions in the order in which they are written: the boot loader last, so that nothing boots before all is there.
 * Without firmware only Storage is planned, for chips that have Espruino already.
 * @throws EspalierError OLD_LAYOUT, IMAGE_TOO_LARGE
 */
export function planFlash(board: PlanBoard, firmware: Firmware | null, storage: Buffer): FlashRegion[] {
  if (storage.length > board.storage.bytes) {
    const message = `the Storage image has ${storage.length} bytes, ${board.name} has ${board.storage.bytes}`;
    throw deviceError("IMAGE_TOO_LARGE", message, { context: { bytes: storage.length, allowed: board.storage.bytes } });
  }
  const files: FlashRegion = {
    name: "storage",
    address: board.storage.address,
    data: storage,
    own: ownParts(board, storage),
  };
  if (!firmware) return [files];
  checkLayout("the firmware", firmware.partitions, board.storage);
  const home = appPartition(firmware.partitions)!;
  return [
    files,
    { name: "app", address: home.offset, data: filledUp(firmware.app, home) },
    { name: "partition-table", address: TABLE_ADDRESS, data: firmware.table },
    { name: "bootloader", address: chipOf(board).bootloader, data: firmware.bootloader },
  ];
}

/** The application with 0xFF up to the end of its last erase block, as far as its partition goes. */
function filledUp(app: Buffer, home: { offset: number; size: number }): Buffer {
  const bytes = Math.min(home.size, blockEnd(home.offset + app.length) - home.offset);
  return Buffer.concat([app, Buffer.alloc(Math.max(0, bytes - app.length), 0xff)]);
}

/** The node's books (starts, updates on their way) and, behind the regions, the files of its application. */
function ownParts(board: PlanBoard, storage: Buffer): [number, number][] {
  const area = decodeStorage(storage, board.storage.page).files.find((file) => file.name === AREA_FILE);
  if (!area) return [];
  const books = BOOKS.flatMap((name): [number, number][] => {
    const region = board.regions[name];
    return region ? [[area.offset + region[0] * board.storage.page, region[1] * board.storage.page]] : [];
  });
  const end = area.offset + area.data.length;
  return [...books.sort((a, b) => a[0] - b[0]), [end, storage.length - end]];
}
