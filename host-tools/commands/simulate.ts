import type { CommandDefinition } from "../command";
import { EXIT } from "../errors";
import { readScenario } from "../simulator/scenario";
import { play, reportRun } from "./simulation";

export const simulate: CommandDefinition = {
  examples: [
    { line: "simulate test/scenarios/line.yaml", comment: "play it; exit code 1 when an expectation fails" },
    { line: "simulate test/scenarios/line.yaml --seed 7 --json", comment: "another run of the same, for a program" },
    { line: "simulate mine.yaml --console", comment: "with what the boards print" },
  ],

  configure(command) {
    command
      .argument("<scenario>", "a YAML file, see docs/simulator.md")
      .option("--seed <number>", "in place of the scenario's own")
      .option("--console", "show what the boards print");
  },

  async run(context, options, args) {
    const scenario = readScenario(args[0] as string);
    if (options.seed !== undefined) scenario.seed = Number(options.seed) >>> 0;
    const result = await play(context, scenario, { console: options.console === true });
    return result ? reportRun(context, result) : EXIT.interrupted;
  },
};
