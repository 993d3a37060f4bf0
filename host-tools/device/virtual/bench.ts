/**
 * Virtual boards on one table: each has a port of its own, and what they run meets on one simulated air. What the tools
 * for real boards do works on them, with the same commands.
 */
import type { Board } from "../../build/board";
import { runAlong } from "../../gateway/sim-session";
import { NorFlash } from "../../simulator/chip/flash";
import { World } from "../../simulator/world";
import { VirtualBoard } from "./board";
import { createChipConsole } from "./chip-console";
import { standInFirmware } from "./stand-in";
import { offerTcp, type OfferedPort } from "./tcp";

export interface BenchOptions {
  board: Board;
  /** For each board, whether Espruino is on it already; the others are as they left their factory. */
  espruino: readonly boolean[];
  /** Virtual seconds a second of the boards' programs. */
  speed: number;
  seed?: number;
}

export interface BenchBoard {
  board: VirtualBoard;
  mac: string;
  /** What to give as --port. */
  port: string;
}

export interface VirtualBench {
  readonly boards: readonly BenchBoard[];
  close(): Promise<void>;
}

/** Metres between two boards, kb/s at the basic rate on a real site, Mb/s of acknowledged frames. */
const SPACING = 3;
const THROUGHPUT = 214;
const UNICAST_RATE = 11;
const FLASH_BYTES = 4 * 1024 * 1024;

/** MAC address of board `index`, from 0. */
export function benchMac(index: number): string {
  return `24:0a:c4:b0:00:${(2 * index + 2).toString(16).padStart(2, "0")}`;
}

export async function createBench({ board, espruino, speed, seed }: BenchOptions): Promise<VirtualBench> {
  const world = new World({ seed: seed ?? 1, radio: { throughputKbps: THROUGHPUT, unicastRate: UNICAST_RATE } });
  const stop = runAlong(world.events, speed);
  const offered: OfferedPort[] = [];
  const boards: BenchBoard[] = [];
  for (const [index, present] of espruino.entries()) {
    const flash = new NorFlash(FLASH_BYTES);
    if (present) {
      const files = [...standInFirmware(board).values()];
      const [loader, table, app] = files as [Buffer, Buffer, Buffer];
      flash.write(Number(board.flash.bootloader), loader);
      flash.write(Number(board.flash.partitionTable), table);
      flash.write(Number(board.flash.partitions.find(({ name }) => name === "factory")!.address), app);
    }
    const mac = benchMac(index);
    const virtual = new VirtualBoard({
      path: `board ${index}`,
      mac,
      flash,
      console: createChipConsole({ world, board, x: index * SPACING, y: 0 }),
    });
    const port = await offerTcp(virtual.line);
    offered.push(port);
    boards.push({ board: virtual, mac, port: port.path });
  }
  return {
    boards,
    async close() {
      stop();
      for (const { board: virtual } of boards) virtual.line.unplug();
      await Promise.all(offered.map((port) => port.close()));
    },
  };
}
