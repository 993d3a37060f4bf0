/**
 * The shared air: carrier sense with backoff (802.11 DCF), one channel of frames at the basic rate, collisions and
 * capture at each receiver, acknowledged frames to one receiver, unacknowledged ones to many.
 */
import {
  BEACON_INTERVAL_MS,
  BEACON_MS,
  CONTENTION_MAX,
  CONTENTION_MIN,
  DSSS_DIFS_MS,
  DSSS_SLOT_MS,
  exchangeAirtime,
  frameAirtime,
} from "./airtime";
import type { EventQueue } from "./events";
import { LossTable, type LossModel } from "./loss";
import {
  CARRIER_SENSE_DBM,
  NOISE_FLOOR_DBM,
  Propagation,
  SENSITIVITY_DBM,
  linear,
  receptionChance,
  type Antenna,
  type PropagationOptions,
} from "./propagation";
import type { Random } from "./random";
import { RadioStatistics, type FrameObserver } from "./radio-statistics";

export interface RadioOptions extends PropagationOptions {
  loss?: LossModel;
  /**
   * What one sender gets through in kb/s with 1400-byte frames at 1 Mb/s. An undisturbed channel carries 691; Espressif
   * measures 555 in a shielded box and 214 in the open, the rest goes to other networks.
   */
  throughputKbps?: number;
  /** Mb/s of frames to one receiver; frames to many go out at 1. */
  unicastRate?: number;
  /** dB by which a frame must stand out of the others at a receiver to survive them. */
  captureDb?: number;
}

/** What one undisturbed sender gets through, in kb/s. */
export const CLEAR_THROUGHPUT_KBPS = 691;
/** Frames that wait in one radio's driver (ESP-IDF: 32 dynamic transmit buffers). */
export const TRANSMIT_QUEUE = 32;
const ATTEMPTS = 7;
/** From one try of an acknowledged frame to the next on a quiet channel. */
const REPEAT_MS = 5;
/** A sender needs about this long to sense another's frame; closer starts collide. */
const SENSE_MS = 0.015;

export interface Transmitter extends Antenna {
  channel: number;
  on: boolean;
  /** Time in ms when the radio is back on its channel (it scans), or 0 when it is there now. */
  awayUntil(now: number): number;
}

export interface Frame {
  /** One receiver, who acknowledges, or null for a group frame. */
  to: Transmitter | null;
  /** Bytes on air, headers included. */
  bytes: number;
  /** What it carries, for statistics: "tcp", "udp", "group", ... */
  kind: string;
  /** The datagram inside, for observers. */
  payload?: string;
  /** Who may receive a group frame, asked when it has been sent. */
  group?: () => readonly Transmitter[];
  /** Who got it. */
  done: (received: readonly Transmitter[]) => void;
}

interface Transmission {
  sender: Transmitter;
  frame: Frame;
  start: number;
  end: number;
  /** Until then other networks keep the channel busy. */
  holdEnd: number;
  overlaps: Transmission[];
}

interface Sender {
  antenna: Transmitter;
  queue: Frame[];
  random: Random;
  attempt: number;
  /** The frame has got there; its acknowledgement may not have come back. */
  delivered: boolean;
  slots: number;
  /** When the backoff began to count down. */
  countFrom: number;
  contending: boolean;
}

export class Radio {
  readonly propagation: Propagation;
  readonly loss: LossTable;
  readonly statistics = new RadioStatistics();
  readonly #events: EventQueue;
  readonly #random: Random;
  readonly #stretch: number;
  readonly #unicastRate: number;
  readonly #capture: number;
  readonly #senders = new Map<number, Sender>();
  readonly #channels = new Map<number, Transmission[]>();
  readonly #beaconing = new Set<Transmitter>();
  readonly #beaconShares = new Map<number, number>();
  #observer: FrameObserver | null = null;

  constructor(events: EventQueue, random: Random, options: RadioOptions = {}) {
    this.#events = events;
    this.#random = random;
    this.propagation = new Propagation(random.stream("propagation"), options);
    this.loss = new LossTable(random.stream("loss"), options.loss ?? 0);
    this.#stretch = Math.max(1, CLEAR_THROUGHPUT_KBPS / (options.throughputKbps ?? 214));
    this.#unicastRate = options.unicastRate ?? 1;
    this.#capture = linear(options.captureDb ?? 6);
  }

  /** Called for every frame as it goes on air, retries included. */
  observe(observer: FrameObserver | null): void {
    this.#observer = observer;
  }

  /** An access point began or ceased to send beacons, which take air of their own, or changed its channel. */
  beacon(antenna: Transmitter, on: boolean): void {
    this.#beaconShares.clear();
    if (on) this.#beaconing.add(antenna);
    else this.#beaconing.delete(antenna);
  }

  /** Frames that wait in a radio, the one on air included. */
  queued(antenna: Transmitter): number {
    return this.#senders.get(antenna.id)?.queue.length ?? 0;
  }

  /** Queues a frame. Returns false, and forgets it, when the radio's queue is full or the radio is off. */
  send(antenna: Transmitter, frame: Frame): boolean {
    const sender = this.#sender(antenna);
    if (!antenna.on || sender.queue.length >= TRANSMIT_QUEUE) {
      this.statistics.queueDrops++;
      return false;
    }
    sender.queue.push(frame);
    if (sender.queue.length === 1) this.#begin(sender);
    return true;
  }

  /** Drops what a radio that is switched off had queued; a frame on air ends unheard. */
  silence(antenna: Transmitter): void {
    const sender = this.#senders.get(antenna.id);
    if (!sender) return;
    sender.queue.length = 0;
    sender.contending = false;
    this.beacon(antenna, false);
  }

  #sender(antenna: Transmitter): Sender {
    let sender = this.#senders.get(antenna.id);
    if (!sender) {
      const random = this.#random.stream(`backoff ${antenna.mac}`);
      sender = { antenna, queue: [], random, attempt: 0, delivered: false, slots: 0, countFrom: 0, contending: false };
      this.#senders.set(antenna.id, sender);
    }
    return sender;
  }

  #begin(sender: Sender): void {
    sender.attempt = 0;
    sender.delivered = false;
    sender.slots = sender.random.below(CONTENTION_MIN + 1);
    this.#contend(sender);
  }

  #contend(sender: Sender): void {
    const now = this.#events.now();
    const busy = this.#busyUntil(sender.antenna, now, 0);
    const away = sender.antenna.awayUntil(now);
    sender.countFrom = Math.max(now, busy, away) + DSSS_DIFS_MS;
    sender.contending = true;
    const frame = sender.queue[0];
    this.#events.at(sender.countFrom + sender.slots * DSSS_SLOT_MS, () => {
      if (sender.contending && sender.queue[0] === frame) this.#access(sender);
    });
  }

  /** The backoff ran out: transmits, unless someone else did meanwhile. */
  #access(sender: Sender): void {
    const now = this.#events.now();
    const taken = this.#busyUntil(sender.antenna, now, SENSE_MS);
    if (taken > now || sender.antenna.awayUntil(now) > now) {
      // The backoff froze when the other's frame began; what had been counted down stays counted down.
      const began = this.#busySince(sender.antenna, now);
      const counted = Math.floor(Math.max(0, began - sender.countFrom) / DSSS_SLOT_MS);
      sender.slots = Math.max(0, sender.slots - counted);
      this.#contend(sender);
      return;
    }
    this.#transmit(sender, sender.queue[0]!, now);
  }

  #transmit(sender: Sender, frame: Frame, now: number): void {
    sender.contending = false;
    sender.attempt++;
    const antenna = sender.antenna;
    const rate = frame.to ? this.#unicastRate : 1;
    const airtime = frame.to ? exchangeAirtime(frame.bytes, rate) : frameAirtime(frame.bytes, rate);
    const mean = airtime * (this.#stretch / (1 - this.#beaconShare(antenna)) - 1);
    const hold = mean > 0 ? sender.random.exponential(mean) : 0;
    const end = now + airtime;
    const sent: Transmission = { sender: antenna, frame, start: now, end, holdEnd: end + hold, overlaps: [] };
    const others = this.#channel(antenna.channel);
    for (const other of others) {
      if (other.end > now) {
        other.overlaps.push(sent);
        sent.overlaps.push(other);
      }
    }
    others.push(sent);
    this.statistics.count(frame.kind, frame.bytes, airtime, sender.attempt > 1);
    if (this.#observer) {
      this.#observer({
        time: now,
        from: antenna.mac,
        to: frame.to ? frame.to.mac : null,
        channel: antenna.channel,
        bytes: frame.bytes,
        kind: frame.kind,
        attempt: sender.attempt,
        airtime,
        payload: frame.payload,
      });
    }
    this.#events.at(end, () => this.#finish(sender, sent));
  }

  #finish(sender: Sender, sent: Transmission): void {
    const frame = sent.frame;
    if (sender.queue[0] !== frame) return;
    const possible = frame.to ? [frame.to] : (frame.group?.() ?? []);
    const received: Transmitter[] = [];
    for (const receiver of possible) if (this.#receives(sent, receiver)) received.push(receiver);
    // A receiver knows a repeat for what it is, and acknowledges it again.
    const news = !sender.delivered;
    if (frame.to) {
      if (received.length) sender.delivered = true;
      const acknowledged = received.length && !this.loss.lost(frame.to.id, sender.antenna.id, this.#events.now());
      if (!acknowledged && sender.attempt < ATTEMPTS) {
        const window = Math.min(CONTENTION_MAX, ((CONTENTION_MIN + 1) << sender.attempt) - 1);
        sender.slots = sender.random.below(window + 1);
        this.#contend(sender);
        if (news && received.length) frame.done(received);
        return;
      }
      if (!sender.delivered) this.statistics.undelivered++;
    }
    sender.queue.shift();
    if (sender.queue.length) this.#begin(sender);
    if (news) frame.done(received);
  }

  /** Whether a frame to one receiver, with its repeats, would get past the loss of the link at `atMs`. Sends nothing. */
  passes(from: Transmitter, to: Transmitter, atMs: number): boolean {
    for (let i = 0; i < ATTEMPTS; i++) if (!this.loss.lost(from.id, to.id, atMs + i * REPEAT_MS)) return true;
    return false;
  }

  #receives(sent: Transmission, receiver: Transmitter): boolean {
    if (!receiver.on || receiver.channel !== sent.sender.channel) return false;
    if (receiver.awayUntil(this.#events.now()) > 0) return false;
    const signal = this.propagation.rssi(sent.sender, receiver);
    if (signal < SENSITIVITY_DBM) return false;
    if (sent.overlaps.length) {
      let interference = 0;
      for (const other of sent.overlaps) {
        if (other.sender === receiver) interference = Infinity;
        else interference += linear(this.propagation.rssi(other.sender, receiver));
      }
      if (linear(signal) < interference * this.#capture) {
        this.statistics.collisions++;
        return false;
      }
    }
    if (this.loss.lost(sent.sender.id, receiver.id, this.#events.now())) {
      this.statistics.lost++;
      return false;
    }
    if (signal > -88) return true;
    const chance = receptionChance(linear(signal - NOISE_FLOOR_DBM), sent.frame.bytes * 8);
    return chance >= 1 || this.#sender(sent.sender).random.chance(chance);
  }

  #channel(number: number): Transmission[] {
    let list = this.#channels.get(number);
    if (!list) this.#channels.set(number, (list = []));
    return list;
  }

  /** When the air that `antenna` hears is free, counting frames that began `senseMs` ago or earlier. */
  #busyUntil(antenna: Transmitter, now: number, senseMs: number): number {
    const list = this.#channel(antenna.channel);
    let until = now;
    let kept = 0;
    for (let i = 0; i < list.length; i++) {
      const sent = list[i]!;
      if (sent.holdEnd <= now) continue;
      list[kept++] = sent;
      if (sent.holdEnd <= until || sent.start > now - senseMs) continue;
      if (sent.sender === antenna || this.propagation.rssi(sent.sender, antenna) >= CARRIER_SENSE_DBM) {
        until = sent.holdEnd;
      }
    }
    list.length = kept;
    return until;
  }

  #busySince(antenna: Transmitter, now: number): number {
    let since = now;
    for (const sent of this.#channel(antenna.channel)) {
      if (sent.holdEnd > now && sent.start < since) {
        if (this.propagation.rssi(sent.sender, antenna) >= CARRIER_SENSE_DBM) since = sent.start;
      }
    }
    return since;
  }

  /** Share of the air that beacons take around an antenna, at most 3/4. */
  #beaconShare(antenna: Transmitter): number {
    const known = this.#beaconShares.get(antenna.id);
    if (known !== undefined) return known;
    let heard = 0;
    for (const other of this.#beaconing) {
      if (other.channel !== antenna.channel) continue;
      if (other === antenna || this.propagation.rssi(other, antenna) >= CARRIER_SENSE_DBM) heard++;
    }
    const share = Math.min(0.75, (heard * BEACON_MS) / BEACON_INTERVAL_MS);
    this.#beaconShares.set(antenna.id, share);
    return share;
  }
}
