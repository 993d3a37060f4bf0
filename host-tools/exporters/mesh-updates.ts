/** The update desk of a bridge: images from files, rollouts that a journal remembers. */
import * as path from "node:path";
import type { Image } from "../build/image";
import { createDistribution } from "../gateway/distribution";
import type { Collector, NodeView } from "../gateway/fleet-view";
import type { MeshSession } from "../gateway/mesh-session";
import { type Journal, memoryJournal, openJournal } from "../gateway/rollout/journal";
import type { NodeFacts } from "../gateway/rollout/plan";
import { parsePolicy } from "../gateway/rollout/policy";
import { createRollout, imageFacts, planRollout, rolloutId } from "../gateway/rollout/rollout";
import { createUpdateDesk, type ImageInfo, type UpdateDesk } from "./updates";

export interface MeshUpdateOptions {
  session: MeshSession;
  collector: Collector;
  images: readonly Image[];
  /** Where journals of rollouts are kept; in memory, and gone with the process, unless given. */
  folder?: string;
  log(text: string): void;
}

function factsOf(view: NodeView, hardware: string): NodeFacts {
  return {
    id: view.id,
    name: view.name,
    // Nodes refuse what is for another chip; where nobody wrote theirs down, that is the check.
    hardware: view.hardware || hardware,
    role: view.role,
    version: view.version,
    image: view.telemetry?.image ?? 0,
    online: view.presence !== "lost",
    root: view.role === "root",
    children: view.telemetry?.children ?? 0,
    hops: Math.max(0, view.hops),
  };
}

export function createMeshUpdates(options: MeshUpdateOptions): UpdateDesk {
  const { session, collector, log } = options;
  const { engine } = session.node;
  const byId = new Map(options.images.map((image) => [image.id, image]));

  return createUpdateDesk({
    images: options.images.map(({ id, manifest: { version, hardware, role } }): ImageInfo => ({
      id,
      version,
      hardware,
      role,
    })),
    begin(info, nodes) {
      const image = byId.get(info.id)!;
      // One node is a canary by itself; of several, some go first.
      const policy = parsePolicy({
        policy: nodes.length === 1 ? "all-at-once" : "progressive",
        targets: { nodes: [...nodes] },
      });
      const id = rolloutId(session.now(), info.version);
      const facts = collector.nodes().map((view) => factsOf(view, info.hardware));
      const plan = planRollout(id, facts, imageFacts(image), policy, session.now());
      const journal: Journal =
        options.folder === undefined ? memoryJournal() : openJournal(path.join(options.folder, `rollout-${id}.jsonl`));
      const rollout = createRollout(plan, {
        now: () => session.now(),
        every(milliseconds, run) {
          const timer = engine.every(milliseconds, run);
          return () => engine.cancel(timer);
        },
        distribution: createDistribution(session.node, image, { transport: policy.transport }),
        onTelemetry: (listener) => session.onTelemetry(listener),
        journal,
        failed: (error) => log(`rollout ${id} stands still: ${error.message}`),
      });
      rollout.onEvent((event) => log(`rollout ${id}: ${event.text}`));
      return rollout;
    },
  });
}
