/**
 * Espruino's socket layer: a translation of its libs/network/socketserver.c and of the ESP32's network_esp32.c, step by
 * step, because firmware depends on the order of its events. What runs there on every turn of the idle loop runs here
 * whenever a socket has something to do.
 */
import type { NetPort } from "../chip/seam";
import { Emitter, callAll } from "./emitter";
import {
  CHUNK,
  DATAGRAM_HEADER,
  ERROR_CLOSED,
  ERROR_UNSENT_DATA,
  MESSAGES,
  STREAM_BUFFER,
  datagramHeader,
  newConnection,
  toPort,
  type Connection,
  type Server,
} from "./connection";
import { COST } from "./native-costs";
import type { Stack } from "./stack";
import type { TcpSocket } from "./tcp";
import { UdpSocket } from "./udp";

export class SocketLayer {
  readonly port: NetPort;
  readonly stack: Stack;
  chunk = CHUNK;
  readonly clients: Connection[] = [];
  readonly boundSockets: Connection[] = [];
  readonly servers: Server[] = [];
  readonly #wrapAccepted: (connection: Connection) => Emitter;
  #queued = false;
  /** Queued events that have not run; the interpreter runs them all before its idle loop turns. */
  #outstanding = 0;
  #delayed = false;

  constructor(port: NetPort, stack: Stack, wrapAccepted: (connection: Connection) => Emitter) {
    this.port = port;
    this.stack = stack;
    this.#wrapAccepted = wrapAccepted;
  }

  /** Something may have to be done: the idle loop turns once more. */
  readonly kick = (): void => {
    if (this.#outstanding) this.#delayed = true;
    if (this.#queued || this.#outstanding) return;
    this.#queued = true;
    this.port.deliver(() => {
      this.#queued = false;
      if (this.#outstanding) this.#delayed = true;
      else if (this.#idle() && this.#pending()) this.kick();
    }, "sockets");
  };

  /** Queues an event of a socket for the interpreter. */
  event(object: Emitter, name: string, args: unknown[]): void {
    const listeners = Emitter.of(object, name);
    if (!listeners.length) return;
    this.#outstanding++;
    this.port.deliver(() => {
      try {
        callAll(listeners, object, args);
      } finally {
        this.#outstanding--;
        if (!this.#outstanding && this.#delayed) {
          this.#delayed = false;
          this.kick();
        }
      }
    }, name);
  }

  /** Queues bytes, and for UDP the header before them. Throws when the socket is closed. */
  write(connection: Connection, bytes: string, address: string, port: number): void {
    if (connection.closeNow || connection.close) throw this.port.error("This socket is closed");
    if (connection.udp) {
      connection.sendData += datagramHeader(address, port, bytes.length) + bytes;
      this.open(connection);
    } else {
      connection.sendData += bytes;
    }
    this.port.charge(COST.write + COST.writeByte * bytes.length);
    this.kick();
  }

  /** Makes the socket of a client; a TCP connection holds the interpreter until it stands or has failed. Throws then. */
  open(connection: Connection): void {
    if (connection.handle) return;
    const { port, stack } = this;
    port.charge(COST.create);
    let handle: TcpSocket | UdpSocket | null = null;
    if (connection.udp) {
      const socket = stack.openUdp(0);
      if (typeof socket !== "string") handle = socket;
    } else {
      const address = this.resolve(connection.options.host);
      if (!address) {
        connection.closeNow = true;
        this.kick();
        throw port.error("Unable to locate host");
      }
      const result = stack.connect(address, toPort(connection.options.port));
      port.block(result.ms);
      if ("socket" in result) handle = result.socket;
    }
    if (!handle) {
      connection.closeNow = true;
      this.kick();
      throw port.error("Unable to create socket");
    }
    this.attach(connection, handle);
  }

  attach(connection: Connection, handle: TcpSocket | UdpSocket): void {
    connection.handle = handle;
    if (handle instanceof UdpSocket) handle.onReadable = this.kick;
    else handle.onChange = this.kick;
    this.kick();
  }

  /** Asks for the end: at once when nothing waits to be sent, else after it. */
  end(connection: Connection): void {
    if (!connection.sendData) connection.closeNow = true;
    connection.close = true;
    this.kick();
  }

  /** Dotted address of a host option; names are not known here and cost the time that asking for them takes. */
  resolve(host: unknown): string | null {
    if (host === undefined) return "127.0.0.1";
    if (typeof host === "string" && /^\d{1,3}(\.\d{1,3}){3}$/.test(host)) return host;
    if (host === "localhost") return "127.0.0.1";
    if (this.stack.stationAddress) this.port.block(14_000);
    return null;
  }

  /** One turn. Returns whether anything came of it. */
  #idle(): boolean {
    this.port.charge(COST.turn * (this.servers.length + this.boundSockets.length + this.clients.length));
    let busy = false;
    for (const server of [...this.servers]) {
      const socket = server.listener?.accept();
      if (!socket) continue;
      busy = true;
      const connection = newConnection(new Emitter(this.port), false, {});
      connection.object = this.#wrapAccepted(connection);
      this.clients.push(connection);
      this.attach(connection, socket);
      this.port.charge(COST.accept);
      this.event(server.object, "connect", [connection.object]);
    }
    for (const connection of [...this.boundSockets]) if (this.#turnBound(connection)) busy = true;
    for (const connection of [...this.clients]) if (this.#turnClient(connection)) busy = true;
    return busy;
  }

  #pending(): boolean {
    for (const server of this.servers) if (server.listener?.readable) return true;
    for (const list of [this.clients, this.boundSockets]) {
      for (const c of list) {
        if (c.closeNow) return true;
        if (!c.handle) continue;
        if (c.close || !c.connected || c.handle.readable) return true;
        if (c.sendData && (c.handle instanceof UdpSocket || c.handle.writable)) return true;
      }
    }
    return false;
  }

  /** socketServerConnectionsIdle: bound UDP sockets only, TCP connections live among the clients. */
  #turnBound(c: Connection): boolean {
    let busy = false;
    let closing = c.closeNow;
    if (!closing) {
      const count = this.#receive(c);
      if (count !== 0 || c.sendData) busy = true;
      if (c.sendData) this.#send(c);
      // An end seen by reading counts only when the application wants to close.
      if (!c.sendData && count <= 0) closing = c.close;
    }
    if (!closing) return busy;
    this.event(c.object, "end", []);
    this.event(c.object, "close", [false]);
    this.#kill(c);
    this.boundSockets.splice(this.boundSockets.indexOf(c), 1);
    return true;
  }

  /** socketClientConnectionsIdle */
  #turnClient(c: Connection): boolean {
    let busy = false;
    let closing = c.closeNow;
    let error = 0;
    if (c.handle) {
      if (c.receiveData && this.#push(c, false)) busy = true;
      if (!closing) {
        if (c.sendData) {
          const before = c.sendData.length;
          error = this.#send(c);
          if (error < 0) closing = true;
          if (error < 0 || c.sendData.length !== before) busy = true;
        } else if (c.close) {
          closing = true;
        }
        const count = this.#receive(c);
        if (count < 0) {
          closing = true;
          error = count;
          busy = true;
        } else {
          if (!c.connected) {
            c.connected = true;
            busy = true;
            this.event(c.object, "connect", [c.object]);
            if (!c.sendData) this.event(c.object, "drain", [c.object]);
          }
          if (count > 0) busy = true;
        }
      }
    }
    if (!closing) return busy;
    if (c.receiveData) this.#push(c, true);
    if (c.receiveData) {
      c.closeNow = true;
      return busy;
    }
    if (c.sendData && error === ERROR_CLOSED) error = ERROR_UNSENT_DATA;
    this.#kill(c);
    this.clients.splice(this.clients.indexOf(c), 1);
    const failed = error < 0 && error !== ERROR_CLOSED;
    if (failed) {
      const details = this.port.local({ code: error, message: MESSAGES[error] ?? "unknown error" });
      this.event(c.object, "error", [details]);
    }
    if (!c.ended) {
      c.ended = true;
      this.event(c.object, "end", []);
    }
    this.event(c.object, "close", [failed]);
    return true;
  }

  #kill(c: Connection): void {
    if (!c.handle) return;
    c.handle.close();
    c.handle = null;
    c.connected = false;
    c.close = true;
    this.port.charge(COST.close);
  }

  /** Reads once. Returns what recv returned: a length, 0 for nothing, -1 at the end; UDP lengths include the header. */
  #receive(c: Connection): number {
    const { handle } = c;
    if (handle instanceof UdpSocket) {
      const datagram = handle.receive(this.chunk - DATAGRAM_HEADER);
      if (!datagram) return 0;
      // select() says there is data, recvfrom() says there is none: taken for the end.
      if (!datagram.bytes.length) return ERROR_CLOSED;
      this.port.charge(COST.datagram + COST.datagramByte * datagram.bytes.length);
      const info = { address: datagram.address, port: datagram.port, size: datagram.bytes.length };
      this.event(c.object, "message", [datagram.bytes, this.port.local(info)]);
      return datagram.bytes.length + DATAGRAM_HEADER;
    }
    const bytes = handle!.receive(this.chunk);
    if (bytes === null) return ERROR_CLOSED;
    if (bytes) {
      this.port.note(`data ${bytes.length} B`);
      this.port.charge(COST.piece + COST.pieceByte * bytes.length);
      c.receiveData += bytes;
      this.#push(c, false);
    }
    return bytes.length;
  }

  /** Hands received bytes to the listeners at once, or keeps them. Returns whether they are off the connection. */
  #push(c: Connection, force: boolean): boolean {
    const bytes = c.receiveData;
    const listeners = Emitter.of(c.object, "data");
    if (listeners.length) {
      c.receiveData = "";
      try {
        callAll(listeners, c.object, [bytes]);
      } catch (error) {
        // The interpreter prints it and goes on with its idle loop.
        this.port.deliver(() => {
          throw error;
        }, "data");
      }
      return true;
    }
    const fits = c.buffered.length + bytes.length <= STREAM_BUFFER || !c.buffered;
    if (fits) c.buffered += bytes;
    else if (force) c.buffered = (c.buffered + bytes).substring(0, STREAM_BUFFER);
    if (fits) c.receiveData = "";
    return fits;
  }

  /** Writes once. Returns 0, or -1 when the connection is gone. */
  #send(c: Connection): number {
    if (c.handle instanceof UdpSocket) {
      do this.#sent(c, this.#sendDatagram(c, c.handle));
      while (c.outOfStep && c.sendData);
      return 0;
    }
    const count = c.handle!.send(c.sendData.substring(0, this.chunk));
    if (count < 0) return ERROR_CLOSED;
    if (count > 0) this.#sent(c, count);
    return 0;
  }

  #sent(c: Connection, count: number): void {
    this.port.charge(COST.send + COST.sendByte * Math.min(count, c.sendData.length));
    c.sendData = c.sendData.substring(count);
    if (c.sendData) return;
    c.outOfStep = false;
    if (!c.close) this.event(c.object, "drain", [c.object]);
  }

  /**
   * Sends the datagram at the head. A send that fails returns -1, to which the header's length is added: 7 bytes are
   * taken off, and what follows is read out of step from then on.
   */
  #sendDatagram(c: Connection, handle: UdpSocket): number {
    const data = c.sendData;
    const at = (index: number) => (index < data.length ? data.charCodeAt(index) : 0);
    const address = `${at(0)}.${at(1)}.${at(2)}.${at(3)}`;
    const port = at(4) | (at(5) << 8);
    const length = at(6) | (at(7) << 8);
    const sent = handle.send(data.substring(DATAGRAM_HEADER, DATAGRAM_HEADER + length), address, port);
    if (!sent) {
      if (!c.outOfStep) this.stack.node.world.counts.datagramsRefused++;
      c.outOfStep = true;
    }
    return (sent ? length : -1) + DATAGRAM_HEADER;
  }
}
