/** Who wants to hear what: lists of handlers by name. */
import type { Engine } from "../engine/engine";

export type Listener = (a: any, b: any) => void; // eslint-disable-line @typescript-eslint/no-explicit-any

export interface Events {
  hear(event: string, run: Listener | undefined): void;
  fire(event: string, a?: unknown, b?: unknown): void;
}

/** Handlers run in the order of registration; one that throws is logged, and must not take the mesh down. */
export function createEvents(engine: Engine): Events {
  // Most events have one handler, and an array costs three variables more than the handler.
  const handlers: { [event: string]: Listener | Listener[] | undefined } = {};
  return {
    hear: function (event: string, run: Listener | undefined) {
      "cold";
      const known = handlers[event];
      if (run) handlers[event] = known ? ([] as Listener[]).concat(known, run) : run;
    },
    fire: function (event: string, a?: unknown, b?: unknown) {
      const known = handlers[event];
      if (!known) return;
      const list = typeof known === "function" ? [known] : known;
      for (const run of list) {
        try {
          run(a, b);
        } catch (error) {
          engine.log("mesh: " + event + ": " + error);
        }
      }
    },
  };
}
