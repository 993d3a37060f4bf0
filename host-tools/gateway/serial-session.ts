/** A place in a mesh over a plugged-in node: its neighbour through the console. The cable may be pulled and put back. */
import type { DatagramSocket } from "../../firmware/engine/engine";
import { SERIAL_ADDRESS } from "../../firmware/wire/serial";
import { type ConsoleLink, openConsoleLink } from "../device/console-link";
import type { DevicePort } from "../device/port";
import type { MeshSession } from "./mesh-session";
import { createNodeEngine } from "./node-engine";
import { createSerialLine, type SerialLine } from "./serial-line";
import { createGatewayNode, createSession, createTelemetryHub, gatewayRegions } from "./session";

export interface SerialSessionOptions {
  /** Of control messages. */
  meshKey?: string;
  baudRate: number;
  /** What the board prints, and what becomes of the line. */
  log?: (text: string) => void;
}

export interface SerialSession extends MeshSession {
  readonly line: SerialLine;
}

/** A port that vanished is tried again so often. */
const REOPEN_MS = 500;
/** painlessMesh's port: it only serves to tell the airwave's. */
const PORT = 5555;
const FAREWELL_MS = 1000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * `port` gives a closed port each time, the same one.
 * @throws EspalierError PORT_... when it cannot be opened at first
 */
export async function openSerial(
  port: () => DevicePort,
  via: string,
  options: SerialSessionOptions,
): Promise<SerialSession> {
  const { baudRate, log = () => {} } = options;
  const hub = createTelemetryHub();
  const basis = createNodeEngine({ directory: "", regions: {}, settings: {}, log, restart: () => {} });
  let link: ConsoleLink | null = null;
  let closed = false;

  const line = createSerialLine({
    engine: basis,
    baudRate,
    log,
    async type(text) {
      // What is typed while the cable is out is lost like anything else on the line.
      await link?.send(Buffer.from(text, "latin1")).catch(() => {});
    },
  });

  async function open(): Promise<void> {
    const opened = await openConsoleLink(port(), baudRate);
    if (closed) return opened.close();
    opened.listen({ text: (text) => line.received(text), acknowledge() {}, packet() {} });
    opened.port.whenLost.catch(() => {
      if (link !== opened) return;
      link = null;
      log(`the connection to ${opened.port.path} was lost; waiting for it to come back`);
      void reopen();
    });
    link = opened;
  }

  async function reopen(): Promise<void> {
    while (!closed) {
      await sleep(REOPEN_MS);
      try {
        await open();
        log("the line is back");
        return;
      } catch {
        // Still out.
      }
    }
  }

  const datagrams: DatagramSocket = { send: (bytes, _address, _port, sent) => line.send(bytes, sent), close() {} };
  const engine = {
    ...basis,
    region: gatewayRegions(),
    listen: () => {},
    connect: (_host: string, _port: number, handler: Parameters<SerialLine["connect"]>[0]) => line.connect(handler),
    openDatagrams: () => datagrams,
  };
  try {
    await open();
  } catch (error) {
    basis.close();
    throw error;
  }
  const node = createGatewayNode(
    engine,
    { host: SERIAL_ADDRESS, port: PORT },
    (frame) => hub.publish(frame),
    options.meshKey ?? "",
  );
  node.start();
  const session = createSession({
    via,
    node,
    hub,
    now: () => Date.now(),
    async close() {
      node.mesh.stop();
      let limit: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (limit = setTimeout(resolve, FAREWELL_MS)));
      await Promise.race([line.close(), late]);
      clearTimeout(limit);
      closed = true;
      node.airwave.shut();
      basis.close();
      await link?.close().catch(() => {});
      link = null;
    },
  });
  return { ...session, line };
}
