/** The shape of a journal's entries: a file is as little to be trusted as the air. */
import { z } from "zod";
import type { RolloutEvent } from "./record";

const at = z.number().min(0);
const id = z.number().int().min(0).max(0xffffffff);
const ids = z.array(id).max(100_000);
const text = z.string().max(4000);
const index = z.number().int().min(0).max(10_000);
const whole = z.number().int().min(0);
const ms = z.number().min(0);
const amount = z.strictObject({ value: z.number().min(0), percent: z.boolean() });
const by = z.enum(["gate", "person"]);
const names = z.array(z.union([z.string(), z.number()]));

const imageId = z.string().regex(/^[0-9a-f]{16}$/);
const image = z.strictObject({
  id: imageId,
  also: z.array(imageId).max(100),
  version: text,
  hardware: text,
  role: text,
  bytes: whole,
  chunks: whole,
  notes: text,
});

const conditions = { name: text, soakMs: ms, success: amount, errors: amount, approve: z.boolean() };
const plannedWave = z.strictObject({ ...conditions, nodes: ids });

const policy = z.strictObject({
  policy: z.enum(["progressive", "all-at-once"]),
  waves: z.array(z.strictObject({ ...conditions, nodes: z.union([amount, names, z.null()]) })).min(1),
  targets: z.strictObject({
    roles: z.array(z.string()).optional(),
    hardware: z.array(z.string()).optional(),
    versions: z.array(z.string()).optional(),
    nodes: names.optional(),
    except: names,
  }),
  health: z.strictObject({
    restarts: whole,
    silence: ms,
    memoryDrop: amount,
    leakHours: z.number().min(0),
    loss: amount,
    latency: ms,
  }),
  baselineMs: ms,
  timeoutMs: ms,
  activationMs: ms,
  offlineAfterMs: ms,
  queueMs: ms,
  onFailure: z.enum(["rollback", "abort", "pause", "continue"]),
  transport: z.enum(["broadcast", "sequential", "peer"]),
});

const sample = z.strictObject({
  at,
  image: id,
  version: text,
  uptime: z.number().min(0),
  starts: whole,
  free: whole,
  loss: whole,
  latency: whole,
  interval: whole,
  update: whole,
});

const event = z.discriminatedUnion("kind", [
  z.strictObject({
    at,
    kind: z.literal("planned"),
    id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/),
    image,
    policy,
    preview: z.strictObject({ update: ids, current: ids, offline: ids, incompatible: ids }),
    waves: z.array(plannedWave).min(1),
    nodes: z.array(z.strictObject({ node: id, name: text, version: text, online: z.boolean() })),
  }),
  z.strictObject({ at, kind: z.literal("started") }),
  z.strictObject({ at, kind: z.literal("reopened") }),
  z.strictObject({ at, kind: z.literal("linked"), linked: z.boolean() }),
  z.strictObject({ at, kind: z.literal("presence"), node: id, online: z.boolean() }),
  z.strictObject({
    at,
    kind: z.literal("report"),
    node: id,
    state: text,
    percent: whole,
    chunks: whole,
    total: whole,
    repaired: whole,
    // Journals of before nodes counted.
    sent: whole.default(0),
    error: text,
    version: text,
  }),
  z.strictObject({ at, kind: z.literal("sample"), node: id, sample }),
  z.strictObject({ at, kind: z.literal("paused"), by, reason: text }),
  z.strictObject({ at, kind: z.literal("resumed") }),
  z.strictObject({ at, kind: z.literal("asking"), wave: index }),
  z.strictObject({ at, kind: z.literal("approved"), wave: index }),
  z.strictObject({ at, kind: z.literal("wave-added"), wave: plannedWave }),
  z.strictObject({ at, kind: z.literal("joined"), wave: index, nodes: ids }),
  z.strictObject({ at, kind: z.literal("wave-begun"), wave: index }),
  z.strictObject({ at, kind: z.literal("activating"), nodes: ids }),
  z.strictObject({ at, kind: z.literal("whole"), wave: index, nodes: ids }),
  z.strictObject({ at, kind: z.literal("soaking"), wave: index, until: at }),
  z.strictObject({ at, kind: z.literal("queued"), node: id }),
  z.strictObject({ at, kind: z.literal("failed"), node: id, error: text, health: text }),
  z.strictObject({ at, kind: z.literal("wave-passed"), wave: index, verdict: text }),
  z.strictObject({ at, kind: z.literal("wave-failed"), wave: index, verdict: text }),
  z.strictObject({ at, kind: z.literal("undoing"), rollback: z.boolean(), by, reason: text }),
  z.strictObject({ at, kind: z.literal("stuck"), node: id, error: text }),
  z.strictObject({ at, kind: z.literal("retried"), nodes: ids }),
  z.strictObject({ at, kind: z.literal("ended"), state: z.enum(["done", "aborted", "failed"]), reason: text }),
]);

/** The event, or null when `value` is none. */
export function parseEvent(value: unknown): RolloutEvent | null {
  const result = event.safeParse(value);
  return result.success ? (result.data satisfies RolloutEvent) : null;
}
