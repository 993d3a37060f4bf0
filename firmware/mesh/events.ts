/** Who wants to hear what: lists of handlers by name. */
import type { Engine } from "../engine/engine";

export type Listener = (a: any, b: any) => void; // eslint-disable-line @typescript-eslint/no-explicit-any

export interface Events {
  listen(event: string, run: Listener | undefined): void;
  fire(event: string, a?: unknown, b?: unknown): void;
}

/** Handlers run in the order of registration; one that throws is logged, and must not take the mesh down. */
export function createEvents(engine: Engine): Events {
  const listeners: { [event: string]: Listener[] } = {};
  return {
    listen: function (event: string, run: Listener | undefined) {
      if (!run) return;
      const list = listeners["$" + event];
      if (list) list.push(run);
      else listeners["$" + event] = [run];
    },
    fire: function (event: string, a?: unknown, b?: unknown) {
      const list = listeners["$" + event];
      if (!list) return;
      for (const run of list) {
        try {
          run(a, b);
        } catch (error) {
          engine.log("mesh: handler of " + event + ": " + error);
        }
      }
    },
  };
}
