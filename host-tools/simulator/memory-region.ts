/** A flash region in memory, for nodes that have no flash. */
import { PAGE, type Bytes, type Region } from "../../firmware/engine/engine";

/** A region of `pages` pages, erased. Throws, as flash code would corrupt, when an access leaves it. */
export function memoryRegion(pages: number): Region {
  const data = Buffer.alloc(pages * PAGE, 0xff);
  function check(offset: number, length: number): void {
    if (offset < 0 || length < 0 || offset + length > data.length) {
      throw new RangeError(`${length} bytes at ${offset} lie outside a region of ${data.length}`);
    }
  }
  return {
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
