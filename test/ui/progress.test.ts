import { createProgress } from "../../host-tools/ui/progress";
import { createRate, formatAmount, formatDuration } from "../../host-tools/ui/rate";
import { createRecorder } from "./support";

describe("rate", () => {
  it("follows the clock that it was handed", () => {
    let time = 1000;
    const rate = createRate(() => time);
    expect(rate.perSecond()).toBe(0);
    expect(rate.secondsLeft(100)).toBeNull();
    for (let second = 1; second <= 5; second++) {
      time += 1000;
      rate.reached(second * 20);
    }
    expect(rate.perSecond()).toBeCloseTo(20);
    expect(rate.secondsLeft(200)).toBeCloseTo(5);
  });

  it("forgets what lies before its window", () => {
    let time = 0;
    const rate = createRate(() => time, 10_000);
    for (let second = 1; second <= 60; second++) {
      time += 1000;
      rate.reached(second <= 30 ? second * 100 : 3000 + (second - 30));
    }
    expect(rate.perSecond()).toBeCloseTo(1, 1);
  });

  it("sinks while nothing arrives", () => {
    let time = 0;
    const rate = createRate(() => time);
    time = 1000;
    rate.reached(100);
    time = 10_000;
    expect(rate.perSecond()).toBeCloseTo(10);
  });

  it.each([
    [0, "0 s"],
    [3.2, "4 s"],
    [59.5, "1:00"],
    [185, "3:05"],
    [7209, "2:00:09"],
  ])("%d seconds", (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it.each([
    [0, "B", "0 B"],
    [1023, "B", "1023 B"],
    [1536, "B", "1.5 KB"],
    [60 * 1024, "B", "60 KB"],
    [3.2 * 1024 * 1024, "B", "3.2 MB"],
    [3.14, "chunks", "3.1 chunks"],
  ])("%d %s", (value, unit, text) => expect(formatAmount(value, unit)).toBe(text));
});

describe("progress beside a terminal", () => {
  it("writes at most one line a bar for 10 %, and one at the end", () => {
    const stream = createRecorder(false);
    let time = 0;
    const progress = createProgress({ stream, now: () => time, unit: "chunks", env: {} });
    const bar = progress.bar("a1", 1000);
    for (let chunk = 1; chunk <= 1000; chunk++) {
      time += 10;
      bar.update(chunk);
    }
    bar.done("verified");
    progress.stop();
    const lines = stream.text.trimEnd().split("\n");
    expect(lines).toHaveLength(10);
    expect(lines[3]).toBe("a1 40 %  400/1000 chunks  100 chunks/s  6 s left");
    expect(lines[9]).toBe("a1 100 %  1000/1000 chunks  verified");
    expect(stream.text).not.toContain("\x1b");
  });

  it("keeps bars apart and says why one failed", () => {
    const stream = createRecorder(false);
    const progress = createProgress({ stream, now: () => 0, unit: "chunks", env: {} });
    const first = progress.bar("a1", 10);
    const second = progress.bar("b2", 10);
    first.update(5);
    second.update(1);
    first.fail("out of reach");
    first.update(9);
    expect(stream.text.trimEnd().split("\n")).toEqual([
      "a1 50 %  5/10 chunks  0 chunks/s",
      "b2 10 %  1/10 chunks  0 chunks/s",
      "a1 50 %  5/10 chunks  out of reach",
    ]);
  });

  it("writes nothing when silent", () => {
    const stream = createRecorder(true);
    const progress = createProgress({ stream, silent: true, env: {} });
    progress.bar("a1", 10).done();
    progress.log("line");
    progress.stop();
    expect(stream.text).toBe("");
  });
});

describe("progress on a terminal", () => {
  it("draws a line a bar, without colours under NO_COLOR, and restores the cursor", () => {
    const stream = createRecorder(true);
    const progress = createProgress({ stream, now: () => 0, env: { NO_COLOR: "1" } });
    progress.bar("a1", 2048).update(1024);
    progress.bar("b2", 2048).done("verified");
    progress.stop();
    expect(stream.text).toMatch(/a1 +█{12}░{12} +50 % {2}1\.0 KB|a1 +█{12}░{12} +50 % {2}1 KB/);
    expect(stream.text).toMatch(/b2 +█{24} 100 % {2}2 KB\/2 KB {2}verified/);
    expect(stream.text).not.toMatch(/\x1b\[3\dm/);
    expect(stream.text.lastIndexOf("\x1b[?25h")).toBeGreaterThan(stream.text.lastIndexOf("\x1b[?25l"));
    expect(stream.text).toContain("\x1b[?25l");
  });

  it("draws at the latest when the caller keeps the event loop busy", () => {
    const stream = createRecorder(true);
    const progress = createProgress({ stream, now: () => 0, env: { NO_COLOR: "1" } });
    const bar = progress.bar("a1", 100);
    bar.update(50);
    expect(stream.text).toContain("50 %");
    progress.stop();
  });

  it("gathers bars beyond the screen in a last line", () => {
    const stream = createRecorder(true, 8);
    const progress = createProgress({ stream, now: () => 0, unit: "chunks", env: { NO_COLOR: "1" } });
    const bars = Array.from({ length: 20 }, (_, i) => progress.bar(`node${i}`, 10));
    bars.forEach((bar) => bar.update(5));
    bars[19]?.fail("lost");
    progress.stop();
    expect(stream.text).toContain("node3 ");
    expect(stream.text).not.toContain("node4 ");
    expect(stream.text).toMatch(/16 more +█+░+ +50 % {2}80\/160 chunks.*1 failed/);
  });
});
