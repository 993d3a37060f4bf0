/**
 * A TCP connection of lwIP as its two ends see it: ordered bytes with a window, one segment in flight, repeats after a
 * growing time-out, resets from a peer that does not know the connection. A peer that fell silent is noticed only by
 * sending.
 */
import { TCP_OVERHEAD } from "../airtime";
import type { ScheduledEvent } from "../events";
import type { WorldNode } from "../world-node";
import type { Stack } from "./stack";

/** Bytes of a segment (ESP-IDF: CONFIG_LWIP_TCP_MSS). */
export const SEGMENT = 1440;
/** Bytes that one end holds for sending, and for receiving (ESP-IDF: 5744 each). */
export const WINDOW = 5744;
const RETRY_MS = 1000;
const RETRIES = 12;
const RETRY_DOUBLINGS = 7;

export class TcpSocket {
  readonly stack: Stack;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  peer: TcpSocket | null = null;
  /** The application holds this end. */
  held = true;
  /** Something to read, room to write, or an end of the connection. */
  onChange: () => void = () => {};
  #received: string[] = [];
  #receivedBytes = 0;
  #remoteEnded = false;
  #failed = false;
  #queued = "";
  #inFlight: string | null = null;
  /** What is in flight has arrived; its acknowledgement was lost. */
  #arrivedBefore = false;
  #ending = false;
  #ended = false;
  #attempt = 0;
  #unacknowledged = 0;
  #retry: ScheduledEvent | null = null;

  constructor(stack: Stack, localAddress: string, localPort: number, remoteAddress: string, remotePort: number) {
    this.stack = stack;
    this.localAddress = localAddress;
    this.localPort = localPort;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  get readable(): boolean {
    return this.#receivedBytes > 0 || this.#remoteEnded || this.#failed;
  }

  get writable(): boolean {
    return this.#failed || this.#space() > 0;
  }

  /** Up to `limit` bytes, "" when there are none now, null when no more will come. */
  receive(limit: number): string | null {
    const first = this.#received[0];
    if (first === undefined) return this.#remoteEnded || this.#failed ? null : "";
    let bytes = first;
    if (first.length > limit) {
      bytes = first.substring(0, limit);
      this.#received[0] = first.substring(limit);
    } else {
      this.#received.shift();
    }
    // A read returns what arrived, whatever the pieces in which it came.
    while (bytes.length < limit && this.#received.length) {
      const next = this.#received[0]!;
      const room = limit - bytes.length;
      bytes += next.substring(0, room);
      if (next.length > room) this.#received[0] = next.substring(room);
      else this.#received.shift();
    }
    const windowWasShut = this.#receivedBytes >= WINDOW;
    this.#receivedBytes -= bytes.length;
    if (windowWasShut) this.peer?.pump();
    return bytes;
  }

  /** Takes as many bytes as fit and returns their number, 0 when there is no room, -1 when the connection is gone. */
  send(bytes: string): number {
    if (this.#failed) return -1;
    const count = Math.min(bytes.length, this.#space());
    if (count > 0) {
      this.#queued += count === bytes.length ? bytes : bytes.substring(0, count);
      this.pump();
    }
    return count;
  }

  /** The application lets go. What is queued still goes out; bytes that it did not read reset the connection. */
  close(): void {
    if (!this.held) return;
    this.held = false;
    this.stack.forget(this);
    this.onChange = () => {};
    if (this.#failed) return;
    if (this.#receivedBytes > 0) {
      this.#notifyPeer((peer) => peer.reset());
      this.#fail();
      return;
    }
    this.#ending = true;
    this.pump();
  }

  /** The connection is gone at this end, without a word to the other. */
  reset(): void {
    if (this.#failed) return;
    this.stack.node.world.counts.connectionsReset++;
    this.#fail();
    this.onChange();
  }

  /** Sends what there is to send, if the window and the segment in flight allow. */
  pump(): void {
    if (this.#inFlight !== null || this.#failed || !this.stack.alive) return;
    const room = this.peer ? WINDOW - this.peer.#receivedBytes : 0;
    if (this.#queued && room > 0) {
      const length = Math.min(SEGMENT, room, this.#queued.length);
      this.#inFlight = this.#queued.substring(0, length);
      this.#queued = this.#queued.substring(length);
      this.#transmit();
    } else if (!this.#queued && this.#ending && !this.#ended) {
      this.#ended = true;
      this.#inFlight = "";
      this.#transmit();
    }
  }

  #space(): number {
    return WINDOW - this.#queued.length - (this.#inFlight?.length ?? 0);
  }

  #fail(): void {
    this.#failed = true;
    this.#queued = "";
    this.#inFlight = null;
    if (this.#retry) this.stack.node.world.events.cancel(this.#retry);
    this.#retry = null;
    this.stack.disconnected(this);
  }

  #transmit(): void {
    const bytes = this.#inFlight!;
    const { counts } = this.stack.node.world;
    counts.segmentsSent++;
    if (this.#attempt) counts.segmentsRepeated++;
    this.#unacknowledged = 0;
    const sent = this.stack.owns(this.localAddress)
      ? this.stack.sendPacket(this.remoteAddress, bytes.length + TCP_OVERHEAD, "tcp", bytes, (node) =>
          this.#arrived(node),
        )
      : false;
    if (!sent) this.#again();
  }

  /** The segment reached `node`, or nobody. */
  #arrived(node: WorldNode | null): void {
    if (this.#failed || this.#inFlight === null || !this.stack.alive) return;
    if (!node) {
      this.#again();
      return;
    }
    const peer = this.peer;
    if (!peer || peer.stack !== node.stack || peer.#failed || (!peer.held && this.#inFlight && !this.#arrivedBefore)) {
      // Nobody there knows this connection: the answer is a reset.
      this.stack.node.world.events.after(this.stack.latency(), () => this.reset());
      return;
    }
    const bytes = this.#inFlight;
    if (!this.#arrivedBefore) peer.#accept(bytes);
    if (this.#failed) return;
    this.#arrivedBefore = !this.stack.hearsFrom(this.remoteAddress);
    if (this.#arrivedBefore) {
      this.#again();
      return;
    }
    this.#inFlight = null;
    this.#attempt = 0;
    if (this.#ended && peer.#ended) this.stack.disconnected(this);
    else this.pump();
    if (bytes && this.held && !this.#failed) this.onChange();
  }

  #accept(bytes: string): void {
    if (bytes) {
      this.#received.push(bytes);
      this.#receivedBytes += bytes.length;
      // Every second segment is acknowledged on its own, unless data goes the other way.
      if (++this.#unacknowledged >= 2) {
        this.#unacknowledged = 0;
        this.stack.sendPacket(this.remoteAddress, TCP_OVERHEAD, "tcp-ack", undefined, () => {});
      }
    } else {
      this.#remoteEnded = true;
      if (this.#ended) this.stack.disconnected(this);
    }
    this.onChange();
  }

  #again(): void {
    if (++this.#attempt > RETRIES) {
      this.reset();
      return;
    }
    const wait = RETRY_MS * 2 ** Math.min(this.#attempt - 1, RETRY_DOUBLINGS);
    this.#retry = this.stack.node.world.events.after(wait, () => {
      this.#retry = null;
      if (this.stack.alive && this.#inFlight !== null) this.#transmit();
    });
  }

  #notifyPeer(run: (peer: TcpSocket) => void): void {
    this.stack.sendPacket(this.remoteAddress, TCP_OVERHEAD, "tcp", undefined, (node) => {
      if (node && this.peer && this.peer.stack === node.stack) run(this.peer);
    });
  }
}

/** A listening port: connections wait here until they are accepted. */
export class TcpListener {
  readonly stack: Stack;
  readonly port: number;
  readonly #waiting: TcpSocket[] = [];
  onConnection: () => void = () => {};

  constructor(stack: Stack, port: number) {
    this.stack = stack;
    this.port = port;
  }

  get readable(): boolean {
    return this.#waiting.length > 0 && this.stack.hasRoom();
  }

  offer(socket: TcpSocket): void {
    this.#waiting.push(socket);
    this.onConnection();
  }

  /** The next connection, or null when none waits or the chip has no socket left for it. */
  accept(): TcpSocket | null {
    if (!this.readable) return null;
    const socket = this.#waiting.shift()!;
    this.stack.hold(socket);
    return socket;
  }

  close(): void {
    for (const socket of this.#waiting.splice(0)) socket.close();
    this.stack.forget(this);
  }
}
