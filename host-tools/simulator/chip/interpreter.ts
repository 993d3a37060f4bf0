/**
 * The interpreter of a chip as a single server on virtual time: events wait in order of arrival and start when the one
 * before has spent its instructions. One object is one life, from boot to restart.
 */
import { PowerCut } from "./flash";
import type { Clock, ClockEvent } from "./seam";

/** Ends the running program; it cannot be caught inside the chip. */
export class Halt extends Error {
  constructor(readonly why: "reboot" | "watchdog" | "hang" | "crash") {
    super(why);
  }
}

/** Index of what has been spent in this event, and of the limit at which it is stopped, in instructions. */
export const SPENT = 0;
export const LIMIT = 1;

export interface InterpreterHooks {
  /** An exception that no handler caught. */
  uncaught(error: unknown, label: string): void;
  /** A Halt or PowerCut ended the life. */
  ended(error: unknown): void;
  /** Instructions the next event may spend before it counts as hung. */
  limit(): number;
  /** An event was finished: instructions executed, ms it held the interpreter (with waits for hardware), and its nature. */
  finished(instructions: number, milliseconds: number, label: string): void;
}

interface Waiting {
  run: () => void;
  label: string;
}

export class Interpreter {
  /** Shared with the chip's context: [spent, limit]. */
  readonly cost = new Float64Array(2);
  /** Virtual time at which the interpreter is free again, in ms. */
  busyUntil = 0;
  private queue: Waiting[] = [];
  private wake: ClockEvent | null = null;
  private readonly scheduled = new Set<ClockEvent>();
  private running = false;
  private dead = false;
  private started = 0;
  /** What of the running event's cost is waiting for hardware, as instructions. */
  private waited = 0;
  /** What the running event did, for whoever looks for slow ones. */
  private notes = "";

  constructor(
    private readonly clock: Clock,
    private readonly perMs: number,
    private readonly hooks: InterpreterHooks,
  ) {
    this.busyUntil = clock.now();
  }

  get alive(): boolean {
    return !this.dead;
  }

  get waiting(): number {
    return this.queue.length;
  }

  /** Time as running code sees it, in ms: what it has spent so far included. */
  now(): number {
    return this.running ? this.started + this.cost[SPENT]! / this.perMs : this.clock.now();
  }

  /** Queues an event; runs it at once when the interpreter is idle. */
  deliver(run: () => void, label: string): void {
    if (this.dead) return;
    this.queue.push({ run, label });
    if (!this.running) this.pump();
  }

  /** Runs an event ahead of all that wait, as if the interpreter had just become free. */
  immediately(run: () => void, label: string): void {
    if (this.dead || this.running) return;
    this.execute({ run, label }, Math.max(this.clock.now(), this.busyUntil));
  }

  /** Runs something outside the interpreter after a delay, unless this life is over by then. */
  schedule(delayMs: number, run: () => void): ClockEvent {
    const event: ClockEvent = this.clock.at(this.now() + Math.max(0, delayMs), () => {
      this.scheduled.delete(event);
      if (!this.dead) run();
    });
    if (!this.dead) this.scheduled.add(event);
    else this.clock.cancel(event);
    return event;
  }

  cancel(event: ClockEvent): void {
    if (this.scheduled.delete(event)) this.clock.cancel(event);
  }

  charge(instructions: number): void {
    if (this.running) this.cost[SPENT]! += instructions;
  }

  /** Time in which nothing is computed (flash, a blocking call), in ms. */
  block(milliseconds: number): void {
    if (!this.running) return;
    const extra = milliseconds * this.perMs;
    this.cost[SPENT]! += extra;
    this.waited += extra;
    // The limit is for code that runs away; the interpreter feeds its watchdog while it waits for hardware.
    this.cost[LIMIT]! += extra;
  }

  /** Adds to the running event's label. */
  note(what: string): void {
    if (this.running) this.notes += `, ${what}`;
  }

  /** Stops everything: no event, timer or schedule of this life happens any more. */
  end(): void {
    this.dead = true;
    this.queue = [];
    if (this.wake) this.clock.cancel(this.wake);
    this.wake = null;
    for (const event of this.scheduled) this.clock.cancel(event);
    this.scheduled.clear();
  }

  private pump(): void {
    while (this.queue.length && !this.dead) {
      const now = this.clock.now();
      if (this.busyUntil > now) {
        this.wake ??= this.clock.at(this.busyUntil, () => {
          this.wake = null;
          this.pump();
        });
        return;
      }
      this.execute(this.queue.shift()!);
    }
  }

  private execute(event: Waiting, started = this.clock.now()): void {
    const { cost } = this;
    this.running = true;
    this.started = started;
    cost[SPENT] = 0;
    this.waited = 0;
    this.notes = "";
    cost[LIMIT] = this.hooks.limit();
    try {
      event.run();
    } catch (error) {
      // A negative limit marks a program that was stopped; the exception may be anything by then.
      if (cost[LIMIT]! < 0 || error instanceof Halt || error instanceof PowerCut) this.hooks.ended(error);
      else this.hooks.uncaught(error, event.label);
    }
    this.running = false;
    this.busyUntil = this.started + cost[SPENT]! / this.perMs;
    this.hooks.finished(cost[SPENT]! - this.waited, cost[SPENT]! / this.perMs, event.label + this.notes);
  }
}
