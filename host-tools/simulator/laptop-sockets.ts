/** Sockets of a virtual laptop: the firmware's socket interface over the simulated stack, without Espruino between. */
import type { Bytes, Engine, Socket, SocketHandler } from "../../firmware/engine/engine";
import type { TcpSocket } from "./net/tcp";
import type { WorldNode } from "./world-node";

/** Bytes handed on at once. */
const PIECE = 1460;
/** The operating system's buffers hold more datagrams than a chip's. */
const MAILBOX = 400;

/** One end of a connection, driven by changes of its socket. */
class SocketSide implements Socket {
  handler: SocketHandler | null = null;
  closed = false;
  readonly #node: WorldNode;
  #socket: TcpSocket | null = null;
  #unsent: Bytes = "";
  #ending = false;

  constructor(node: WorldNode, socket: TcpSocket | null) {
    this.#node = node;
    if (socket) this.attach(socket);
  }

  attach(socket: TcpSocket): void {
    this.#socket = socket;
    socket.onChange = () => this.#soon();
  }

  write(bytes: Bytes): void {
    if (this.closed || this.#ending) return;
    this.#unsent += bytes;
    this.#soon();
  }

  close(): void {
    if (this.closed || this.#ending) return;
    this.#ending = true;
    this.#soon();
  }

  /** Moves bytes both ways as far as they go. */
  flow(): void {
    const socket = this.#socket;
    if (this.closed || !this.#node.on) return;
    if (!socket) {
      if (this.#ending) this.finish();
      return;
    }
    if (this.#unsent) {
      const count = socket.send(this.#unsent);
      if (count > 0) this.#unsent = this.#unsent.substring(count);
      if (count > 0 && !this.#unsent && !this.#ending) this.handler?.drain();
    }
    while (!this.closed && socket.readable) {
      const bytes = socket.receive(PIECE);
      if (bytes === null) {
        this.finish();
        return;
      }
      if (!bytes) break;
      this.handler?.data(bytes);
    }
    if (this.#ending && !this.#unsent) this.finish();
  }

  finish(): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket?.close();
    this.handler?.close();
  }

  #soon(): void {
    this.#node.world.events.after(0, () => this.flow());
  }
}

/** `node` must be powered up. */
export function createLaptopSockets(node: WorldNode): Pick<Engine, "listen" | "connect" | "openDatagrams"> {
  const { events } = node.world;
  const { stack } = node;
  stack.mailbox = MAILBOX;
  return {
    listen(port, accept) {
      const listener = stack.listen(port);
      if (typeof listener === "string") throw new Error(`cannot listen on port ${port}: ${listener}`);
      listener.onConnection = () => {
        for (let socket = listener.accept(); socket; socket = listener.accept()) {
          const side = new SocketSide(node, socket);
          side.handler = accept(side);
          side.flow();
        }
      };
    },
    connect(host, port, handler) {
      const side = new SocketSide(node, null);
      side.handler = handler;
      const result = stack.connect(host, port);
      events.after(result.ms, () => {
        if (!node.on || side.closed) return;
        if ("error" in result) {
          side.finish();
          return;
        }
        side.attach(result.socket);
        handler.open?.();
        side.flow();
      });
      return side;
    },
    openDatagrams(port, received) {
      const socket = stack.openUdp(port, true);
      if (typeof socket === "string") throw new Error(`cannot bind port ${port}: ${socket}`);
      socket.onReadable = () => {
        const datagram = socket.receive(65536);
        if (datagram && node.on) received(datagram.bytes, datagram.address);
      };
      let busy = false;
      return {
        send(bytes, address, toPort, sent) {
          if (busy || !bytes.length) return false;
          busy = true;
          socket.send(bytes, address, toPort);
          // The system takes the next datagram when this one has left.
          const wait = (): void => {
            if (node.world.radio.queued(node) && node.on) {
              events.after(1, wait);
              return;
            }
            busy = false;
            sent?.();
          };
          events.after(0.2, wait);
          return true;
        },
        close: () => socket.close(),
      };
    },
  };
}
