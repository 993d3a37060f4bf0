/** The interpreter's random numbers: one generator that starts with the same seed at every boot, on every chip. */

/** newlib's rand() begins with this seed where nobody calls srand. */
const BOOT_SEED = 1;

export class ChipRandom {
  private state = BOOT_SEED;

  seed(value: number): void {
    this.state = value >>> 0;
  }

  /** 0..2^32-1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
}
