import { NorFlash } from "../../host-tools/simulator/chip/flash";
import { replLine, startTerminal } from "../../host-tools/device/terminal";
import { VirtualBoard } from "../../host-tools/device/virtual/board";
import { plan } from "./support/site";
import { throughTime, useVirtualTime } from "./support/time";

useVirtualTime();

function setUp(options: { timestamp?: () => string; reset?: boolean } = {}) {
  const flash = new NorFlash(4 * 1024 * 1024);
  for (const region of plan("ESP32")) flash.write(region.address, region.data);
  const board = new VirtualBoard({ path: "v0", flash });
  const stop = new AbortController();
  let text = "";
  let log = "";
  const notes: string[] = [];
  const terminal = startTerminal({
    open: () => board.line.port(),
    baudRate: 115200,
    signal: stop.signal,
    print: (part) => void (text += part),
    log: (part) => void (log += part),
    note: (line) => void notes.push(line),
    ...options,
  });
  return { board, stop, terminal, notes, text: () => text, log: () => log };
}

async function pass(milliseconds: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(milliseconds);
}

it("runs what is typed and prints values, exceptions and output", async () => {
  const { terminal, stop, text, log } = setUp();
  await pass(10);
  for (const line of ["1+1", 'print("hi")', "nope.x"]) await terminal.send(replLine(line));
  await pass(10);
  stop.abort();
  await throughTime(terminal.ended);
  expect(text()).toMatch(/=2\n/);
  expect(text()).toMatch(/hi\n/);
  expect(text()).toMatch(/Uncaught ReferenceError/);
  expect(log()).toBe(text());
});

it("puts the time in front of each line, however the text arrives", async () => {
  const { board, terminal, stop, text } = setUp({ timestamp: () => "12:00" });
  await pass(10);
  for (const part of ["one\r", "\ntw", "o\r\nthr"]) board.line.send(Buffer.from(part));
  await pass(10);
  stop.abort();
  await throughTime(terminal.ended);
  expect(text()).toBe("12:00 one\n12:00 two\n12:00 thr");
});

it("comes back after the cable was pulled", async () => {
  const { board, terminal, stop, notes, text } = setUp();
  await pass(10);
  board.line.unplug();
  await pass(3500);
  board.line.plug();
  await pass(2000);
  await terminal.send(replLine('"back"'));
  await pass(10);
  expect(notes).toEqual(["connection lost, waiting for the board", "connected again"]);
  expect(text()).toContain('="back"');
  stop.abort();
  await throughTime(terminal.ended);
});

it("stops at once while it waits for a board", async () => {
  const { board, terminal, stop } = setUp();
  await pass(10);
  board.line.unplug();
  await pass(500);
  stop.abort();
  await throughTime(terminal.ended, 100);
});

it("restarts the board when asked to", async () => {
  const { board, terminal, stop, text } = setUp({ reset: true });
  await pass(300);
  stop.abort();
  await throughTime(terminal.ended);
  expect(board.boots).toBe(2);
  expect(text()).toContain("boot0 runs");
});

it("fails when the first connection does", async () => {
  const board = new VirtualBoard({ path: "v0" });
  board.line.unplug();
  const terminal = startTerminal({
    open: () => board.line.port(),
    baudRate: 115200,
    signal: new AbortController().signal,
    print() {},
    note() {},
  });
  await expect(terminal.ended).rejects.toMatchObject({ code: "PORT_NOT_FOUND" });
});
