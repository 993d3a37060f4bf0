/**
 * What still has to reach the broker. Of a state only the newest counts, and it is sent again after each reconnection,
 * since a broker that restarted may have forgotten what it retained. Events are all sent, at least once, in order.
 */
import type { EventStore } from "./event-store";

export interface Letter {
  topic: string;
  payload: string;
  retain: boolean;
  /** State and events both want the broker's word that it has them. */
  qos: 1;
  /** The event's number, 0 for a state. */
  event: number;
}

export interface Outbox {
  /** Replaces what was said on this topic; does nothing when it says the same. */
  state(topic: string, payload: string): void;
  event(topic: string, payload: string): void;
  /** The next to send, events first, or null. It is under way until `delivered` or `lost`. */
  take(): Letter | null;
  delivered(letter: Letter): void;
  /** To be sent again. */
  lost(letter: Letter): void;
  /** A connection stands: nothing is under way, every state is to be sent. */
  reconnected(): void;
  /** Sent and unsent, without the broker's word. */
  readonly waiting: { events: number; states: number };
}

/** A mesh of many nodes has a few topics for each. */
const MAX_STATES = 20000;

export function createOutbox(events: EventStore): Outbox {
  const states = new Map<string, string>();
  const dirty = new Set<string>();
  const underWay = new Set<number>();
  const statesUnderWay = new Map<string, string>();
  let queue: number[] = [...events.pending()];

  return {
    state(topic, payload) {
      if (states.get(topic) === payload) return;
      if (!states.has(topic) && states.size >= MAX_STATES) return;
      states.set(topic, payload);
      dirty.add(topic);
    },
    event(topic, payload) {
      const number = events.add({ topic, payload });
      if (number) queue.push(number);
    },
    take() {
      for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
        const event = events.read(number);
        // Pushed out by newer ones.
        if (!event) continue;
        underWay.add(number);
        return { ...event, retain: false, qos: 1, event: number };
      }
      for (const topic of dirty) {
        // Two messages on one topic at once could arrive in either order after a reconnection.
        if (statesUnderWay.has(topic)) continue;
        dirty.delete(topic);
        const payload = states.get(topic)!;
        statesUnderWay.set(topic, payload);
        return { topic, payload, retain: true, qos: 1, event: 0 };
      }
      return null;
    },
    delivered(letter) {
      if (letter.event) {
        underWay.delete(letter.event);
        events.remove(letter.event);
      } else if (statesUnderWay.get(letter.topic) === letter.payload) statesUnderWay.delete(letter.topic);
    },
    lost(letter) {
      if (letter.event) {
        if (underWay.delete(letter.event)) queue.unshift(letter.event);
      } else if (statesUnderWay.delete(letter.topic)) dirty.add(letter.topic);
    },
    reconnected() {
      underWay.clear();
      statesUnderWay.clear();
      queue = [...events.pending()];
      for (const topic of states.keys()) dirty.add(topic);
    },
    get waiting() {
      return { events: events.size, states: dirty.size + statesUnderWay.size };
    },
  };
}
