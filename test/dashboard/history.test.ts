import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { watchClock } from "../../host-tools/dashboard/clock-watch";
import { openHistory } from "../../host-tools/dashboard/history";
import { rate } from "../../host-tools/dashboard/recorder";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 0, 10);

describe("history", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-history-"));
    file = path.join(folder, "history.db");
  });
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  it("keeps a day as it came and older samples as five-minute means", () => {
    let now = START;
    const history = openHistory({ file, now: () => now });
    for (let minute = 0; minute < 30 * 60; minute++) {
      history.add({ node: 7, at: now, values: { memoryFree: minute, rssi: -60 } });
      now += MINUTE;
      if (minute % 60 === 0) history.tend();
    }
    history.tend();
    const day = history.read(7, now - 24 * HOUR, now, 2000);
    expect(day.resolution).toBe(0);
    expect(day.points).toHaveLength(24 * 60);
    const all = history.read(7, START, now, 2000);
    expect(all.resolution).toBe(300);
    expect(all.points).toHaveLength(30 * 12);
    // The mean of 0, 1, 2, 3, 4.
    expect(all.points[0]!.slice(0, 3)).toEqual([START, 2, -60]);
    const few = history.read(7, now - 24 * HOUR, now, 100);
    expect(few.points.length).toBeLessThanOrEqual(101);
    expect(few.resolution).toBeGreaterThanOrEqual(864);
    history.close();
  });

  it("puts a damaged file aside, says so and begins anew", () => {
    fs.writeFileSync(file, "this is no database, and long enough to look like one".repeat(100));
    const history = openHistory({ file, now: () => START });
    expect(history.setAside).toContain("history.db.damaged-2026-01-10");
    expect(fs.readFileSync(history.setAside, "utf8")).toContain("no database");
    history.add({ node: 1, at: START, values: { memoryFree: 5 } });
    expect(history.read(1, 0, START, 10).points).toHaveLength(1);
    history.close();
    const again = openHistory({ file, now: () => START });
    expect([again.setAside, again.read(1, 0, START, 10).points.length]).toEqual(["", 1]);
    again.close();
  });

  it("notices a file that was damaged in the middle", () => {
    const history = openHistory({ file, now: () => START });
    for (let i = 0; i < 20_000; i++) history.add({ node: i % 20, at: START + i, values: { memoryFree: i } });
    history.close();
    const bytes = fs.readFileSync(file);
    bytes.fill(0x5a, 8192, bytes.length - 4096);
    fs.writeFileSync(file, bytes);
    const again = openHistory({ file, now: () => START });
    expect(again.setAside).not.toBe("");
    again.close();
  });

  it("takes back what a wrong clock wrote", () => {
    let now = START;
    const history = openHistory({ file, now: () => now });
    history.add({ node: 1, at: now, values: { memoryFree: 1 } });
    now += 400 * 24 * HOUR;
    history.add({ node: 1, at: now, values: { memoryFree: 2 } });
    history.event({ at: now, kind: "note", node: 0, text: "from the future" });
    now = START + MINUTE;
    history.dropFuture();
    expect(history.read(1, 0, now + 1000 * 24 * HOUR, 100).points).toEqual([expect.arrayContaining([START, 1])]);
    expect(history.events(10)).toEqual([]);
    history.close();
  });

  it("survives kill -9 with all but the last second", async () => {
    const script = `
      const { openHistory } = require(${JSON.stringify(path.resolve(__dirname, "../../host-tools/dashboard/history.ts"))});
      const history = openHistory({ file: ${JSON.stringify(file)}, now: Date.now });
      for (let i = 0; i < 500; i++) history.add({ node: 3, at: ${START} + i * 1000, values: { memoryFree: i } });
      history.flush();
      for (let i = 500; i < 600; i++) history.add({ node: 3, at: ${START} + i * 1000, values: { memoryFree: i } });
      console.log("ready");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["-r", "tsx/cjs", "-e", script], { cwd: path.resolve(__dirname, "../..") });
    await new Promise<void>((resolve, reject) => {
      child.stdout.on("data", () => resolve());
      child.on("close", () => reject(new Error("ended by itself")));
    });
    const ended = new Promise((resolve) => child.on("close", resolve));
    child.kill("SIGKILL");
    await ended;
    const history = openHistory({ file, now: () => START + HOUR });
    expect(history.setAside).toBe("");
    expect(history.read(3, START, START + HOUR, 2000).points).toHaveLength(500);
    history.close();
  }, 60_000);
});

describe("rates and clocks", () => {
  it("makes no rate of a counter that began anew", () => {
    expect(rate(100, 160, MINUTE)).toBe(60);
    expect(rate(100, 20, MINUTE)).toBeNull();
    expect(rate(undefined, 20, MINUTE)).toBeNull();
  });

  it("tells a jump from drift", () => {
    let wall = START;
    let steady = 5;
    const clock = watchClock({ now: () => wall, monotonic: () => steady });
    for (let i = 0; i < 100; i++) {
      wall += 1010;
      steady += 1000;
      expect(clock.look()).toBe(0);
    }
    wall += HOUR;
    expect(clock.look()).toBe(HOUR);
    expect(clock.look()).toBe(0);
    wall -= 2 * HOUR;
    expect(clock.look()).toBe(-2 * HOUR);
  });
});
