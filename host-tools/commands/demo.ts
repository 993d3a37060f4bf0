import type { CommandDefinition } from "../command";
import { EXIT } from "../errors";
import { parseScenario } from "../simulator/scenario";
import { openDemoDashboard } from "./demo-dashboard";
import { play, reportRun } from "./simulation";

/** Virtual seconds: while somebody looks at the preview they fly. */
const UNTIL_WATCHED = 20_000;

/** Twenty boards, three hops, five per cent loss: the main job from beginning to end. */
export const DEMO = {
  name: "demo",
  seed: 7,
  nodes: 20,
  topology: { shape: "grid", spacing: 8 },
  radio: { loss: 0.05 },
  version: "1.0.0",
  update: { version: "2.0.0", transport: "broadcast", encoding: "deflate", deadline: 900 },
  until: 1800,
  expect: { updated: 20, hopsAtLeast: 3 },
} as const;

export const demo: CommandDefinition = {
  examples: [
    { line: "demo", comment: "build two versions of apps/sensor.ts, form a mesh, push the second" },
    { line: "demo --json", comment: "one JSON object instead" },
    { line: "demo --encoding heatshrink --nodes 40", comment: "something else" },
  ],

  configure(command) {
    command
      .option("--nodes <number>", "virtual boards", "20")
      .option("--loss <share>", "of broadcast frames, 0 to 0.9", "0.05")
      .option("--encoding <name>", "auto, raw, deflate or heatshrink", "deflate")
      .option("--transport <name>", "broadcast or sequential", "broadcast")
      .option("--no-dashboard", "without the page that shows it live")
      .option("--stay", "keep the dashboard when the update is over, until Ctrl-C")
      .option("--seed <number>", "another run", String(DEMO.seed));
  },

  async run(context, options) {
    const nodes = Number(options.nodes);
    const beside = options.dashboard && !context.json ? await openDemoDashboard(context) : null;
    // With waves, even if it is one, the update has a preview to look at.
    const rollout = beside ? { rollout: { policy: "all-at-once", transport: options.transport } } : {};
    const scenario = parseScenario(
      {
        ...DEMO,
        nodes,
        seed: Number(options.seed),
        radio: { loss: Number(options.loss) },
        update: { ...DEMO.update, encoding: options.encoding, transport: options.transport, ...rollout },
        expect: { updated: nodes },
        ...(beside ? { until: UNTIL_WATCHED } : {}),
      },
      "demo",
    );
    try {
      const result = await play(context, scenario, { console: false, beside });
      return result ? reportRun(context, result) : EXIT.interrupted;
    } finally {
      await beside?.close(options.stay === true);
    }
  },
};
