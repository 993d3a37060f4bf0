/** Random loss of frames on a directed link, on top of what collisions and weak signals take. */
import type { Random } from "./random";

/**
 * A number is the chance that a frame is lost (Bernoulli). `{ p, r }` is the Gilbert-Elliott model: a good link turns
 * bad with chance p at each frame, a bad one loses every frame and turns good with chance r; mean loss p / (p + r), mean
 * burst 1 / r frames.
 */
export type LossModel = number | { p: number; r: number };

/** The Gilbert-Elliott model with a mean share of lost frames (0..1, not 1) and a mean burst of 1 or more frames. */
export function bursts(mean: number, burst: number): LossModel {
  if (mean === 0) return 0;
  const r = 1 / burst;
  return { p: (mean * r) / (1 - mean), r };
}

/** Mean share of lost frames, 0..1. */
export function meanLoss(model: LossModel): number {
  if (typeof model === "number") return model;
  return model.p === 0 ? 0 : model.p / (model.p + model.r);
}

interface Link {
  random: Random;
  bad: boolean;
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

  /** The model of every link that has none of its own. Throws unless its numbers are 0..1. */
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

  /** Draws the fate of one frame. */
  lost(from: number, to: number): boolean {
    const key = from * 65536 + to;
    const model = this.#models.get(key) ?? this.#model;
    if (model === 0) return false;
    let link = this.#links.get(key);
    if (!link) {
      link = { random: this.#random.stream(`link ${from} ${to}`), bad: false };
      if (typeof model !== "number") link.bad = link.random.chance(meanLoss(model));
      this.#links.set(key, link);
    }
    if (typeof model === "number") return link.random.chance(model);
    link.bad = link.bad ? !link.random.chance(model.r) : link.random.chance(model.p);
    return link.bad;
  }
}

function check(model: LossModel): void {
  const numbers = typeof model === "number" ? [model] : [model.p, model.r];
  for (const n of numbers) if (!(n >= 0 && n <= 1)) throw new RangeError(`loss ${n} is not a chance of 0..1`);
}
