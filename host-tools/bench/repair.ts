/**
 * Transmissions that one hop needs until every child has every chunk, against what plain resends need and against the
 * formulas. Run: npx tsx host-tools/bench/repair.ts
 */
import { unionNakFactor } from "../build/choose-encoding";
import { createRepairPlan, MAX_CHILDREN } from "../../firmware/ota/repair";
import { Random } from "../simulator/random";

export interface HopResult {
  /** Mean transmissions divided by the number of chunks. */
  perChunk: number;
  /** Mean rounds, the plain pass included. */
  rounds: number;
  /** Exclusive ors of two chunks, mean of a run: made by the sender, and by the child that made most. */
  sentXors: number;
  receivedXors: number;
}

export interface HopOptions {
  children: number;
  chunks: number;
  loss: number;
  runs: number;
  seed: number;
}

type Missing = Set<number>[];

function plainPass({ children, chunks, loss }: HopOptions, random: Random): Missing {
  return Array.from({ length: children }, () => {
    const missing = new Set<number>();
    for (let i = 0; i < chunks; i++) if (random.chance(loss)) missing.add(i);
    return missing;
  });
}

function bitmap(missing: Set<number>, chunks: number): string {
  const bytes = Buffer.alloc((chunks + 7) >> 3);
  for (const i of missing) bytes[i >> 3]! |= 1 << (i & 7);
  return bytes.toString("latin1");
}

const unfinished = (missing: Missing): boolean => missing.some((one) => one.size > 0);

/** Coded repair with the plan that nodes use; NAKs arrive, frames are lost. */
export function codedRepair(options: HopOptions): HopResult {
  if (options.children > MAX_CHILDREN) throw new RangeError(`at most ${MAX_CHILDREN} children`);
  const { chunks, loss, runs } = options;
  const random = new Random(options.seed);
  let sent = 0;
  let rounds = 0;
  let sentXors = 0;
  let receivedXors = 0;
  for (let run = 0; run < runs; run++) {
    const missing = plainPass(options, random);
    const plan = createRepairPlan(chunks);
    const xors = missing.map(() => 0);
    sent += chunks;
    for (rounds++; unfinished(missing); rounds++) {
      missing.forEach((one, child) => plan.lack(child, bitmap(one, chunks)));
      for (let list = plan.next(); list.length > 0; list = plan.next()) {
        sent++;
        sentXors += list.length - 1;
        missing.forEach((one, child) => {
          const needed = list.filter((index) => one.has(index));
          if (needed.length !== 1 || random.chance(loss)) return;
          one.delete(needed[0]!);
          xors[child]! += list.length - 1;
        });
      }
    }
    receivedXors += Math.max(...xors);
  }
  return {
    perChunk: sent / runs / chunks,
    rounds: rounds / runs,
    sentXors: sentXors / runs,
    receivedXors: receivedXors / runs,
  };
}

/** What anybody misses is sent again as it is. */
export function unionRepair(options: HopOptions): HopResult {
  const { chunks, loss, runs } = options;
  const random = new Random(options.seed);
  let sent = 0;
  let rounds = 0;
  for (let run = 0; run < runs; run++) {
    const missing = plainPass(options, random);
    sent += chunks;
    for (rounds++; unfinished(missing); rounds++) {
      for (const index of new Set(missing.flatMap((one) => [...one]))) {
        sent++;
        for (const one of missing) if (one.has(index) && !random.chance(loss)) one.delete(index);
      }
    }
  }
  return { perChunk: sent / runs / chunks, rounds: rounds / runs, sentXors: 0, receivedXors: 0 };
}

/** Random dense combinations: a child is done with as many as it misses, nearly always; for any number of children. */
export function denseRepair(options: HopOptions): HopResult {
  const { chunks, loss, runs } = options;
  const random = new Random(options.seed);
  let sent = 0;
  let rounds = 0;
  for (let run = 0; run < runs; run++) {
    const behind = plainPass(options, random).map((one) => one.size);
    sent += chunks;
    for (rounds++; behind.some((size) => size > 0); rounds++) {
      // A random combination is of no use to a child with probability 2^-(what it misses).
      const batch = Math.ceil(Math.max(...behind) / (1 - loss)) + 1;
      sent += batch;
      for (let i = 0; i < batch; i++) {
        behind.forEach((size, child) => {
          if (size > 0 && !random.chance(loss) && !random.chance(2 ** -size)) behind[child] = size - 1;
        });
      }
    }
  }
  return { perChunk: sent / runs / chunks, rounds: rounds / runs, sentXors: 0, receivedXors: 0 };
}

/** Transmissions for each chunk under an ideal code: sum over t of 1 - P(Bin(t, 1 - p) >= k)^n, divided by k. */
export function idealFormula(children: number, chunks: number, loss: number): number {
  let sum = chunks;
  // probability of having received j of t frames, for j < chunks
  let below = new Float64Array(chunks + 1);
  below[0] = 1;
  for (let t = 1; t < chunks * 5; t++) {
    const next = new Float64Array(chunks + 1);
    for (let j = 0; j < chunks; j++) {
      next[j]! += below[j]! * loss;
      next[j + 1]! += below[j]! * (1 - loss);
    }
    next[chunks]! += below[chunks]!;
    below = next;
    if (t >= chunks) sum += 1 - below[chunks]! ** children;
  }
  return sum / chunks;
}

/** Instructions of one exclusive or of 1016 bytes on Espruino, and of an ESP32 in a millisecond. */
const XOR_INSTRUCTIONS = 940_000;
const INSTRUCTIONS_PER_MS = 80_000;

function main(): void {
  const runs = 400;
  console.log("children chunks loss   coded (rounds)  union (rounds)  formula  dense (rounds)  ideal code");
  const cases = [1, 2, 4, 20].flatMap((children) => [0.01, 0.05, 0.1, 0.2].map((loss) => ({ children, loss })));
  for (const { children, loss } of cases) {
    const options = { children, loss, chunks: 200, runs, seed: 1 };
    const show = ({ perChunk, rounds }: HopResult): string =>
      `${perChunk.toFixed(3)} (${rounds.toFixed(1)})`.padEnd(15);
    const coded = children <= MAX_CHILDREN ? show(codedRepair(options)) : "-".padEnd(15);
    console.log(
      String(children).padEnd(8),
      "200   ",
      loss.toFixed(2).padEnd(6),
      coded,
      show(unionRepair(options)),
      unionNakFactor(loss, children).toFixed(3).padEnd(8),
      show(denseRepair(options)),
      idealFormula(children, 200, loss).toFixed(3),
    );
  }
  const options = { children: 4, loss: 0.1, chunks: 200, runs, seed: 1 };
  const coded = codedRepair(options);
  const union = unionRepair(options);
  const ms = XOR_INSTRUCTIONS / INSTRUCTIONS_PER_MS;
  console.log(
    `\n4 children, 200 chunks, 10 % loss; target 1.20 in 4 rounds, union NAK ${unionNakFactor(0.1, 4).toFixed(2)}:`,
  );
  console.log(`  ${coded.perChunk.toFixed(3)} transmissions a chunk in ${coded.rounds.toFixed(2)} rounds`);
  console.log(
    `  ${Math.round((union.perChunk - coded.perChunk) * 200)} transmissions saved of ${Math.round(union.perChunk * 200)}`,
  );
  console.log(
    `  combining at the sender ${Math.round(coded.sentXors * ms)} ms, solving at the slowest child ${Math.round(coded.receivedXors * ms)} ms`,
  );
}

if (require.main === module) main();
