/**
 * Alerts of a fleet: each rule against each node, with the states of Prometheus (pending, firing, resolved) and one more.
 * "nodata" is an alert whose node fell silent: silence neither fires nor resolves anything but the rule about silence
 * (https://github.com/prometheus/prometheus/issues/14085).
 *
 * What lies behind a lost node is muted: its alerts stand, and tell by which alert they are inhibited.
 */
import { type Fleet, type FleetNode, MISSED, SILENT } from "./fleet";
import {
  RULE_ABOVE,
  RULE_ENTER,
  RULE_EXIT,
  RULE_HOLD,
  RULE_KEEP,
  RULE_NUMBERS,
  RULE_SEVERITY,
  type RuleSet,
} from "./rules";

export type AlertState = "pending" | "firing" | "nodata" | "resolved";

export interface Alert {
  rule: string;
  /** Of the rule in its set. */
  index: number;
  severity: number;
  node: number;
  state: AlertState;
  /** When the state began; when the alert first fired; when the fault was last seen; ms. */
  at: number;
  since: number;
  seenAt: number;
  value: number;
  threshold: number;
  /** Node whose loss mutes this one, or 0. */
  inhibitedBy: number;
  flapping: boolean;
  acknowledged: boolean;
  /** Outcome of the last 21 checks, the newest in bit 0, and when it was made. */
  checks: number;
  checkedAt: number;
}

export interface AlertOptions {
  fleet: Fleet;
  rules: RuleSet;
  /** An alert came into another state, or is muted or flapping in another way. */
  changed(alert: Alert): void;
  /** Alerts kept at most; resolved ones go first. */
  limit: number;
}

/** As Nagios counts: changes among the last 21 checks, in percent of the 20 possible ones, to begin and to end with. */
const CHECKS = 21;
const FLAPPING_FROM = 40;
const FLAPPING_TO = 20;
/** Intervals of a node between two checks that count. */
const CHECK_EVERY = 0.9;
/** ms that a node which seems lost waits for the verdict on one between it and the root that is silent too. */
const VERDICT_MS = 25000;

export type Alerts = ReturnType<typeof createAlerts>;

export function createAlerts(options: AlertOptions) {
  const fleet = options.fleet;
  const rules = options.rules;
  const numbers = rules.numbers;
  const list: Alert[] = [];

  function find(index: number, node: number): Alert | null {
    for (let i = 0; i < list.length; i++) if (list[i].node === node && list[i].index === index) return list[i];
    return null;
  }

  function enter(alert: Alert, state: AlertState, now: number): void {
    "cold";
    alert.state = state;
    alert.at = now;
    if (state === "firing" && !alert.since) alert.since = now;
    options.changed(alert);
  }

  function open(index: number, node: number, now: number): Alert {
    "cold";
    const known = find(index, node);
    if (known) {
      known.since = 0;
      known.acknowledged = false;
      return known;
    }
    if (list.length >= options.limit) {
      let oldest = -1;
      for (let i = 0; i < list.length; i++) {
        if (list[i].state === "resolved" && (oldest < 0 || list[i].at < list[oldest].at)) oldest = i;
      }
      // When all are active the first gives way: an alert that is news says more than one that has stood for long.
      list.splice(oldest < 0 ? 0 : oldest, 1);
    }
    const alert: Alert = {
      rule: rules.id(index),
      index: index,
      severity: numbers[index * RULE_NUMBERS + RULE_SEVERITY],
      node: node,
      state: "resolved",
      at: now,
      since: 0,
      seenAt: now,
      value: 0,
      threshold: numbers[index * RULE_NUMBERS + RULE_ENTER],
      inhibitedBy: 0,
      flapping: false,
      acknowledged: false,
      checks: 0,
      checkedAt: 0,
    };
    list.push(alert);
    return alert;
  }

  /** Writes the outcome of a check down, and whether it changes too often. */
  function check(alert: Alert, bad: boolean, now: number, apart: number): void {
    "cold";
    if (now - alert.checkedAt < apart) return;
    alert.checkedAt = now;
    alert.checks = ((alert.checks << 1) | (bad ? 1 : 0)) & 2097151;
    let changes = alert.checks ^ (alert.checks >> 1);
    let count = 0;
    for (let i = 0; i < CHECKS - 1; i++) {
      count += changes & 1;
      changes >>= 1;
    }
    const percent = (count * 100) / (CHECKS - 1);
    const flapping = alert.flapping ? percent > FLAPPING_TO : percent >= FLAPPING_FROM;
    if (flapping === alert.flapping) return;
    alert.flapping = flapping;
    options.changed(alert);
  }

  /** The nearest lost node between a node and the root, or 0. */
  function lostAbove(id: number): number {
    "cold";
    return fleet.ancestor(id, function (node) {
      const alert = find(rules.lost, node.id);
      return !!alert && alert.state === "firing";
    });
  }

  /** One between a node and the root is silent as well, and nobody knows yet whether it is lost. */
  function doubtAbove(id: number): boolean {
    "cold";
    return (
      fleet.ancestor(id, function (node) {
        const alert = find(rules.lost, node.id);
        return node.metrics[MISSED] > 1 && !(alert && alert.state === "firing");
      }) > 0
    );
  }

  function apply(index: number, node: FleetNode, muted: number, now: number, stale: boolean): void {
    const at = index * RULE_NUMBERS;
    const metric = numbers[at];
    const value = node.metrics[metric];
    const alert = list.length ? find(index, node.id) : null;
    // Nearly always: there is no alert, and no reason for one. What is unknown is no reason for anything.
    if (!alert && !(numbers[at + RULE_ABOVE] ? value > numbers[at + RULE_ENTER] : value < numbers[at + RULE_ENTER]))
      return;
    judge(index, node, muted, now, stale && metric !== MISSED && metric !== SILENT, alert, value);
  }

  function judge(
    index: number,
    node: FleetNode,
    muted: number,
    now: number,
    stale: boolean,
    known: Alert | null,
    value: number,
  ): void {
    "cold";
    const at = index * RULE_NUMBERS;
    let alert = known;
    const active = alert !== null && alert.state !== "resolved";
    if (stale) {
      if (alert && alert.state === "firing") enter(alert, "nodata", now);
      else if (alert && alert.state === "pending") enter(alert, "resolved", now);
      if (alert && active) mute(alert, muted);
      return;
    }
    if (value !== value) return;
    const limit = numbers[at + (active && alert!.state !== "pending" ? RULE_EXIT : RULE_ENTER)];
    const bad = numbers[at + RULE_ABOVE] ? value > limit : value < limit;
    if (alert) check(alert, bad, now, node.interval * CHECK_EVERY);
    if (!bad && !active) return;
    if (bad) {
      if (!active) {
        alert = open(index, node.id, now);
        check(alert, true, now, node.interval * CHECK_EVERY);
        alert.value = value;
        enter(alert, "pending", now);
      }
      const a = alert as Alert;
      a.value = value;
      a.seenAt = now;
      if (a.state === "nodata") enter(a, "firing", now);
      else if (a.state === "pending" && now - a.at >= numbers[at + RULE_HOLD] * 1000) {
        if (index === rules.lost && !muted && now - a.at < VERDICT_MS && doubtAbove(node.id)) return;
        a.inhibitedBy = muted;
        enter(a, "firing", now);
      }
    } else {
      const a = alert as Alert;
      if (a.state === "pending") enter(a, "resolved", now);
      else {
        if (a.state === "nodata") enter(a, "firing", now);
        if (now - a.seenAt >= numbers[at + RULE_KEEP] * 1000 && !a.flapping) enter(a, "resolved", now);
      }
    }
    mute(alert as Alert, muted);
  }

  function mute(alert: Alert, by: number): void {
    "cold";
    if (alert.inhibitedBy === by) return;
    alert.inhibitedBy = by;
    options.changed(alert);
  }

  function byName(rule: string, node: number): Alert | null {
    "cold";
    for (let i = 0; i < list.length; i++) if (list[i].node === node && list[i].rule === rule) return list[i];
    return null;
  }

  return {
    list: list,
    find: function (rule: string, node: number): Alert | null {
      "cold";
      return byName(rule, node);
    },
    /** Holds all rules against a node; after new values, and every few seconds besides. */
    look: function (node: FleetNode, now: number): void {
      "cold";
      if (!node.heardAt) return;
      const muted = list.length ? lostAbove(node.id) : 0;
      const stale = fleet.stale(node, now);
      for (let i = 0; i < rules.count; i++) apply(i, node, muted, now, stale);
    },
    acknowledge: function (rule: string, node: number): boolean {
      "cold";
      const alert = byName(rule, node);
      if (!alert || alert.state === "resolved") return false;
      alert.acknowledged = true;
      options.changed(alert);
      return true;
    },
    /** A node is known no longer. */
    forget: function (node: number): void {
      "cold";
      for (let i = list.length - 1; i >= 0; i--) if (list[i].node === node) list.splice(i, 1);
    },
  };
}
