/** A place in a mesh whose WiFi this computer is in: an ordinary leaf, on the sockets of Node.js. */
import type { EspalierError } from "../errors";
import type { MeshSession } from "./mesh-session";
import { createNodeEngine } from "./node-engine";
import { createGatewayNode, createSession, createTelemetryHub, gatewayRegions } from "./session";

/** What is queued on a link gets so long to leave. */
const FAREWELL_MS = 150;

export interface TcpOptions {
  log?: (text: string) => void;
  /** Local address of all sockets; any unless given. */
  address?: string;
  /** Of control messages. */
  meshKey?: string;
}

export function openTcp(host: string, port: number, via: string, options: TcpOptions = {}): MeshSession {
  const hub = createTelemetryHub();
  let failed: EspalierError | null = null;
  const sockets = createNodeEngine({
    directory: "",
    regions: {},
    settings: {},
    log: options.log ?? (() => {}),
    restart: () => {},
    address: options.address,
    failed: (error) => (failed ??= error),
  });
  const engine = {
    ...sockets,
    region: gatewayRegions(),
    // Nobody dials a leaf; and two commands on one computer shall not fight over a port.
    listen: () => {},
  };
  const node = createGatewayNode(engine, { host, port }, (frame) => hub.publish(frame), options.meshKey ?? "");
  node.start();
  return createSession({
    via,
    node,
    hub,
    now: () => Date.now(),
    failure: () => failed,
    async close() {
      node.mesh.stop();
      await new Promise((resolve) => setTimeout(resolve, FAREWELL_MS));
      node.airwave.shut();
      sockets.close();
    },
  });
}
