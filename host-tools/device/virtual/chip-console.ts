/**
 * What runs behind a good image on a virtual board: the simulator's ESP32 in a simulated world. It boots whatever was
 * flashed or injected, and meets the other boards of that world on the air.
 */
import type { Board } from "../../build/board";
import { Chip } from "../../simulator/chip/chip";
import { chipBoard } from "../../simulator/fleet";
import type { World } from "../../simulator/world";
import type { WorldNode } from "../../simulator/world-node";
import type { ConsoleFactory } from "./console";
import { createConsoleInput } from "./console-input";
import { flashView } from "./flash-view";

export interface ChipConsoleOptions {
  /** Somebody has to let its time pass. */
  world: World;
  /** What it is: memory, radio, speed, where Storage is. */
  board: Board;
  /** Metres. */
  x: number;
  y: number;
}

const VERSION = "2v29";
const PACKET_LIMIT = 8191;

/** For one virtual board: its place in the world outlasts its restarts. */
export function createChipConsole(options: ChipConsoleOptions): ConsoleFactory {
  const virtual = chipBoard(options.board);
  let place: WorldNode | null = null;
  return (host) => {
    const { world, x, y } = options;
    place ??= world.addNode({ mac: host.mac, x, y, limits: virtual.limits });
    let alive = true;
    const print = (text: string): void => {
      if (alive) host.send(Buffer.from(text, "latin1"));
    };
    const chip = new Chip({
      clock: world.events,
      mac: host.mac,
      board: { ...virtual, storageAddress: host.storageAddress },
      flash: flashView(host.flash, host.storageAddress, host.storageBytes),
      network: place.netFactory,
      onPrint: (line) => print(`${line}\r\n`),
      onBoot: () => print(`\r\n Espruino ${VERSION}\r\n>`),
    });
    const input = createConsoleInput({
      host,
      version: VERSION,
      packetLimit: PACKET_LIMIT,
      print,
      evaluate: (source) => chip.evaluate(source),
      write: (name, data, offset, size) => chip.storage.write(name, data, 0, offset, size),
      failed: (error) => print(`Uncaught ${String(error)}\r\n`),
    });
    return {
      start: () => chip.powerOn(),
      receive(bytes) {
        // What comes while it boots is lost.
        for (let i = 0; i < bytes.length && alive; i++) if (chip.running) input.receive(bytes[i]!);
      },
      stop() {
        alive = false;
        input.stop();
        chip.powerOff();
        place?.powerDown(false);
      },
    };
  };
}
