/**
 * The world around the boards: who stands where, what the air carries, which links are cut. Everything in it is decided
 * by the seed and by what was asked of it, so that the same run repeats byte for byte.
 */
import { EventQueue } from "./events";
import type { LossModel } from "./loss";
import type { WifiDriver } from "./net/wifi-driver";
import { JOIN_RSSI_DBM, REASON } from "./net/wifi-types";
import { Radio, type RadioOptions } from "./radio";
import type { FrameObserver } from "./radio-statistics";
import { Random } from "./random";
import { WorldNode, type NodePlace } from "./world-node";

export interface WorldOptions {
  /** A clock to share with the chips; without one the world has its own. */
  events?: EventQueue;
  seed?: number | string;
  radio?: RadioOptions;
  /** An access point frees the place of a station that it has not heard for so long (ESP-IDF: 300 s). */
  stationTimeoutMs?: number;
  /** From association to address, least and most. */
  addressDelayMs?: [number, number];
  /** How long a TCP connection attempt to nobody blocks. */
  connectTimeoutMs?: number;
}

export interface ResolvedWorldOptions {
  stationTimeoutMs: number;
  addressDelayMs: [number, number];
  connectTimeoutMs: number;
}

export interface NetworkCounts {
  /** Datagrams dropped because six waited at their socket. */
  datagramsOverflowed: number;
  /** Datagrams cut because they were longer than the receive buffer. */
  datagramsCut: number;
  /** Datagrams whose sending failed in the stack: no route, or the driver's queue was full. */
  datagramsRefused: number;
  datagramsReceived: number;
  segmentsSent: number;
  segmentsRepeated: number;
  connectionsReset: number;
}

export class World {
  readonly events: EventQueue;
  readonly random: Random;
  readonly radio: Radio;
  readonly options: ResolvedWorldOptions;
  readonly nodes: WorldNode[] = [];
  readonly counts: NetworkCounts = {
    datagramsOverflowed: 0,
    datagramsCut: 0,
    datagramsRefused: 0,
    datagramsReceived: 0,
    segmentsSent: 0,
    segmentsRepeated: 0,
    connectionsReset: 0,
  };
  readonly #byMac = new Map<string, WorldNode>();
  readonly #accessPoints = new Set<WifiDriver>();

  constructor(options: WorldOptions = {}) {
    this.events = options.events ?? new EventQueue();
    this.random = new Random(options.seed ?? 1).stream("world");
    this.radio = new Radio(this.events, this.random.stream("radio"), options.radio);
    this.options = {
      stationTimeoutMs: options.stationTimeoutMs ?? 300_000,
      addressDelayMs: options.addressDelayMs ?? [400, 2400],
      connectTimeoutMs: options.connectTimeoutMs ?? 20_000,
    };
  }

  /** Puts a board into the world, switched off: its chip's boot switches it on. Throws when the MAC is taken. */
  addNode(place: NodePlace): WorldNode {
    const node = new WorldNode(this, this.nodes.length + 1, place);
    if (this.#byMac.has(node.mac)) throw new Error(`two nodes with MAC ${node.mac}`);
    this.nodes.push(node);
    this.#byMac.set(node.mac, node);
    return node;
  }

  /** The node with a station MAC, or undefined. */
  node(mac: string): WorldNode | undefined {
    return this.#byMac.get(mac.toLowerCase());
  }

  /** No frame passes between two nodes any more; their link is lost when enough beacons are missed. */
  cutLink(a: WorldNode, b: WorldNode): void {
    this.radio.propagation.cut(a, b);
    this.#recheck(a, b);
  }

  restoreLink(a: WorldNode, b: WorldNode): void {
    this.radio.propagation.restore(a, b);
    this.#recheck(a, b);
  }

  /** Sets the signal between two nodes in dBm, whatever their places. */
  setSignal(a: WorldNode, b: WorldNode, dbm: number): void {
    this.radio.propagation.give(a, b, dbm);
    this.#recheck(a, b);
  }

  /** Loss of frames everywhere, or between two nodes (both ways, drawn separately). */
  setLoss(model: LossModel, a?: WorldNode, b?: WorldNode): void {
    if (a && b) {
      this.radio.loss.set(a.id, b.id, model);
      this.radio.loss.set(b.id, a.id, model);
    } else {
      this.radio.loss.setAll(model);
    }
  }

  /** Moves a node; links that became too weak are lost. */
  move(node: WorldNode, x: number, y: number): void {
    node.x = x;
    node.y = y;
    this.radio.propagation.moved();
    for (const other of this.nodes) this.#recheck(node, other);
  }

  /** Every frame as it goes on air. */
  observe(observer: FrameObserver | null): void {
    this.radio.observe(observer);
  }

  /** Access points on air, in the order in which they started. */
  accessPoints(): Iterable<WifiDriver> {
    return this.#accessPoints;
  }

  /** An access point started, stopped or died. */
  accessPointChanged(driver: WifiDriver): void {
    this.#accessPoints.delete(driver);
    if (driver.accessPointUp) this.#accessPoints.add(driver);
    this.radio.beacon(driver.node, driver.accessPointUp);
    for (const other of this.nodes) {
      const link = other.driver.link;
      if (!link || link.node !== driver.node) continue;
      // A station that missed the restart of its access point is told off at its next frame.
      if (link !== driver && driver.accessPointUp) this.#tellOff(other.driver, link);
      else other.driver.checkLink();
    }
  }

  #tellOff(station: WifiDriver, access: WifiDriver): void {
    this.events.after(station.node.random.between(50, 500), () => {
      if (this.radio.propagation.rssi(access.node, station.node) >= JOIN_RSSI_DBM)
        station.deauthenticated(access, REASON.NOT_ASSOCED);
    });
  }

  #recheck(a: WorldNode, b: WorldNode): void {
    for (const [station, access] of [
      [a, b],
      [b, a],
    ] as const) {
      if (station.driver.link?.node === access) station.driver.checkLink();
    }
  }
}
