/**
 * The IP stack of one life of a chip (lwIP): addresses of the two interfaces, routes over at most two hops of one access
 * point's network, a limited number of sockets. Boards do not forward between networks.
 */
import { CCMP_OVERHEAD, UDP_OVERHEAD } from "../airtime";
import { TRANSMIT_QUEUE } from "../radio";
import type { WorldNode } from "../world-node";
import { broadcastTarget, findRoute, networkOf, passable, survives } from "./routes";
import { TcpListener, TcpSocket } from "./tcp";
import { MAILBOX, UdpSocket } from "./udp";
import type { WifiDriver } from "./wifi-driver";

const DEFAULT_ACCESS_POINT_ADDRESS = "192.168.4.1";
/** Bytes of a datagram that fit one frame. */
export const LARGEST_DATAGRAM = 1472;
/** From the driver of one chip to the stack of the next, ms. */
const LATENCY_MS: readonly [number, number] = [0.3, 1.2];
/** A connection attempt without an answer is repeated after this, then after twice as long (lwIP's first time-out). */
const SYN_RETRY_MS = 3000;
const FIRST_FREE_PORT = 49153;

export type ConnectResult = { socket: TcpSocket; ms: number } | { error: string; ms: number };

export class Stack {
  readonly node: WorldNode;
  readonly now: () => number;
  alive = true;
  accessPointAddress = DEFAULT_ACCESS_POINT_ADDRESS;
  /** "" without a link */
  stationAddress = "";
  gateway = "";
  /** Datagrams that wait at one socket. */
  mailbox = MAILBOX;
  readonly #sockets = new Set<UdpSocket | TcpSocket | TcpListener>();
  readonly #bound = new Map<number, UdpSocket[]>();
  readonly #listeners = new Map<number, TcpListener>();
  readonly #connections = new Set<TcpSocket>();
  readonly #leases = new Map<string, string>();
  #nextPort = FIRST_FREE_PORT;
  #deferred = 0;

  constructor(node: WorldNode, now: () => number) {
    this.node = node;
    this.now = now;
  }

  down(): void {
    this.alive = false;
    this.#sockets.clear();
    this.#bound.clear();
    this.#listeners.clear();
    this.#connections.clear();
  }

  /** The DHCP server's address for a station: the first free one from .2 on, the same one again for the same MAC. */
  lease(mac: string): string {
    const network = networkOf(this.accessPointAddress);
    const known = this.#leases.get(mac);
    if (known && networkOf(known) === network) return known;
    const taken = new Set(this.#leases.values());
    let host = 2;
    while (taken.has(network + host) || network + host === this.accessPointAddress) host++;
    this.#leases.set(mac, network + host);
    return network + host;
  }

  stationUp(address: string, gateway: string): void {
    if (this.stationAddress && this.stationAddress !== address) this.stationDown();
    this.stationAddress = address;
    this.gateway = gateway;
  }

  /** ESP-IDF takes the address away with the link, and lwIP then aborts the connections bound to it. */
  stationDown(): void {
    const address = this.stationAddress;
    this.stationAddress = "";
    this.gateway = "";
    if (!address) return;
    for (const socket of [...this.#connections]) if (socket.localAddress === address) socket.reset();
  }

  owns(address: string): boolean {
    return (
      address === this.stationAddress ||
      address === "127.0.0.1" ||
      (this.serving && address === this.accessPointAddress)
    );
  }

  hasRoom(): boolean {
    return this.#sockets.size < this.node.limits.sockets;
  }

  latency(): number {
    return this.node.random.between(LATENCY_MS[0], LATENCY_MS[1]);
  }

  /** Opens a UDP socket on a port, 0 for any. Returns an error code when there is none left or the port is taken. */
  openUdp(port: number, reuse = false): UdpSocket | "no sockets" | "in use" {
    if (!this.hasRoom()) return "no sockets";
    const chosen = port || this.#nextPort++;
    const bound = this.#bound.get(chosen);
    if (bound?.length && !reuse) return "in use";
    const socket = new UdpSocket(this, chosen, this.mailbox);
    this.#sockets.add(socket);
    if (bound) bound.push(socket);
    else this.#bound.set(chosen, [socket]);
    return socket;
  }

  listen(port: number): TcpListener | "no sockets" | "in use" {
    if (!this.hasRoom()) return "no sockets";
    if (this.#listeners.has(port)) return "in use";
    const listener = new TcpListener(this, port);
    this.#sockets.add(listener);
    this.#listeners.set(port, listener);
    return listener;
  }

  /**
   * Connects, as of this moment: the outcome is decided now and stands after `ms`, for which a caller with a blocking
   * connect is held. Errors: "no sockets", "no route", "timeout", "refused".
   */
  connect(address: string, port: number): ConnectResult {
    if (!this.hasRoom()) return { error: "no sockets", ms: 0 };
    const route = findRoute(this, address);
    if (!route) return { error: "no route", ms: 0 };
    const timeout = { error: "timeout", ms: this.node.world.options.connectTimeoutMs };
    const last = route.hops[route.hops.length - 1];
    const remote = last ? last.stack : this;
    if (route.dead || !passable(this.node, route) || !remote.alive || !remote.owns(address)) return timeout;
    let ms = (route.hops.length || 1) * this.node.random.between(6, 25);
    const answered = (): boolean =>
      survives(this.node, route, this.now() + ms, false) && survives(this.node, route, this.now() + ms, true);
    for (let wait = SYN_RETRY_MS; !answered(); wait *= 2) {
      ms += wait;
      if (ms > timeout.ms) return timeout;
    }
    this.sendPacket(address, 60, "tcp", undefined, () => {});
    const listener = remote.#listeners.get(port);
    if (!listener) return { error: "refused", ms };
    const socket = new TcpSocket(this, route.source, this.#nextPort++, address, port);
    const other = new TcpSocket(remote, address, port, route.source, socket.localPort);
    socket.peer = other;
    other.peer = socket;
    this.hold(socket);
    remote.#connections.add(other);
    const { events } = this.node.world;
    events.at(this.now() + ms, () => {
      if (remote.alive && remote.#listeners.get(port) === listener) listener.offer(other);
      else other.reset();
    });
    return { socket, ms };
  }

  /** Whether an acknowledgement from `address` would get back now. */
  hearsFrom(address: string): boolean {
    const route = findRoute(this, address);
    return !!route && survives(this.node, route, this.node.world.events.now(), true);
  }

  hold(socket: TcpSocket): void {
    this.#sockets.add(socket);
    this.#connections.add(socket);
  }

  /** The application closed a socket: its place is free. */
  forget(socket: UdpSocket | TcpSocket | TcpListener): void {
    this.#sockets.delete(socket);
    if (socket instanceof TcpListener) this.#listeners.delete(socket.port);
    if (!(socket instanceof UdpSocket)) return;
    const bound = this.#bound.get(socket.port);
    const index = bound ? bound.indexOf(socket) : -1;
    if (index >= 0) bound!.splice(index, 1);
  }

  disconnected(socket: TcpSocket): void {
    this.#connections.delete(socket);
  }

  /** Sends a datagram to one address or to a network's broadcast address. Returns false when the stack refuses. */
  sendDatagram(port: number, bytes: string, address: string, toPort: number): boolean {
    if (bytes.length > LARGEST_DATAGRAM) return false;
    const access = broadcastTarget(this, address);
    const size = bytes.length + UDP_OVERHEAD;
    if (!access) {
      const source = findRoute(this, address)?.source;
      if (source === undefined) return false;
      return this.sendPacket(address, size, "udp", bytes, (node) => {
        if (node) node.stack.#receive(bytes, source, port, address, toPort);
      });
    }
    if (access.node === this.node)
      return this.#broadcast(access, null, size, bytes, this.accessPointAddress, port, toPort);
    // A station's broadcast goes up to its access point, which takes it in and sends it to all other stations.
    const source = this.stationAddress;
    return this.sendPacket(this.gateway, size, "udp-up", bytes, (node) => {
      if (!node) return;
      node.stack.#receive(bytes, source, port, "", toPort);
      node.stack.#broadcast(access, this.node, size, bytes, source, port, toPort);
    });
  }

  /**
   * Sends `size` bytes hop by hop; `done` gets the node that has the address, or null when the packet was lost. Returns
   * false, and never calls `done`, when there is no route or the driver's queue is full.
   */
  sendPacket(
    address: string,
    size: number,
    kind: string,
    payload: string | undefined,
    done: (node: WorldNode | null) => void,
  ): boolean {
    const route = findRoute(this, address);
    if (!route) return false;
    const { radio, events } = this.node.world;
    if (route.hops.length && radio.queued(this.node) + this.#deferred >= TRANSMIT_QUEUE) return false;
    this.#whenDue(() => {
      if (route.dead) {
        events.after(this.latency(), () => done(null));
        return;
      }
      const pass = (from: WorldNode, index: number): void => {
        const next = route.hops[index];
        if (!next) {
          events.after(this.latency(), () => done(from.on && from.stack.owns(address) ? from : null));
          return;
        }
        const frame = { to: next, bytes: size + CCMP_OVERHEAD, kind, payload };
        const heard = (received: readonly unknown[]) => (received.length ? pass(next, index + 1) : done(null));
        if (!radio.send(from, { ...frame, done: heard })) events.after(0, () => done(null));
      };
      pass(this.node, 0);
    });
    return true;
  }

  /** The own access point is up. */
  get serving(): boolean {
    return this.node.driver.accessPointUp && this.node.driver.node.stack === this;
  }

  /** Code that runs ahead of the clock (an interpreter in the middle of an event) sends when the clock has caught up. */
  #whenDue(run: () => void): void {
    const { events } = this.node.world;
    const due = this.now();
    if (due <= events.now()) {
      run();
      return;
    }
    this.#deferred++;
    events.at(due, () => {
      this.#deferred--;
      if (this.alive) run();
    });
  }

  #broadcast(
    access: WifiDriver,
    except: WorldNode | null,
    size: number,
    bytes: string,
    source: string,
    port: number,
    toPort: number,
  ): boolean {
    const { radio, events } = this.node.world;
    const group = () => {
      const stations: WorldNode[] = [];
      for (const station of access.stations.values()) {
        if (station.node !== except && station.alive && station.link === access) stations.push(station.node);
      }
      return stations;
    };
    // A driver without stations drops group frames silently.
    if (!access.stations.size || (except && access.stations.size === 1)) return true;
    if (radio.queued(this.node) + this.#deferred >= TRANSMIT_QUEUE) return false;
    this.#whenDue(() => {
      radio.send(this.node, {
        to: null,
        bytes: size + CCMP_OVERHEAD,
        kind: "group",
        payload: bytes,
        group,
        done: (received) => {
          for (const station of received as readonly WorldNode[]) {
            const { stack } = station;
            events.after(stack.latency(), () => stack.#receive(bytes, source, port, "", toPort));
          }
        },
      });
    });
    return true;
  }

  #receive(bytes: string, source: string, port: number, address: string, toPort: number): void {
    if (!this.alive || (address && !this.owns(address))) return;
    // Without an address of its own a station's stack takes no packets in.
    if (!address && !this.stationAddress && !this.serving) return;
    for (const socket of this.#bound.get(toPort) ?? []) {
      socket.arrive({ bytes, address: source, port });
      if (address) break;
    }
  }
}
