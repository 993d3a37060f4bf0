/** Random loss of frames on a directed link, on top of what collisions and weak signals take. */
import type { Random } from "./random";

/**
 * A number is the chance that a frame is lost (Bernoulli). The other is the Gilbert-Elliott model in time: a link is good
 * or bad for exponentially distributed times, whatever it carries, and every frame that ends while it is bad is lost.
 * `mean` (0..1, not 1) is the share of time that it is bad, `burst` the mean length of a bad time in ms.
 */
export type LossModel = number | { mean: number; burst: number };

/** Mean share of lost frames, 0..1. */
export function meanLoss(model: LossModel): number {
  return typeof model === "number" ? model : model.mean;
}

interface Link {
  random: Random;
  /** 0 or 1, as it was at time `at`. */
  bad: number;
  at: number;
}

export class LossTable {
  readonly #random: Random;
  readonly #links = new Map<number, Link>();
  readonly #models = new Map<number, LossModel>();
  #model: LossModel;

  constructor(random: Random, model: LossModel = 0) {
    this.#random = random;
    check(model);
    this.#model = model;
  }

  /** The model of every link that has none of its own. Throws RangeError on numbers outside the model. */
  setAll(model: LossModel): void {
    check(model);
    this.#model = model;
    this.#models.clear();
  }

  /** The model of the link from the antenna with id `from` to the one with id `to`. */
  set(from: number, to: number, model: LossModel): void {
    check(model);
    this.#models.set(from * 65536 + to, model);
  }

  /** Draws the fate of a frame that ends at `now` ms. A time before the last one asked for counts as that one. */
  lost(from: number, to: number, now: number): boolean {
    const key = from * 65536 + to;
    const model = this.#models.get(key) ?? this.#model;
    if (model === 0) return false;
    let link = this.#links.get(key);
    if (!link) {
      link = { random: this.#random.stream(`link ${from} ${to}`), bad: meanLoss(model), at: now };
      this.#links.set(key, link);
    }
    if (typeof model === "number") return link.random.chance(model);
    // What a two-state Markov chain remembers of its state fades with 1 / (1/bad + 1/good) of the mean times.
    const memory = Math.exp(Math.min(0, link.at - now) / (model.burst * (1 - model.mean)));
    const bad = link.random.chance(model.mean + (link.bad - model.mean) * memory);
    link.bad = bad ? 1 : 0;
    link.at = Math.max(link.at, now);
    return bad;
  }
}

function check(model: LossModel): void {
  const mean = meanLoss(model);
  if (!(mean >= 0 && mean <= 1)) throw new RangeError(`loss ${mean} is not a chance of 0..1`);
  if (typeof model === "number") return;
  if (mean === 1 || !(model.burst > 0))
    throw new RangeError("bursts have a mean length over 0 ms and good times between");
}
