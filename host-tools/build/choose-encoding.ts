/** `--encoding auto`: which encoding brings an image soonest to the last node that runs it. */
import type { Encoding } from "../../firmware/ota/image";

export interface Candidate {
  encoding: Encoding;
  /** Chunks that travel, blob included. */
  chunks: number;
  /** Bytes of the decoded bundle. */
  resultBytes: number;
}

export interface Conditions {
  /** Milliseconds between the frames of one sender. */
  paceMs: number;
  /** Hops from the laptop to the farthest node. */
  hops: number;
  /** Share of frames that a receiver loses, 0..1. */
  loss: number;
  /** Of the nodes' interpreter. */
  instructionsPerSecond: number;
}

export interface Prediction {
  encoding: Encoding;
  airSeconds: number;
  decodeSeconds: number;
}

/**
 * Thousand instructions of the interpreter for each byte that comes out, flash time included at 80 M instructions a
 * second. Measured by `npm run bench` (inflate) and in the simulator; docs/updates.md has the figures.
 */
export const DECODE_COST: Record<Encoding, number> = { raw: 0.4, heatshrink: 1.4, deflate: 38, delta: 1.4 };

/** Children that an access point can have. */
const CHILDREN = 4;

/**
 * Transmissions per chunk when everything that one of `children` missed is broadcast again until nobody misses anything:
 * the sum over t of 1 - (1 - p^t)^n.
 */
export function unionNakFactor(loss: number, children: number): number {
  let sum = 0;
  for (let t = 0; t < 200; t++) sum += 1 - (1 - loss ** t) ** children;
  return sum;
}

export function predict(candidate: Candidate, conditions: Conditions): Prediction {
  const { paceMs, hops, loss, instructionsPerSecond } = conditions;
  // Hops overlap: each sends on what it has while more comes in; the last chunk takes one pace a hop.
  const frames = candidate.chunks * unionNakFactor(Math.min(0.9, loss), CHILDREN) + Math.max(0, hops - 1);
  return {
    encoding: candidate.encoding,
    airSeconds: (frames * paceMs) / 1000,
    decodeSeconds: (candidate.resultBytes * DECODE_COST[candidate.encoding] * 1000) / instructionsPerSecond,
  };
}

/** The candidate with the shortest time, every prediction, and a sentence that says why. */
export function chooseEncoding(
  candidates: readonly Candidate[],
  conditions: Conditions,
): { encoding: Encoding; predictions: Prediction[]; why: string } {
  const predictions = candidates.map((candidate) => predict(candidate, conditions));
  const total = (p: Prediction): number => p.airSeconds + p.decodeSeconds;
  const sorted = [...predictions].sort((a, b) => total(a) - total(b));
  const text = sorted.map(
    (p) =>
      `${p.encoding} ${total(p).toFixed(1)} s (air ${p.airSeconds.toFixed(1)}, decoding ${p.decodeSeconds.toFixed(1)})`,
  );
  return { encoding: sorted[0]!.encoding, predictions, why: `predicted ${text.join(", ")}` };
}
