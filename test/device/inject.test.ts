import fc from "fast-check";
import { attachConsole } from "../../host-tools/device/console";
import { inject, type InjectOptions, type InjectReport } from "../../host-tools/device/inject";
import { decodeStorage, encodeStorage } from "../../host-tools/device/storage-image";
import { NorFlash } from "../../host-tools/simulator/chip/flash";
import { VirtualBoard } from "../../host-tools/device/virtual/board";
import { createVirtualConsole } from "../../host-tools/device/virtual/console";
import { codeOf } from "./support/code-of";
import { plan, STORAGE, storageImage } from "./support/site";
import { throughTime, useVirtualTime } from "./support/time";

useVirtualTime();

const REGIONS = { state: [0, 1], slot0: [1, 2] } as const;

/** A board with Espruino and nothing in its Storage. */
function bareBoard(version = "2v29", storage?: Buffer): VirtualBoard {
  const flash = new NorFlash(4 * 1024 * 1024);
  for (const region of plan("ESP32").slice(1)) flash.write(region.address, region.data);
  if (storage) flash.write(STORAGE.address, storage);
  return new VirtualBoard({ path: "v0", flash, console: (host) => createVirtualConsole(host, { version }) });
}

function run(board: VirtualBoard, options: Partial<InjectOptions> = {}): Promise<InjectReport> {
  const whole = { image: storageImage(), storage: STORAGE, regions: REGIONS, ...options };
  return throughTime(inject(() => board.line.port(), whole));
}

function stored(board: VirtualBoard) {
  return decodeStorage(board.flash.read(STORAGE.address, STORAGE.bytes));
}

/** What the injected files must hold, wherever they lie. */
function expectInjected(board: VirtualBoard, image = storageImage()): void {
  const wanted = new Map(decodeStorage(image).files.map((file) => [file.name, file.data]));
  const found = stored(board);
  expect(found.sound).toBe(true);
  for (const name of [".boot0", "cfg", "espalier"]) {
    const file = found.files.find((one) => one.name === name);
    expect(file?.data.equals(wanted.get(name)!)).toBe(true);
    if (name === "espalier") expect(file!.offset % 4096).toBe(0);
  }
}

describe.each(["2v29", "2v24"])("a board with Espruino %s", (version) => {
  it("becomes a node, with packets where it knows them", async () => {
    const board = bareBoard(version);
    const report = await run(board);
    expect(report).toMatchObject({ version, packets: version === "2v29", laidOut: true, loaderWritten: true });
    expectInjected(board);
    expect(board.boots).toBe(2);
  });

  it("is left alone when everything is there", async () => {
    const board = bareBoard(version);
    await run(board);
    const before = Buffer.from(board.flash.bytes);
    expect(await run(board)).toMatchObject({ laidOut: false, pagesWritten: 0, loaderWritten: false });
    expect(board.flash.bytes.equals(before)).toBe(true);
  });

  it("gets another bundle without laying Storage out again", async () => {
    const board = bareBoard(version);
    const first = storageImage("one", 3);
    await run(board, { image: first });
    // The same settings, another page in the regions.
    const second = Buffer.from(first);
    second[second.indexOf(Buffer.from(decodeStorage(first).files.at(-1)!.data.subarray(4096, 4128))) + 5]! ^= 0x55;
    expect(await run(board, { image: second })).toMatchObject({ laidOut: false, pagesWritten: 1 });
    expectInjected(board, second);
  });
});

it("stops a running node before it takes its slot away", async () => {
  const loader = 'if(require("Storage").read("espalier",4096+18,1)!=="\\0")global.espalierBoot={};print("started")';
  const board = bareBoard();
  await run(board, { image: storageImage("a", 3, loader) });
  const boots = board.boots;
  const other = storageImage("a", 3, loader);
  const area = decodeStorage(other).files.at(-1)!;
  other[area.offset + 4096 + 100]! ^= 0x11;
  const steps: string[] = [];
  await run(board, { image: other, progress: ({ step }) => void steps.push(step) });
  expect(steps).toContain("stopping");
  expect(board.boots).toBe(boots + 2);
  expectInjected(board, other);
});

it("does not touch a node's own books", async () => {
  const board = bareBoard();
  await run(board);
  const area = stored(board).files.find((file) => file.name === "espalier")!;
  board.flash.write(STORAGE.address + area.offset, Buffer.from([0xfe, 0xfe]));
  expect(await run(board)).toMatchObject({ laidOut: false, pagesWritten: 0 });
});

it("keeps other people's files unless told otherwise", async () => {
  const geometry = { areaBytes: STORAGE.bytes, pageBytes: STORAGE.page };
  const theirs = encodeStorage([{ name: "notes.txt", data: "important" }], geometry);
  const board = bareBoard("2v29", theirs);
  expect(await codeOf(run(board))).toBe("STORAGE_NOT_EMPTY");
  expect(stored(board).files.map((file) => file.name)).toEqual(["notes.txt"]);
  await run(board, { erase: true });
  expectInjected(board);
});

it("refuses a board whose Storage is elsewhere", async () => {
  const board = bareBoard();
  expect(await codeOf(run(board, { storage: { address: STORAGE.address + 0x8000, page: 4096 } }))).toBe("OLD_LAYOUT");
});

it("says so when there is no console", async () => {
  const board = new VirtualBoard({ path: "v0" });
  expect(await codeOf(run(board))).toBe("NO_CONSOLE");
  board.line.unplug();
  expect(await codeOf(run(board))).toBe("PORT_NOT_FOUND");
});

it("waits out a board that restarts, and one in the middle of a packet", async () => {
  const board = bareBoard();
  board.line.write(Buffer.from([0x10, 0x01, 0x9f, 0xff, 1, 2, 3]));
  const report = await run(board);
  expect(report.laidOut).toBe(true);
  expectInjected(board);
});

it("gets through when the board restarts in the middle; the same command finishes", async () => {
  const board = bareBoard();
  let restarted = false;
  const progress: InjectOptions["progress"] = ({ step, done }) => {
    if (step !== "regions" || done === 0 || restarted) return;
    restarted = true;
    board.reset();
  };
  const first = await codeOf(run(board, { progress }));
  expect(first).toMatch(/none|NO_CONSOLE|BOARD_REFUSED/);
  await run(board);
  expectInjected(board);
});

it("survives bytes that are lost or changed now and then", async () => {
  const board = bareBoard();
  let count = 0;
  board.line.noise = (bytes) =>
    Uint8Array.from(
      [...bytes].flatMap((byte) => (++count % 700 === 0 ? [] : count % 1100 === 0 ? [byte ^ 4] : [byte])),
    );
  const code = await codeOf(run(board));
  board.line.noise = null;
  if (code !== "none") await run(board);
  expectInjected(board);
});

it("honours XOFF", async () => {
  const board = bareBoard();
  const link = await throughTime(attachConsole(board.line.port()));
  board.line.send(Uint8Array.of(0x13));
  await jest.advanceTimersByTimeAsync(10);
  const before = board.line.toBoard;
  const answer = link.evaluate("1+1");
  await jest.advanceTimersByTimeAsync(1000);
  expect(board.line.toBoard).toBe(before);
  board.line.send(Uint8Array.of(0x11));
  expect(await throughTime(answer)).toBe(2);
  await link.close();
});

describe("the console as a service", () => {
  it.each(["auto", "lines"] as const)("evaluates, reports what throws, and writes files (%s)", async (protocol) => {
    const board = bareBoard();
    const link = await throughTime(attachConsole(board.line.port(), { protocol }));
    expect(link.packets).toBe(protocol === "auto");
    expect(await throughTime(link.evaluate('["a\\"b",{x:1}]'))).toEqual(['a"b', { x: 1 }]);
    expect(await codeOf(throughTime(link.evaluate("nothing.here")))).toBe("BOARD_REFUSED");
    const data = Buffer.from(Array.from({ length: 1500 }, (_, i) => (i * 7) & 0xff));
    const steps: number[] = [];
    await throughTime(link.writeFile("data.bin", data, (done) => void steps.push(done)));
    await link.close();
    expect(
      stored(board)
        .files.find((file) => file.name === "data.bin")!
        .data.equals(data),
    ).toBe(true);
    expect(steps.at(-1)).toBe(1500);
  });

  it("evaluates strings of all kinds", async () => {
    const board = bareBoard();
    const link = await throughTime(attachConsole(board.line.port()));
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary-ascii" }), async (text) => {
        expect(await throughTime(link.evaluate(JSON.stringify(text)))).toBe(text);
      }),
      { numRuns: 30 },
    );
    await link.close();
  });
});
