/**
 * Messages with a receipt: repeated until the other end says that its application has them, handed over there once, and
 * given up honestly. C++ nodes pass them on but do not answer them.
 */
import type { Engine } from "../engine/engine";
import { DELIVER, DELIVERED, ROUTE_SINGLE, isUint32, packageText } from "../wire/packages";
import type { Package } from "../wire/packages";
import type { Events } from "./events";
import { PRIORITY_HIGH, RESERVE } from "./link";
import type { Router } from "./router";
import { packId } from "./tree";

/** Tries of a message, and milliseconds from the first to the second; each further wait is twice as long. */
const TRIES = 5;
const FIRST_WAIT = 2000;
/** Messages that may be under way. */
const MAX_UNDER_WAY = 16;
/** Messages remembered by a receiver, as eight bytes each (sender, message id), so that a repetition is not news. */
const MAX_SEEN = 32;
const SEEN_BYTES = 8;

/** "timeout": no receipt came. The message may have arrived all the same. "stopped": the mesh was stopped before. */
export type SendError = "timeout" | "stopped";

export interface SendOptions {
  /** 0 (critical) to 3 (low), 2 by default; only the order in the queues of this node. */
  priority?: number;
  /** Deliver once to the application at the other end, an Espalier node; repeat until it has said so. */
  ack?: boolean;
  /** Tries of an acknowledged message, 5 by default, which gives up after 62 s. */
  tries?: number;
  /** How an acknowledged message ended: null when the other end has it. */
  done?(error: SendError | null): void;
}

interface Parcel {
  id: number;
  dest: number;
  text: string;
  priority: number;
  left: number;
  wait: number;
  due: number;
  done: ((error: SendError | null) => void) | undefined;
}

export interface Delivery {
  /** False when too many messages are under way, or there is nobody to send to. */
  post(dest: number, message: string, priority: number, options: SendOptions): boolean;
  resend(now: number): void;
  abandon(): void;
}

export function createDelivery(engine: Engine, router: Router, events: Events): Delivery {
  const parcels: Parcel[] = [];
  let seen = "";
  let lastId = engine.random();

  function attempt(parcel: Parcel): void {
    "cold";
    parcel.left--;
    parcel.due = engine.now() + parcel.wait;
    parcel.wait *= 2;
    const link = router.linkTo(parcel.dest);
    if (link) router.transmit(link, parcel.text, parcel.priority, 0);
  }

  function settle(parcel: Parcel, error: SendError | null): void {
    "cold";
    parcels.splice(parcels.indexOf(parcel), 1);
    if (!parcel.done) return;
    try {
      parcel.done(error);
    } catch (thrown) {
      engine.log("mesh: done: " + thrown);
    }
  }

  events.hear("p" + DELIVER, function (p: Package) {
    const message = p.msg;
    const messageId = p.id;
    if (typeof message !== "string" || !isUint32(messageId)) {
      router.stats.malformed++;
      return;
    }
    const key = packId(p.from) + packId(messageId);
    // Espruino's indexOf also finds a beginning of the key at the end of the string.
    const last = seen.length - SEEN_BYTES;
    let at = seen.indexOf(key);
    while (at > 0 && at < last && at % SEEN_BYTES) at = seen.indexOf(key, at + 1);
    if (at < 0 || at > last) {
      seen = (seen + key).substr(-MAX_SEEN * SEEN_BYTES);
      events.fire("receive", p.from, message);
    }
    const link = router.linkTo(p.from);
    const receipt = { type: DELIVERED, routing: ROUTE_SINGLE, dest: p.from, from: router.id, id: messageId };
    if (link) router.transmit(link, packageText(receipt), PRIORITY_HIGH, RESERVE);
  });

  events.hear("p" + DELIVERED, function (p: Package) {
    for (const parcel of parcels)
      if (parcel.id === p.id && parcel.dest === p.from) {
        settle(parcel, null);
        return;
      }
  });

  return {
    post: function (dest: number, message: string, priority: number, options: SendOptions) {
      "cold";
      if (!isUint32(dest) || !dest || dest === router.id || parcels.length >= MAX_UNDER_WAY) return false;
      lastId = (lastId + 1) >>> 0;
      const parcel: Parcel = {
        id: lastId,
        dest: dest,
        text: packageText({
          type: DELIVER,
          routing: ROUTE_SINGLE,
          dest: dest,
          from: router.id,
          id: lastId,
          msg: message,
        }),
        priority: priority,
        left: options.tries || TRIES,
        wait: FIRST_WAIT,
        due: 0,
        done: options.done,
      };
      parcels.push(parcel);
      attempt(parcel);
      return true;
    },
    resend: function (now: number) {
      "cold";
      for (let i = parcels.length - 1; i >= 0; i--) {
        const parcel = parcels[i];
        // A handler may have settled others.
        if (!parcel || now < parcel.due) continue;
        if (parcel.left > 0) attempt(parcel);
        else settle(parcel, "timeout");
      }
    },
    abandon: function () {
      "cold";
      while (parcels.length) settle(parcels[0]!, "stopped");
    },
  };
}
