/**
 * Who hears whom, and how loudly: log-distance path loss with shadowing that is frozen per pair of antennas, overruled
 * by links that are cut or given a signal of their own.
 */
import type { Random } from "./random";

/** A radio at a place. Without coordinates it is at a fixed signal from everyone. */
export interface Antenna {
  /** Small whole number, unique in a world. */
  readonly id: number;
  readonly mac: string;
  /** Metres. */
  x: number | undefined;
  y: number | undefined;
  /** dBm */
  readonly transmitPower: number;
}

export interface PropagationOptions {
  /** 2 in free space, 3 between rooms, 3.8 through many walls. */
  pathLossExponent?: number;
  /** Standard deviation in dB of the shadowing. */
  shadowingDb?: number;
  /** Signal in dBm between antennas without coordinates. */
  unplacedRssi?: number;
}

/** Below this an ESP32 decodes nothing at 1 Mb/s, in dBm. */
export const SENSITIVITY_DBM = -97;
export const NOISE_FLOOR_DBM = -95;
/** A station senses another's frame, and waits, from this signal on. */
export const CARRIER_SENSE_DBM = -82;
/** Friis at 1 m and 2.4 GHz. */
const LOSS_AT_1_M = 40.05;
const UNREACHABLE = -Infinity;

export class Propagation {
  readonly #random: Random;
  readonly #exponent: number;
  readonly #shadowing: number;
  readonly #unplaced: number;
  readonly #signal = new Map<number, number>();
  readonly #given = new Map<number, number>();
  readonly #cut = new Set<number>();

  constructor(random: Random, options: PropagationOptions = {}) {
    this.#random = random;
    this.#exponent = options.pathLossExponent ?? 3;
    this.#shadowing = options.shadowingDb ?? 4;
    this.#unplaced = options.unplacedRssi ?? -60;
  }

  /** Signal in dBm at which `to` hears `from`, -Infinity over a cut link. */
  rssi(from: Antenna, to: Antenna): number {
    const key = pair(from, to);
    let signal = this.#signal.get(key);
    if (signal === undefined) {
      signal = this.#cut.has(key) ? UNREACHABLE : (this.#given.get(key) ?? this.#compute(from, to));
      this.#signal.set(key, signal);
    }
    return signal;
  }

  hears(from: Antenna, to: Antenna): boolean {
    return this.rssi(from, to) >= SENSITIVITY_DBM;
  }

  cut(a: Antenna, b: Antenna): void {
    this.#cut.add(pair(a, b));
    this.#signal.delete(pair(a, b));
  }

  restore(a: Antenna, b: Antenna): void {
    this.#cut.delete(pair(a, b));
    this.#signal.delete(pair(a, b));
  }

  /** Sets the signal between two antennas in dBm, in place of the computed one. */
  give(a: Antenna, b: Antenna, dbm: number): void {
    this.#given.set(pair(a, b), dbm);
    this.#signal.delete(pair(a, b));
  }

  /** Forgets what was computed for an antenna that moved. */
  moved(): void {
    this.#signal.clear();
  }

  #compute(a: Antenna, b: Antenna): number {
    const [low, high] = a.mac < b.mac ? [a, b] : [b, a];
    const shadow = this.#shadowing
      ? this.#random.stream(`shadow ${low.mac} ${high.mac}`).normal() * this.#shadowing
      : 0;
    const power = Math.min(a.transmitPower, b.transmitPower);
    if (a.x === undefined || a.y === undefined || b.x === undefined || b.y === undefined)
      return this.#unplaced + shadow;
    const distance = Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    return power - LOSS_AT_1_M - 10 * this.#exponent * Math.log10(distance) + shadow;
  }
}

/** One key for both directions: the model is symmetric. */
function pair(a: Antenna, b: Antenna): number {
  return a.id < b.id ? a.id * 65536 + b.id : b.id * 65536 + a.id;
}

/**
 * Chance that a frame of `bits` is decoded at a signal to noise and interference ratio (linear): DBPSK at 1 Mb/s spread
 * over 22 MHz, BER = 0.5 exp(-22 SINR), as in ns-3's dsss-error-rate-model.
 */
export function receptionChance(sinr: number, bits: number): number {
  const errors = 0.5 * Math.exp(-22 * sinr);
  // Above -1.4 dB not one bit in 10^7 is wrong.
  return errors < 1e-9 ? 1 : Math.pow(1 - errors, bits);
}

/** dB or dBm to a linear ratio or mW. */
export function linear(db: number): number {
  return Math.pow(10, db / 10);
}
