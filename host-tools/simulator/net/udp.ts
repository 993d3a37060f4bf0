/** A UDP socket of lwIP: a mailbox of six datagrams, and sends that fail when the driver's queue is full. */
import type { Stack } from "./stack";

/** Datagrams that wait at a socket (ESP-IDF: CONFIG_LWIP_UDP_RECVMBOX_SIZE). */
export const MAILBOX = 6;

export interface Datagram {
  bytes: string;
  address: string;
  port: number;
}

export class UdpSocket {
  readonly stack: Stack;
  readonly port: number;
  readonly #waiting: Datagram[] = [];
  readonly #mailbox: number;
  /** Datagrams that found the mailbox full. */
  overflowed = 0;
  open = true;
  /** Called when a datagram has come into the mailbox. */
  onReadable: () => void = () => {};

  constructor(stack: Stack, port: number, mailbox: number) {
    this.stack = stack;
    this.port = port;
    this.#mailbox = mailbox;
  }

  get readable(): boolean {
    return this.#waiting.length > 0;
  }

  arrive(datagram: Datagram): void {
    if (!this.open) return;
    if (this.#waiting.length >= this.#mailbox) {
      this.overflowed++;
      this.stack.node.world.counts.datagramsOverflowed++;
      return;
    }
    this.stack.node.world.counts.datagramsReceived++;
    this.#waiting.push(datagram);
    this.onReadable();
  }

  /** The oldest datagram, cut to `limit` bytes; what was cut off is gone. */
  receive(limit: number): Datagram | null {
    const datagram = this.#waiting.shift();
    if (!datagram) return null;
    if (datagram.bytes.length <= limit) return datagram;
    this.stack.node.world.counts.datagramsCut++;
    return { bytes: datagram.bytes.substring(0, limit), address: datagram.address, port: datagram.port };
  }

  /** Hands a datagram to the driver; it may still be lost on air. Returns false when the stack or driver refuses it. */
  send(bytes: string, address: string, port: number): boolean {
    return this.open && this.stack.sendDatagram(this.port, bytes, address, port);
  }

  close(): void {
    this.open = false;
    this.#waiting.length = 0;
    this.stack.forget(this);
  }
}
