/** A cable that is pulled at every stage of flash: around both ends of each SLIP frame, and at a stride between. */
import type { ChipName } from "../../host-tools/device/chips";
import { flashBoard, FLASH_DEFAULTS } from "../../host-tools/device/flasher";
import type { FlashRegion } from "../../host-tools/device/flash-plan";
import { NorFlash } from "../../host-tools/simulator/chip/flash";
import { VirtualBoard } from "../../host-tools/device/virtual/board";
import { codeOf } from "./support/code-of";
import { cutPoints, frameEnds, listenIn, tell } from "./support/cuts";
import { plan } from "./support/site";
import { throughTime, useVirtualTime } from "./support/time";

useVirtualTime();

describe("a cable that is pulled in flash", () => {
  it.each<[ChipName, boolean]>([
    ["ESP32", true],
    ["ESP32-C3", false],
  ])("%s, stub %s: leaves the old, the new or nothing that boots; the same command finishes", async (chip, stub) => {
    const before = plan(chip, 3000, "before");
    // Two blocks of the stub, six of the ROM.
    const wanted = plan(chip, stub ? 18_000 : 6000, "wanted!");
    const flash = (board: VirtualBoard, regions: FlashRegion[]) =>
      throughTime(flashBoard({ port: board.line.port(), plan: () => regions }, { ...FLASH_DEFAULTS, stub }));
    const holds = (board: VirtualBoard, regions: readonly FlashRegion[]): boolean =>
      regions.every(({ address, data }) => board.flash.read(address, data.length).equals(data));

    const whole = new VirtualBoard({ path: "v0", chip });
    await flash(whole, before);
    const content = Buffer.from(whole.flash.bytes);
    const traffic = listenIn(whole.line);
    await flash(whole, wanted);

    const cuts = cutPoints(traffic, frameEnds(traffic), 997);
    const states = new Map<string, number>();
    let finished = Buffer.alloc(0);
    for (const cut of cuts) {
      const board = new VirtualBoard({ path: "v0", chip, flash: new NorFlash(content) });
      // Time limits of former runs would only be looked through again at every step of the clock.
      jest.clearAllTimers();
      board.line.cutAfter(cut);
      const code = await codeOf(flash(board, wanted));
      // The last bytes are what the board prints when it starts.
      if (code !== "LINE_LOST") expect([code, cut > traffic.bytes.length - 300]).toEqual(["none", true]);
      expect(board.state).toBe("off");
      board.line.plug();
      const old = holds(board, before);
      const state = board.state !== "console" ? board.state : old ? "old" : holds(board, wanted) ? "new" : "mixed";
      states.set(state, (states.get(state) ?? 0) + 1);
      // A board that was off knows nothing but its flash, so what is left twice is finished once.
      if (board.flash.bytes.equals(finished)) continue;
      finished = Buffer.from(board.flash.bytes);
      expect((await flash(board, wanted)).verified).toBe(true);
      expect(holds(board, wanted)).toBe(true);
      expect(board.state).toBe("console");
    }
    tell(`flash, ${chip}, ${stub ? "stub" : "ROM"}`, cuts, traffic, states);
    expect([...states.keys()].sort()).toEqual(["new", "old", "stuck"]);
  });
});
