/**
 * A computer's place in a mesh, however it got there: over a serial line, over WiFi, or beside simulated boards. What
 * pushes updates, shows status or bridges to other systems is written against this.
 */
import type { EspalierNode } from "../../firmware/node";
import type { Telemetry } from "../../firmware/wire/telemetry";

export interface MeshSession {
  /** As on the command line: "serial:/dev/ttyUSB0", "tcp://10.7.1.1:5555", "sim:scenario.yaml". */
  readonly via: string;
  /** The computer's own node: a member of the mesh that installs nothing. */
  readonly node: EspalierNode;
  /** How many nodes are switched on, where that is known. */
  size?(): number;
  /** Every telemetry frame that reaches the computer. Returns what ends it. */
  onTelemetry(listener: (frame: Telemetry) => void): () => void;
  /** Resolves once a neighbour is linked; rejects with MESH_UNREACHABLE after the time, milliseconds. */
  joined(timeoutMs: number): Promise<void>;
  /** Unix time in milliseconds; virtual beside simulated boards. */
  now(): number;
  close(): Promise<void>;
}
