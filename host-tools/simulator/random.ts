/**
 * Seeded randomness. Every consumer takes a stream of its own by name, so that one more consumer, or one more draw by an
 * old one, shifts nobody else's numbers.
 */

/** Two rounds of a 32-bit string hash (FNV-1a, then the finaliser of MurmurHash3), 0..2^32-1. */
function hash(text: string, basis: number): number {
  let h = basis >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The generator sfc32 (Chris Doty-Humphrey's Small Fast Counting RNG, PractRand). */
export class Random {
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number | string) {
    this.#name = String(seed);
    this.#a = hash(this.#name, 0x811c9dc5) | 0;
    this.#b = hash(this.#name, 0x9e3779b9) | 0;
    this.#c = hash(this.#name, 0x2545f491) | 0;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** An independent generator; the same name always gives the same one, whatever was drawn before. */
  stream(name: string): Random {
    return new Random(`${this.#name}/${name}`);
  }

  /** 0..2^32-1 */
  uint32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }

  /** 0 <= x < 1 */
  next(): number {
    return this.uint32() / 4294967296;
  }

  /** low <= x < high */
  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** A whole number 0..bound-1. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  /** Normal distribution with mean 0 and deviation 1 (Box-Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** Exponential distribution. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }
}
