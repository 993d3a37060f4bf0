/** One FLASH_BEGIN .. FLASH_END of a boot ROM or stub: what is erased when, and where the bytes go. */
import * as pako from "pako";
import type { NorFlash } from "../../simulator/chip/flash";
import { BLOCK_ERASE, type Meter, PAGE_PROGRAM, SECTOR_ERASE } from "./meter";

const BLOCK = 0x10000;
const PROGRAM = 256;
const Z_SYNC_FLUSH = 2;

export const INFLATE_ERROR = 0x0b;
export const TOO_MUCH_DATA = 0xc9;

export class FlashSession {
  private at: number;
  private erased: number;
  private readonly end: number;
  private readonly inflate: pako.Inflate | null;
  private pending: Uint8Array[] = [];

  /** The ROM erases all of it at once; the stub block by block, ahead of what it writes. */
  constructor(
    private readonly flash: NorFlash,
    private readonly meter: Meter,
    offset: number,
    size: number,
    compressed: boolean,
    private readonly stub: boolean,
  ) {
    this.at = offset;
    this.erased = offset - (offset % flash.pageBytes);
    this.end = offset + size;
    this.inflate = compressed ? new pako.Inflate() : null;
    if (this.inflate) this.inflate.onData = (chunk) => void this.pending.push(chunk as Uint8Array);
    if (!stub) {
      this.eraseUpTo(this.end);
      meter.ready();
    }
  }

  /** Takes a block; 0, or the code of what is wrong with it. `write` puts it into flash. */
  check(data: Uint8Array, compressed: boolean): number {
    if (compressed !== (this.inflate !== null)) return 0x06;
    if (this.inflate) {
      if (!this.inflate.push(data, Z_SYNC_FLUSH) || this.inflate.err) return INFLATE_ERROR;
    } else this.pending.push(data);
    const waiting = this.pending.reduce((sum, part) => sum + part.length, 0);
    const room = this.end - this.at;
    // The last block of an uncompressed write is filled up with 0xFF.
    if (waiting <= room) return 0;
    if (this.inflate || waiting - room >= 0x4000) {
      this.pending = [];
      return TOO_MUCH_DATA;
    }
    const joined = Buffer.concat(this.pending);
    this.pending = [joined.subarray(0, room)];
    return 0;
  }

  write(): void {
    for (const part of this.pending) {
      if (this.stub) this.eraseUpTo(this.at + part.length);
      this.flash.write(this.at, part);
      this.meter.work(Math.ceil(part.length / PROGRAM) * PAGE_PROGRAM);
      this.at += part.length;
    }
    this.pending = [];
    if (!this.stub) this.meter.ready();
  }

  finished(): boolean {
    return this.at >= this.end;
  }

  private eraseUpTo(end: number): void {
    const { flash } = this;
    while (this.erased < end) {
      const whole = this.erased % BLOCK === 0 && this.erased + BLOCK <= this.end;
      const next = this.erased + (whole ? BLOCK : flash.pageBytes);
      for (; this.erased < next; this.erased += flash.pageBytes) flash.erasePage(this.erased);
      this.meter.work(whole ? BLOCK_ERASE : SECTOR_ERASE);
    }
  }
}
