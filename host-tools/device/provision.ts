/** The Storage image of a new node: loader, settings, and the regions with a first, confirmed bundle in slot 0. */
import type { Settings } from "../../firmware/node";
import { AREA_FILE, MARK, SLOT_CONFIRMED } from "../../firmware/ota/layout";
import type { Board } from "../build/board";
import { fillSlot, type Image } from "../build/image";
import { memoryRegion } from "./memory-region";
import { layOutStorage } from "./storage-image";

export interface ProvisionOptions {
  board: Board;
  /** Text of `.boot0`. */
  loader: string;
  settings: Settings;
  /** The first bundle and the image made of it. */
  code: string;
  image: Image;
  /** What a dashboard serves: see firmware/status/dashboard.ts. */
  page?: Buffer;
  /** What runs when both slots are bad, and its image; without it such a node waits for its cable. */
  recovery?: { code: string; image: Image };
}

/** Bytes of the whole Storage area, 0xFF where nothing is. */
export function provision(options: ProvisionOptions): Buffer {
  const { board } = options;
  const pages = Object.values(board.regions).reduce((most, [first, count]) => Math.max(most, first + count), 0);
  const area = memoryRegion(pages);
  const fill = (name: string, code: string, image: Image, sequence: number): void => {
    const [first, count] = board.regions[name]!;
    const slot = memoryRegion(count);
    fillSlot(slot, image, code, sequence);
    // A new node's first image has nothing to go back to.
    slot.write(SLOT_CONFIRMED, MARK);
    slot.data.copy(area.data, first * 4096);
  };
  fill("slot0", options.code, options.image, 1);
  if (options.recovery) fill("recovery", options.recovery.code, options.recovery.image, 0);
  return layOutStorage({
    areaBytes: board.storage.bytes,
    pageBytes: board.storage.page,
    files: [
      { name: ".boot0", data: options.loader },
      { name: "cfg", data: JSON.stringify(options.settings) },
      ...(options.page ? [{ name: "page", data: options.page }] : []),
    ],
    area: { name: AREA_FILE, pages, data: area.data },
  });
}
