/** TCP and UDP of Node.js in the shape of the firmware's engine. */
import * as dgram from "node:dgram";
import * as net from "node:net";
import * as os from "node:os";
import type { DatagramSocket, Socket, SocketHandler } from "../../firmware/engine/engine";
import { EspalierError } from "../errors";

/** Most bytes of one `data` call, and of one datagram. */
const MAX_DATA = 1460;
const MAX_DATAGRAM = 1472;
const CONNECT_TIMEOUT_MS = 20_000;
const ADDRESSES_MS = 5_000;

export interface NodeSockets {
  listen(port: number, accept: (socket: Socket) => SocketHandler): void;
  connect(host: string, port: number, handler: SocketHandler): Socket;
  openDatagrams(port: number, received: (bytes: string, address: string) => void): DatagramSocket;
  /** Frees every socket without calling a handler again. */
  close(): void;
}

export interface NodeSocketsOptions {
  /** Local address to listen on and send from. */
  address: string;
  /** A port could not be opened. */
  failed(error: EspalierError): void;
}

/** "::ffff:10.0.0.1" is how a dual-stack socket writes 10.0.0.1. */
function ownAddresses(): Set<string> {
  const all = Object.values(os.networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(all.map((entry) => entry.address));
}

export function createNodeSockets(options: NodeSocketsOptions): NodeSockets {
  const open = new Set<{ end(): void }>();
  let closed = false;

  function portError(kind: string, port: number, error: NodeJS.ErrnoException): EspalierError {
    if (error.code === "EADDRINUSE") {
      return new EspalierError("PORT_IN_USE", `${kind} port ${port} is in use`, {
        hint: "Another program, perhaps another espalier, has it open.",
        context: { kind, port },
        cause: error,
      });
    }
    return new EspalierError("PORT_FAILED", `${kind} port ${port}: ${error.message}`, {
      context: { kind, port },
      cause: error,
    });
  }

  function wrap(raw: net.Socket): { socket: Socket; attach(handler: SocketHandler): void } {
    let unsent = 0;
    let over = false;
    let heard: SocketHandler | null = null;
    const entry = { end: () => raw.destroy() };
    open.add(entry);
    raw.setNoDelay(true);
    // "close" follows every error, and is what counts.
    raw.on("error", () => {});
    raw.on("data", (data: Buffer) => {
      for (let at = 0; at < data.length && !over && !closed; at += MAX_DATA) {
        heard?.data(data.toString("latin1", at, Math.min(at + MAX_DATA, data.length)));
      }
    });
    raw.on("close", () => {
      open.delete(entry);
      over = true;
      if (!closed) heard?.close();
    });
    return {
      attach(handler) {
        heard = handler;
      },
      socket: {
        write(bytes) {
          if (over || closed || bytes.length === 0) return;
          unsent++;
          raw.write(Buffer.from(bytes, "latin1"), (error) => {
            unsent--;
            if (unsent === 0 && !error && !over && !closed) heard?.drain();
          });
        },
        close() {
          if (over) return;
          over = true;
          // Sends what is queued, then ends both directions whatever the peer does.
          raw.destroySoon();
        },
      },
    };
  }

  return {
    listen(port, accept) {
      const server = net.createServer((raw) => {
        const { socket, attach } = wrap(raw);
        attach(accept(socket));
      });
      server.on("error", (error) => {
        if (!closed) options.failed(portError("TCP", port, error));
      });
      server.listen(port, options.address);
      open.add({ end: () => server.close() });
    },
    connect(host, port, handler) {
      const raw = net.connect({ host, port });
      const limit = setTimeout(() => raw.destroy(), CONNECT_TIMEOUT_MS);
      const { socket, attach } = wrap(raw);
      attach(handler);
      raw.on("connect", () => {
        clearTimeout(limit);
        if (!closed) handler.open?.();
      });
      raw.on("close", () => clearTimeout(limit));
      return socket;
    },
    openDatagrams(port, received) {
      const raw = dgram.createSocket({ type: "udp4", reuseAddr: true });
      let over = false;
      let busy = false;
      let own = ownAddresses();
      let ownRead = performance.now();
      const entry = { end: () => raw.close() };
      open.add(entry);

      // A board does not hear its own broadcasts, a computer does.
      function isEcho(from: dgram.RemoteInfo): boolean {
        if (from.port !== port) return false;
        if (performance.now() - ownRead > ADDRESSES_MS) {
          own = ownAddresses();
          ownRead = performance.now();
        }
        return own.has(from.address);
      }

      raw.on("error", (error) => {
        if (!over && !closed) options.failed(portError("UDP", port, error));
      });
      raw.on("message", (data, from) => {
        if (!over && !closed && data.length > 0 && !isEcho(from)) received(data.toString("latin1"), from.address);
      });
      raw.bind({ port, address: options.address }, () => raw.setBroadcast(true));
      return {
        send(bytes, address, toPort, sent) {
          if (bytes.length > MAX_DATAGRAM) throw new RangeError(`a datagram of ${bytes.length} bytes`);
          if (busy || over || closed || bytes.length === 0) return false;
          busy = true;
          // An error (no route, no link) is a datagram lost on the air: no more and no less.
          raw.send(Buffer.from(bytes, "latin1"), toPort, address, () => {
            busy = false;
            if (!over && !closed) sent?.();
          });
          return true;
        },
        close() {
          if (over) return;
          over = true;
          open.delete(entry);
          raw.close();
        },
      };
    },
    close() {
      if (closed) return;
      closed = true;
      for (const entry of open) entry.end();
      open.clear();
    },
  };
}
