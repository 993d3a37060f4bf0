/** Whether a chip would boot from its flash: what the ROM, the boot loader and the application check before they run. */
import type { NorFlash } from "../../simulator/chip/flash";
import { CHIPS, type ChipName } from "../chips";
import { inspectImage } from "../esp-image";
import {
  appPartition,
  parsePartitionTable,
  type Partition,
  storagePartition,
  TABLE_ADDRESS,
  TABLE_BYTES,
} from "../partition-table";

/** Where Espruino's files are, or what stops the boot. */
export function startUp(flash: NorFlash, chip: ChipName): { storage: Partition } | string {
  const facts = CHIPS.find((one) => one.name === chip)!;
  const loader = inspectImage(flash.read(facts.bootloader, TABLE_ADDRESS - facts.bootloader));
  if (typeof loader === "string")
    return `invalid header: 0x${flash.read(facts.bootloader, 4).toString("hex")} (${loader})`;
  if (loader.chipId !== facts.imageId) return "boot loader is for another chip";
  const table = parsePartitionTable(flash.read(TABLE_ADDRESS, TABLE_BYTES));
  if (!table) return "E (boot) flash_parts: partition table invalid";
  const app = appPartition(table);
  if (!app || app.offset + app.size > flash.bytes.length)
    return "E (boot) no bootable app partitions in the partition table";
  const image = inspectImage(flash.read(app.offset, app.size));
  if (typeof image === "string")
    return `E (boot) esp_image: image at 0x${app.offset.toString(16)} is invalid (${image})`;
  if (image.chipId !== facts.imageId) return "E (boot) app is for another chip";
  const storage = storagePartition(table);
  return storage ? { storage } : "no partition for Storage";
}
