/** One board in the world: a place, two MAC addresses, and for each life a WiFi driver and a network stack. */
import { createNetModules, type WorldNetModules } from "./net/modules";
import { Stack } from "./net/stack";
import { WifiDriver } from "./net/wifi-driver";
import type { Transmitter } from "./radio";
import type { Random } from "./random";
import type { NetLimits, NetPort } from "./chip/seam";
import type { World } from "./world";

export interface NodePlace {
  /** Station MAC, "aa:bb:cc:dd:ee:ff"; that of the access point is one more, as on an ESP32. */
  mac: string;
  /** Metres; without them the node is at the same signal from everyone. */
  x?: number;
  y?: number;
  limits?: Partial<NetLimits>;
  /** dBm */
  transmitPower?: number;
}

export const ESP32_LIMITS: NetLimits = { chip: "ESP32", sockets: 10, stations: 4, accessPointBesideStation: true };

export class WorldNode implements Transmitter {
  readonly world: World;
  readonly id: number;
  readonly mac: string;
  readonly accessPointMac: string;
  readonly limits: NetLimits;
  readonly transmitPower: number;
  readonly random: Random;
  x: number | undefined;
  y: number | undefined;
  channel = 1;
  on = false;
  driver: WifiDriver;
  stack: Stack;

  constructor(world: World, id: number, place: NodePlace) {
    this.world = world;
    this.id = id;
    this.mac = place.mac.toLowerCase();
    this.accessPointMac = nextMac(this.mac);
    this.limits = { ...ESP32_LIMITS, ...place.limits };
    this.transmitPower = place.transmitPower ?? 19.5;
    this.x = place.x;
    this.y = place.y;
    this.random = world.random.stream(`node ${this.mac}`);
    this.driver = new WifiDriver(this);
    this.stack = new Stack(this, () => world.events.now());
  }

  /** Begins a life with a new driver and stack; `now` is the time as the life's own code sees it, in ms. */
  powerUp(now: () => number = () => this.world.events.now()): void {
    if (this.on) this.powerDown(false);
    this.driver = new WifiDriver(this);
    this.stack = new Stack(this, now);
    this.on = true;
    this.channel = 1;
  }

  /** Ends a life. With a farewell (a restart by software) access point and stations hear of it at once. */
  powerDown(farewell: boolean): void {
    if (!this.on) return;
    const driver = this.driver;
    const access = driver.link;
    driver.down(farewell);
    this.stack.down();
    this.on = false;
    this.world.radio.silence(this);
    this.world.accessPointChanged(driver);
    access?.stationSilent(driver);
  }

  /** The network modules for one life of a chip; a restart calls this again. */
  readonly netFactory = (port: NetPort): WorldNetModules => {
    this.powerUp(() => port.now());
    return createNetModules(port, this);
  };

  awayUntil(now: number): number {
    return this.driver.awayUntil(now);
  }

  /** Moves the radio to a channel; the stations of its access point follow the announcement. */
  setChannel(channel: number): void {
    if (this.channel === channel) return;
    this.channel = channel;
    if (!this.driver.accessPointUp) return;
    this.world.radio.beacon(this, true);
    for (const station of this.driver.stations.values()) {
      if (station.link === this.driver) station.node.setChannel(channel);
    }
  }
}

function nextMac(mac: string): string {
  const value = (parseInt(mac.replace(/:/g, ""), 16) + 1).toString(16).padStart(12, "0");
  return value.match(/../g)!.join(":");
}
