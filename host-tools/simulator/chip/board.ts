/** What a virtual chip knows of the board it plays. */
import type { NetLimits } from "./seam";

export interface ChipBoard {
  /** process.env.BOARD: "ESP32", "ESP32C3" or "ESP32S3". */
  name: string;
  /** Interpreter variables in all. */
  variables: number;
  /** Variables in use when the node is at rest; what process.memory() reports beside what a program holds. */
  variablesAtRest: number;
  /** Bytes of the chip's flash. */
  flashBytes: number;
  /** Address of the Storage area. */
  storageAddress: number;
  pageBytes: number;
  instructionsPerSecond: number;
  /** Milliseconds from power or reset to the first line of .boot0. */
  bootMs: number;
  limits: NetLimits;
}

/** An ESP32 DevKit with Espruino 2v29: figures from its board file and partition table. */
export const ESP32: ChipBoard = {
  name: "ESP32",
  variables: 4000,
  variablesAtRest: 1800,
  flashBytes: 4 * 1024 * 1024,
  storageAddress: 0x320000,
  pageBytes: 4096,
  instructionsPerSecond: 80e6,
  bootMs: 900,
  limits: { chip: "ESP32", sockets: 10, stations: 4, accessPointBesideStation: true },
};

export const ESP32C3: ChipBoard = {
  ...ESP32,
  name: "ESP32C3",
  variables: 3000,
  variablesAtRest: 1400,
  instructionsPerSecond: 60e6,
  limits: { chip: "ESP32C3", sockets: 10, stations: 4, accessPointBesideStation: false },
};
