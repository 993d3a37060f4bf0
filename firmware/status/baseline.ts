/**
 * What is usual for a node, and what follows from the course of its values. One array of numbers a node, because numbers
 * in an array cost an interpreter a tenth of what they cost in objects.
 */

/** Mean and variance of free memory, signal and latency, two places each. */
export const BASE_MEMORY = 0;
export const BASE_RSSI = 2;
export const BASE_LATENCY = 4;
/**
 * Most free memory in each of the last four spans of `SPAN` seconds, oldest first; the most of the running one, and its
 * beginning. The most, since what an application holds for minutes is no leak.
 */
const SPANS = 6;
const SPAN_MOST = 10;
const SPAN_START = 11;
const SPANS_KEPT = 4;
/** Seconds. */
export const SPAN = 600;
/** Times of the last four restarts, and of the last four changes of parent, newest first; 0 is never. */
export const RESTARTS = 12;
export const MOVES = 16;
const TIMES_KEPT = 4;
/** Share of frames that did not arrive, smoothed; 0..1. */
export const FRAME_LOSS = 20;
/** How far, in standard deviations, the last value was from what is usual: greatest of the three baselines. */
export const SURPRISE = 21;
export const BASELINE_NUMBERS = 22;

/** Weight of a new value in a baseline, and of one that is far off, so that a fault does not soon count as usual. */
const WEIGHT = 0.05;
const WEIGHT_FAR = 0.01;
const FAR = 4;
/** A leak of less than so many variables in a span is noise. */
const LEAST_DROP = 16;
/** Weight of one frame in FRAME_LOSS. */
const FRAME_WEIGHT = 0.05;
/** More frames than these in a row are not counted as lost, but as an absence. */
const MOST_LOST = 20;

/**
 * Takes a value into the mean and variance at `at` (EWMA, as in Finch 2009, "Incremental calculation of weighted mean and
 * variance") and returns how many standard deviations off it was; `floor` is the least deviation that counts as one.
 */
export function learn(numbers: Float32Array, at: number, value: number, floor: number): number {
  "cold";
  const mean = numbers[at];
  const variance = numbers[at + 1];
  // The first value: there is nothing usual yet.
  if (!mean && !variance) {
    numbers[at] = value;
    numbers[at + 1] = floor * floor;
    return 0;
  }
  const difference = value - mean;
  const off = Math.abs(difference) / Math.max(floor, Math.sqrt(variance));
  const weight = off > FAR ? WEIGHT_FAR : WEIGHT;
  // What is far off widens what is usual no more than what is at the limit, or it would count as usual after six frames.
  const seen = off > FAR ? (difference / off) * FAR : difference;
  numbers[at] = mean + weight * difference;
  numbers[at + 1] = (1 - weight) * (variance + weight * seen * seen);
  return off;
}

/** Adds free memory, at `now` seconds, to the spans. */
export function addMemory(numbers: Float32Array, value: number, now: number): void {
  "cold";
  if (!numbers[SPAN_START]) numbers[SPAN_START] = now;
  else if (now - numbers[SPAN_START] >= SPAN) {
    for (let i = 0; i < SPANS_KEPT - 1; i++) numbers[SPANS + i] = numbers[SPANS + i + 1];
    numbers[SPANS + SPANS_KEPT - 1] = numbers[SPAN_MOST];
    numbers[SPAN_MOST] = 0;
    numbers[SPAN_START] = now;
  }
  if (value > numbers[SPAN_MOST]) numbers[SPAN_MOST] = value;
}

/** A restarted node has another course of memory. */
export function forgetMemory(numbers: Float32Array): void {
  "cold";
  for (let i = BASE_MEMORY; i < BASE_MEMORY + 2; i++) numbers[i] = 0;
  for (let i = SPANS; i <= SPAN_START; i++) numbers[i] = 0;
}

/**
 * Seconds until free memory is used up if it falls on as it did; Infinity unless it fell from each of four spans to the
 * next. One fall, however deep, is no leak.
 */
export function exhaustion(numbers: Float32Array, free: number): number {
  "cold";
  for (let i = 0; i < SPANS_KEPT - 1; i++) {
    if (!(numbers[SPANS + i] - numbers[SPANS + i + 1] >= LEAST_DROP)) return Infinity;
  }
  const fall = numbers[SPANS] - numbers[SPANS + SPANS_KEPT - 1];
  return (free * SPAN * (SPANS_KEPT - 1)) / fall;
}

/** Writes down that something happened at `now` seconds. */
export function addTime(numbers: Float32Array, at: number, now: number): void {
  "cold";
  for (let i = TIMES_KEPT - 1; i > 0; i--) numbers[at + i] = numbers[at + i - 1];
  numbers[at] = now;
}

/** How often it happened in the last `seconds`; at most four. */
export function timesSince(numbers: Float32Array, at: number, now: number, seconds: number): number {
  "cold";
  let count = 0;
  for (let i = 0; i < TIMES_KEPT; i++) if (numbers[at + i] && now - numbers[at + i] < seconds) count++;
  return count;
}

/** `gap` is the difference of two sequence numbers that arrived one after the other: 1 when nothing was lost. */
export function addFrames(numbers: Float32Array, gap: number): void {
  "cold";
  if (gap < 1 || gap > MOST_LOST) return;
  for (let i = 1; i < gap; i++) numbers[FRAME_LOSS] += FRAME_WEIGHT * (1 - numbers[FRAME_LOSS]);
  numbers[FRAME_LOSS] *= 1 - FRAME_WEIGHT;
}
