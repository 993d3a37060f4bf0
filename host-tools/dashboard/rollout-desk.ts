/** What the dashboard rolls out: images to choose from, and the one rollout that there is. */
import { EspalierError } from "../errors";
import type { Rollout, RolloutState, RolloutView } from "../gateway/fleet-view";
import type { ImageChoice, PreviewRequest, RolloutAction } from "./api";

export interface RolloutDesk {
  images(): ImageChoice[];
  current(): Rollout | null;
  /** Plans a rollout; it replaces the last one unless that is under way. @throws EspalierError */
  preview(request: PreviewRequest): Promise<Rollout>;
  /** @returns nodes that can no longer be stopped, which only "abort" knows @throws EspalierError */
  act(action: RolloutAction): number[];
  onChange(listener: (view: RolloutView | null) => void): () => void;
  /** Shows a rollout that somebody else planned. */
  adopt(rollout: Rollout): void;
}

export interface RolloutDeskOptions {
  images: readonly ImageChoice[];
  /** Makes a rollout in state "preview". */
  plan(request: PreviewRequest): Promise<Rollout> | Rollout;
  /** One taken up again from its journal. */
  current?: Rollout;
}

/** States in which an action means something. */
const ALLOWED: Record<RolloutAction, readonly RolloutState[]> = {
  start: ["preview"],
  pause: ["running"],
  resume: ["paused"],
  approve: ["waiting-approval"],
  abort: ["preview", "running", "paused", "waiting-approval", "rolling-back"],
  retry: ["done", "failed", "aborted", "paused", "waiting-approval"],
  rollback: ["paused", "waiting-approval", "done", "aborted", "failed"],
};

const OVER: readonly RolloutState[] = ["preview", "done", "aborted", "failed"];

export function createRolloutDesk(options: RolloutDeskOptions): RolloutDesk {
  const listeners = new Set<(view: RolloutView | null) => void>();
  let current: Rollout | null = null;
  let end = (): void => {};

  function adopt(rollout: Rollout): void {
    end();
    current = rollout;
    end = rollout.onChange(tell);
    tell(rollout.view());
  }

  function tell(view: RolloutView): void {
    for (const listener of listeners) listener(view);
  }

  if (options.current) adopt(options.current);

  return {
    images: () => [...options.images],
    current: () => current,
    adopt,
    async preview(request) {
      if (!options.images.some(({ id }) => id === request.image)) {
        throw new EspalierError("NO_SUCH_IMAGE", "there is no image with this id");
      }
      const busy = (): boolean => current !== null && !OVER.includes(current.view().state);
      const refuse = (): never => {
        throw new EspalierError("ROLLOUT_RUNNING", "a rollout is under way", { hint: "Abort it first." });
      };
      if (busy()) refuse();
      const next = await options.plan(request);
      if (busy()) refuse();
      adopt(next);
      return next;
    },
    act(action) {
      if (!current) throw new EspalierError("NO_ROLLOUT", "there is no rollout");
      const { state } = current.view();
      if (!ALLOWED[action].includes(state)) {
        throw new EspalierError("WRONG_STATE", `"${action}" means nothing while the rollout is ${state}`);
      }
      if (action === "abort") return current.abort();
      if (action === "retry") current.retryFailed();
      else current[action]();
      return [];
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
