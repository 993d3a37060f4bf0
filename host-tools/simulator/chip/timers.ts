/** setTimeout and its kin on the interpreter's virtual time, with Espruino's own rules. */
import { TIMER_CALL } from "./cost-table";
import type { Interpreter } from "./interpreter";
import type { RealmHelpers } from "./prelude";
import type { ClockEvent } from "./seam";

/** Work of the idle loop to find and start one timer, in instructions. */
const DISPATCH = 4500;

interface Timer {
  call: () => void;
  due: number;
  /** ms; null for a timeout */
  interval: number | null;
  event: ClockEvent;
}

export class Timers {
  private readonly timers = new Map<number, Timer>();
  private last = 0;

  constructor(
    private readonly interpreter: Interpreter,
    private readonly realm: RealmHelpers,
    private readonly evaluate: (source: string) => unknown,
  ) {}

  get size(): number {
    return this.timers.size;
  }

  /** The global functions. Handles are numbers from 1; timeouts and intervals share them. */
  globals(): Record<string, unknown> {
    const add =
      (repeats: boolean) =>
      (run: unknown, delay?: unknown, ...args: unknown[]) =>
        this.add(run, Number(delay) || 0, repeats, args);
    const remove =
      (name: string) =>
      (...args: unknown[]) =>
        args.length ? this.remove(name, args[0]) : this.clear();
    return {
      setTimeout: add(false),
      setInterval: add(true),
      clearTimeout: remove("clearTimeout"),
      clearInterval: remove("clearInterval"),
      changeInterval: (handle: unknown, interval: unknown) => this.change(Number(handle), Number(interval)),
    };
  }

  private add(run: unknown, delay: number, repeats: boolean, args: unknown[]): number {
    if (typeof run !== "function" && typeof run !== "string")
      throw this.realm.error("Function or String not supplied!");
    const code = run;
    const call = typeof code === "string" ? () => this.evaluate(code) : () => Reflect.apply(code, undefined, args);
    this.interpreter.charge(TIMER_CALL);
    // The interpreter's timers have a floor that keeps an interval of 0 from starving the rest.
    const wait = repeats ? Math.max(delay, 0.1) : Math.max(delay, 0);
    const id = ++this.last;
    const due = this.interpreter.now() + wait;
    this.timers.set(id, { call, due, interval: repeats ? wait : null, event: this.arm(id, due) });
    return id;
  }

  private arm(id: number, due: number): ClockEvent {
    return this.interpreter.schedule(due - this.interpreter.now(), () =>
      this.interpreter.deliver(() => this.fire(id), "timer"),
    );
  }

  private fire(id: number): void {
    const timer = this.timers.get(id);
    if (!timer) return;
    this.interpreter.charge(DISPATCH);
    this.interpreter.note(timer.interval === null ? "once" : `each ${timer.interval} ms`);
    if (timer.interval === null) this.timers.delete(id);
    try {
      timer.call();
    } finally {
      // Late intervals are made up for: the next one is due one interval after this one was, not after it ran.
      if (timer.interval !== null && this.timers.get(id) === timer) {
        timer.due += timer.interval;
        timer.event = this.arm(id, timer.due);
      }
    }
  }

  private remove(name: string, handle: unknown): void {
    if (handle === undefined) throw this.realm.error(`${name}(undefined) not allowed. Use ${name}() instead`);
    this.interpreter.charge(TIMER_CALL);
    const timer = this.timers.get(Number(handle));
    if (!timer) return;
    this.interpreter.cancel(timer.event);
    this.timers.delete(Number(handle));
  }

  private clear(): void {
    for (const timer of this.timers.values()) this.interpreter.cancel(timer.event);
    this.timers.clear();
  }

  private change(id: number, interval: number): void {
    const timer = this.timers.get(id);
    if (!timer) throw this.realm.error("Unknown Interval");
    timer.interval = Math.max(interval, 0.1);
    this.interpreter.cancel(timer.event);
    timer.due = this.interpreter.now() + timer.interval;
    timer.event = this.arm(id, timer.due);
  }
}
