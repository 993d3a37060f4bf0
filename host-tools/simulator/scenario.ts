/** The scenario file: what is simulated, what happens, and what is expected. docs/simulator.md explains every field. */
import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { z } from "zod";
import { EspalierError, EXIT } from "../errors";
import { type PolicyInput, policySchema } from "../gateway/rollout/policy";

const seconds = z.number().min(0).max(1e7);
const share = z.number().min(0).max(1);
const version = z.string().regex(/^\d+\.\d+\.\d+$/, 'three numbers, for instance "1.2.0"');
/** Position in the list of nodes: 0 is the root. */
const nodeNumber = z.number().int().min(0).max(999);

const loss = z.union([
  share,
  z.strictObject({
    /** Gilbert-Elliott: share of time in which a link loses every frame, and mean length of such a time in ms. */
    mean: share.lt(1),
    burst: z.number().min(1).max(500),
  }),
]);

/** Checked here, read where it is carried out. */
const rollout = z.custom<PolicyInput>().superRefine((value, context) => {
  for (const { path, message } of policySchema.safeParse(value).error?.issues ?? [])
    context.addIssue({ code: "custom", path, message });
});

const event = z
  .strictObject({
    /** Seconds after the beginning. */
    at: seconds,
    /** Restarts a node's interpreter, as a crash would. */
    reset: nodeNumber.optional(),
    powerOff: nodeNumber.optional(),
    powerOn: nodeNumber.optional(),
    cutLink: z.tuple([nodeNumber, nodeNumber]).optional(),
    restoreLink: z.tuple([nodeNumber, nodeNumber]).optional(),
    loss: loss.optional(),
    /** The laptop goes away without a word. */
    laptopOff: z.literal(true).optional(),
    /** The program that carries the rollout out dies, and is started again from its journal. */
    rolloutRestart: z.literal(true).optional(),
    /** What a person does to the rollout. */
    rollout: z.enum(["pause", "resume", "approve", "abort", "rollback", "retry"]).optional(),
  })
  .refine((e) => Object.keys(e).length === 2, "one thing happens per event: give `at` and one more field");

export const scenarioSchema = z.strictObject({
  name: z.string().min(1).max(80),
  seed: z.number().int().min(0).max(0xffffffff).default(1),
  nodes: z.number().int().min(1).max(250),
  board: z.string().default("esp32-devkitc"),
  app: z.string().default("apps/sensor.ts"),
  topology: z
    .strictObject({
      shape: z.enum(["line", "star", "grid", "random"]).default("grid"),
      /** Metres between neighbours (line, grid), radius (star) or side of the area (random). */
      spacing: z.number().min(0.1).max(10000).default(8),
    })
    .prefault({}),
  radio: z
    .strictObject({
      /** What links lose on top of what distance and collisions cost: the chance for each frame, or bursts. */
      loss: loss.default(0),
      /** kb/s that one sender gets through at the basic rate; 691 is an undisturbed channel. */
      throughput: z.number().min(20).max(691).default(214),
    })
    .prefault({}),
  /** Version that all nodes start with. */
  version: version.default("1.0.0"),
  /** Nodes that start with something else. */
  differing: z
    .array(z.strictObject({ node: nodeNumber, version: version.optional(), app: z.string().optional() }))
    .default([]),
  /** The site has keys: images are signed, control messages sealed. A differing application's node has no mesh key. */
  keys: z.boolean().default(false),
  /** Seconds between a node's telemetry frames; 60 unless given. */
  telemetry: z.number().int().min(10).max(3600).optional(),
  /** Nodes that are off at first and come later, by number: seconds after the beginning. */
  late: z.array(z.strictObject({ node: nodeNumber, at: seconds })).default([]),
  update: z
    .strictObject({
      version: version.default("1.1.0"),
      /** Seconds after which the laptop starts to push; by default as soon as the mesh is whole. */
      at: seconds.optional(),
      transport: z.enum(["broadcast", "sequential", "peer"]).default("broadcast"),
      /** A delta changes the bundle that the nodes start with; who runs another one gets the whole. */
      encoding: z.enum(["auto", "raw", "deflate", "heatshrink", "delta"]).default("auto"),
      chunkBytes: z.number().int().min(64).max(1016).default(1016),
      /** Bytes that the bundle is padded to; by default it has its own size. */
      size: z.number().int().min(1).max(204800).optional(),
      /** Damages the image in the named place, to see it refused. */
      damage: z.enum(["payload", "result-hash"]).optional(),
      hardware: z.string().optional(),
      /** Application of the new version; the scenario's own unless given. */
      app: z.string().optional(),
      /** Waves and their gates, as in a rollout file (docs/rollouts.md); nodes are named by their number, "n3". */
      rollout: rollout.optional(),
      /** Seconds after which the laptop activates what is verified and gives up the rest. */
      deadline: seconds.default(1800),
    })
    .optional(),
  events: z.array(event).default([]),
  /** Seconds after which the run ends, whatever is under way. */
  until: seconds.default(3600),
  expect: z
    .strictObject({
      /** Nodes whose telemetry shows the new version at the end. */
      updated: z.number().int().min(0).optional(),
      /** Boards whose running slot, read and hashed, holds the new image's bytes. */
      verified: z.number().int().min(0).optional(),
      /** Nodes that run the version they started with at the end. */
      unchanged: z.number().int().min(0).optional(),
      /** What boards run at the end, by number: read off the board, whoever hears its telemetry. */
      runs: z.record(z.string().regex(/^\d+$/), version).optional(),
      /** Seconds until every node that is on is part of the mesh. */
      formedWithin: seconds.optional(),
      /** Seconds from the push to the last node running. */
      updatedWithin: seconds.optional(),
      /** Chunk frames sent divided by the least that the tree allows. */
      ratioAtMost: z.number().min(1).optional(),
      /** Milliseconds that one piece of work may hold any node's interpreter, the start of a life apart. */
      longestSliceMs: z.number().min(1).optional(),
      /** The same, until the mesh is whole. */
      longestFormingSliceMs: z.number().min(1).optional(),
      hopsAtLeast: z.number().int().min(1).optional(),
      /** Error code that every node which failed reports. */
      error: z.string().optional(),
      compactions: z.number().int().min(0).default(0),
      rollout: z
        .strictObject({
          state: z.enum(["done", "aborted", "failed"]),
          /** What became of each wave, in order. */
          waves: z.array(z.enum(["waiting", "updating", "soaking", "passed", "failed"])).optional(),
          /** Text that the reason contains. */
          reason: z.string().optional(),
          /** Nodes that ended so: running, failed, kept, rolled-back, stuck, queued. */
          nodes: z.record(z.string(), z.number().int().min(0)).optional(),
        })
        .optional(),
    })
    .prefault({}),
});

export type Scenario = z.output<typeof scenarioSchema>;
export type ScenarioInput = z.input<typeof scenarioSchema>;

/** Checks a scenario that was read or written in code. Throws EspalierError BAD_SCENARIO naming every wrong field. */
export function parseScenario(input: unknown, file = "scenario"): Scenario {
  const result = scenarioSchema.safeParse(input);
  if (!result.success) {
    const reasons = result.error.issues.map((issue) => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
    throw new EspalierError("BAD_SCENARIO", `${file} is no valid scenario:\n  ${reasons.join("\n  ")}`, {
      hint: "docs/simulator.md lists every field",
      exitCode: EXIT.usage,
      context: { file, reasons },
    });
  }
  const scenario = result.data;
  const numbers = [
    ...scenario.late.map((late) => late.node),
    ...scenario.differing.map((one) => one.node),
    ...scenario.events.flatMap((e) => [e.reset, e.powerOff, e.powerOn, ...(e.cutLink ?? []), ...(e.restoreLink ?? [])]),
  ];
  const wrong = numbers.find((number) => number !== undefined && number >= scenario.nodes);
  if (wrong !== undefined) {
    throw new EspalierError(
      "BAD_SCENARIO",
      `${file}: there is no node ${wrong}, they are numbered 0 to ${scenario.nodes - 1}`,
      {
        hint: "node 0 is the root",
        exitCode: EXIT.usage,
        context: { file },
      },
    );
  }
  return scenario;
}

/** Reads a YAML (or JSON) scenario file. Throws EspalierError BAD_SCENARIO or NO_FILE. */
export function readScenario(file: string): Scenario {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new EspalierError("NO_FILE", `cannot read ${file}: ${(error as Error).message}`, {
      hint: "check the path",
      exitCode: EXIT.usage,
    });
  }
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    throw new EspalierError("BAD_SCENARIO", `${file}: ${document.errors[0]!.message}`, {
      hint: "the file is no valid YAML",
      exitCode: EXIT.usage,
    });
  }
  return parseScenario(document.toJS(), file);
}
