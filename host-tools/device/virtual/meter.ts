/**
 * Time on a virtual line: how long its bytes take, and how long the chip makes the host wait. Nothing here sleeps.
 *
 * Flash figures: typical values of the W25Q32JV data sheet (Winbond), the part on most ESP32 modules.
 */

/** Seconds. */
export const SECTOR_ERASE = 0.045;
export const BLOCK_ERASE = 0.15;
export const CHIP_ERASE = 10;
export const PAGE_PROGRAM = 0.0004;
/** Reading and hashing one byte. */
export const HASH_BYTE = 1 / 2.5e6;

export interface Meter {
  /** Bits a second; a byte takes ten. */
  baud: number;
  /** Seconds since the beginning. */
  now(): number;
  /** Bytes arrived at the chip. */
  fromHost(bytes: number): void;
  /** Bytes left the chip; the host sees them after its own latency. */
  toHost(bytes: number): void;
  /** The chip takes up the next thing only after what it is doing. */
  ready(): void;
  /** The chip is busy so long, from now on or from when it gets free. */
  work(seconds: number): void;
  /** Seconds in which the line carried a byte. */
  busySeconds(): number;
}

/** @param latency seconds from the last byte of a reply to the first of what the host sends next (USB and polling) */
export function createMeter(latency = 0.002): Meter {
  let time = 0;
  let free = 0;
  let busy = 0;
  let replied = false;
  const meter: Meter = {
    baud: 115200,
    now: () => time,
    fromHost(bytes) {
      if (replied) time += latency;
      replied = false;
      carry(bytes);
    },
    toHost(bytes) {
      carry(bytes);
      replied = true;
    },
    ready() {
      time = Math.max(time, free);
    },
    work(seconds) {
      free = Math.max(time, free) + seconds;
    },
    busySeconds: () => busy,
  };
  function carry(bytes: number): void {
    const seconds = (bytes * 10) / meter.baud;
    time += seconds;
    busy += seconds;
  }
  return meter;
}
