/** The update desk of a bridge: images from files, rollouts that outlive the process. */
import type { Image } from "../build/image";
import type { Collector } from "../gateway/fleet-view";
import { factsOfView } from "../gateway/rollout/facts";
import type { RolloutKeeper } from "../gateway/rollout/keeper";
import { parsePolicy } from "../gateway/rollout/policy";
import { createUpdateDesk, type ImageInfo, type UpdateDesk } from "./updates";

export interface MeshUpdateOptions {
  collector: Collector;
  images: readonly Image[];
  /** One that it has not finished goes on. */
  keeper: RolloutKeeper;
}

export function createMeshUpdates(options: MeshUpdateOptions): UpdateDesk {
  const { collector, keeper } = options;
  const byId = new Map(options.images.map((image) => [image.id, image]));

  return createUpdateDesk({
    images: options.images.map(({ id, manifest: { version, hardware, role } }): ImageInfo => ({
      id,
      version,
      hardware,
      role,
    })),
    current: keeper.resume(),
    begin(info, nodes) {
      const image = byId.get(info.id)!;
      // One node is a canary by itself; of several, some go first.
      const policy = parsePolicy({
        policy: nodes.length === 1 ? "all-at-once" : "progressive",
        targets: { nodes: [...nodes] },
      });
      const facts = collector.nodes().map((view) => factsOfView(view, info.hardware));
      return keeper.begin(image, facts, policy);
    },
  });
}
