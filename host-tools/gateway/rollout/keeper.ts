/** Rollouts over a session's mesh, kept in a store: begun, taken up again where a process died, and given free. */
import type { Image } from "../../build/image";
import { asEspalierError, EspalierError } from "../../errors";
import { createDistribution } from "../distribution";
import type { MeshSession } from "../mesh-session";
import { replay } from "./apply";
import { memoryJournal } from "./journal";
import type { NodeFacts } from "./plan";
import type { Policy } from "./policy";
import { nameIn } from "./report";
import { createRollout, imageFacts, planRollout, rolloutId, type RunningRollout } from "./rollout";
import type { OpenRollout, RolloutStore, Wish } from "./store";

const WISHES_EVERY_MS = 250;

export interface CarryOptions {
  session: MeshSession;
  opened: OpenRollout;
  /** Milliseconds between the frames of one sender; computed from the mesh unless given. */
  pace?: number;
  /** Share of the channel that the update may fill, 0..1. */
  airtime?: number;
  /** The journal cannot be written; the rollout stands still. */
  failed(error: EspalierError): void;
  say(text: string): void;
}

/** What a person at this or another terminal wants. What cannot be done now is said, and no end of anything. */
export function fulfil(rollout: RunningRollout, wish: Wish, say: (text: string) => void): void {
  try {
    if (wish === "retry") rollout.retryFailed();
    else if (wish === "abort") {
      const late = rollout.abort();
      if (late.length > 0)
        say(`too late to stop ${late.map(nameIn(rollout.record())).join(", ")}: they restart into the image already`);
    } else rollout[wish]();
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    say(`${error.code}: ${error.message}`);
  }
}

/** Carries out what the journal holds, and the wishes of other processes; closing it gives it free for those. */
export function carry({ session, opened, pace, airtime, failed, say }: CarryOptions): RunningRollout {
  const { engine } = session.node;
  const every = (milliseconds: number, run: () => void): (() => void) => {
    const timer = engine.every(milliseconds, run);
    return () => engine.cancel(timer);
  };
  const { transport } = replay(opened.journal.events).policy;
  const how = { transport, pace, airtime };
  const rollout = createRollout(null, {
    now: () => session.now(),
    every,
    ...(opened.whole ? { whole: createDistribution(session.node, opened.whole, how) } : {}),
    distribution: createDistribution(session.node, opened.image, how),
    onTelemetry: (listener) => session.onTelemetry(listener),
    journal: opened.journal,
    failed,
  });
  const end = every(WISHES_EVERY_MS, () => {
    for (const wish of opened.takeWishes()) fulfil(rollout, wish, say);
  });
  return {
    ...rollout,
    close() {
      end();
      rollout.close();
      opened.release();
    },
  };
}

/** One rollout at a time, for as long as a process lives. */
export interface RolloutKeeper {
  /** Plans a rollout, which `start()` lets run; lets go of the one before. @throws EspalierError UNKNOWN_NODE, NO_TARGETS */
  begin(image: Image, fleet: readonly NodeFacts[], policy: Policy): RunningRollout;
  /** The newest rollout that began here and has not ended, where it stood; null when there is none. */
  resume(): RunningRollout | null;
  close(): void;
}

/** @param store null: rollouts end with the process */
export function keepRollouts(
  session: MeshSession,
  store: RolloutStore | null,
  say: (text: string) => void,
): RolloutKeeper {
  let current: RunningRollout | null = null;

  function take(opened: OpenRollout): RunningRollout {
    const { id } = replay(opened.journal.events);
    current = carry({
      session,
      opened,
      failed: (error) => say(`rollout ${id} stands still: ${error.message}`),
      say: (text) => say(`rollout ${id}: ${text}`),
    });
    current.onEvent((event) => say(event.text));
    return current;
  }

  function letGo(): void {
    current?.close();
    // A preview that nobody wanted leaves nothing behind.
    if (current?.record().state === "preview") store?.remove(current.record().id);
    current = null;
  }

  return {
    begin(image, fleet, policy) {
      const now = session.now();
      const wanted = rolloutId(now, image.manifest.version);
      const id = store?.freeId(wanted) ?? wanted;
      const planned = planRollout(id, fleet, imageFacts(image), policy, now);
      letGo();
      if (!store)
        return take({
          journal: memoryJournal([planned]),
          image,
          whole: null,
          takeWishes: () => [],
          release: () => undefined,
        });
      return take(store.begin(planned, image));
    },
    resume() {
      try {
        const opened = store?.takeUnfinished();
        if (!opened) return null;
        const rollout = take(opened);
        say(`rollout ${rollout.record().id} is taken up again where it stood: ${rollout.record().state}`);
        return rollout;
      } catch (error) {
        // One that cannot go on is no reason not to serve.
        say(asEspalierError(error).message);
        return null;
      }
    },
    close: letGo,
  };
}
