/** Alert rules as data: what is looked at, from which value on it is a fault, and for how long. */

/** Names of the metrics, in the order of fleet.ts. */
export function metricNames(): string[] {
  "cold";
  return (
    "missed,memoryFree,exhaustion,loss,rssi,latency,sinceReset,restarts,isolated,skew,updateFailed,clock,silent," +
    "moves,unusual"
  ).split(",");
}

export interface AlertRule {
  id: string;
  /** Place of the metric in a node's metrics. */
  metric: number;
  /** A fault is above `enter` (else below it); it is over when the value is back on the other side of `exit`. */
  above: boolean;
  enter: number;
  exit: number;
  /** Seconds that the fault has to last before the alert fires. */
  hold: number;
  /** Seconds that it has to be gone before the alert is resolved. */
  keep: number;
  /** 0 info, 1 warning, 2 critical */
  severity: number;
}

export const INFO = 0;
export const WARNING = 1;
export const CRITICAL = 2;

export const NODE_LOST = "node-lost";

/**
 * The rules that hold unless configured otherwise: id, metric, > or <, enter, exit, hold, keep, severity.
 *
 * "missed" and "silent" count intervals of the node without a sign of life and without telemetry; a node is asked for a
 * sign of life before the first says lost. "exhaustion" is in seconds and looks back on forty minutes by itself. "loss"
 * is per mille, "latency" and "clock" are ms, "moves" and "restarts" happened in half an hour, "unusual" is in standard
 * deviations.
 */
export function defaultRules(): string[] {
  "cold";
  return (
    "node-lost,missed,>,1.6,1.2,0,0,2;low-memory,memoryFree,<,700,900,0,120,2;memory-leak,exhaustion,<,21600,43200,0,1800,1;" +
    "loss,loss,>,200,100,300,300,1;weak-signal,rssi,<,-80,-76,600,300,1;latency,latency,>,500,300,180,300,1;" +
    "reset,sinceReset,<,240,240,0,60,1;reboot-loop,restarts,>,2,1,0,0,2;isolated,isolated,>,0,0,60,60,1;" +
    "version-skew,skew,>,0,0,3600,0,0;update-failed,updateFailed,>,0,0,0,0,2;clock-off,clock,>,1000,500,0,0,1;" +
    "silent,silent,>,5,2,0,0,1;unstable-link,moves,>,3,1,0,0,1;unusual,unusual,>,6,4,240,600,0"
  ).split(";");
}

/** A rule from its text; null when it is none. */
export function parseRule(text: string): AlertRule | null {
  "cold";
  const parts = text.split(",");
  const metric = metricNames().indexOf(parts[1]);
  if (parts.length !== 8 || !parts[0] || metric < 0 || (parts[2] !== ">" && parts[2] !== "<")) return null;
  const numbers: number[] = [];
  for (let i = 3; i < 8; i++) {
    const value = parseFloat(parts[i]);
    if (!(value - value === 0)) return null;
    numbers.push(value);
  }
  return {
    id: parts[0],
    metric: metric,
    above: parts[2] === ">",
    enter: numbers[0],
    exit: numbers[1],
    hold: numbers[2],
    keep: numbers[3],
    severity: numbers[4],
  };
}

/** Numbers of a rule in a `RuleSet`, and where they stand. */
export const RULE_NUMBERS = 7;
export const RULE_METRIC = 0;
export const RULE_ABOVE = 1;
export const RULE_ENTER = 2;
export const RULE_EXIT = 3;
export const RULE_HOLD = 4;
export const RULE_KEEP = 5;
export const RULE_SEVERITY = 6;

/** Rules as an alert engine holds them: numbers in one array, because fifteen objects would cost a board 300 variables. */
export interface RuleSet {
  count: number;
  numbers: Float32Array;
  /** Id of rule `index`; a board reads it from flash. */
  id(index: number): string;
  /** Index of the rule about lost nodes, -1 when there is none. */
  lost: number;
}

export function ruleSet(rules: AlertRule[], id: (index: number) => string): RuleSet {
  "cold";
  const numbers = new Float32Array(rules.length * RULE_NUMBERS);
  let lost = -1;
  for (let i = 0; i < rules.length; i++) {
    const r = rules[i];
    const at = i * RULE_NUMBERS;
    if (r.id === NODE_LOST) lost = i;
    numbers[at + RULE_METRIC] = r.metric;
    numbers[at + RULE_ABOVE] = r.above ? 1 : 0;
    numbers[at + RULE_ENTER] = r.enter;
    numbers[at + RULE_EXIT] = r.exit;
    numbers[at + RULE_HOLD] = r.hold;
    numbers[at + RULE_KEEP] = r.keep;
    numbers[at + RULE_SEVERITY] = r.severity;
  }
  return { count: rules.length, numbers: numbers, id: id, lost: lost };
}
