/** Rollouts of the dashboard: the images at hand, planned and carried out over the session's mesh. */
import type { Image } from "../build/image";
import { EspalierError } from "../errors";
import type { Collector, MeshEvent, NodeView, Rollout } from "../gateway/fleet-view";
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

export function choiceOf({ id, manifest }: Image): ImageChoice {
  const { version, hardware, role, resultBytes, notes } = manifest;
  return { id, version, hardware, role, bytes: resultBytes, notes: notes ?? "" };
}

/** What is known of a node before a rollout; telemetry tells no chip, and a receiver refuses what is not for it. */
function factsOf(view: NodeView, hardware: string, role: string): NodeFacts {
  const t = view.telemetry;
  return {
    id: view.id,
    name: view.name,
    hardware: view.hardware || hardware,
    role: view.role === "root" ? role : view.role,
    version: view.version,
    image: t?.image ?? 0,
    online: view.presence !== "lost",
    root: t ? (t.flags & 4) !== 0 : view.parent === 0,
    children: t?.children ?? 0,
    hops: Math.max(0, view.hops),
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
      const image = images.find((one) => one.id === id);
      if (!image) throw new EspalierError("NO_SUCH_IMAGE", "there is no image with this id");
      const policy = parsePolicy({ policy: name === "all" ? "all-at-once" : "progressive", transport }, "dashboard");
      const { hardware, role } = image.manifest;
      const facts = collector.nodes().map((view) => factsOf(view, hardware, role));
      return shown(keeper.begin(image, facts, policy));
    },
  });
}
