/** Espruino's `net` and `dgram` modules (libs/network/jswrap_net.c). */
import type { NetPort } from "../chip/seam";
import { newConnection, toPort, type Connection, type Server } from "./connection";
import { Emitter, type Listener } from "./emitter";
import { COST } from "./native-costs";
import { SocketLayer } from "./sockets";
import type { Stack } from "./stack";

type Callback = Listener | undefined;

interface DatagramOptions {
  reuseAddr?: unknown;
  recvBufferSize?: unknown;
}

export function createSocketModules(port: NetPort, stack: Stack): { net: object; dgram: object } {
  const layer: SocketLayer = new SocketLayer(port, stack, (connection) => new Socket(connection));

  class Socket extends Emitter {
    readonly #connection: Connection;

    constructor(connection: Connection) {
      super(port);
      this.#connection = connection;
    }

    override on(event: string, listener: Listener): void {
      super.on(event, listener);
      const connection = this.#connection;
      if (event !== "data" || !connection.buffered) return;
      layer.event(this, "data", [connection.buffered]);
      connection.buffered = "";
      layer.kick();
    }

    write(data: unknown): boolean {
      layer.write(this.#connection, String(data), "", 0);
      return false;
    }

    end(data?: unknown): void {
      if (data !== undefined) this.write(data);
      layer.end(this.#connection);
    }

    available(): number {
      return this.#connection.buffered.length;
    }

    read(count?: number): string {
      const connection = this.#connection;
      const taken = count && count > 0 ? connection.buffered.substring(0, count) : connection.buffered;
      connection.buffered = connection.buffered.substring(taken.length);
      layer.kick();
      return taken;
    }
  }

  class TcpServer extends Emitter {
    readonly #server: Server = { object: this, listener: null };

    listen(number: number): this {
      const listener = stack.listen(toPort(number));
      if (typeof listener === "string") throw port.error("Unable to create socket");
      listener.onConnection = layer.kick;
      this.#server.listener = listener;
      layer.servers.push(this.#server);
      return this;
    }

    close(): void {
      const index = layer.servers.indexOf(this.#server);
      if (index >= 0) layer.servers.splice(index, 1);
      this.#server.listener?.close();
      this.#server.listener = null;
    }
  }

  class DatagramSocket extends Emitter {
    readonly #connection: Connection;

    constructor(options: DatagramOptions) {
      super(port);
      this.#connection = newConnection(this, true, options);
      layer.clients.push(this.#connection);
    }

    bind(number: number, callback?: Callback): this {
      const connection = this.#connection;
      if (typeof callback === "function") super.on("bind", callback);
      port.charge(COST.create);
      const socket = stack.openUdp(toPort(number), !!connection.options.reuseAddr);
      layer.event(this, "bind", [this]);
      if (typeof socket === "string") {
        connection.closeNow = true;
        layer.kick();
        throw port.error("Unable to create socket");
      }
      layer.boundSockets.push(connection);
      layer.attach(connection, socket);
      return this;
    }

    send(buffer: string, a: unknown, b: unknown, ...rest: unknown[]): void {
      const withRange = typeof rest[0] === "number";
      const bytes = withRange ? String(buffer).substring(Number(a), Number(a) + Number(b)) : String(buffer);
      const address = layer.resolve(withRange ? rest[1] : b) ?? "0.0.0.0";
      layer.write(this.#connection, bytes, address, toPort(withRange ? rest[0] : a));
    }

    addMembership(): void {
      // Multicast groups are not carried by this world; joining one changes nothing.
    }

    close(): void {
      layer.end(this.#connection);
    }
  }

  const net = {
    createServer(callback: Callback): TcpServer | undefined {
      if (typeof callback !== "function") return undefined;
      const server = new TcpServer(port);
      server.on("connect", callback);
      return server;
    },
    connect(options: unknown, callback: Callback): Socket | undefined {
      const target = typeof options === "string" ? parseUrl(options) : options;
      if (typeof target !== "object" || target === null) return undefined;
      const connection = newConnection(new Emitter(port), false, target);
      const socket = new Socket(connection);
      connection.object = socket;
      if (typeof callback === "function") socket.on("connect", callback);
      layer.clients.push(connection);
      layer.open(connection);
      return socket;
    },
  };

  const dgram = {
    createSocket(type: unknown, callback: Callback): DatagramSocket {
      const options: DatagramOptions = typeof type === "object" && type !== null ? type : {};
      // One setting for all sockets of the chip, TCP included (JsNetwork.data.recvBufferSize).
      layer.chunk = Math.max(layer.chunk, Number(options.recvBufferSize) || 0);
      const socket = new DatagramSocket(options);
      if (typeof callback === "function") socket.on("connect", callback);
      return socket;
    },
  };
  return { net, dgram };
}

function parseUrl(text: string): { host: string; port?: number } {
  const match = /^(?:\w+:\/\/)?([^:/]*)(?::(\d+))?/.exec(text)!;
  return { host: match[1]!, port: match[2] ? Number(match[2]) : undefined };
}
