/**
 * A small world for mesh tests: engines on one virtual clock, joined by sockets in memory. Nodes either name each other
 * as hosts ("wired", engine.wifi is null), or have WiFi with Espruino's manners: no choice among access points of one
 * name, four stations, and a dial that comes to nothing while an access point is up without a station link.
 */
import type {
  AccessPointOptions,
  Bytes,
  DatagramSocket,
  Engine,
  ScanResult,
  Socket,
  SocketHandler,
  StationAddress,
} from "../../../firmware/engine/engine";

interface Event {
  at: number;
  order: number;
  run: () => void;
}

export interface NodeOptions {
  name: string;
  /** with WiFi: the last four bytes of its MAC */
  id?: number;
  wifi?: boolean;
  hardware?: string;
  maxStations?: number;
  engineName?: Engine["name"];
}

export class World {
  time = 0;
  latency = 2;
  /** longest piece in which TCP delivers */
  piece = 536;
  /** chance that a datagram is lost */
  loss = 0;
  /** dBm between two nodes, null out of range */
  rssi: (a: Node, b: Node) => number | null = () => -50;
  readonly nodes: Node[] = [];
  private readonly events: Event[] = [];
  private order = 0;
  private state: number;

  constructor(seed = 1) {
    this.state = seed >>> 0 || 1;
  }

  /** 0..2^32-1 (mulberry32) */
  random(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  at(delay: number, run: () => void): Event {
    const event = { at: this.time + Math.max(0, delay), order: this.order++, run };
    let low = 0;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.events[middle]!;
      if (other.at < event.at || (other.at === event.at && other.order < event.order)) low = middle + 1;
      else high = middle;
    }
    this.events.splice(low, 0, event);
    return event;
  }

  cancel(event: Event): void {
    const at = this.events.indexOf(event);
    if (at >= 0) this.events.splice(at, 1);
  }

  run(milliseconds: number): void {
    const end = this.time + milliseconds;
    let event = this.events[0];
    while (event && event.at <= end) {
      this.events.shift();
      this.time = event.at;
      event.run();
      event = this.events[0];
    }
    this.time = end;
  }

  /** Runs until `done`, at most so long; returns whether it came true. */
  runUntil(done: () => boolean, limit: number, step = 100): boolean {
    const end = this.time + limit;
    while (this.time < end) {
      if (done()) return true;
      this.run(step);
    }
    return done();
  }

  node(options: NodeOptions): Node {
    const node = new Node(this, options);
    this.nodes.push(node);
    return node;
  }
}

/** One end of a TCP connection. */
export class Wire implements Socket {
  peer: Wire | null = null;
  handler: SocketHandler | null = null;
  open = true;
  written = 0;

  constructor(
    readonly node: Node,
    /** Through which station link the connection runs, if any. */
    readonly via: object | null,
  ) {}

  private reaches(): boolean {
    const peer = this.peer;
    return !!peer && this.node.powered && peer.node.powered && (!this.via || this.node.linkOf(peer.node) === this.via);
  }

  write(bytes: Bytes): void {
    if (!this.open) return;
    const world = this.node.world;
    this.written += bytes.length;
    for (let at = 0; at < bytes.length; at += world.piece) {
      const part = bytes.substring(at, at + world.piece);
      world.at(world.latency, () => {
        if (this.reaches() && this.peer!.open) this.peer!.handler!.data(part);
      });
    }
    world.at(world.latency * 2, () => {
      if (this.open && this.node.powered && this.reaches()) this.handler!.drain();
    });
  }

  close(): void {
    if (!this.open) return;
    const told = this.reaches();
    this.open = false;
    this.node.world.at(0, () => this.node.powered && this.handler?.close());
    if (told) this.node.world.at(this.node.world.latency, () => this.peer!.ended());
  }

  /** The other side has closed. */
  ended(): void {
    if (!this.open || !this.node.powered) return;
    this.open = false;
    this.handler?.close();
  }
}

export class Node {
  powered = true;
  readonly engine: Engine;
  readonly wires: Wire[] = [];
  readonly log: string[] = [];
  /** Calls of the radio, for assertions. */
  readonly radio: string[] = [];
  ap: (AccessPointOptions & { stations: Node[] }) | null = null;
  /** The access point that this node is a station of. */
  link: { parent: Node; ap: object } | null = null;
  private readonly listeners: { [port: number]: (socket: Socket) => SocketHandler } = {};
  private readonly receivers: { [port: number]: (bytes: Bytes, address: string) => void } = {};
  private lost: (() => void) | null = null;
  private left: (() => void) | null = null;
  private readonly timers = new Map<number, Event | null>();
  private nextTimer = 1;

  constructor(
    readonly world: World,
    readonly options: NodeOptions,
  ) {
    const guard = (run: () => void) => () => {
      if (this.powered) run();
    };
    this.engine = {
      name: options.engineName ?? "node",
      hardware: options.hardware ?? "ESP32",
      now: () => world.time,
      random: () => world.random(),
      after: (milliseconds, run) => {
        const id = this.nextTimer++;
        this.timers.set(
          id,
          world.at(
            milliseconds,
            guard(() => {
              this.timers.delete(id);
              run();
            }),
          ),
        );
        return id;
      },
      every: (milliseconds, run) => {
        const id = this.nextTimer++;
        const again = (): void => {
          this.timers.set(
            id,
            world.at(
              milliseconds,
              guard(() => {
                again();
                run();
              }),
            ),
          );
        };
        again();
        return id;
      },
      cancel: (timer) => {
        const event = this.timers.get(timer);
        if (event) world.cancel(event);
        this.timers.delete(timer);
      },
      sha256: () => new ArrayBuffer(32),
      digest: () => "\0".repeat(32),
      toBase64: (bytes) => btoa(bytes),
      fromBase64: (text) => atob(text),
      crc32: () => 0,
      unshrink: () => null,
      memory: () => ({ free: 1000, total: 2000 }),
      resetReason: () => "other",
      restart: () => undefined,
      wifi: options.wifi ? this.createWifi(guard) : null,
      listen: (port, accept) => {
        this.listeners[port] = accept;
      },
      connect: (host, port, handler) => this.dial(host, port, handler),
      openDatagrams: (port, received) => this.openDatagrams(port, received),
      region: () => null,
      settings: () => "",
      log: (text) => void this.log.push(text),
    };
  }

  get mac(): string {
    const hex = (this.options.id ?? 0).toString(16).padStart(8, "0");
    return "24:6f:" + hex.match(/../g)!.join(":");
  }

  /** The station link between this node and another, whichever way round. */
  linkOf(other: Node): object | null {
    const [child, parent] = this.link?.parent === other ? [this, other] : [other, this];
    return child.link && child.link.parent === parent && parent.ap && child.link.ap === parent.ap ? parent.ap : null;
  }

  powerOff(): void {
    this.powered = false;
    this.closeAp();
    this.leaveAp(false);
  }

  private find(host: string): Node | undefined {
    if (this.link && this.link.parent.ap && this.link.parent.ap.ip === host) return this.link.parent;
    return this.world.nodes.find((n) => n.options.name === host);
  }

  dial(host: string, port: number, handler: SocketHandler): Wire {
    const peer = this.find(host);
    const via = peer ? this.linkOf(peer) : null;
    const mine = new Wire(this, via);
    mine.handler = handler;
    this.wires.push(mine);
    const accept = peer?.powered ? peer.listeners[port] : undefined;
    this.world.at(peer ? this.world.latency : 3000, () => {
      if (!this.powered || !mine.open) return;
      if (!peer || !accept || !peer.powered) return mine.ended();
      const theirs = new Wire(peer, via);
      theirs.peer = mine;
      mine.peer = theirs;
      peer.wires.push(theirs);
      theirs.handler = accept(theirs);
      if (mine.open) handler.open?.();
    });
    return mine;
  }

  private openDatagrams(port: number, received: (bytes: Bytes, address: string) => void): DatagramSocket {
    this.receivers[port] = received;
    let busy = false;
    return {
      send: (bytes, address, toPort, sent) => {
        if (busy) return false;
        busy = true;
        const broadcast = address.endsWith(".255");
        const targets = broadcast ? (this.ap?.stations ?? []) : [this.find(address)];
        for (const target of targets) {
          if (!target?.powered || this.world.random() / 2 ** 32 < this.world.loss) continue;
          const own = broadcast ? this.ap!.ip : this.options.name;
          this.world.at(this.world.latency, () => target.receivers[toPort]?.(bytes, own));
        }
        this.world.at(1, () => {
          busy = false;
          sent?.();
        });
        return true;
      },
      close: () => {
        delete this.receivers[port];
      },
    };
  }

  closeAp(): void {
    const ap = this.ap;
    this.ap = null;
    for (const station of ap?.stations ?? []) station.loseLink();
  }

  /** The station link breaks: the driver notices some time later. */
  loseLink(): void {
    const link = this.link;
    if (!link) return;
    this.link = null;
    this.world.at(2000, () => {
      if (this.powered && !this.link) this.lost?.();
    });
  }

  private leaveAp(tell: boolean): void {
    const link = this.link;
    this.link = null;
    const ap = link?.parent.ap;
    if (!link || !ap || ap !== link.ap) return;
    ap.stations.splice(ap.stations.indexOf(this), 1);
    this.world.at(tell ? 10 : 6000, () => link.parent.powered && link.parent.left?.());
  }

  private createWifi(guard: (run: () => void) => () => void): NonNullable<Engine["wifi"]> {
    const world = this.world;
    const audible = (): { node: Node; rssi: number }[] => {
      const list = [];
      for (const node of world.nodes) {
        if (node === this || !node.powered || !node.ap) continue;
        const rssi = world.rssi(this, node);
        if (rssi !== null) list.push({ node, rssi });
      }
      return list;
    };
    return {
      accessPointMac: () => this.mac,
      startAccessPoint: (options, done) => {
        this.radio.push("startAP");
        this.ap = { ...options, stations: [] };
        world.at(
          50,
          guard(() => done(null)),
        );
      },
      stopAccessPoint: () => {
        this.radio.push("stopAP");
        this.closeAp();
      },
      scan: (done) => {
        this.radio.push("scan");
        world.at(
          1500,
          guard(() => {
            const found: ScanResult[] = audible().map(({ node, rssi }) => ({
              ssid: node.ap!.ssid,
              mac: node.mac,
              rssi,
              channel: node.ap!.channel,
            }));
            done(found);
          }),
        );
      },
      connect: (ssid, password, done) => {
        this.radio.push("connect " + ssid);
        const fail = (delay: number, error: string): void => {
          world.at(
            delay,
            guard(() => done(error, null)),
          );
        };
        // With an access point up and no station link the driver never dials.
        if (this.ap && !this.link) return fail(20000, "timeout");
        this.leaveAp(true);
        world.at(
          1000,
          guard(() => {
            const best = audible()
              .filter(({ node }) => node.ap!.ssid === ssid)
              .sort((a, b) => b.rssi - a.rssi)[0];
            const ap = best?.node.ap;
            if (!best || !ap || ap.password !== password) return fail(3000, "no ap");
            if (ap.stations.length >= (best.node.options.maxStations ?? 4)) return fail(3000, "refused");
            ap.stations.push(this);
            this.link = { parent: best.node, ap };
            const address: StationAddress = { ip: ap.ip.replace(/1$/, "" + (10 + ap.stations.length)), gateway: ap.ip };
            done(null, address);
          }),
        );
      },
      disconnect: () => {
        this.radio.push("disconnect");
        this.leaveAp(true);
      },
      onLost: (handler) => {
        this.lost = handler;
      },
      onStationLeft: (handler) => {
        this.left = handler;
      },
      rssi: () => (this.link ? (world.rssi(this, this.link.parent) ?? 0) : 0),
    };
  }
}

/** A scripted peer: a raw end of a connection that collects frames. */
export class RawPeer implements SocketHandler {
  wire: Wire | null = null;
  opened = false;
  closedAt: number | null = null;
  readonly frames: { at: number; text: string }[] = [];
  onFrame: ((text: string) => void) | null = null;
  private buffer = "";

  constructor(readonly world: World) {}

  open(): void {
    this.opened = true;
  }
  data(bytes: Bytes): void {
    const parts = (this.buffer + bytes).split("\0");
    this.buffer = parts.pop()!;
    for (const text of parts) {
      this.frames.push({ at: this.world.time, text });
      this.onFrame?.(text);
    }
  }
  drain(): void {}
  close(): void {
    this.closedAt = this.world.time;
  }
  send(text: string): void {
    this.wire!.write(text + "\0");
  }
  /** Frames that are not HELLO, which C++ nodes do not know. */
  texts(): string[] {
    return this.frames.map((f) => f.text).filter((t) => !t.includes('"type":700'));
  }
}
