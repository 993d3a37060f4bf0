/** The network modules' side of a chip's life. */
import type { Interpreter } from "./interpreter";
import type { Realm } from "./realm";
import type { NetLimits, NetPort } from "./seam";

export function createPort(interpreter: Interpreter, realm: Realm, mac: string, limits: NetLimits): NetPort {
  return {
    mac,
    limits,
    now: () => interpreter.now(),
    schedule: (delayMs, run) => interpreter.schedule(delayMs, run),
    cancel: (handle) => interpreter.cancel(handle),
    deliver: (run, label) => interpreter.deliver(run, label),
    waiting: () => interpreter.waiting,
    block: (milliseconds) => interpreter.block(milliseconds),
    note: (what) => interpreter.note(what),
    charge: (instructions) => interpreter.charge(instructions),
    local: (value) => realm.helpers.local(value),
    error: (message) => realm.helpers.error(message),
  };
}
