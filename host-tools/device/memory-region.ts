/** A flash region in memory, with flash's rules: erasing sets a page to 0xFF, writing only clears bits. */
import { type Bytes, PAGE, type Region } from "../../firmware/engine/engine";

export interface MemoryRegion extends Region {
  /** The region's content, live. */
  readonly data: Buffer;
}

/** @param pages size in flash pages of 4096 bytes */
export function memoryRegion(pages: number): MemoryRegion {
  const data = Buffer.alloc(pages * PAGE, 0xff);
  return {
    data,
    size: data.length,
    read: (offset, length) => data.toString("latin1", offset, offset + length),
    write(offset: number, bytes: Bytes) {
      if (offset < 0 || offset + bytes.length > data.length)
        throw new RangeError(`write at ${offset} outside the region`);
      for (let i = 0; i < bytes.length; i++) data[offset + i]! &= bytes.charCodeAt(i);
    },
    erase(offset) {
      const page = offset - (offset % PAGE);
      data.fill(0xff, page, page + PAGE);
    },
  };
}
