/** Alert rules in JSON: what differs from the defaults, checked, with every mistake named. */
import { z } from "zod";
import { type AlertRule, defaultRules, metricNames, parseRule } from "../../firmware/status/rules";
import { EspalierError, EXIT } from "../errors";

const SEVERITIES = ["info", "warning", "critical"] as const;

const rule = z.strictObject({
  enabled: z.boolean().default(true),
  metric: z.enum(metricNames()).optional().describe("What a new rule looks at; a rule that exists keeps its own"),
  above: z.boolean().optional().describe("A fault is above `enter`, otherwise below it"),
  enter: z.number().optional().describe("From here on it is a fault"),
  exit: z.number().optional().describe("Back beyond here it is over"),
  hold: z.number().min(0).max(86400).optional().describe("Seconds that a fault has to last before the alert fires"),
  keep: z.number().min(0).max(86400).optional().describe("Seconds without a fault before the alert is resolved"),
  severity: z.enum(SEVERITIES).optional(),
});

/** Rules by their id. */
export const alertRulesSchema = z.record(z.string().regex(/^[a-z][a-z0-9-]{0,30}$/), rule);

export type AlertRulesInput = z.input<typeof alertRulesSchema>;

/**
 * The rules that hold: the defaults with what `input` changes, and new ones.
 * @throws EspalierError BAD_ALERT_RULES naming every wrong field
 */
export function alertRules(input: unknown = {}): AlertRule[] {
  const result = alertRulesSchema.safeParse(input);
  if (!result.success) {
    refuse(result.error.issues.map((issue) => `${issue.path.join(".") || "(top)"}: ${issue.message}`));
  }
  const rules = new Map(defaultRules().map((text) => [text.slice(0, text.indexOf(",")), parseRule(text)!]));
  const reasons: string[] = [];
  for (const [id, change] of Object.entries(result.data!)) {
    if (!change.enabled) {
      rules.delete(id);
      continue;
    }
    const known = rules.get(id);
    const metric = change.metric === undefined ? known?.metric : metricNames().indexOf(change.metric);
    const enter = change.enter ?? known?.enter;
    if (metric === undefined || enter === undefined) {
      reasons.push(`${id}: a new rule needs a metric and an enter`);
      continue;
    }
    const above = change.above ?? known?.above ?? true;
    const exit = change.exit ?? (change.enter === undefined ? known?.exit : undefined) ?? enter;
    if (above ? exit > enter : exit < enter) {
      reasons.push(`${id}: exit ${exit} lies on the fault's side of enter ${enter}`);
    }
    rules.set(id, {
      id,
      metric,
      above,
      enter,
      exit,
      hold: change.hold ?? known?.hold ?? 0,
      keep: change.keep ?? known?.keep ?? 0,
      severity: change.severity === undefined ? (known?.severity ?? 1) : SEVERITIES.indexOf(change.severity),
    });
  }
  if (reasons.length > 0) refuse(reasons);
  return [...rules.values()];
}

function refuse(reasons: string[]): never {
  throw new EspalierError("BAD_ALERT_RULES", `the alert rules are not valid:\n  ${reasons.join("\n  ")}`, {
    hint: "docs/status.md lists the rules and their fields.",
    exitCode: EXIT.usage,
    context: { reasons },
  });
}

/** The rules as texts of settings, which a board reads. */
export function ruleTexts(rules: readonly AlertRule[]): string[] {
  const names = metricNames();
  return rules.map((r) =>
    [r.id, names[r.metric], r.above ? ">" : "<", r.enter, r.exit, r.hold, r.keep, r.severity].join(","),
  );
}
