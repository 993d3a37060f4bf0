/** Ways into a mesh, as `--via` names them. */
import { EspalierError, EXIT } from "../errors";
import type { MeshSession } from "./mesh-session";

/* eslint-disable @typescript-eslint/no-require-imports -- the simulator loads only when it is asked for */

export type Via =
  | { kind: "tcp"; host: string; port: number }
  | { kind: "sim"; scenario: string; speed: number | null }
  | { kind: "serial"; path: string; baudRate: number };

export interface MeshOptions {
  /** What the computer's node, or the board at the other end of a serial line, prints. */
  log?: (text: string) => void;
  /** Of "sim:": virtual seconds a second, Infinity for as many as possible; 1 unless given here or in the via. */
  speed?: number;
  /** Of control messages; simulated meshes have their own. */
  meshKey?: string;
}

/** painlessMesh's port. */
const DEFAULT_PORT = 5555;
const DEFAULT_BAUD = 115200;

export const VIA_HELP =
  "tcp://<address>[:port] from within the mesh's WiFi, serial:<port>[?baud=115200] over a plugged-in node, or sim:<scenario.yaml>[?speed=10|max]";

function wrong(via: string, why: string): EspalierError {
  return new EspalierError("BAD_VIA", `"${via}": ${why}`, {
    hint: `Expected ${VIA_HELP}.`,
    context: { via },
    exitCode: EXIT.usage,
  });
}

/** Splits "path?name=value"; a question mark without a known name belongs to the path. */
function parameter(text: string, name: string): [string, string | null] {
  const at = text.lastIndexOf(`?${name}=`);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + name.length + 2)];
}

/** @throws EspalierError BAD_VIA */
export function parseVia(via: string): Via {
  const colon = via.indexOf(":");
  const kind = via.slice(0, Math.max(0, colon));
  const rest = via.slice(colon + 1);
  if (kind === "tcp") {
    let url: URL;
    try {
      // Of a scheme that it does not know, URL checks neither host nor port.
      url = new URL(rest.replace(/^\/*/, "http://"));
    } catch {
      throw wrong(via, "is no address");
    }
    if (!url.hostname || url.pathname !== "/" || url.search || url.hash || url.username)
      throw wrong(via, "has more or less than an address and a port");
    // What stands behind the last colon, because URL hides the port 80 of http.
    const port = /:(\d+)\/?$/.exec(rest)?.[1];
    const number = port === undefined ? DEFAULT_PORT : Number(port);
    if (number < 1 || number > 65534) throw wrong(via, "the port must be 1 to 65534");
    return { kind, host: url.hostname.replace(/^\[|\]$/g, ""), port: number };
  }
  if (kind === "sim") {
    const [scenario, speed] = parameter(rest, "speed");
    if (!scenario) throw wrong(via, "names no scenario");
    if (speed === null) return { kind, scenario, speed: null };
    const number = speed === "max" ? Infinity : Number(speed);
    if (!(number > 0)) throw wrong(via, "the speed must be a number over 0, or max");
    return { kind, scenario, speed: number };
  }
  if (kind === "serial") {
    const [path, baud] = parameter(rest, "baud");
    const baudRate = baud === null ? DEFAULT_BAUD : Number(baud);
    if (!path) throw wrong(via, "names no port");
    if (!Number.isInteger(baudRate) || baudRate < 300 || baudRate > 4_000_000)
      throw wrong(via, "the rate must be a number such as 115200");
    return { kind, path, baudRate };
  }
  throw wrong(via, "is no way into a mesh");
}

/**
 * Opens a way into a mesh; `joined()` of the session tells when a neighbour answered.
 * @throws EspalierError BAD_VIA, NO_FILE and BAD_SCENARIO, or what opening a port reports
 */
export async function openMesh(via: string, options: MeshOptions = {}): Promise<MeshSession> {
  const way = parseVia(via);
  if (way.kind === "tcp") {
    const { openTcp } = require("./tcp-session") as typeof import("./tcp-session");
    return openTcp(way.host, way.port, via, options);
  }
  if (way.kind === "sim") {
    const { openSimulation } = require("./sim-session") as typeof import("./sim-session");
    const { readScenario } = require("../simulator/scenario") as typeof import("../simulator/scenario");
    const { log } = options;
    return openSimulation(readScenario(way.scenario), via, {
      speed: way.speed ?? options.speed,
      onPrint: log && ((node, line) => log(`node ${node}: ${line}`)),
    });
  }
  const { openSerial } = require("./serial-session") as typeof import("./serial-session");
  const { portFor } = require("../device/serial-port") as typeof import("../device/serial-port");
  return openSerial(() => portFor(way.path), via, {
    baudRate: way.baudRate,
    log: options.log,
    meshKey: options.meshKey,
  });
}
