/** Addresses of live array buffers, for E.getAddressOf and E.memoryArea. */

/** Internal RAM of an ESP32 begins here. */
const RAM = 0x3ffb0000;
/** Smaller buffers are chains of variables and have no address. */
const FLAT = 24;

export class MemoryMap {
  private readonly entries: { start: number; buffer: ArrayBufferLike }[] = [];
  private readonly known = new WeakMap<ArrayBufferLike, number>();
  private next = RAM;

  /** Address of a typed array's or buffer's first byte, or 0. */
  addressOf(value: unknown): number {
    const view = ArrayBuffer.isView(value) ? value : null;
    const buffer = view ? view.buffer : (value as ArrayBuffer);
    if (!view && Object.prototype.toString.call(value) !== "[object ArrayBuffer]") return 0;
    if (buffer.byteLength < FLAT) return 0;
    let start = this.known.get(buffer);
    if (start === undefined) {
      start = this.next;
      this.next += (buffer.byteLength + 31) & ~15;
      this.known.set(buffer, start);
      this.entries.push({ start, buffer });
    }
    return start + (view ? view.byteOffset : 0);
  }

  /** The live bytes at an address, or null where no known buffer holds them all. */
  at(address: number, length: number): Uint8Array | null {
    const entry = this.entries.find((e) => address >= e.start && address + length <= e.start + e.buffer.byteLength);
    return entry ? new Uint8Array(entry.buffer, address - entry.start, length) : null;
  }
}
