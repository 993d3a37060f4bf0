/** Notices when the calendar clock jumps: a computer woke up, or somebody (or NTP) set the time. */

export interface ClockWatchOptions {
  /** Unix milliseconds. */
  now(): number;
  /** Milliseconds that no setting of the time moves. */
  monotonic(): number;
}

/** A difference of less is drift, or a busy machine. */
const JUMP_MS = 60_000;

export interface ClockWatch {
  /** Milliseconds by which the calendar moved against the steady clock since the last look, or 0 when it did not jump. */
  look(): number;
}

export function watchClock({ now, monotonic }: ClockWatchOptions): ClockWatch {
  let offset = now() - monotonic();
  return {
    look() {
      const current = now() - monotonic();
      const moved = current - offset;
      if (Math.abs(moved) < JUMP_MS) {
        // Drift is followed, so that it never adds up to a jump.
        offset = current;
        return 0;
      }
      offset = current;
      return moved;
    },
  };
}
