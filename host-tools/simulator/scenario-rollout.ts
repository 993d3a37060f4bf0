/** A rollout over simulated boards, in place of a push to all of them at once. */
import type { Telemetry } from "../../firmware/wire/telemetry";
import type { Image } from "../build/image";
import { createDistribution } from "../gateway/distribution";
import type { Rollout, RolloutView } from "../gateway/fleet-view";
import type { NodeProgress, Push } from "../gateway/push";
import { memoryJournal } from "../gateway/rollout/journal";
import type { NodeFacts } from "../gateway/rollout/plan";
import { parsePolicy } from "../gateway/rollout/policy";
import { isOver, type RolloutEvent } from "../gateway/rollout/record";
import { createRollout, imageFacts, planRollout, type RunningRollout } from "../gateway/rollout/rollout";
import type { Fleet } from "./fleet";
import type { Scenario } from "./scenario";

export interface ScenarioRollout extends Push {
  view(): RolloutView;
  /** What the scenario lets happen to the rollout itself. */
  happen(event: Scenario["events"][number]): void;
}

/** Unix time at which simulations begin: 2026-01-01. */
export const EPOCH_MS = 1_767_225_600_000;

function factsOf(fleet: Fleet, telemetry: ReadonlyMap<number, Telemetry>, hardware: string): NodeFacts[] {
  const { mesh } = fleet.gateway;
  const members = new Set(mesh.getNodeList(false));
  return fleet.nodes.map(({ number, id }) => {
    const frame = telemetry.get(id);
    return {
      id,
      name: `n${number}`,
      hardware,
      role: "node",
      version: frame ? `${frame.major}.${frame.minor}.${frame.patch}` : "",
      image: frame?.image ?? 0,
      online: members.has(id),
      root: number === 0,
      children: frame?.children ?? 0,
      hops: mesh.getHopCount(id),
    };
  });
}

/** `telemetry` holds what nodes said before; `hold` may keep the start to itself; calls `done` when the rollout has ended, however it did. */
export function startScenarioRollout(
  fleet: Fleet,
  scenario: Scenario,
  image: Image,
  whole: Image | null,
  telemetry: ReadonlyMap<number, Telemetry>,
  done: () => void,
  hold?: (rollout: Rollout) => boolean,
): ScenarioRollout {
  const { gateway } = fleet;
  const { engine } = gateway;
  const now = (): number => EPOCH_MS + engine.now();
  const policy = parsePolicy(scenario.update!.rollout, scenario.name);
  const { transport } = policy;
  const wholes = whole ? { whole: createDistribution(gateway, whole, { transport }) } : {};
  const distribution = createDistribution(gateway, image, { transport });
  const frames = new Set<(frame: Telemetry) => void>();
  // What came in before the rollout is the baseline.
  const facts = factsOf(fleet, telemetry, image.manifest.hardware);
  const planned = planRollout("simulated", facts, imageFacts(image, whole), policy, now());
  const progress = new Map<number, NodeProgress>();
  let journal = memoryJournal();
  let rollout = open(planned);

  function open(plan: typeof planned | null): RunningRollout {
    const next = createRollout(plan, {
      now,
      every(ms, run) {
        const timer = engine.every(ms, run);
        return () => engine.cancel(timer);
      },
      distribution,
      ...wholes,
      onTelemetry(listener) {
        frames.add(listener);
        return () => void frames.delete(listener);
      },
      journal,
    });
    next.onChange(changed);
    return next;
  }

  function changed(view: RolloutView): void {
    for (const node of view.nodes) {
      const { seconds, ...rest } = node;
      progress.set(node.node, { ...rest, doneAfter: seconds < 0 ? -1 : seconds * 1000 });
    }
    if (isOver(rollout.record())) done();
  }

  for (const frame of telemetry.values()) for (const listener of [...frames]) listener(frame);
  if (!hold?.(rollout)) rollout.start();

  return {
    progress,
    view: () => rollout.view(),
    counts: () => rollout.view(),
    phase: () => (isOver(rollout.record()) ? "done" : "distributing"),
    telemetry(frame) {
      for (const listener of [...frames]) listener(frame);
    },
    abort: () => void rollout.abort(),
    happen(event) {
      if (event.rolloutRestart) {
        rollout.close();
        // As it comes back from the disk.
        const kept = JSON.parse(JSON.stringify(journal.all)) as RolloutEvent[];
        journal = memoryJournal(kept);
        rollout = open(null);
      }
      if (event.rollout === "retry") rollout.retryFailed();
      else if (event.rollout) rollout[event.rollout]();
    },
  };
}

/** What does not hold of a scenario's expectations of its rollout. */
export function judgeRollout(expected: NonNullable<Scenario["expect"]["rollout"]>, view: RolloutView | null): string[] {
  if (!view) return ["rollout: there was none"];
  const failures: string[] = [];
  const differs = (name: string, wanted: unknown, found: unknown): void => {
    const [a, b] = [JSON.stringify(wanted), JSON.stringify(found)];
    if (a !== b) failures.push(`rollout.${name}: expected ${a}, got ${b}`);
  };
  differs("state", expected.state, view.state);
  const waves = view.waves.map(({ state }) => state);
  if (expected.waves) differs("waves", expected.waves, waves);
  if (expected.reason !== undefined && !view.reason.includes(expected.reason))
    failures.push(`rollout.reason: expected "${expected.reason}" in "${view.reason}"`);
  for (const [state, count] of Object.entries(expected.nodes ?? {}))
    differs(`nodes.${state}`, count, view.nodes.filter((node) => node.state === state).length);
  return failures;
}
