/**
 * Records of 16 bytes in flash, the oldest overwritten page by page. Nothing but the records is kept: where to go on is
 * found out of them after a start. A record begins with a u32 that is never 0xFFFFFFFF, and has at 4 a u16 that grows.
 */
import { type Bytes, PAGE, type Region } from "../engine/engine";
import { u16 } from "../wire/bytes";

export const RECORD = 16;
const ERASED = "\xff\xff\xff\xff";

export interface Ring {
  /** Adds a record; one in 256 erases a page first. */
  append(record: Bytes): void;
  /** The newest record, or "" when there is none. */
  last(): Bytes;
  /** Whole pages of records from the oldest (0) on; "" for one that was never written. */
  page(index: number): Bytes;
}

/** @param first Page of the region that the ring begins at. */
export function createRing(region: Region, first: number, pages: number): Ring {
  /** Where the next record goes, from the ring's beginning. */
  let next = 0;
  const size = pages * PAGE;
  const base = first * PAGE;

  function isErased(at: number): boolean {
    return region.read(base + at, 4) === ERASED;
  }

  function find(): number {
    "cold";
    let full = -1;
    for (let p = 0; p < pages; p++) {
      const at = p * PAGE;
      if (isErased(at)) continue;
      if (isErased(at + PAGE - RECORD)) {
        // Begun and not full: there is one at most.
        const text = region.read(base + at, PAGE);
        const end = text.indexOf(ERASED + ERASED + ERASED + ERASED);
        return at + Math.ceil(end / RECORD) * RECORD;
      }
      // Of the full ones, the page behind which older records, or none, lie.
      const after = ((p + 1) % pages) * PAGE;
      const older = (u16(region.read(base + after, 6), 4) - u16(region.read(base + at, 6), 4)) & 65535;
      if (isErased(after) || older > 32767 || full < 0) full = after;
    }
    return full < 0 ? 0 : full;
  }

  next = find();

  return {
    append: function (record: Bytes) {
      if (next % PAGE === 0 && !(isErased(next) && isErased(next + PAGE - RECORD))) region.erase(base + next);
      region.write(base + next, record);
      next = (next + RECORD) % size;
    },
    last: function () {
      "cold";
      const at = (next + size - RECORD) % size;
      return isErased(at) ? "" : region.read(base + at, RECORD);
    },
    page: function (index: number) {
      "cold";
      if (index >= pages) return "";
      // The page that is written now comes last; the one behind it is the oldest.
      const now = Math.floor(((next + size - RECORD) % size) / PAGE);
      const at = ((now + 1 + index) % pages) * PAGE;
      const length = index === pages - 1 ? ((next + size - RECORD) % PAGE) + RECORD : PAGE;
      return isErased(at) ? "" : region.read(base + at, length);
    },
  };
}
