/**
 * Files in the place of an Espruino release, for virtual boards: a boot loader, a partition table and an application that
 * a chip's checks accept. No code is in them; what then runs is the simulator's interpreter.
 */
import type { Board } from "../../build/board";
import { CHIPS } from "../chips";
import { buildImage } from "../esp-image";
import { encodePartitionTable } from "../partition-table";

/** ESP-IDF's types and subtypes of the partitions that Espruino has. */
const KINDS: Record<string, [type: number, subtype: number]> = {
  nvs: [1, 0x02],
  otadata: [1, 0x00],
  phy_init: [1, 0x01],
  factory: [0, 0x00],
  ota_0: [0, 0x10],
  ota_1: [0, 0x11],
  storage: [1, 0x41],
};

/** Bytes that compress about as well as machine code does, the same for the same seed. */
function codeLike(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    // Half of the bytes repeat what stood a little earlier.
    bytes[i] = i > 64 && state & 0x100 ? bytes[i - 64]! : state & 0xff;
  }
  return bytes;
}

/** File name to content, named as in a release. */
export function standInFirmware(board: Board, appBytes = 300_000): Map<string, Buffer> {
  const { imageId } = CHIPS.find(({ name }) => name === board.hardware)!;
  const partitions = board.flash.partitions.map(({ name, address, bytes }) => {
    const [type, subtype] = KINDS[name === board.storage.partition ? "storage" : name] ?? [1, 0x40];
    return { name, type, subtype, offset: Number(address), size: bytes };
  });
  return new Map([
    ["bootloader.bin", buildImage(imageId, codeLike(20_000, 1))],
    ["partitions.bin", encodePartitionTable(partitions)],
    ["espruino_stand_in.bin", buildImage(imageId, codeLike(appBytes, 2))],
  ]);
}
