/** Where a computer starts to count its control messages (firmware/ota/control-auth.ts). */

/** 2020-01-01, in milliseconds of Unix time. */
const EPOCH = Date.UTC(2020, 0, 1);
/** Numbers a second: more than anybody seals for long, and 32 bits last until 2054. */
const PER_SECOND = 4;

/**
 * The first number, 1..2^32-1: so far on that whatever this computer sealed before, and forgot, lies below it.
 *
 * @param now Unix time in milliseconds
 */
export function controlStart(now: number): number {
  const count = Math.floor(((now - EPOCH) / 1000) * PER_SECOND);
  return Math.min(0xffffff00, Math.max(1, count));
}
