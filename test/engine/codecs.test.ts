/** Codecs, natives and flash regions: an interpreter has to come to what Node.js comes to, and to the shared vectors. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { crc32 } from "node:zlib";
import { MARK } from "../../firmware/ota/layout";
import { bundle } from "../../host-tools/build/bundle";
import { packPayload } from "../../host-tools/build/pack";
import { memoryRegion } from "../../host-tools/device/memory-region";
import { decompress } from "../../host-tools/simulator/chip/heatshrink";
import {
  bitmapWork,
  deltaWork,
  type Natives,
  nativeWork,
  packageWork,
  regionWork,
  statusWork,
  telemetryWork,
} from "./fixtures/codec-work";
import { flashFor, imageOf, type Interpreter, interpreter, wifiShim } from "./nodes";
import { describeEngine, runScript } from "./support";

const PAGE = 4096;

const natives: Natives = {
  sha256(data) {
    const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    return new Uint8Array(createHash("sha256").update(bytes).digest()).buffer;
  },
  digest: (bytes) => createHash("sha256").update(Buffer.from(bytes, "latin1")).digest().toString("latin1"),
  crc32: (bytes) => crc32(Buffer.from(bytes, "latin1")),
  unshrink: (bytes) => decompress(Buffer.from(bytes, "latin1")).toString("latin1"),
  toBase64: (bytes) => Buffer.from(bytes, "latin1").toString("base64"),
  fromBase64: (text) => Buffer.from(text, "base64").toString("latin1"),
};

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function vectors(name: string): string[] {
  const text = readFileSync(path.join(__dirname, `../vectors/${name}.txt`), "utf8");
  return text.split("\n").filter((line) => line && !line.startsWith("#"));
}

/** Frames of the recordings with their placeholders filled in, and some that are none. */
function frames(): string[] {
  const recorded = ["access-point", "station", "time", "ota"]
    .flatMap((name) => vectors(`painlessmesh-${name}`))
    .map((line) => /^\s*[\d.]+ [<>] (.*)$/.exec(line)?.[1])
    .filter((text) => text !== undefined)
    .flatMap((text) => text.split("\\0"))
    .map((text) => text.replaceAll("$now", "4294967295").replaceAll("$later", "700").replaceAll("$t0", "12"))
    .filter((text) => text && !/[^\x20-\x7e]/.test(text));
  const broken = [
    '{"type":8',
    '{"type":-1,"from":1}',
    '{"type":8,"from":1,"routing":3}',
    "[]",
    `${'{"a":'.repeat(70)}1`,
  ];
  return [...new Set(recorded), ...broken];
}

describeEngine("codecs in the interpreter", () => {
  let real: Interpreter;
  let flash: Buffer;

  beforeAll(async () => {
    real = interpreter();
    const options = { role: "node", board: "esp32-devkitc", version: "1.0.0" };
    const { code } = await bundle({ app: null, entry: "test/engine/fixtures/codecs.ts", ...options });
    const shim = wifiShim({ mac: "24:0a:c4:a0:07:01" }, 60_000);
    flash = await flashFor(real, shim, {} as never, { code, image: imageOf(code, "1.0.0", "raw") });
  });

  /** What the calls return, and the flash after them. */
  function work(calls: string[][]): { results: unknown[]; flash: Buffer } {
    const lines = calls.map((call) => `print("@"+work(${call.map((text) => JSON.stringify(text)).join()}));`);
    const run = runScript(`${lines.join("\n")}\nsetTimeout(quit,0);`, { flash });
    const results = run.stdout.split("\n").filter((line) => line.startsWith("@"));
    if (results.length !== calls.length) throw new Error(run.stdout);
    return { results: results.map((line) => JSON.parse(line.slice(1)) as unknown), flash: run.flash! };
  }

  it("telemetry frames agree with the vectors in both directions", () => {
    const pairs = vectors("telemetry").map((line) => line.split(" ") as [string, string]);
    const { results } = work(pairs.map(([frame, json]) => ["telemetry", frame, json]));
    expect(results).toEqual(pairs.map(([frame, json]) => [frame, JSON.parse(json), null]));
    expect(results).toEqual(pairs.map(([frame, json]) => plain(telemetryWork(natives, frame, json))));
  });

  it("deltas of telemetry agree with the vectors in both directions", () => {
    const rows = vectors("telemetry-delta").map((line) => line.split(" ") as [string, string, string]);
    const truths = `[${rows.map((row) => row[1]).join()}]`;
    const { results } = work([["delta", truths]]);
    expect(results[0]).toEqual([...rows.map(([frame, , told]) => [frame, JSON.parse(told)]), 1]);
    expect(results[0]).toEqual(plain(deltaWork(natives, truths)));
  });

  it("status packages are written and read as on Node.js", () => {
    const list = vectors("telemetry-delta").map((line) => line.split(" ")[1]!);
    const { results } = work(list.map((truth) => ["status", truth]));
    expect(results).toEqual(list.map((truth) => plain(statusWork(truth))));
  });

  it("painlessMesh packages of the recordings are read, routed and written as on Node.js", () => {
    const list = frames();
    expect(list.length).toBeGreaterThan(40);
    const results: unknown[] = [];
    // A script lies in RAM while it runs.
    for (let at = 0; at < list.length; at += 20) {
      results.push(...work(list.slice(at, at + 20).map((text) => ["package", text])).results);
    }
    expect(results).toEqual(list.map((text) => plain(packageWork(text))));
  });

  it("bitmaps, hex, little-endian numbers, SHA-256, CRC-32, base64 and heatshrink", () => {
    const text = Buffer.from("function(a,b){return a+b}".repeat(200));
    const shrunk = packPayload(text, "heatshrink", 1016).chunks[0]!.toString("base64");
    const { results } = work([["bitmap"], ["native", shrunk]]);
    expect(results[0]).toEqual(plain(bitmapWork()));
    expect(results[1]).toEqual(plain(nativeWork(natives, shrunk)));
  });

  it("slots and stage, marked in place in real flash, hold byte for byte what a region in memory holds", () => {
    const [slotAt, slotPages] = real.board.regions.slot1!;
    const [stageAt, stagePages] = real.board.regions.stage!;
    const slot = memoryRegion(slotPages);
    const stage = memoryRegion(stagePages);
    const expected = plain(regionWork(natives, slot, stage));
    const done = work([["region"]]);
    expect(done.results[0]).toEqual(expected);
    const base = done.flash.indexOf(Buffer.from(`espalier${MARK}`, "latin1")) - 4 + 32;
    const part = (at: number, pages: number): Buffer =>
      done.flash.subarray(base + at * PAGE, base + (at + pages) * PAGE);
    expect(part(slotAt, slotPages).equals(slot.data)).toBe(true);
    expect(part(stageAt, stagePages).equals(stage.data)).toBe(true);
  });
});
