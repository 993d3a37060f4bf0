/**
 * Is a node worse off with the new version than it was with the one before? Judged on its own telemetry, old against
 * new, so that a node at the edge of the mesh is not blamed for standing there.
 */
import type { NodeRecord, RolloutRecord, Sample } from "./record";

export interface Finding {
  check: "restarts" | "silence" | "memory" | "leak" | "loss" | "latency";
  /** In words, with units. */
  text: string;
}

/** Fewer samples than this say nothing about a slope. */
const SLOPE_SAMPLES = 5;
/** A slope counts when it is so many times its standard error. */
const SLOPE_SIGNIFICANCE = 3;
/** The first seconds of a life are no measure of memory. */
const WARM_UP_SECONDS = 30;
/** A node that speaks seldom is given time for so many frames. */
const MISSED_FRAMES = 3.5;
const USUAL_INTERVAL_SECONDS = 60;
const UNKNOWN_LATENCY = 65535;

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function mean(values: readonly number[]): number | null {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

/**
 * Least-squares slope of free memory, in variables an hour, and how many of its standard errors it is; null when there are
 * too few samples of one life.
 */
export function memorySlope(samples: readonly Sample[]): { perHour: number; significance: number } | null {
  const last = samples.at(-1);
  if (!last) return null;
  const startedAt = (sample: Sample): number => sample.at - sample.uptime * 1000;
  const life = samples.filter(
    (sample) => sample.uptime >= WARM_UP_SECONDS && Math.abs(startedAt(sample) - startedAt(last)) < 10_000,
  );
  if (life.length < SLOPE_SAMPLES) return null;
  const hours = life.map((sample) => sample.uptime / 3600);
  const free = life.map((sample) => sample.free);
  const n = life.length;
  const [middleX, middleY] = [mean(hours)!, mean(free)!];
  const spread = hours.reduce((sum, x) => sum + (x - middleX) ** 2, 0);
  if (spread === 0) return null;
  const perHour = hours.reduce((sum, x, i) => sum + (x - middleX) * (free[i]! - middleY), 0) / spread;
  const residual = hours.reduce((sum, x, i) => sum + (free[i]! - middleY - perHour * (x - middleX)) ** 2, 0);
  const error = Math.sqrt(residual / (n - 2) / spread);
  return { perHour, significance: error === 0 ? (perHour === 0 ? 0 : Infinity) : Math.abs(perHour) / error };
}

/** Starts between two samples beyond the `expected` ones; the counter is a byte. */
function startsBetween(from: Sample, to: Sample): number {
  return (to.starts - from.starts) & 255;
}

/** Restarts since the new version runs, or since the order to start it, that nobody asked for. */
export function restartsSince(node: NodeRecord): number {
  const last = node.after.at(-1);
  if (!last) return 0;
  const before = node.before.filter((sample) => sample.at < (node.runningAt || Infinity)).at(-1);
  if (before) return Math.max(0, startsBetween(before, last) - 1);
  return startsBetween(node.after[0]!, last);
}

function restartsBefore(node: NodeRecord): number {
  const before = node.before.filter((sample) => sample.at < (node.runningAt || Infinity));
  return before.length > 1 ? startsBetween(before[0]!, before.at(-1)!) : 0;
}

function percentOf(value: number, whole: number): string {
  return `${Math.round((100 * value) / whole)} %`;
}

/** Milliseconds for which a node that speaks as often as it says may be silent. */
function patience(node: NodeRecord): number {
  const seconds = (node.after.at(-1) ?? node.before.at(-1))?.interval || USUAL_INTERVAL_SECONDS;
  return MISSED_FRAMES * 1000 * seconds;
}

/** The node's last word is recent enough for a verdict. */
export function isFresh(record: RolloutRecord, node: NodeRecord, now: number): boolean {
  return node.heardAt >= record.patienceFrom && now - node.heardAt <= patience(node);
}

/** What shows at once: restarts and silence. `now` in Unix milliseconds. */
export function urgentFindings(record: RolloutRecord, node: NodeRecord, now: number): Finding[] {
  const { health } = record.policy;
  const found: Finding[] = [];
  const restarts = restartsSince(node);
  const allowed = health.restarts + restartsBefore(node);
  if (restarts > allowed)
    found.push({
      check: "restarts",
      text: `${restarts} ${restarts === 1 ? "restart" : "restarts"} since the update (${allowed} allowed)`,
    });
  const silent = now - Math.max(node.heardAt, node.runningAt, record.patienceFrom);
  if (silent > Math.max(health.silence, patience(node)))
    found.push({ check: "silence", text: `silent for ${Math.round(silent / 1000)} s` });
  return found;
}

function memoryFindings(record: RolloutRecord, node: NodeRecord): Finding[] {
  const { memoryDrop, leakHours } = record.policy.health;
  const found: Finding[] = [];
  const was = median(node.before.map(({ free }) => free));
  const is = median(node.after.filter(({ uptime }) => uptime >= WARM_UP_SECONDS).map(({ free }) => free));
  if (was !== null && is !== null) {
    const limit = memoryDrop.percent ? (memoryDrop.value / 100) * was : memoryDrop.value;
    if (was - is > limit)
      found.push({
        check: "memory",
        text: `${Math.round(is)} variables free, ${Math.round(was)} before (-${percentOf(was - is, was)})`,
      });
  }
  const slope = memorySlope(node.after);
  const last = node.after.at(-1);
  if (slope && last && slope.perHour < 0 && slope.significance > SLOPE_SIGNIFICANCE) {
    const hours = last.free / -slope.perHour;
    const old = memorySlope(node.before);
    const oldToo = old !== null && old.significance > SLOPE_SIGNIFICANCE && old.perHour < slope.perHour / 2;
    if (hours < leakHours && !oldToo)
      found.push({
        check: "leak",
        text: `loses ${Math.round(-slope.perHour)} variables an hour, enough for ${hours.toFixed(1)} h`,
      });
  }
  return found;
}

/** What only a time of observation shows, the urgent findings included. */
export function findings(record: RolloutRecord, node: NodeRecord, now: number): Finding[] {
  const { health } = record.policy;
  const found = [...urgentFindings(record, node, now), ...memoryFindings(record, node)];
  const lossBefore = mean(node.before.map(({ loss }) => loss)) ?? 0;
  const lossAfter = mean(node.after.map(({ loss }) => loss));
  const lossLimit = health.loss.percent ? health.loss.value * 10 : health.loss.value;
  if (lossAfter !== null && lossAfter > lossBefore + lossLimit)
    found.push({ check: "loss", text: `loses ${percentOf(lossAfter, 1000)}, ${percentOf(lossBefore, 1000)} before` });
  const known = (samples: Sample[]): number | null =>
    median(samples.map(({ latency }) => latency).filter((latency) => latency !== UNKNOWN_LATENCY));
  const latencyBefore = known(node.before) ?? 0;
  const latencyAfter = known(node.after);
  if (latencyAfter !== null && latencyAfter > 2 * latencyBefore + health.latency)
    found.push({ check: "latency", text: `latency ${latencyAfter} ms, ${latencyBefore} ms before` });
  return found;
}
