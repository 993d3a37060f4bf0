/** Options that the commands for plugged-in boards share. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { boardNames, type Board } from "../build/board";
import { loadSite, type LoadedSite } from "../config/load";
import type { After, Before } from "../device/chip-link";
import { type ChipName, CHIPS } from "../device/chips";
import { deviceError } from "../device/faults";
import { FLASH_DEFAULTS, type FlashOptions } from "../device/flasher";
import { listPorts, portFor, type PortListing } from "../device/serial-port";
import type { DevicePort } from "../device/port";
import { EspalierError, EXIT } from "../errors";
import { boardOrError } from "./build";

export interface ChipOptions {
  port?: string[];
  all?: boolean;
  chip?: ChipName;
  baud?: number;
  before: Before;
  after: After;
  stub: boolean;
}

export function parseBaud(text: string): number {
  const baud = Number(text);
  if (!Number.isInteger(baud) || baud < 300 || baud > 4_000_000)
    throw new InvalidArgumentError("Expected a rate such as 115200, 460800 or 921600.");
  return baud;
}

function collect(text: string, list: string[] = []): string[] {
  return [...list, ...text.split(",")];
}

function parseChip(text: string): ChipName {
  const plain = text.toUpperCase().replace(/[^A-Z0-9]/g, "");
  const chip = CHIPS.find((one) => one.name.replace("-", "") === plain);
  if (!chip) throw new InvalidArgumentError(`Expected ${CHIPS.map((one) => one.name).join(", ")}.`);
  return chip.name;
}

export function addPortOption(command: Command): Command {
  return command.option("-p, --port <port>", "/dev/ttyUSB0, COM3, rfc2217://host:port; may be given again", collect);
}

/** Port, chip, rate, reset. */
export function addChipOptions(command: Command): Command {
  addPortOption(command);
  return command
    .option("--all", "all boards that are plugged in")
    .option("--chip <name>", "refuse any other chip", parseChip)
    .option("--baud <rate>", "rate for the bulk; falls back to 115200", parseBaud)
    .addOption(
      new Option("--before <mode>", "how to enter the boot loader")
        .choices(["default-reset", "usb-reset", "no-reset"])
        .default("default-reset"),
    )
    .addOption(
      new Option("--after <mode>", "how to leave it").choices(["hard-reset", "no-reset"]).default("hard-reset"),
    )
    .option("--no-stub", "do without the flasher stub: slower");
}

export function flashOptions(options: ChipOptions, signal: AbortSignal, baud?: number): FlashOptions {
  return {
    ...FLASH_DEFAULTS,
    baudRate: options.baud ?? baud ?? FLASH_DEFAULTS.baudRate,
    before: options.before,
    after: options.after,
    stub: options.stub,
    chip: options.chip,
    signal,
  };
}

/** A port that was chosen; `open` gives a closed port each time. */
export interface ChosenPort {
  path: string;
  open(): DevicePort;
}

/**
 * The ports to work on: those that are named, or the only one that looks like a board, or with `all` every such one.
 * @throws EspalierError NO_PORT, SEVERAL_PORTS
 */
export async function choosePorts(
  options: { port?: string[]; all?: boolean },
  list: () => Promise<PortListing[]> = () => listPorts(),
): Promise<ChosenPort[]> {
  const found = await list();
  const listing = (path: string) => found.find((one) => one.path === path);
  const chosen = (path: string): ChosenPort => ({ path, open: () => portFor(path, listing(path)) });
  if (options.port?.length) return [...new Set(options.port)].map(chosen);
  const likely = found.filter((one) => one.likely).map((one) => one.path);
  if (likely.length === 0) {
    const others = found.map((one) => one.path);
    const more = others.length ? `; other ports: ${others.join(", ")}` : "";
    throw deviceError("NO_PORT", `no board is plugged in, or the system does not show it${more}`, {
      context: { ports: others },
    });
  }
  if (likely.length > 1 && !options.all) {
    throw new EspalierError("SEVERAL_PORTS", `${likely.length} boards are plugged in: ${likely.join(", ")}`, {
      hint: "Name one with --port, or take them all with --all.",
      context: { ports: likely },
      exitCode: EXIT.usage,
    });
  }
  return likely.map(chosen);
}

/** One port. @throws EspalierError as choosePorts, SEVERAL_PORTS also when several are named */
export async function chooseOnePort(options: { port?: string[] }): Promise<ChosenPort> {
  const ports = await choosePorts(options);
  if (ports.length === 1) return ports[0]!;
  throw new EspalierError("SEVERAL_PORTS", "this command works on one board at a time", {
    hint: "Give --port once.",
    exitCode: EXIT.usage,
  });
}

/** The board's description for a chip: the one that is named, or the first with that chip. */
export function boardFor(chip: ChipName, name: string | undefined, path: string): Board {
  if (name === undefined)
    return boardNames()
      .map(boardOrError)
      .find((board) => board.hardware === chip)!;
  const board = boardOrError(name);
  if (board.hardware === chip) return board;
  throw deviceError("WRONG_CHIP", `${path} has an ${chip}, the board ${name} an ${board.hardware}`, {
    context: { port: path, found: chip, wanted: board.hardware },
  });
}

/** The site's file as `--config` names it. */
export function siteOf(options: { config?: string }): LoadedSite {
  return loadSite(options.config);
}

/** @throws EspalierError NODE_UNKNOWN */
export function unknownNode(path: string, mac: string | undefined): EspalierError {
  const entry = mac === undefined ? `{ "port": "${path}" }` : `{ "mac": "${mac}" }`;
  return new EspalierError("NODE_UNKNOWN", `the site does not list the board on ${path}${mac ? `, ${mac}` : ""}`, {
    hint: `Add ${entry} to "nodes" in flash.config.json, or a "default" for boards that are not listed.`,
    context: { port: path, mac: mac ?? null },
    exitCode: EXIT.usage,
  });
}
