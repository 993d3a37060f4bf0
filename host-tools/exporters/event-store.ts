/** Events that wait for delivery, oldest first, within a quota. What does not fit pushes out the oldest, and is counted. */

export interface StoredEvent {
  topic: string;
  payload: string;
}

export interface EventStore {
  /** @returns its number, ever greater; 0 when it alone is too large */
  add(event: StoredEvent): number;
  /** Numbers of what waits, oldest first. */
  pending(): readonly number[];
  /** null for one that is gone. */
  read(number: number): StoredEvent | null;
  remove(number: number): void;
  /** How many wait. */
  readonly size: number;
  /** Events given up since the start. */
  readonly dropped: number;
  /** Why the disk could not be written, "" while it can. */
  readonly fault: string;
  close(): void;
}

/** Bytes that an event counts for besides its text. */
const OVERHEAD = 64;

export function eventBytes(event: StoredEvent): number {
  return OVERHEAD + Buffer.byteLength(event.topic) + Buffer.byteLength(event.payload);
}

export function createMemoryEvents(quotaBytes: number): EventStore {
  const events = new Map<number, StoredEvent>();
  let last = 0;
  let used = 0;
  let dropped = 0;

  function remove(number: number): void {
    const event = events.get(number);
    if (!event) return;
    events.delete(number);
    used -= eventBytes(event);
  }

  return {
    add(event) {
      const size = eventBytes(event);
      if (size > quotaBytes) {
        dropped++;
        return 0;
      }
      while (used + size > quotaBytes) {
        remove(events.keys().next().value!);
        dropped++;
      }
      events.set(++last, event);
      used += size;
      return last;
    },
    pending: () => [...events.keys()],
    read: (number) => events.get(number) ?? null,
    remove,
    get size() {
      return events.size;
    },
    get dropped() {
      return dropped;
    },
    fault: "",
    close() {},
  };
}
