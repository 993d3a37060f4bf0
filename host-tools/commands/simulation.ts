/** What the commands share that run a scenario: progress on the terminal, Ctrl-C, the report. */
import type { CommandContext } from "../command";
import { EXIT, type ExitCode } from "../errors";
import { nodeTable, totals } from "../simulator/report";
import { runScenario, type ScenarioResult } from "../simulator/run-scenario";
import type { Scenario } from "../simulator/scenario";
import type { Bar } from "../ui/progress";
import type { DemoDashboard } from "./demo-dashboard";

/** Virtual seconds between two lines about a mesh that forms. */
const FORMING_LINE_SECONDS = 5;

/** Runs a scenario and shows it; the result is null when Ctrl-C ended it. */
export async function play(
  context: CommandContext,
  scenario: Scenario,
  options: { console: boolean; beside?: DemoDashboard | null },
): Promise<ScenarioResult | null> {
  let virtual = 0;
  const progress = context.progress({ now: () => virtual * 1000, unit: "%" });
  const bars = new Map<number, Bar>();
  let inMesh = -1;
  let said = -Infinity;
  const result = await runScenario(scenario, {
    ...options.beside?.watcher,
    stopped: () => context.signal.aborted,
    print(node, line) {
      if (options.console) progress.log(`${virtual.toFixed(1).padStart(7)} s  node ${node}: ${line}`);
    },
    tick({ seconds, inMesh: now, push, phase, transmissions, lowerBound }) {
      virtual = seconds;
      options.beside?.counted(transmissions, lowerBound);
      if (phase === "forming" && now !== inMesh && (seconds - said >= FORMING_LINE_SECONDS || now === scenario.nodes)) {
        progress.log(`${seconds.toFixed(1).padStart(7)} s  ${now} of ${scenario.nodes} nodes in the mesh`);
        inMesh = now;
        said = seconds;
      }
      if (!push) return;
      let number = 0;
      for (const p of push.progress.values()) {
        const bar = bars.get(p.node) ?? progress.bar(`node ${number}`, 100, p.state);
        bars.set(p.node, bar);
        number++;
        if (p.state === "running") bar.done(`runs ${p.version}`);
        else if (p.state === "failed") bar.fail(p.error);
        else bar.update(p.state === "decoding" || p.state === "verified" ? 100 : p.percent, p.state);
      }
    },
  });
  progress.stop();
  return context.signal.aborted ? null : result;
}

/** The table, the totals, and what the exit code shall be. */
export function reportRun(context: CommandContext, result: ScenarioResult): ExitCode {
  context.report({ ...result, ok: result.failures.length === 0 }, () =>
    [nodeTable(result, context.colors), "", totals(result, context.colors)].join("\n"),
  );
  return result.failures.length === 0 ? EXIT.ok : EXIT.failed;
}
