/**
 * A serial port in the shape of Web Serial (https://wicg.github.io/serial/), which is what esptool-js asks for, over any
 * kind of line: a port of this machine, a network port, or a virtual board in the same process.
 */

/** Modem lines, true = asserted. Lines that are not named stay as they are. */
export interface Signals {
  dataTerminalReady?: boolean;
  requestToSend?: boolean;
  break?: boolean;
}

export interface OpenSettings {
  baudRate: number;
  /** The system stops sending between XOFF and XON. Only for text: it swallows the bytes 0x11 and 0x13. */
  xonXoff?: boolean;
}

export interface DevicePort {
  /** As the user would write it: "/dev/ttyUSB0", "COM3", "rfc2217://host:port". */
  readonly path: string;
  /** Fresh after each open; null while closed or once the line was lost. */
  readonly readable: ReadableStream<Uint8Array> | null;
  readonly writable: WritableStream<Uint8Array> | null;
  /** Rejects with LineLostError when the line is lost; pending for ever otherwise. A lost port is not opened again. */
  readonly whenLost: Promise<never>;
  getInfo(): { usbVendorId?: number; usbProductId?: number };
  /** Rejects with what the line's driver rejects with. */
  open(settings: OpenSettings): Promise<void>;
  close(): Promise<void>;
  setSignals(signals: Signals): Promise<void>;
  /** Changes the rate without closing: closing resets many boards. */
  setBaudRate(baudRate: number): Promise<void>;
}

/** What a line tells the port it belongs to. */
export interface LineEvents {
  received(bytes: Uint8Array): void;
  /** The line is gone for good; further calls are ignored. */
  lost(error: Error): void;
}

/** The part of a port that differs from kind to kind. */
export interface LineDriver {
  open(settings: OpenSettings, events: LineEvents): Promise<void>;
  close(): Promise<void>;
  /** Resolves when the bytes have left this machine. */
  write(bytes: Uint8Array): Promise<void>;
  setBaudRate(baudRate: number): Promise<void>;
  /** Gets the state of all lines. */
  setSignals(signals: Required<Signals>): Promise<void>;
}

/** The cable was pulled, the board's USB vanished, or the peer closed the connection. */
export class LineLostError extends Error {
  constructor(path: string, cause?: unknown) {
    super(`the connection to ${path} was lost`, { cause });
    this.name = "LineLostError";
  }
}

export function createPort(
  path: string,
  driver: LineDriver,
  info: { usbVendorId?: number; usbProductId?: number } = {},
): DevicePort {
  let readable: ReadableStream<Uint8Array> | null = null;
  let writable: WritableStream<Uint8Array> | null = null;
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  const signals: Required<Signals> = { dataTerminalReady: false, requestToSend: false, break: false };

  let dead: LineLostError | null = null;
  let tellLost: (error: LineLostError) => void = () => {};
  const whenLost = new Promise<never>((_resolve, reject) => {
    tellLost = reject;
  });
  // Nobody has to listen.
  whenLost.catch(() => {});

  function lose(cause?: unknown): LineLostError {
    const error = cause instanceof LineLostError ? cause : new LineLostError(path, cause);
    // esptool-js waits for the streams to be unlocked before it closes, and never unlocks one whose write failed.
    writable = null;
    readable = null;
    const lost = controller;
    controller = null;
    lost?.error(error);
    dead = error;
    tellLost(error);
    return error;
  }

  function openStreams(): void {
    readable = new ReadableStream<Uint8Array>({
      start(c) {
        controller = c;
      },
      // A cancelled stream takes no more.
      cancel() {
        controller = null;
      },
    });
    writable = new WritableStream<Uint8Array>({
      async write(bytes) {
        try {
          await driver.write(bytes);
        } catch (error) {
          throw lose(error);
        }
      },
    });
  }

  return {
    path,
    get readable() {
      return readable;
    },
    get writable() {
      return writable;
    },
    whenLost,
    getInfo: () => info,
    async open(settings) {
      if (dead) throw dead;
      openStreams();
      const opened = controller;
      try {
        await driver.open(settings, {
          received(bytes) {
            if (controller === opened) controller?.enqueue(bytes);
          },
          lost(error) {
            if (controller === opened && controller) lose(error);
          },
        });
      } catch (error) {
        readable = null;
        writable = null;
        controller = null;
        throw error;
      }
    },
    async close() {
      readable = null;
      writable = null;
      const ended = controller;
      controller = null;
      ended?.close();
      await driver.close();
    },
    async setSignals(change) {
      if (change.dataTerminalReady !== undefined) signals.dataTerminalReady = change.dataTerminalReady;
      if (change.requestToSend !== undefined) signals.requestToSend = change.requestToSend;
      if (change.break !== undefined) signals.break = change.break;
      await driver.setSignals({ ...signals });
    },
    setBaudRate: (baudRate) => driver.setBaudRate(baudRate),
  };
}
