/**
 * The partition table at 0x8000: entries of 32 bytes (0xAA50, type, subtype, u32 offset, u32 size, 16 bytes of name,
 * u32 flags), then 0xEBEB with the MD5 of the entries, 0xFF up to 3072 bytes.
 * https://docs.espressif.com/projects/esp-idf/en/latest/esp32/api-guides/partition-tables.html
 */
import { createHash } from "node:crypto";

export const TABLE_ADDRESS = 0x8000;
export const TABLE_BYTES = 0xc00;
const ENTRY = 32;
const MAGIC = 0x50aa;
const MD5_MAGIC = 0xebeb;

export const TYPE_APP = 0;
export const TYPE_DATA = 1;

export interface Partition {
  name: string;
  type: number;
  subtype: number;
  offset: number;
  size: number;
}

/** The entries, or null for what is no table: another magic, a wrong MD5, or no end. */
export function parsePartitionTable(bytes: Uint8Array): Partition[] | null {
  const table = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const partitions: Partition[] = [];
  for (let at = 0; at + ENTRY <= Math.min(table.length, TABLE_BYTES); at += ENTRY) {
    const magic = table.readUInt16LE(at);
    if (magic === MD5_MAGIC) {
      const digest = createHash("md5").update(table.subarray(0, at)).digest();
      return digest.equals(table.subarray(at + 16, at + 32)) && partitions.length ? partitions : null;
    }
    if (magic === 0xffff) return partitions.length ? partitions : null;
    if (magic !== MAGIC) return null;
    const name = table.toString("latin1", at + 12, at + 28);
    partitions.push({
      type: table[at + 2]!,
      subtype: table[at + 3]!,
      offset: table.readUInt32LE(at + 4),
      size: table.readUInt32LE(at + 8),
      name: name.slice(0, (name + "\0").indexOf("\0")),
    });
  }
  return null;
}

/** A table of TABLE_BYTES with its MD5. */
export function encodePartitionTable(partitions: readonly Partition[]): Buffer {
  const table = Buffer.alloc(TABLE_BYTES, 0xff);
  if ((partitions.length + 1) * ENTRY > TABLE_BYTES) throw new RangeError("95 partitions at most");
  partitions.forEach((partition, i) => {
    const entry = table.subarray(i * ENTRY, (i + 1) * ENTRY).fill(0);
    entry.writeUInt16LE(MAGIC, 0);
    entry[2] = partition.type;
    entry[3] = partition.subtype;
    entry.writeUInt32LE(partition.offset, 4);
    entry.writeUInt32LE(partition.size, 8);
    entry.write(partition.name, 12, 16, "latin1");
  });
  const end = partitions.length * ENTRY;
  table.writeUInt16LE(MD5_MAGIC, end);
  createHash("md5")
    .update(table.subarray(0, end))
    .digest()
    .copy(table, end + 16);
  return table;
}

/** Where Espruino keeps its files: named "storage", or "js_code" in builds before 2v25. */
export function storagePartition(partitions: readonly Partition[]): Partition | undefined {
  return partitions.find((p) => p.name === "storage") ?? partitions.find((p) => p.name === "js_code");
}

/** The application that boots when there is no OTA data: "factory", or else the first one. */
export function appPartition(partitions: readonly Partition[]): Partition | undefined {
  return partitions.find((p) => p.type === TYPE_APP && p.subtype === 0) ?? partitions.find((p) => p.type === TYPE_APP);
}
