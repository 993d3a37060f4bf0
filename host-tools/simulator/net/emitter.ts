/** Espruino's events on the objects of its network modules: listeners run from the interpreter's queue, never at once. */
import type { NetPort } from "../chip/seam";

export type Listener = (this: unknown, ...args: never[]) => unknown;

export class Emitter {
  readonly #port: NetPort;
  /** Replaced, never changed, so that a queued event keeps the listeners it was queued with. */
  readonly #listeners = new Map<string, readonly Listener[]>();

  constructor(port: NetPort) {
    this.#port = port;
  }

  on(event: string, listener: Listener): void {
    this.#check(event, listener);
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  addListener(event: string, listener: Listener): void {
    this.on(event, listener);
  }

  prependListener(event: string, listener: Listener): void {
    this.#check(event, listener);
    this.#listeners.set(event, [listener, ...(this.#listeners.get(event) ?? [])]);
  }

  removeListener(event: string, listener: Listener): void {
    const list = this.#listeners.get(event);
    if (list) this.#listeners.set(event, remove(list, listener));
  }

  removeAllListeners(event?: string): void {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.delete(event);
  }

  emit(event: string, ...args: unknown[]): void {
    queueEvent(this.#port, this, event, args);
  }

  /** The listeners as they are now; not part of Espruino's interface. */
  static of(emitter: Emitter, event: string): readonly Listener[] {
    return emitter.#listeners.get(event) ?? [];
  }

  #check(event: string, listener: Listener): void {
    if (typeof event !== "string") throw this.#port.error("First argument must be String");
    if (typeof listener !== "function") throw this.#port.error("Second argument must be a function or a String");
  }
}

function remove(list: readonly Listener[], listener: Listener): readonly Listener[] {
  const index = list.indexOf(listener);
  return index < 0 ? list : list.filter((_, i) => i !== index);
}

/** Queues one interpreter event that calls every listener of `event`; nothing when there is none. */
export function queueEvent(port: NetPort, emitter: Emitter, event: string, args: unknown[]): void {
  const listeners = Emitter.of(emitter, event);
  if (listeners.length) port.deliver(() => callAll(listeners, emitter, args), event);
}

export function callAll(listeners: readonly Listener[], self: unknown, args: unknown[]): void {
  for (const listener of listeners) listener.apply(self, args as never[]);
}

/** Queues a callback that stands alone. */
export function queueCallback(port: NetPort, callback: unknown, args: unknown[], label: string): void {
  if (typeof callback === "function") port.deliver(() => void callback(...args), label);
}
