/** A serial line between a host and a virtual board: counts bytes, garbles at a wrong rate, and can be cut. */
import { createPort, type DevicePort, type LineEvents, LineLostError, type Signals } from "../port";
import { createMeter, type Meter } from "./meter";

/** What hangs at the far end. */
export interface LineEnd {
  /** Bytes as they arrived. */
  receive(bytes: Uint8Array): void;
  signals(state: Required<Signals>): void;
  /** The cable went in, and with it power. */
  plugged(): void;
  /** The cable came out: no power. */
  unplugged(): void;
}

export class VirtualLine {
  /** Bytes that arrived at the other end, by direction. */
  toBoard = 0;
  toHost = 0;
  readonly meter: Meter;
  /** Rates of the two ends; where they differ, neither understands the other. Null: native USB, which has none. */
  hostBaud = 115200;
  boardBaud: number | null = 115200;
  /** Changes what the host sees; for noise. */
  noise: ((bytes: Uint8Array) => Uint8Array) | null = null;
  private end: LineEnd | null = null;
  private host: LineEvents | null = null;
  private budget = Infinity;
  private connected = true;

  constructor(
    readonly path: string,
    private readonly usb: { usbVendorId?: number; usbProductId?: number } = {},
    latency?: number,
  ) {
    this.meter = createMeter(latency);
  }

  attach(end: LineEnd): void {
    this.end = end;
  }

  /** The cable is pulled when so many more bytes, of both directions, have passed. */
  cutAfter(bytes: number): void {
    this.budget = bytes;
  }

  /** The cable goes back in. */
  plug(): void {
    this.budget = Infinity;
    if (this.connected) return;
    this.connected = true;
    this.end?.plugged();
  }

  unplug(): void {
    if (!this.connected) return;
    this.connected = false;
    this.end?.unplugged();
    const host = this.host;
    this.host = null;
    host?.lost(new LineLostError(this.path));
  }

  /** Bytes from the board. */
  send(bytes: Uint8Array): void {
    const passed = this.pass(bytes);
    if (passed.length) {
      this.toHost += passed.length;
      this.meter.toHost(passed.length);
      const seen = this.noise ? this.noise(this.heard(passed)) : this.heard(passed);
      this.host?.received(Uint8Array.from(seen));
    }
    if (passed.length < bytes.length) this.unplug();
  }

  /** Bytes from the host; throws when the cable is out. */
  write(bytes: Uint8Array): void {
    if (!this.connected) throw new LineLostError(this.path);
    const passed = this.pass(bytes);
    if (passed.length) {
      this.toBoard += passed.length;
      this.meter.fromHost(passed.length);
      this.end?.receive(this.heard(passed));
    }
    if (passed.length === bytes.length) return;
    this.unplug();
    throw new LineLostError(this.path);
  }

  setSignals(signals: Required<Signals>): void {
    if (!this.connected) throw new LineLostError(this.path);
    this.end?.signals(signals);
  }

  /** The host's end in this process. */
  port(): DevicePort {
    return createPort(
      this.path,
      {
        open: async (settings, events) => this.listen(settings.baudRate, events),
        close: async () => this.release(),
        write: async (bytes) => this.write(bytes),
        setBaudRate: async (baudRate) => this.setHostBaud(baudRate),
        setSignals: async (signals) => this.setSignals(signals),
      },
      this.usb,
    );
  }

  /** Takes the host's end. Throws while the cable is out, or when another has it. */
  listen(baudRate: number, events: LineEvents): void {
    if (!this.connected) throw Object.assign(new Error(`no such port: ${this.path}`), { code: "ENOENT" });
    if (this.host) throw Object.assign(new Error(`${this.path} is in use: cannot lock port`), { code: "EBUSY" });
    this.setHostBaud(baudRate);
    this.host = events;
  }

  /** The host lets go of its end. */
  release(): void {
    this.host = null;
  }

  setHostBaud(baudRate: number): void {
    this.hostBaud = baudRate;
    this.meter.baud = baudRate;
  }

  private pass(bytes: Uint8Array): Uint8Array {
    if (!this.connected) return bytes.subarray(0, 0);
    const passed = bytes.length <= this.budget ? bytes : bytes.subarray(0, this.budget);
    this.budget -= passed.length;
    return passed;
  }

  private heard(bytes: Uint8Array): Uint8Array {
    if (this.boardBaud === null || this.boardBaud === this.hostBaud) return bytes;
    return bytes.map((byte) => (byte * 37 + 0x5b) & 0xff);
  }
}
