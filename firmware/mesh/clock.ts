/**
 * Node time: microseconds modulo 2^32 that all nodes of a mesh agree on, and the exchange that makes them agree.
 * As in painlessMesh: the smaller part of the mesh adopts the time of the larger, an authority is always adopted.
 */
import type { Engine } from "../engine/engine";
import { TIME_ASK_PEER, TIME_REPLY, TIME_REQUEST, TIME_SYNC, isUint32 } from "../wire/packages";
import type { Package } from "../wire/packages";
import type { Events } from "./events";
import type { Link } from "./link";

/** Milliseconds between exchanges once times agree. */
export const TIME_PERIOD = 60000;
/**
 * The first wait while they do not agree; each is twice as long as the one before, up to 128 times this: answers that
 * come late because the air is full would only come later if more were asked for.
 */
export const TIME_RETRY = 200;
/** An adjustment below this many microseconds ends a round of exchanges. */
const GOOD_ENOUGH = 5000;
/** Longest round trip, in microseconds, that is trusted to be the same both ways. */
const MAX_ROUND_TRIP = 250000;
/**
 * C++ nodes discard a reply if the round trip took more than 85 times as long as t2 - t1, so a responder that is fast
 * would never be believed. Moving t1 and t2 apart by the same amount leaves the offset as it is: this many microseconds
 * serve round trips up to 210 ms.
 */
const REPLY_GAP = 2500;

const WRAP = 4294967296;

export interface TimeMessage {
  type: number;
  t0?: number;
  t1?: number;
  t2?: number;
}

/** What the clock asks of the mesh. */
export interface ClockHost {
  id: number;
  links: Link[];
  /** Whether this node claims to know the time. */
  authority: boolean;
  sendTime(type: number, link: Link, dest: number, message: TimeMessage): void;
}

export interface Clock {
  /** Node time. */
  now(): number;
  /** Begins an exchange with a neighbour. */
  exchange(link: Link): void;
  /** Takes a TIME_SYNC or TIME_DELAY package that arrived at `link.arrived`. */
  handle(link: Link, p: Package): void;
}

/** Fires "adjusted" (microseconds) and "delay" (node, microseconds). */
export function createClock(engine: Engine, host: ClockHost, fire: Events["fire"]): Clock {
  let offset = 0;

  function now(): number {
    "cold";
    return (Math.floor(engine.now() * 1000) + offset) % WRAP;
  }

  function ask(link: Link): void {
    "cold";
    link.asked = now();
    host.sendTime(TIME_SYNC, link, link.id, { type: TIME_REQUEST, t0: link.asked });
  }

  function exchange(link: Link): void {
    "cold";
    let size = 1;
    let authority = host.authority;
    for (const other of host.links) {
      if (other === link) continue;
      size += other.tree.length;
      if (other.authority) authority = true;
    }
    const difference = link.tree.length - size;
    let adopts = difference ? difference > 0 : host.id < link.id;
    if (authority !== !!link.authority) adopts = !authority;
    link.timeAt = engine.now() + TIME_PERIOD;
    if (adopts) ask(link);
    else host.sendTime(TIME_SYNC, link, link.id, { type: TIME_ASK_PEER });
  }

  function settle(link: Link, t0: number, t1: number, t2: number, t3: number): void {
    "cold";
    // A second answer, or one to a question of before the last adjustment.
    if (link.asked !== t0) return;
    link.asked = -1;
    let change = (((t1 - t0) | 0) + ((t2 - t3) | 0)) / 2;
    const size = Math.abs(change);
    // C++ nodes judge the round trip by t2 - t1 here; that would refuse every answer a fast C++ node gives to a slow
    // interpreter.
    const trusted = ((t3 - t0) | 0) <= MAX_ROUND_TRIP;
    if (size > 4 && size < 500) change /= 4;
    change = Math.round(change);
    const time = engine.now();
    if (trusted && change) {
      offset = (offset + change + WRAP) % WRAP;
      for (const other of host.links) other.asked = -1;
      fire("adjusted", change);
    }
    link.roundTrip = Math.max(0, (((t3 - t0) | 0) - ((t2 - t1) | 0)) / 1000);
    if (trusted && size < GOOD_ENOUGH) {
      link.retries = 0;
      link.timeAt = time + TIME_PERIOD;
      if (change) for (const other of host.links) if (other !== link && other.timeAt) other.timeAt = time;
    } else link.timeAt = time + (TIME_RETRY << (link.retries++ % 8));
  }

  return {
    now: now,
    exchange: exchange,
    handle: function (link: Link, p: Package) {
      "cold";
      const message = p.msg as TimeMessage;
      if (!message || typeof message !== "object") return;
      const arrival = (now() - Math.floor((engine.now() - link.arrived) * 1000) + WRAP) % WRAP;
      const sync = p.type === TIME_SYNC;
      const t0 = message.t0;
      if (sync && message.type === TIME_ASK_PEER) ask(link);
      else if (!isUint32(t0)) return;
      else if (message.type === TIME_REQUEST) {
        if (sync) link.timeAt = engine.now() + TIME_PERIOD;
        const sent = now();
        const gap = sync ? Math.max(0, Math.ceil((REPLY_GAP - ((sent - arrival) | 0)) / 2)) : 0;
        host.sendTime(p.type, link, p.from, {
          type: TIME_REPLY,
          t0: t0,
          t1: (arrival - gap + WRAP) % WRAP,
          t2: (sent + gap) % WRAP,
        });
      } else if (message.type === TIME_REPLY) {
        const t1 = message.t1;
        const t2 = message.t2;
        if (!isUint32(t1) || !isUint32(t2)) return;
        if (sync) settle(link, t0, t1, t2, arrival);
        else fire("delay", p.from, (((arrival - t0) | 0) - ((t2 - t1) | 0)) / 2);
      }
    },
  };
}
