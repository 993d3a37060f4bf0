/** The table of alert rules in docs/status.md, made of the rules themselves. `tsx host-tools/docs/rule-table.ts` prints it. */
import { defaultRules, metricNames, parseRule } from "../../firmware/status/rules";
import { markdownTable } from "./markdown-table";

const SEVERITIES = ["info", "warning", "critical"];

/** What a rule is about, and how long it takes to fire once the fault is there, with frames every 30 s. */
const MEANINGS: Record<string, [about: string, window: string]> = {
  "node-lost": ["no sign of life for 1.6 intervals, and no answer when it is asked for one (twice)", "60 s"],
  "low-memory": ["free interpreter variables (some 10 KB)", "60 s"],
  "memory-leak": ["seconds until memory is used up, if it fell in each of four spans of ten minutes", "60 min"],
  loss: ["per mille of frames that do not arrive, or of chunks that had to be repeated", "7 min"],
  "weak-signal": ["dBm of the link to the parent", "11 min"],
  latency: ["ms to the parent and back", "4 min"],
  reset: ["seconds since a restart that the node was not asked for", "60 s"],
  "reboot-loop": ["restarts in half an hour", "at the third"],
  isolated: ["neither a neighbour nor a way to the root", "2 min"],
  "version-skew": ["another version than more than half of the nodes of its role", "62 min"],
  "update-failed": ["an update ended in failure", "60 s"],
  "clock-off": ["ms from the mesh's time, when all nodes are asked (every ten minutes)", "620 s"],
  silent: ["intervals without telemetry of a node that does answer", "4 min"],
  "unstable-link": ["changes of parent in half an hour", "at the fourth"],
  unusual: ["standard deviations of memory, signal or latency from the node's own average", "5 min"],
};

export function ruleTable(): string {
  const rows = [["Rule", "Fires", "Over", "For", "Kept", "Severity", "About", "Window"]];
  for (const text of defaultRules()) {
    const rule = parseRule(text)!;
    const sign = rule.above ? ">" : "<";
    const [about, window] = MEANINGS[rule.id]!;
    rows.push([
      `\`${rule.id}\``,
      `\`${metricNames()[rule.metric]}\` ${sign} ${rule.enter}`,
      String(rule.exit),
      `${rule.hold} s`,
      `${rule.keep} s`,
      SEVERITIES[rule.severity]!,
      about,
      window,
    ]);
  }
  return markdownTable(rows);
}

if (require.main === module) console.log(ruleTable());
