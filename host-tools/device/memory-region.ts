/** A flash region in memory, with flash's rules: erasing sets a page to 0xFF, writing only clears bits. */
import { PAGE, type Bytes, type Region } from "../../firmware/engine/engine";

export interface MemoryRegion extends Region {
  /** The region's content, live. */
  readonly data: Buffer;
}

/** A region of `pages` pages of 4096 bytes, erased. Throws RangeError when an access leaves it. */
export function memoryRegion(pages: number): MemoryRegion {
  const data = Buffer.alloc(pages * PAGE, 0xff);
  function check(offset: number, length: number): void {
    if (offset < 0 || length < 0 || offset + length > data.length) {
      throw new RangeError(`${length} bytes at ${offset} lie outside a region of ${data.length}`);
    }
  }
  return {
    data,
    size: data.length,
    read(offset: number, length: number): Bytes {
      check(offset, length);
      return data.toString("latin1", offset, offset + length);
    },
    write(offset: number, bytes: Bytes): void {
      check(offset, bytes.length);
      for (let i = 0; i < bytes.length; i++) data[offset + i]! &= bytes.charCodeAt(i);
    },
    erase(offset: number): void {
      check(offset, 1);
      const start = offset - (offset % PAGE);
      data.fill(0xff, start, start + PAGE);
    },
  };
}
