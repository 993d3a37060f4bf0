import {
  flashBoard,
  flashBoards,
  FLASH_DEFAULTS,
  type FlashOptions,
  eraseChip,
  readMac,
} from "../../host-tools/device/flasher";
import { planFlash, type FlashRegion } from "../../host-tools/device/flash-plan";
import type { ChipName } from "../../host-tools/device/chips";
import { encodePartitionTable } from "../../host-tools/device/partition-table";
import { decodeStorage } from "../../host-tools/device/storage-image";
import { VirtualBoard } from "../../host-tools/device/virtual/board";
import { codeOf } from "./support/code-of";
import { board as boardOf, plan, STORAGE, storageImage, TABLE } from "./support/site";
import { throughTime, useVirtualTime } from "./support/time";

useVirtualTime();

function flash(board: VirtualBoard, regions: FlashRegion[], options: Partial<FlashOptions> = {}) {
  return throughTime(flashBoard({ port: board.line.port(), plan: () => regions }, { ...FLASH_DEFAULTS, ...options }));
}

function holds(board: VirtualBoard, regions: readonly FlashRegion[]): boolean {
  return regions.every(({ address, data }) => board.flash.read(address, data.length).equals(data));
}

describe.each<[ChipName, boolean]>([
  ["ESP32", true],
  ["ESP32", false],
  ["ESP32-C3", true],
  ["ESP32-C3", false],
  ["ESP32-S3", true],
])("%s, stub %s", (chip, stub) => {
  const regions = plan(chip);

  it("writes all regions, verifies them on the chip and starts it", async () => {
    const board = new VirtualBoard({ path: "v0", chip, mac: "24:0a:c4:12:34:56" });
    const report = await flash(board, regions, { stub });
    expect(report).toMatchObject({ chip, mac: "24:0a:c4:12:34:56", flashBytes: 4 << 20, baudRate: 921600 });
    expect(report.regions.map((region) => region.action)).toEqual(["written", "written", "written", "written"]);
    expect(holds(board, regions)).toBe(true);
    expect(board.state).toBe("console");
  });

  it("sends nothing that is there already, and only what changed", async () => {
    const board = new VirtualBoard({ path: "v0", chip });
    await flash(board, regions, { stub });
    const writes = board.flash.operations;
    const again = await flash(board, regions, { stub });
    expect(again.regions.every((region) => region.action === "skipped" && region.sent === 0)).toBe(true);
    expect(board.flash.operations).toBe(writes);
    const changed = await flash(board, plan(chip, undefined, "other"), { stub });
    expect(changed.regions.map((region) => region.action)).toEqual(["written", "skipped", "skipped", "written"]);
  });

  it("changes nothing in a dry run", async () => {
    const board = new VirtualBoard({ path: "v0", chip });
    const report = await flash(board, regions, { stub, dryRun: true });
    expect(report.regions.map((region) => region.action)).toEqual(Array(4).fill("would-write"));
    expect(board.flash.operations).toBe(0);
  });

  it("erases all first when told to", async () => {
    const board = new VirtualBoard({ path: "v0", chip });
    board.flash.write(0x9000, Buffer.from("nvs"));
    await flash(board, regions, { stub, eraseAll: true });
    expect(board.flash.read(0x9000, 3)).toEqual(Buffer.alloc(3, 0xff));
    expect(board.state).toBe("console");
  });
});

it("overwrites a used chip, whatever was in it", async () => {
  const board = new VirtualBoard({ path: "v0" });
  board.flash.bytes.fill(0);
  await flash(board, plan("ESP32"));
  expect(holds(board, plan("ESP32"))).toBe(true);
});

it("takes a node's own books and files for no difference", async () => {
  const board = new VirtualBoard({ path: "v0" });
  await flash(board, plan("ESP32"));
  const area = decodeStorage(storageImage()).files.find((file) => file.name === "espalier")!;
  board.flash.write(STORAGE.address + area.offset, Buffer.from([0xfe]));
  board.flash.write(STORAGE.address + area.offset + area.data.length + 100, Buffer.from("the application's"));
  expect((await flash(board, plan("ESP32"))).regions.map((region) => region.action)).toEqual(Array(4).fill("skipped"));
  board.flash.write(STORAGE.address + area.offset + 4096, Buffer.from([0]));
  expect((await flash(board, plan("ESP32"))).regions[0]!.action).toBe("written");
});

it("reads the MAC address and erases", async () => {
  const board = new VirtualBoard({ path: "v0", chip: "ESP32-S3", mac: "7c:df:a1:00:00:09" });
  expect(await throughTime(readMac(board.line.port(), FLASH_DEFAULTS))).toMatchObject({ mac: "7c:df:a1:00:00:09" });
  board.flash.write(0x1234, Buffer.from("x"));
  await throughTime(eraseChip(board.line.port(), FLASH_DEFAULTS));
  expect(board.flash.bytes.every((byte) => byte === 0xff)).toBe(true);
});

it("falls back to 115200 baud when the faster rate is not understood", async () => {
  const board = new VirtualBoard({ path: "v0" });
  const line = board.line;
  line.noise = (bytes) => (line.hostBaud > 115200 ? bytes.map((byte) => byte ^ 0x40) : bytes);
  const report = await flash(board, plan("ESP32"));
  expect(report.baudRate).toBe(115200);
  expect(board.state).toBe("console");
});

it("finds its way through garbage in front of the answers", async () => {
  const board = new VirtualBoard({ path: "v0" });
  let first = true;
  board.line.noise = (bytes) => {
    if (!first) return bytes;
    first = false;
    return Buffer.concat([Buffer.from([0, 0xc0, 1, 2, 0xdb, 0xff, 0x80]), bytes]);
  };
  expect((await flash(board, plan("ESP32"))).verified).toBe(true);
});

describe("refuses, before anything is written,", () => {
  const refusals: [string, string, ConstructorParameters<typeof VirtualBoard>[0], Partial<FlashOptions>][] = [
    ["another chip", "WRONG_CHIP", { path: "v0", chip: "ESP32-C3" }, { chip: "ESP32" }],
    ["flash encryption", "FLASH_ENCRYPTED", { path: "v0", flashEncrypted: true }, {}],
    ["flash encryption of a C3", "FLASH_ENCRYPTED", { path: "v0", chip: "ESP32-C3", flashEncrypted: true }, {}],
    ["secure boot", "SECURE_BOOT", { path: "v0", secureBoot: true }, {}],
    ["secure boot of an S3", "SECURE_BOOT", { path: "v0", chip: "ESP32-S3", secureBoot: true }, {}],
    ["secure download mode", "SECURE_DOWNLOAD", { path: "v0", chip: "ESP32-S3", secureDownload: true }, {}],
    ["a board that cannot be reset", "NO_SYNC", { path: "v0", autoReset: false }, {}],
  ];
  it.each(refusals)("%s", async (_name, code, board, options) => {
    const virtual = new VirtualBoard(board);
    expect(await codeOf(flash(virtual, plan(virtual.chip), options))).toBe(code);
    expect(virtual.flash.operations).toBe(0);
  });

  it("a port that another program has", async () => {
    const board = new VirtualBoard({ path: "v0" });
    await board.line.port().open({ baudRate: 115200 });
    expect(await codeOf(flash(board, plan("ESP32")))).toBe("PORT_BUSY");
  });

  it("a port that is not there", async () => {
    const board = new VirtualBoard({ path: "v0" });
    board.line.unplug();
    expect(await codeOf(flash(board, plan("ESP32")))).toBe("PORT_NOT_FOUND");
  });

  it("an old layout on the chip when only Storage is to be written", async () => {
    const board = new VirtualBoard({ path: "v0" });
    const old = TABLE.map((p) => (p.name === "storage" ? { ...p, name: "js_code", offset: 0x2c0000 } : p));
    board.flash.write(0x8000, encodePartitionTable(old));
    const operations = board.flash.operations;
    expect(await codeOf(flash(board, planFlash(boardOf("ESP32"), null, storageImage())))).toBe("OLD_LAYOUT");
    expect(board.flash.operations).toBe(operations);
  });

  it("a flash that is too small", async () => {
    const board = new VirtualBoard({ path: "v0" });
    const large: FlashRegion[] = [{ name: "storage", address: 0x3f0000, data: Buffer.alloc(0x20000, 1) }];
    expect(await codeOf(flash(board, [...large, ...plan("ESP32").slice(1)]))).toBe("FLASH_TOO_SMALL");
  });
});

it("works with the BOOT button where there is no reset circuit", async () => {
  const board = new VirtualBoard({ path: "v0", autoReset: false });
  board.bootButton = true;
  board.reset();
  board.bootButton = false;
  await flash(board, plan("ESP32"), { before: "no-reset" });
  board.reset();
  expect(board.state).toBe("console");
});

it("writes Storage alone on a chip that has Espruino", async () => {
  const board = new VirtualBoard({ path: "v0" });
  await flash(board, plan("ESP32"));
  const report = await flash(board, planFlash(boardOf("ESP32"), null, storageImage("changed")));
  expect(report.regions).toHaveLength(1);
  expect(board.flash.read(STORAGE.address, STORAGE.bytes).includes("changed")).toBe(true);
  expect(board.state).toBe("console");
});

it("flashes ten boards side by side; one without a chip does not stop the others", async () => {
  const boards = Array.from({ length: 10 }, (_, i) => new VirtualBoard({ path: `v${i}`, autoReset: i !== 3 }));
  const jobs = boards.map((board) => ({ port: board.line.port(), plan: () => plan("ESP32") }));
  const results = await throughTime(flashBoards(jobs, FLASH_DEFAULTS));
  expect(results.map((result) => ("error" in result ? result.error.code : "ok"))).toEqual(
    boards.map((_, i) => (i === 3 ? "NO_SYNC" : "ok")),
  );
});

it("flashes none of no ports", async () => {
  expect(await flashBoards([], FLASH_DEFAULTS)).toEqual([]);
});

it("stops when told to, between two blocks, and leaves nothing that boots", async () => {
  const board = new VirtualBoard({ path: "v0" });
  await flash(board, plan("ESP32"));
  const stop = new AbortController();
  const job = {
    port: board.line.port(),
    plan: () => plan("ESP32", 90_000, "second"),
    progress: (event: { step: string; region: string }) => {
      if (event.step === "writing" && event.region === "app") stop.abort();
    },
  };
  await expect(throughTime(flashBoard(job, { ...FLASH_DEFAULTS, signal: stop.signal }))).rejects.toThrow();
  board.line.unplug();
  board.line.plug();
  expect(board.state).toBe("stuck");
  const again = await flash(board, plan("ESP32", 90_000, "second"));
  expect(again.regions[0]!.action).toBe("skipped");
  expect(board.state).toBe("console");
});

it("takes an interrupted region up at a piece", async () => {
  const large = plan("ESP32", 600_000);
  const board = new VirtualBoard({ path: "v0" });
  board.line.cutAfter(400_000);
  expect(await codeOf(flash(board, large))).toBe("LINE_LOST");
  board.line.plug();
  const report = await flash(board, large);
  const app = report.regions.find((region) => region.name === "app")!;
  expect(app.kept).toBeGreaterThan(200_000);
  expect(app.sent).toBeLessThan(450_000);
  expect(holds(board, large)).toBe(true);
});

it("survives power that fails inside a flash operation", async () => {
  for (const n of [1, 2, 4, 5]) {
    const board = new VirtualBoard({ path: "v0" });
    await flash(board, plan("ESP32"));
    board.flash.cutPowerAt(n, 0.4);
    expect(await codeOf(flash(board, plan("ESP32", 25_000, "other")))).toBe("LINE_LOST");
    board.line.plug();
    expect(board.state).toBe("stuck");
    await flash(board, plan("ESP32", 25_000, "other"));
    expect(board.state).toBe("console");
  }
});

it("goes on at the next run when the board restarts in the middle", async () => {
  const board = new VirtualBoard({ path: "v0" });
  let restarted = false;
  const job = {
    port: board.line.port(),
    plan: () => plan("ESP32"),
    progress: (event: { step: string; region: string }) => {
      if (event.region !== "app" || restarted) return;
      restarted = true;
      board.reset();
    },
  };
  expect(await codeOf(throughTime(flashBoard(job, FLASH_DEFAULTS)))).toMatch(/none|WRITE_FAILED/);
  await flash(board, plan("ESP32"));
  expect(board.state).toBe("console");
});
