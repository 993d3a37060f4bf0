/**
 * The event queue under the virtual clock: a binary heap ordered by time, then by order of scheduling, so that a run
 * never depends on anything but what was scheduled.
 */

/** A scheduled call; give it back to `cancel`. */
export interface ScheduledEvent {
  /** ms since the simulation began */
  readonly time: number;
}

interface Entry extends ScheduledEvent {
  readonly sequence: number;
  /** null once it ran or was cancelled */
  run: (() => void) | null;
}

export class EventQueue {
  #now = 0;
  #sequence = 0;
  #heap: Entry[] = [];
  #cancelled = 0;
  #executed = 0;

  /** Virtual time in ms, with fractions; never goes back. */
  now(): number {
    return this.#now;
  }

  /** Events that wait. */
  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** Events run so far. */
  get executed(): number {
    return this.#executed;
  }

  /** Time of the next event in ms, Infinity when there is none. */
  get nextTime(): number {
    this.#dropCancelled();
    return this.#heap.length ? this.#heap[0]!.time : Infinity;
  }

  /** Calls `run` at `timeMs`; a time that has passed means as soon as possible. Throws when the time is not a number. */
  at(timeMs: number, run: () => void): ScheduledEvent {
    if (Number.isNaN(timeMs)) throw new RangeError("event time is not a number");
    const entry: Entry = { time: timeMs > this.#now ? timeMs : this.#now, sequence: this.#sequence++, run };
    this.#push(entry);
    return entry;
  }

  after(delayMs: number, run: () => void): ScheduledEvent {
    return this.at(this.#now + delayMs, run);
  }

  /** Takes an event back; one that ran already is ignored. */
  cancel(event: ScheduledEvent): void {
    const entry = event as Entry;
    if (!entry.run) return;
    entry.run = null;
    this.#cancelled++;
    // Keeps a queue whose timers are mostly cancelled (time-outs) from growing without end.
    if (this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#compact();
  }

  /** Runs the next event. Returns false when there is none. */
  step(): boolean {
    this.#dropCancelled();
    const entry = this.#pop();
    if (!entry) return false;
    this.#now = entry.time;
    const run = entry.run!;
    entry.run = null;
    this.#executed++;
    run();
    return true;
  }

  /** Runs everything that is due up to and including `untilMs`, then sets the clock to it. */
  run(untilMs: number): void {
    while (this.nextTime <= untilMs) this.step();
    if (untilMs > this.#now) this.#now = untilMs;
  }

  #dropCancelled(): void {
    while (this.#heap.length && !this.#heap[0]!.run) {
      this.#pop();
      this.#cancelled--;
    }
  }

  #compact(): void {
    const kept = this.#heap.filter((entry) => entry.run);
    // A sorted array is a heap.
    kept.sort((a, b) => a.time - b.time || a.sequence - b.sequence);
    this.#heap = kept;
    this.#cancelled = 0;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent]!;
      if (above.time < entry.time || (above.time === entry.time && above.sequence < entry.sequence)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || top === last) return top;
    const length = heap.length;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= length) break;
      let below = heap[child]!;
      const right = child + 1 < length ? heap[child + 1]! : undefined;
      if (right && (right.time < below.time || (right.time === below.time && right.sequence < below.sequence))) {
        below = right;
        child++;
      }
      if (below.time > last.time || (below.time === last.time && below.sequence > last.sequence)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
    return top;
  }
}
