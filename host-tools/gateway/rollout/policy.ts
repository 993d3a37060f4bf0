/** What a rollout may do, as a file or the command line says it. The zod schema is the only description. */
import { z } from "zod";
import { EspalierError, EXIT } from "../../errors";
import type { Transport } from "../distribution";

/** Of the nodes in question: a share in per cent, or a number of them. */
export interface Amount {
  value: number;
  percent: boolean;
}

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };

/** "90s", "10m", "1h30m" or a number of seconds, in milliseconds; null when it is none. */
export function parseDuration(value: string | number): number | null {
  const text = String(value).replace(/\s+/g, "");
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  if (!/^(\d+h)?(\d+m)?(\d+s)?$/.test(text) || text === "") return null;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)([hms])/g)) total += Number(digits) * UNIT_MS[unit!]!;
  return total;
}

/** "20 %" or a whole number; null when it is neither. */
export function parseAmount(value: string | number): Amount | null {
  const found = /^(\d{1,6}(?:\.\d+)?)\s*(%?)$/.exec(String(value).trim());
  if (!found) return null;
  const amount = { value: Number(found[1]), percent: found[2] === "%" };
  if (amount.percent ? amount.value > 100 : !Number.isInteger(amount.value)) return null;
  return amount;
}

const duration = z
  .union([z.string(), z.number()])
  .transform((value, context) => {
    const ms = parseDuration(value);
    if (ms !== null && ms <= 7 * 24 * UNIT_MS.h!) return ms;
    context.addIssue({ code: "custom", message: 'a duration up to a week, such as "90s", "10m" or "1h30m"' });
    return z.NEVER;
  })
  .describe('"90s", "10m", "1h30m", or seconds');

const amount = z
  .union([z.string(), z.number()])
  .transform((value, context) => {
    const parsed = parseAmount(value);
    if (parsed) return parsed;
    context.addIssue({ code: "custom", message: 'a whole number of nodes, or a share such as "20 %"' });
    return z.NEVER;
  })
  .describe('A number of nodes, or a share such as "20 %"');

/** A node's name in the site's configuration, its id in eight hexadecimal digits, or its id as a number. */
const nodeName = z.union([z.string().min(1).max(31), z.number().int().min(1).max(0xffffffff)]);

const versionRange = z
  .string()
  .regex(
    /^((<|<=|>|>=)?\d{1,3}\.\d{1,3}\.\d{1,5}|\d{1,3}(\.\d{1,3})?\.\*)$/,
    'a version or a range: "1.2.3", "<1.4.0", ">=1.0.0", "1.2.*"',
  );

const ON_FAILURE = ["rollback", "abort", "pause", "continue"] as const;
export type OnFailure = (typeof ON_FAILURE)[number];

const wave = z.strictObject({
  name: z.string().min(1).max(40).optional(),
  nodes: z
    .union([amount, z.array(nodeName).min(1).max(1000)])
    .describe("Number, share of the nodes that are left, or a list of nodes"),
  soak: duration.optional().describe("Time under observation before the next wave"),
  success: amount.optional().describe("Nodes of the wave that must run the new version in good health"),
  errors: amount.optional().describe("Failed nodes at which the rollout still goes on"),
  approve: z.boolean().default(false).describe("Wait for a person before this wave begins"),
});

const targets = z.strictObject({
  roles: z.array(z.string().min(1).max(31)).optional(),
  hardware: z.array(z.string().min(1).max(31)).optional(),
  versions: z.array(versionRange).optional().describe("What a node runs now: any of these"),
  nodes: z.array(nodeName).max(1000).optional(),
  except: z.array(nodeName).max(1000).default([]),
});

const health = z.strictObject({
  restarts: z.number().int().min(0).max(100).default(0).describe("Unexpected restarts that are forgiven"),
  silence: duration.prefault("200s").describe("Without telemetry for so long, a node counts as lost"),
  memoryDrop: amount.prefault("25 %").describe("Of the free memory before"),
  leakHours: z.number().min(0).max(10_000).default(24).describe("Falling memory that would last no longer is a leak"),
  loss: amount.prefault("5 %").describe("Of chunk frames, above that before"),
  latency: z.number().min(0).max(60_000).default(250).describe("Milliseconds above twice the latency before"),
});

export const policySchema = z
  .strictObject({
    policy: z.enum(["progressive", "all-at-once"]).default("progressive"),
    waves: z.array(wave).min(1).max(20).optional(),
    targets: targets.prefault({}),
    health: health.prefault({}),
    baseline: duration.optional().describe("Observation of the old version before the first wave"),
    timeout: duration.prefault("30m").describe("For a wave to receive the image"),
    activation: duration.prefault("6m").describe("From the order to restart until the new version is seen"),
    offlineAfter: duration.prefault("60s").describe("Absent from the mesh for so long, a node is offline"),
    queue: duration.prefault("0s").describe("How long to wait, after the last wave, for nodes that are offline"),
    onFailure: z.enum(ON_FAILURE).optional().describe("When a wave fails"),
    transport: z.enum(["broadcast", "sequential", "peer"]).default("broadcast"),
  })
  .superRefine((value, context) => {
    value.waves?.forEach((one, index) => {
      if (!Array.isArray(one.nodes) && one.nodes.value === 0)
        context.addIssue({ code: "custom", path: ["waves", index, "nodes"], message: "a wave needs a node" });
    });
    const seen = new Map<string, number>();
    value.waves?.forEach((one, index) => {
      for (const name of Array.isArray(one.nodes) ? one.nodes : []) {
        const first = seen.get(String(name));
        if (first !== undefined)
          context.addIssue({
            code: "custom",
            path: ["waves", index, "nodes"],
            message: `${name} is in wave ${first} too`,
          });
        seen.set(String(name), index);
      }
    });
  });

export type PolicyInput = z.input<typeof policySchema>;

export interface WaveSpec {
  name: string;
  /** null stands for "one or two, by the size of the fleet". */
  nodes: Amount | (string | number)[] | null;
  soakMs: number;
  success: Amount;
  errors: Amount;
  approve: boolean;
}

export interface Policy {
  policy: "progressive" | "all-at-once";
  waves: WaveSpec[];
  targets: z.output<typeof targets>;
  health: z.output<typeof health>;
  baselineMs: number;
  timeoutMs: number;
  activationMs: number;
  offlineAfterMs: number;
  queueMs: number;
  onFailure: OnFailure;
  transport: Transport;
}

const percent = (value: number): Amount => ({ value, percent: true });
const nodes = (value: number): Amount => ({ value, percent: false });

/** Canaries stand for themselves alone: each of them must do well. */
const CANARY: WaveSpec = {
  name: "canary",
  nodes: null,
  soakMs: 600_000,
  success: percent(100),
  errors: nodes(0),
  approve: false,
};
const LATER: Omit<WaveSpec, "name" | "nodes" | "approve"> = {
  soakMs: 600_000,
  success: percent(90),
  errors: percent(10),
};
const PROGRESSIVE: WaveSpec[] = [
  CANARY,
  { ...LATER, name: "early", nodes: percent(20), approve: false },
  { ...LATER, name: "rest", nodes: percent(100), soakMs: 300_000, approve: false },
];
const ALL_AT_ONCE: WaveSpec[] = [
  { name: "all", nodes: percent(100), soakMs: 0, success: percent(100), errors: percent(100), approve: false },
];

/**
 * Fills in what was not said.
 * @throws EspalierError BAD_ROLLOUT naming every wrong or unknown field by its path
 */
export function parsePolicy(input: unknown, file = "rollout"): Policy {
  const result = policySchema.safeParse(input ?? {});
  if (!result.success) {
    const reasons = result.error.issues.flatMap((issue) => {
      const at = issue.path.join(".");
      if (issue.code === "unrecognized_keys")
        return issue.keys.map((key) => `${at ? `${at}.` : ""}${key}: is no field of a rollout`);
      return [`${at || "(top)"}: ${issue.message}`];
    });
    throw new EspalierError("BAD_ROLLOUT", `${file} is no valid rollout:\n  ${reasons.join("\n  ")}`, {
      hint: "docs/rollouts.md lists every field",
      exitCode: EXIT.usage,
      context: { file, reasons },
    });
  }
  const { waves, baseline, timeout, activation, offlineAfter, queue, onFailure, ...rest } = result.data;
  const progressive = rest.policy === "progressive";
  const specs = waves?.map((one, index): WaveSpec => {
    const usual = index === 0 && progressive ? CANARY : progressive ? LATER : ALL_AT_ONCE[0]!;
    return {
      name: one.name ?? (index === 0 && progressive ? "canary" : `wave ${index + 1}`),
      nodes: one.nodes,
      soakMs: one.soak ?? usual.soakMs,
      success: one.success ?? usual.success,
      errors: one.errors ?? usual.errors,
      approve: one.approve,
    };
  });
  return {
    ...rest,
    waves: specs ?? (progressive ? PROGRESSIVE : ALL_AT_ONCE),
    baselineMs: baseline ?? (progressive ? 120_000 : 0),
    timeoutMs: timeout,
    activationMs: activation,
    offlineAfterMs: offlineAfter,
    queueMs: queue,
    onFailure: onFailure ?? (progressive ? "rollback" : "continue"),
  };
}

/** Failures among `members` nodes that a wave still forgives. */
export function allowedErrors(errors: Amount, members: number): number {
  return errors.percent ? Math.floor((errors.value / 100) * members + 1e-9) : errors.value;
}

/** Successes among `members` nodes that a wave needs; never more than there are, at least one where there are any. */
export function neededSuccesses(success: Amount, members: number): number {
  const wanted = success.percent ? Math.ceil((success.value / 100) * members - 1e-9) : success.value;
  return Math.min(members, Math.max(members > 0 && success.value > 0 ? 1 : 0, wanted));
}
