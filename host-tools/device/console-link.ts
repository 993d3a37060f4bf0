/** Bytes to and from a console: opens the port, honours XON/XOFF, and notices when the line is lost. */
import { openFault } from "./faults";
import { type ConsoleEvents, createConsoleDecoder } from "./console-stream";
import type { DevicePort } from "./port";

/** Bytes written at a time: the board has room for a kilobyte after it sent XOFF. */
const SLICE = 256;
/** A board that stays paused so long has crashed, or its XON got lost. */
const PAUSE_LIMIT_MS = 5000;

export interface ConsoleLink {
  readonly port: DevicePort;
  send(bytes: Uint8Array): Promise<void>;
  /** Replaces the listener. */
  listen(events: Omit<ConsoleEvents, "pause">): void;
  close(): Promise<void>;
}

/** @throws EspalierError PORT_... */
export async function openConsoleLink(port: DevicePort, baudRate = 115200): Promise<ConsoleLink> {
  try {
    await port.open({ baudRate, xonXoff: true });
    // Neither in reset nor in the boot loader. Both lines at once, or the board would restart.
    await port.setSignals({ dataTerminalReady: false, requestToSend: false });
  } catch (error) {
    await port.close().catch(() => {});
    throw openFault(port.path, error);
  }
  let events: Omit<ConsoleEvents, "pause"> = { text() {}, acknowledge() {}, packet() {} };
  let resume: (() => void) | null = null;
  let paused = false;
  let queue: Promise<void> = Promise.resolve();

  const decode = createConsoleDecoder({
    text: (text) => events.text(text),
    acknowledge: (good) => events.acknowledge(good),
    packet: (type, data) => events.packet(type, data),
    pause(wanted) {
      paused = wanted;
      if (!wanted) resume?.();
    },
  });

  const { readable } = port;
  if (!readable) return port.whenLost;
  const reader = readable.getReader();
  void (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      decode(value);
    }
  })().catch(() => {
    // whenLost tells.
  });

  async function unpaused(): Promise<void> {
    if (!paused) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(go, PAUSE_LIMIT_MS);
      resume = go;
      function go(): void {
        clearTimeout(timer);
        resume = null;
        paused = false;
        resolve();
      }
    });
  }

  async function sendNow(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += SLICE) {
      await unpaused();
      const writable = port.writable;
      if (!writable) return port.whenLost;
      const writer = writable.getWriter();
      try {
        await writer.write(bytes.subarray(at, at + SLICE));
      } finally {
        writer.releaseLock();
      }
    }
  }

  return {
    port,
    send(bytes) {
      const sent = queue.then(() => sendNow(bytes));
      queue = sent.catch(() => {});
      return sent;
    },
    listen(listener) {
      events = listener;
    },
    close: () => port.close(),
  };
}
