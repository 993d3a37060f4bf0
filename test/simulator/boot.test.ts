import { loadBoard } from "../../host-tools/build/board";
import { fillSlot, type Image, makeImage } from "../../host-tools/build/image";
import { buildLoader } from "../../host-tools/build/loader";
import { type MemoryRegion, memoryRegion } from "../../host-tools/device/memory-region";
import { provision } from "../../host-tools/device/provision";
import { decodeStorage } from "../../host-tools/device/storage-image";
import { Chip } from "../../host-tools/simulator/chip/chip";
import { chipBoard } from "../../host-tools/simulator/fleet";
import { EventQueue } from "../../host-tools/simulator/events";

const BOARD = loadBoard("esp32-devkitc");
const PAGE = 4096;
const [STATE, SLOT0, SLOT1] = ["state", "slot0", "slot1"].map((name) => BOARD.regions[name]![0] * PAGE) as [
  number,
  number,
  number,
];
/** Where the area's data begins. */
let base = 0;
let loader = "";

beforeAll(async () => {
  loader = await buildLoader(BOARD);
});

/** A program that says who it is and what the loader told it. */
const says = (name: string): string =>
  `(function(){var b=espalierBoot;print("${name}",b.slot,b.trial,b.starts,b.reason)})();` + `/*${"x".repeat(5000)}*/`;

function imageOf(code: string, version = "1.0.0"): Image {
  return makeImage({ code, product: "espalier", hardware: "ESP32", role: "node", version, encoding: "raw" });
}

interface Slot {
  code: string;
  sequence: number;
  confirmed?: boolean;
  spoil?: (slot: MemoryRegion) => void;
}

function fill(slot: Slot): MemoryRegion {
  const region = memoryRegion(25);
  fillSlot(region, imageOf(slot.code), slot.code, slot.sequence);
  if (slot.confirmed) region.write(17, "\0");
  slot.spoil?.(region);
  return region;
}

/** A chip with what lies in its slots; slot 0 is as provisioned unless given. */
function chipWith(slots: { slot0?: Slot; slot1?: Slot }, code = says("first"), recovery?: string) {
  const settings = { role: "node", mesh: { meshName: "m", password: "", port: 5555, channel: 1 } };
  const last = recovery === undefined ? undefined : { code: recovery, image: imageOf(recovery) };
  const flash = provision({ board: BOARD, loader, settings, code, image: imageOf(code), recovery: last });
  base = decodeStorage(flash).files.find((file) => file.name === "espalier")!.offset;
  if (slots.slot0) fill(slots.slot0).data.copy(flash, base + SLOT0);
  if (slots.slot1) fill(slots.slot1).data.copy(flash, base + SLOT1);
  const queue = new EventQueue();
  const chip = new Chip({ clock: queue, mac: "24:0a:c4:00:00:10", board: chipBoard(BOARD), flash });
  let until = 0;
  const run = (ms: number): void => queue.run((until += ms));
  chip.powerOn();
  run(3000);
  const restart = (): void => {
    chip.reset();
    run(3000);
  };
  const heard = (): string[] => chip.log.splice(0);
  return { chip, run, restart, heard };
}

const at = (chip: Chip, offset: number, length = 1): string =>
  Buffer.from(chip.flash.read(base + offset, length)).toString("latin1");

test("a provisioned chip runs slot 0 and counts its starts", () => {
  const { chip, restart, heard } = chipWith({});
  restart();
  expect(heard()).toEqual(["first slot0 false 1 other", "first slot0 false 2 other"]);
  expect(chip.faults).toEqual([]);
});

test("a restart on purpose is told from one that is not", () => {
  const { chip, run, restart, heard } = chipWith({});
  // What the engine writes before it restarts.
  chip.evaluate(`require("Flash").write("\\xfc", espalierBoot.base + ${STATE}); E.reboot()`);
  run(5000);
  restart();
  expect(heard().filter((line) => line.startsWith("first"))).toEqual([
    "first slot0 false 1 other",
    "first slot0 false 2 software",
    "first slot0 false 3 other",
  ]);
});

describe("an image on trial", () => {
  test("runs instead of the old one, three times, and is then marked bad", () => {
    const { chip, restart, heard } = chipWith({ slot1: { code: says("second"), sequence: 2 } });
    for (let i = 0; i < 4; i++) restart();
    expect(heard()).toEqual([
      "second slot1 true 1 other",
      "second slot1 true 2 other",
      "second slot1 true 3 other",
      "first slot0 false 4 other",
      "first slot0 false 5 other",
    ]);
    expect(at(chip, SLOT1 + 18)).toBe("\0");
    expect(at(chip, SLOT1 + 20, 4)).toBe("\0\0\0\xff");
  });

  test("that was confirmed runs for good", () => {
    const { chip, restart, heard } = chipWith({ slot1: { code: says("second"), sequence: 2 } });
    chip.evaluate(`require("Flash").write("\\0", espalierBoot.base + ${SLOT1 + 17})`);
    for (let i = 0; i < 4; i++) restart();
    const lines = heard();
    expect([lines.length, lines.at(-1)]).toEqual([5, "second slot1 false 5 other"]);
  });

  test("that is older than the running one does not run", () => {
    const { heard } = chipWith({
      slot0: { code: says("first"), sequence: 3, confirmed: true },
      slot1: { code: says("old"), sequence: 2 },
    });
    expect(heard()).toEqual(["first slot0 false 1 other"]);
  });

  test("that cannot be parsed restarts the chip until the old one runs", () => {
    const { chip, run, heard } = chipWith({ slot1: { code: "(function(){ syntax error", sequence: 2 } });
    run(120000);
    const lines = heard();
    expect(lines.filter((line) => line.startsWith("espalier: slot1 failed to start: SyntaxError"))).toHaveLength(3);
    expect(lines.at(-1)).toBe("first slot0 false 4 other");
    expect(chip.stats.boots).toBe(4);
  });

  test("that throws at its start restarts the chip until the old one runs", () => {
    const { run, heard } = chipWith({ slot1: { code: `throw new Error("no")`, sequence: 2 } });
    run(120000);
    expect(heard().at(-1)).toMatch(/^first slot0 false 4/);
  });

  test("that hangs is ended by the watchdog until the old one runs", () => {
    const { chip, run, heard } = chipWith({ slot1: { code: "while(true){}", sequence: 2 } });
    run(300000);
    expect(heard().at(-1)).toMatch(/^first slot0 false 4/);
    expect(chip.resetReason).toBe("watchdog");
  });
});

describe("a slot that is not whole", () => {
  test.each<[string, (slot: MemoryRegion) => void]>([
    ["a bit of its code cleared", (slot) => slot.write(PAGE + 2000, "\0")],
    ["its last byte missing", (slot) => void slot.data.fill(0xff, PAGE + says("second").length - 1, 8 * PAGE)],
    ["no verified mark", (slot) => void (slot.data[16] = 0xff)],
    ["its magic torn", (slot) => slot.write(0, "ES\0\0")],
    ["a length beyond the slot", (slot) => void slot.data.writeUInt32LE(0x7fffffff, 8)],
    ["a manifest length beyond the header", (slot) => void slot.data.writeUInt32LE(0xfffffff0, 12)],
    ["a manifest that is no JSON", (slot) => slot.write(64, "\0\0\0")],
    ["a manifest without a hash", (slot) => void slot.data.write("{}".padEnd(1500), 64)],
    ["no code at all", (slot) => void slot.data.writeUInt32LE(0, 8)],
    ["a bad mark", (slot) => slot.write(18, "\0")],
  ])("with %s, does not run; the other does", (_what, spoil) => {
    const { chip, heard } = chipWith({ slot1: { code: says("second"), sequence: 2, spoil } });
    expect(heard()).toEqual(["first slot0 false 1 other"]);
    expect(chip.faults).toEqual([]);
  });

  test("in slot 0, makes way for slot 1", () => {
    const spoil = (slot: MemoryRegion): void => slot.write(PAGE + 9, "\0");
    const { heard } = chipWith({
      slot0: { code: says("first"), sequence: 9, confirmed: true, spoil },
      slot1: { code: says("second"), sequence: 2, confirmed: true },
    });
    expect(heard()).toEqual(["second slot1 false 1 other"]);
  });

  test("in both: a message and nothing else", () => {
    const spoil = (slot: MemoryRegion): void => slot.write(PAGE + 9, "\0");
    const { chip, run, heard } = chipWith({
      slot0: { code: says("first"), sequence: 1, confirmed: true, spoil },
      slot1: { code: says("second"), sequence: 2, spoil },
    });
    run(60000);
    expect(heard()).toEqual(["espalier: no image to run; flash the board again"]);
    expect([chip.stats.boots, chip.stats.uncaught, chip.faults]).toEqual([1, 0, []]);
  });
});

describe("the recovery bundle", () => {
  const spoil = (slot: MemoryRegion): void => slot.write(PAGE + 9, "\0");
  const bad = (slot: MemoryRegion): void => slot.write(18, "\0");

  test.each<[string, (slot: MemoryRegion) => void]>([
    ["rotten", spoil],
    ["marked bad", bad],
    ["erased", (slot) => void slot.data.fill(0xff)],
  ])("runs when both slots are %s, at every start", (_what, spoiled) => {
    const { chip, restart, heard } = chipWith(
      {
        slot0: { code: says("first"), sequence: 1, confirmed: true, spoil: spoiled },
        slot1: { code: says("second"), sequence: 2, spoil: spoiled },
      },
      says("first"),
      says("last"),
    );
    for (let i = 0; i < 4; i++) restart();
    const lines = heard();
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([
      5,
      "last recovery false 1 other",
      "last recovery false 5 other",
    ]);
    expect(chip.faults).toEqual([]);
  });

  test("runs when the only image fails its trial, and makes way for one that is good", () => {
    const { chip, run, restart, heard } = chipWith(
      {
        slot0: { code: `throw new Error("no")`, sequence: 1 },
        slot1: { code: says("second"), sequence: 2, spoil: bad },
      },
      says("first"),
      says("last"),
    );
    run(120_000);
    expect(heard().at(-1)).toMatch(/^last recovery false 4/);
    fill({ code: says("third"), sequence: 1 }).data.copy(chip.flash.bytes, base + SLOT0);
    restart();
    expect(heard()).toEqual(["third slot0 true 5 other"]);
  });

  test("does not run while a slot is good, nor when it is rotten itself", () => {
    const good = chipWith({ slot1: { code: says("second"), sequence: 2, spoil } }, says("first"), says("last"));
    expect(good.heard()).toEqual(["first slot0 false 1 other"]);
    const { chip, restart, heard } = chipWith(
      { slot0: { code: says("first"), sequence: 1, confirmed: true, spoil } },
      says("first"),
      says("last"),
    );
    chip.flash.bytes[base + BOARD.regions.recovery![0] * PAGE + PAGE + 3]! ^= 1;
    heard();
    restart();
    expect(heard()).toEqual(["espalier: no image to run; flash the board again"]);
  });
});

describe("Storage", () => {
  let written = 0;

  /** An application replaces a file of 20 KB so often. */
  function clutter(chip: Chip, times: number): void {
    for (let i = 0; i < times; i++) chip.evaluate(`require("Storage").write("app","x".repeat(20000)+${written++})`);
  }

  /** The same until little is free. */
  function fillUp(chip: Chip): void {
    for (let i = 0; i < 20 && chip.storage.stats().freeBytes > 32768; i++) clutter(chip, 1);
  }

  test("is compacted by the loader alone, when little is free, and its area stays where it is", () => {
    const { chip, restart, heard } = chipWith({});
    heard();
    clutter(chip, 1);
    restart();
    expect(chip.stats.compactions).toBe(0);
    fillUp(chip);
    heard();
    restart();
    expect(heard()).toEqual(["espalier: compacting Storage", "first slot0 false 3 other"]);
    expect([chip.stats.compactions, chip.faults]).toEqual([1, []]);
    expect(chip.storage.find("espalier")!.data).toBe(base);
    expect(chip.storage.stats().trashBytes).toBe(0);
    restart();
    expect([chip.stats.compactions, heard()]).toEqual([1, ["first slot0 false 4 other"]]);
  });

  test("is not compacted where that would move the area", () => {
    const { chip, restart, heard } = chipWith({});
    chip.evaluate(`require("Storage").write("cfg",require("Storage").read("cfg")+" ")`);
    fillUp(chip);
    heard();
    restart();
    expect([heard(), chip.stats.compactions]).toEqual([["first slot0 false 2 other"], 0]);
  });

  test("whose area was moved is told from a good one, and nothing is written", () => {
    const { chip, restart, heard } = chipWith({});
    chip.evaluate(`require("Storage").write("cfg",require("Storage").read("cfg")+" ")`);
    chip.storage.compact();
    expect(chip.storage.find("espalier")!.data % PAGE).not.toBe(0);
    heard();
    const { operations } = chip.flash;
    restart();
    expect(heard()).toEqual(["espalier: the node's flash area was moved; flash the board again"]);
    expect(chip.flash.operations).toBe(operations);
  });
});

test("a full state page is erased and counted on", () => {
  const { chip, restart, heard } = chipWith({});
  for (let i = 1; i < PAGE; i++) chip.flash.bytes[base + STATE + i] = 0xfe;
  restart();
  restart();
  expect(heard().slice(1)).toEqual(["first slot0 false 1 other", "first slot0 false 2 other"]);
  expect(at(chip, STATE, 3)).toBe("\xfe\xfe\xff");
});

test("without its area a chip says so, and does not start over and over", () => {
  const { chip, run, heard } = chipWith({});
  heard();
  chip.flash.bytes.fill(0xff, base - 32);
  chip.reset();
  run(30000);
  expect(heard()).toEqual(["espalier: the node's flash area is missing; flash the board again"]);
  expect([chip.stats.boots, chip.stats.uncaught]).toEqual([2, 0]);
});
