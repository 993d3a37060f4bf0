/** Rollouts of the dashboard: the images at hand, planned and carried out over the session's mesh. */
import type { Image } from "../build/image";
import { EspalierError } from "../errors";
import { createDistribution } from "../gateway/distribution";
import type { Collector, MeshEvent, NodeView } from "../gateway/fleet-view";
import type { MeshSession } from "../gateway/mesh-session";
import { type Journal, memoryJournal } from "../gateway/rollout/journal";
import type { NodeFacts } from "../gateway/rollout/plan";
import { parsePolicy } from "../gateway/rollout/policy";
import { createRollout, imageFacts, planRollout, rolloutId } from "../gateway/rollout/rollout";
import type { ImageChoice } from "./api";
import { createRolloutDesk, type RolloutDesk } from "./rollout-desk";

export interface LiveDeskOptions {
  session: MeshSession;
  collector: Collector;
  images: readonly Image[];
  /** Where a rollout of this id is written down; in memory unless given. */
  journal?(id: string): Journal;
  event?(event: MeshEvent): void;
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

export function createLiveDesk({ session, collector, images, journal, event }: LiveDeskOptions): RolloutDesk {
  const { engine } = session.node;
  let close = (): void => {};
  return createRolloutDesk({
    images: images.map(choiceOf),
    plan({ image: id, policy: name, transport }) {
      const image = images.find((one) => one.id === id);
      if (!image) throw new EspalierError("NO_SUCH_IMAGE", "there is no image with this id");
      const now = session.now();
      const policy = parsePolicy({ policy: name === "all" ? "all-at-once" : "progressive", transport }, "dashboard");
      const { hardware, role } = image.manifest;
      const facts = collector.nodes().map((view) => factsOf(view, hardware, role));
      const key = rolloutId(now, image.manifest.version);
      const planned = planRollout(key, facts, imageFacts(image), policy, now);
      close();
      const rollout = createRollout(planned, {
        now: () => session.now(),
        every(milliseconds, run) {
          const timer = engine.every(milliseconds, run);
          return () => engine.cancel(timer);
        },
        distribution: createDistribution(session.node, image, { transport }),
        onTelemetry: (listener) => session.onTelemetry(listener),
        journal: journal?.(key) ?? memoryJournal(),
      });
      if (event) rollout.onEvent(event);
      close = () => rollout.close();
      return rollout;
    },
  });
}
