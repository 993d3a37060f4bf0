/** A cable that is pulled at every stage of inject: around both ends of each packet and line, and at a stride between. */
import { SLOT_BAD, SLOT_HEADER, SLOT_MAGIC, SLOT_MANIFEST, SLOT_VERIFIED } from "../../firmware/ota/layout";
import { inject } from "../../host-tools/device/inject";
import { decodeStorage } from "../../host-tools/device/storage-image";
import { NorFlash } from "../../host-tools/simulator/chip/flash";
import { VirtualBoard } from "../../host-tools/device/virtual/board";
import { createVirtualConsole } from "../../host-tools/device/virtual/console";
import { codeOf } from "./support/code-of";
import { cutPoints, listenIn, messageEnds, tell } from "./support/cuts";
import { plan, STORAGE, storageImage } from "./support/site";
import { throughTime, useVirtualTime } from "./support/time";

useVirtualTime();

const SLOT = { first: 4096, bytes: 8192 };

/** The Storage of a node whose loader starts a slot by its marks alone. */
function nodeStorage(settings: string, code: number): Buffer {
  const loader = `var h=require("Storage").read("espalier",${SLOT.first},${SLOT_BAD + 1});
    if(h.substr(0,4)==="${SLOT_MAGIC}"&&h[${SLOT_VERIFIED}]==="\\0"&&h[${SLOT_BAD}]!=="\\0")global.espalierBoot={};`;
  const image = storageImage(settings, 3, loader);
  const slot = decodeStorage(image).files.at(-1)!.offset + SLOT.first;
  image.fill(0xff, slot, slot + SLOT_MANIFEST);
  image.write(SLOT_MAGIC, slot);
  image.set([0], slot + SLOT_VERIFIED);
  image.fill(code, slot + SLOT_HEADER, slot + SLOT_HEADER + 500);
  return image;
}

function content(image: Buffer): Map<string, Buffer> {
  return new Map(decodeStorage(image).files.map((file) => [file.name, file.data]));
}

function startable(slot: Buffer): boolean {
  return slot.toString("latin1", 0, 4) === SLOT_MAGIC && slot[SLOT_VERIFIED] === 0 && slot[SLOT_BAD] !== 0;
}

describe("a cable that is pulled in inject", () => {
  const image = nodeStorage("cut", 2);
  it.each([
    ["a board with nothing but Espruino 2v29", "2v29", null],
    ["a board with nothing but Espruino 2v24", "2v24", null],
    ["a node that gets another bundle", "2v29", nodeStorage("cut", 1)],
    ["a node that gets other settings", "2v29", nodeStorage("old settings", 2)],
  ])("%s: leaves nothing half-written that starts; the same command finishes", async (what, version, before) => {
    const chip = (bytes?: Buffer): VirtualBoard =>
      new VirtualBoard({
        path: "v0",
        flash: new NorFlash(bytes ?? 4 * 1024 * 1024),
        console: (host) => createVirtualConsole(host, { version }),
      });
    const run = (board: VirtualBoard, wanted: Buffer) =>
      throughTime(
        inject(() => board.line.port(), {
          image: wanted,
          storage: STORAGE,
          regions: { state: [0, 1], slot0: [1, 2] },
        }),
      );
    const stored = (board: VirtualBoard) => decodeStorage(board.flash.read(STORAGE.address, STORAGE.bytes));
    const same = (board: VirtualBoard, wanted: Buffer | null): boolean => {
      if (!wanted) return false;
      const files = content(wanted);
      const found = stored(board).files;
      return [".boot0", "cfg", "espalier"].every((name) =>
        found.find((one) => one.name === name)?.data.equals(files.get(name)!),
      );
    };

    const whole = chip();
    for (const region of plan("ESP32").slice(1)) whole.flash.write(region.address, region.data);
    whole.reset();
    if (before) await run(whole, before);
    const start = Buffer.from(whole.flash.bytes);
    const traffic = listenIn(whole.line);
    await run(whole, image);

    const cuts = cutPoints(traffic, messageEnds(traffic), 101);
    const states = new Map<string, number>();
    let finished = Buffer.alloc(0);
    let state = "";
    for (const cut of cuts) {
      const board = chip(start);
      jest.clearAllTimers();
      board.line.cutAfter(cut);
      expect(await codeOf(run(board, image))).toMatch(/^(LINE_LOST|PORT_NOT_FOUND|none)$/);
      const half = stored(board);
      expect(half.sound).toBe(true);
      // A loader that finds a slot to start finds all of the old, or all of the new.
      const files = new Map(half.files.map((file) => [file.name, file.data]));
      const slot = files.get("espalier")?.subarray(SLOT.first);
      const starts = files.has(".boot0") && slot !== undefined && startable(slot);
      expect(starts).toBe(same(board, image) || same(board, before));
      board.line.plug();
      if (!board.flash.bytes.equals(finished)) {
        finished = Buffer.from(board.flash.bytes);
        state = starts ? (same(board, image) ? "new" : "old") : "not started";
        const { laidOut } = await run(board, image);
        expect(same(board, image) && stored(board).sound).toBe(true);
        if (state === "not started") state = laidOut ? "laid out again" : "taken up";
      }
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    tell(`inject, ${what}`, cuts, traffic, states);
    expect([...states.keys()]).toEqual(expect.arrayContaining(["taken up", "new", before ? "old" : "laid out again"]));
  });
});
