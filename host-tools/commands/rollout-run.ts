/** Carries a rollout out on the terminal: bars, what happens, wishes of other processes, Ctrl-C, the report. */
import type { Image } from "../build/image";
import type { CommandContext } from "../command";
import { EspalierError, EXIT, type ExitCode } from "../errors";
import type { RolloutView } from "../gateway/fleet-view";
import type { MeshSession } from "../gateway/mesh-session";
import type { NodeFacts } from "../gateway/rollout/plan";
import type { Policy } from "../gateway/rollout/policy";
import { isOver, type RolloutRecord } from "../gateway/rollout/record";
import { nameIn, previewText, reportText } from "../gateway/rollout/report";
import { imageFacts, planRollout, rolloutId, type RunningRollout } from "../gateway/rollout/rollout";
import { replay } from "../gateway/rollout/apply";
import { carry } from "../gateway/rollout/keeper";
import type { OpenRollout, RolloutStore } from "../gateway/rollout/store";
import type { Bar, Progress } from "../ui/progress";

const LOOK_MS = 250;
const LAST_WORD_MS = 1000;

/** Every target that is not offline runs the new version, and nobody put an end to it. */
export function succeeded(view: RolloutView): boolean {
  return view.state === "done" && view.nodes.every(({ state }) => state === "running" || state === "queued");
}

export function reportRollout(context: CommandContext, record: RolloutRecord, view: RolloutView): ExitCode {
  const ok = succeeded(view);
  context.report({ ...view, ok }, () => reportText(view, nameIn(record), context.colors));
  return ok ? EXIT.ok : EXIT.failed;
}

function draw(bars: Map<number, Bar>, progress: Progress, view: RolloutView, name: (node: number) => string): void {
  for (const node of view.nodes) {
    if (["waiting", "queued", "kept"].includes(node.state) && !bars.has(node.node)) continue;
    const bar = bars.get(node.node) ?? progress.bar(name(node.node), 100, node.state);
    bars.set(node.node, bar);
    if (node.state === "running") bar.done(`runs ${node.version}`);
    else if (node.state === "failed" || node.state === "stuck") bar.fail(node.health || node.error);
    else if (node.state === "rolled-back" || node.state === "kept") bar.fail(node.state);
    else bar.update(node.percent, node.state);
  }
}

export interface RunParts {
  session: MeshSession;
  opened: OpenRollout;
  progress: Progress;
  /** Milliseconds between the frames of one sender; computed from the mesh unless given. */
  pace?: number;
  /** Share of the channel that the update may fill, 0..1. */
  airtime?: number;
}

/** Takes up what the journal holds, does what `first` asks for, and stays until the end or Ctrl-C. */
export async function carryOut(
  context: CommandContext,
  { session, opened, progress, pace, airtime }: RunParts,
  first: (rollout: RunningRollout) => void,
): Promise<ExitCode> {
  const { engine } = session.node;
  let failure: EspalierError | null = null;
  const rollout = carry({
    session,
    opened,
    pace,
    airtime,
    failed: (error) => void (failure = error),
    say: (text) => progress.log(text),
  });
  const name = nameIn(rollout.record());
  const bars = new Map<number, Bar>();
  rollout.onEvent((event) => progress.log(event.text));
  try {
    first(rollout);
    while (!isOver(rollout.record()) && !context.signal.aborted && !failure) {
      draw(bars, progress, rollout.view(), name);
      await new Promise<void>((resolve) => engine.after(LOOK_MS, resolve));
    }
    draw(bars, progress, rollout.view(), name);
    // The last word to the nodes shall leave before the session is closed.
    await new Promise<void>((resolve) => engine.after(LAST_WORD_MS, resolve));
  } finally {
    rollout.close();
    progress.stop();
  }
  if (failure) throw failure;
  const view = rollout.view();
  if (!isOver(rollout.record())) {
    context.stderr.write(
      `Rollout ${view.id} stands still, and nothing was taken back; nodes that hold the image start it by themselves after ` +
        `five minutes. Go on with "espalier rollout resume ${view.id}", or end it with "espalier rollout abort ${view.id}".\n`,
    );
  }
  return reportRollout(context, rollout.record(), view);
}

export interface NewRollout {
  image: Image;
  /** Where `image` is a delta: the same bundle, for nodes that do not run what it changes. */
  whole: Image | null;
  fleet: readonly NodeFacts[];
  policy: Policy;
  /** Say what would happen, and do nothing. */
  dryRun: boolean;
}

/** A new rollout, from its preview on. @throws EspalierError UNKNOWN_NODE, NO_TARGETS */
export async function beginRollout(
  context: CommandContext,
  store: RolloutStore,
  { image, whole, fleet, policy, dryRun }: NewRollout,
  parts: Omit<RunParts, "opened">,
): Promise<ExitCode> {
  const now = parts.session.now();
  const id = store.freeId(rolloutId(now, image.manifest.version));
  const planned = planRollout(id, fleet, imageFacts(image, whole), policy, now);
  const record = replay([planned]);
  if (dryRun) {
    parts.progress.stop();
    context.report({ ...planned, dryRun: true }, () => `${previewText(record)}\nNothing was sent.`);
    return EXIT.ok;
  }
  parts.progress.log(previewText(record));
  const opened = store.begin(planned, image, whole);
  return carryOut(context, { ...parts, opened }, (rollout) => rollout.start());
}
