/** What an alert says to people. */
import type { Alert } from "../../firmware/status/alerts";
import { COUNT_SECONDS } from "../../firmware/status/fleet";

const minutes = (seconds: number): string => `${Math.round(seconds / 60)} min`;

const SAID: Record<string, (value: number, threshold: number) => string> = {
  "node-lost": (value) => `gives no sign of life, for ${value.toFixed(1)} intervals`,
  "low-memory": (value, threshold) => `${value} interpreter variables are free, fewer than ${threshold}`,
  "memory-leak": (value) => `memory is used up in ${minutes(value)} if it falls on as it did`,
  loss: (value) => `${(value / 10).toFixed(0)} % of its frames are lost`,
  "weak-signal": (value, threshold) => `hears its parent at ${value} dBm, below ${threshold}`,
  latency: (value, threshold) => `${value.toFixed(0)} ms to the parent and back, over ${threshold}`,
  reset: (value) => `restarted ${value.toFixed(0)} s ago without being asked to`,
  "reboot-loop": (value) => `restarted ${value >= 4 ? "at least 4" : value} times in ${minutes(COUNT_SECONDS)}`,
  isolated: () => "has no way to the root",
  "version-skew": () => "runs another version than most of its role",
  "update-failed": () => "an update failed",
  "clock-off": (value) => `its clock is ${value.toFixed(0)} ms off`,
  silent: (value) => `answers, but has sent no telemetry for ${value.toFixed(0)} intervals`,
  "unstable-link": (value) =>
    `changed its parent ${value >= 4 ? "at least 4" : value} times in ${minutes(COUNT_SECONDS)}`,
  unusual: (value) => `memory, signal or latency is ${value.toFixed(1)} standard deviations from what is usual`,
};

/** One line; `name` is the node's, `muted` how many nodes' alerts are inhibited by this one. */
export function alertMessage(alert: Alert, name: string, muted: number): string {
  const said = SAID[alert.rule] ?? ((value, threshold) => `${alert.rule}: ${value} (limit ${threshold})`);
  const text = `${name}: ${said(alert.value, alert.threshold)}`;
  if (muted === 0) return text;
  return `${text}; alerts of ${muted} ${muted === 1 ? "node" : "nodes"} behind it are muted`;
}
