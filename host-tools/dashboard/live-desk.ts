/** Rollouts of the dashboard: the images at hand, planned and carried out over the session's mesh. */
import type { Image } from "../build/image";
import type { Collector, MeshEvent, NodeView, Rollout } from "../gateway/fleet-view";
import { factsOfView, FLAG_ROOT } from "../gateway/rollout/facts";
import type { RolloutKeeper } from "../gateway/rollout/keeper";
import type { NodeFacts } from "../gateway/rollout/plan";
import { parsePolicy } from "../gateway/rollout/policy";
import type { ImageChoice } from "./api";
import { createRolloutDesk, type RolloutDesk } from "./rollout-desk";

export interface LiveDeskOptions {
  collector: Collector;
  images: readonly Image[];
  /** One that it has not finished is shown, and goes on. */
  keeper: RolloutKeeper;
  event(event: MeshEvent): void;
}

function choiceOf({ id, manifest }: Image): ImageChoice {
  const { version, hardware, role, resultBytes, notes } = manifest;
  return { id, version, hardware, role, bytes: resultBytes, notes: notes ?? "" };
}

/** A node of which only telemetry tells that it is the root takes what is for the image's role; before any came, it is on top. */
function factsOf(view: NodeView, hardware: string, role: string): NodeFacts {
  const t = view.telemetry;
  return {
    ...factsOfView(view, hardware),
    role: view.role === "root" ? role : view.role,
    root: t ? (t.flags & FLAG_ROOT) !== 0 : view.parent === 0,
  };
}

export function createLiveDesk({ collector, images, keeper, event }: LiveDeskOptions): RolloutDesk {
  const shown = (rollout: Rollout): Rollout => {
    rollout.onEvent(event);
    return rollout;
  };
  const unfinished = keeper.resume();
  return createRolloutDesk({
    images: images.map(choiceOf),
    current: unfinished ? shown(unfinished) : undefined,
    plan({ image: id, policy: name, transport }) {
      // The desk has looked whether it is there.
      const image = images.find((one) => one.id === id)!;
      const policy = parsePolicy({ policy: name === "all" ? "all-at-once" : "progressive", transport }, "dashboard");
      const { hardware, role } = image.manifest;
      const facts = collector.nodes().map((view) => factsOf(view, hardware, role));
      return shown(keeper.begin(image, facts, policy));
    },
  });
}
