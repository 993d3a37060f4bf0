/**
 * Routes of lwIP on a board: the networks of its two interfaces, each a /24, over at most two hops of one access point.
 * Boards do not forward between networks.
 */
import type { WorldNode } from "../world-node";
import type { Stack } from "./stack";
import type { WifiDriver } from "./wifi-driver";

/** A way to a neighbour: the nodes that receive the frame one after another, and the address that the frame bears. */
export interface Route {
  hops: WorldNode[];
  source: string;
  /** Nobody answers the address resolution: packets are dropped, unseen by the sender. */
  dead?: boolean;
}

/** The way to an address, or null when the stack has none. */
export function findRoute(stack: Stack, address: string): Route | null {
  if (stack.owns(address)) return { hops: [], source: address };
  const { driver } = stack.node;
  if (stack.serving && networkOf(address) === networkOf(stack.accessPointAddress)) {
    const source = stack.accessPointAddress;
    for (const station of driver.stations.values()) {
      if (station.node.stack.stationAddress === address) return { hops: [station.node], source };
    }
    return { hops: [], source, dead: true };
  }
  const access = driver.link;
  const source = stack.stationAddress;
  if (!access || !source) return null;
  if (address === stack.gateway || networkOf(address) !== networkOf(source)) return { hops: [access.node], source };
  for (const station of access.stations.values()) {
    if (station.node.stack.stationAddress === address) return { hops: [access.node, station.node], source };
  }
  return { hops: [access.node], source };
}

/** Whether every hop is on the air now, and near enough to hear the one before. */
export function passable(from: WorldNode, route: Route): boolean {
  const { propagation } = from.world.radio;
  let last = from;
  for (const hop of route.hops) {
    if (!hop.on || hop.channel !== last.channel || !propagation.hears(last, hop)) return false;
    last = hop;
  }
  return true;
}

/** Whether a packet over a route, or one that comes back over it, would get past the loss of the links at `atMs`. */
export function survives(from: WorldNode, route: Route, atMs: number, back: boolean): boolean {
  const { radio } = from.world;
  let last = from;
  for (const hop of route.hops) {
    if (!(back ? radio.passes(hop, last, atMs) : radio.passes(last, hop, atMs))) return false;
    last = hop;
  }
  return true;
}

/** The access point whose network a broadcast address means: the one joined, the own one, or null for no broadcast. */
export function broadcastTarget(stack: Stack, address: string): WifiDriver | null {
  const { driver } = stack.node;
  const limited = address === "255.255.255.255";
  const own = networkOf(stack.accessPointAddress);
  if (stack.stationAddress && driver.link && (limited || address === networkOf(stack.stationAddress) + "255")) {
    if (!(stack.serving && own === networkOf(stack.stationAddress))) return driver.link;
  }
  return stack.serving && (limited || address === own + "255") ? driver : null;
}

/** "192.168.4." of "192.168.4.2". */
export function networkOf(address: string): string {
  return address.substring(0, address.lastIndexOf(".") + 1);
}
