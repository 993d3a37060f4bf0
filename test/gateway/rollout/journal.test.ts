import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { replay } from "../../../host-tools/gateway/rollout/apply";
import { formatEntry, memoryJournal, openJournal, readEvents } from "../../../host-tools/gateway/rollout/journal";
import { isOver } from "../../../host-tools/gateway/rollout/record";
import { RolloutStore } from "../../../host-tools/gateway/rollout/store";
import { makeImage } from "../../../host-tools/build/image";
import { planRollout, imageFacts } from "../../../host-tools/gateway/rollout/rollout";
import { parsePolicy } from "../../../host-tools/gateway/rollout/policy";
import { FakeFleet, IMAGE } from "./support/fake-fleet";

let folder: string;
let file: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-rollout-"));
  file = path.join(folder, "r", "test.jsonl");
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A whole rollout with everything in it that a journal can hold. */
function recorded(): Buffer {
  const fleet = new FakeFleet(6);
  fleet.nodes[3]!.fault = "refuses";
  fleet.nodes[4]!.fault = "restarts";
  fleet.nodes[5]!.powerOff();
  const journal = memoryJournal();
  const rollout = fleet.laptop(
    {
      waves: [
        { nodes: 1, soak: 60 },
        { nodes: "100 %", errors: 1, approve: true },
      ],
    },
    journal,
  );
  rollout.start();
  fleet.advance(100);
  rollout.pause();
  fleet.advance(30);
  rollout.resume();
  fleet.until(() => rollout.view().state === "waiting-approval", 2000);
  rollout.approve();
  fleet.until(() => isOver(rollout.record()), 4000);
  rollout.retryFailed();
  fleet.until(() => isOver(rollout.record()), 4000);
  return Buffer.from(journal.all.map((event, i) => formatEntry(i + 1, event)).join(""));
}

test("every event survives the way to the disk and back", () => {
  const bytes = recorded();
  const { events, length } = readEvents(bytes, "x");
  expect(length).toBe(bytes.length);
  const kinds = new Set(events.map(({ kind }) => kind));
  for (const kind of [
    "planned",
    "sample",
    "report",
    "paused",
    "asking",
    "approved",
    "failed",
    "undoing",
    "retried",
    "ended",
  ])
    expect(kinds).toContain(kind);
  // Of which the last entry is what it all comes to.
  expect(replay(events).state).toBe("aborted");
  const again = Buffer.from(events.map((event, i) => formatEntry(i + 1, event)).join(""));
  expect(readEvents(again, "x").events).toEqual(events);
  expect(again.length).toBe(bytes.length);
});

test("cut anywhere, a journal is what was written whole, and goes on from there", () => {
  const bytes = recorded();
  const { events } = readEvents(bytes, "x");
  const ends = events.map((event, i) => Buffer.byteLength(formatEntry(i + 1, event)));
  let whole = 0;
  let reached = 0;
  let cuts = 0;
  for (let cut = 0; cut <= bytes.length; cut++) {
    if (whole < events.length && cut >= reached + ends[whole]!) reached += ends[whole++]!;
    // The places around the end of some lines, and some in between.
    if ((cut - reached > 3 || whole % 8 !== 0) && cut % 997 !== 0) continue;
    cuts++;
    const found = readEvents(bytes.subarray(0, cut), "x");
    expect([found.events.length, found.length]).toEqual([whole, reached]);
  }
  expect(cuts).toBeGreaterThan(events.length / 3);

  fs.mkdirSync(path.dirname(file));
  fs.writeFileSync(file, bytes.subarray(0, bytes.length - 7));
  const journal = openJournal(file);
  expect(journal.events).toEqual(events.slice(0, -1));
  journal.append(events.at(-1)!);
  journal.close();
  expect(readEvents(fs.readFileSync(file), "x").events).toEqual(events);
});

test("zeros where blocks never reached the disk are no entries", () => {
  const bytes = recorded();
  expect(readEvents(Buffer.concat([bytes, Buffer.alloc(4096)]), "x").length).toBe(bytes.length);
});

test.each([
  ["a flipped bit in the middle", (text: string) => text.replace('"kind":"started"', '"kind":"sturted"')],
  ["a line that is gone", (text: string) => text.replace(/^(.*\n)(.*\n)/, "$1")],
  ["an unknown field", (text: string) => text.replace('"kind":"started"', '"kind":"started","by":"me"')],
  [
    "a number out of its range",
    (text: string) => text.replace('"kind":"wave-begun","wave":0', '"kind":"wave-begun","wave":-1'),
  ],
])("%s is an error that names the line", (_name, damage) => {
  const bytes = Buffer.from(damage(recorded().toString()));
  expect(() => readEvents(bytes, "j")).toThrow(expect.objectContaining({ code: "JOURNAL_CORRUPT" }));
});

test("a journal that was closed takes nothing more", () => {
  const journal = openJournal(file);
  journal.append({ at: 1, kind: "started" });
  journal.close();
  expect(() => journal.append({ at: 2, kind: "resumed" })).toThrow(expect.objectContaining({ code: "JOURNAL_WRITE" }));
});

describe("the store", () => {
  const image = makeImage({
    code: "print(1)".repeat(400),
    product: "espalier",
    hardware: "ESP32",
    role: "node",
    version: "1.1.0",
    encoding: "raw",
    notes: "Faster.",
  });
  const plan = () => planRollout("one", new FakeFleet(3).facts(), imageFacts(image), parsePolicy({}), 5);

  test("keeps image and journal, and knows what it has", () => {
    const store = new RolloutStore(folder);
    const first = store.create("one", image);
    first.journal.append(plan());
    first.release();
    const again = store.open("one");
    expect(again.image.id).toBe(image.id);
    expect(again.journal.events).toEqual([plan()]);
    expect(store.list()).toMatchObject([{ id: "one", error: "", pid: process.pid, record: { state: "preview" } }]);
    expect(store.freeId("one")).toBe("one-2");
    again.release();
    expect(store.read("one").pid).toBe(0);
    expect(store.read("one").record!.image.notes).toBe("Faster.");
  });

  test("lets one process at a time, and passes wishes on to it", () => {
    const store = new RolloutStore(folder);
    const first = store.create("one", image);
    first.journal.append(plan());
    expect(() => store.open("one")).toThrow(expect.objectContaining({ code: "ROLLOUT_BUSY" }));
    expect(store.wish("one", "pause")).toBe(true);
    fs.appendFileSync(path.join(folder, "one.wishes"), "rm -rf\nabort\n");
    expect(first.takeWishes()).toEqual(["pause", "abort"]);
    expect(first.takeWishes()).toEqual([]);
    first.release();
    expect(store.wish("one", "pause")).toBe(false);
    // A process that died left its lock.
    fs.writeFileSync(path.join(folder, "one.lock"), "999999999");
    store.open("one").release();
  });

  test("refuses another image, a broken one, and names that lead elsewhere", () => {
    const store = new RolloutStore(folder);
    const first = store.create("one", image);
    first.journal.append({ ...plan(), image: IMAGE });
    first.release();
    expect(() => store.open("one")).toThrow(expect.objectContaining({ code: "ROLLOUT_IMAGE" }));
    fs.truncateSync(path.join(folder, "one.image"), 100);
    expect(() => store.open("one")).toThrow(expect.objectContaining({ code: "ROLLOUT_IMAGE" }));
    expect(fs.existsSync(path.join(folder, "one.lock"))).toBe(false);
    expect(() => store.open("../one")).toThrow(expect.objectContaining({ code: "NO_ROLLOUT" }));
    expect(() => store.read("two")).toThrow(expect.objectContaining({ code: "NO_ROLLOUT" }));
    fs.writeFileSync(path.join(folder, "bad.jsonl"), "{}\n{}\n");
    expect(store.list().map(({ id, record }) => [id, record === null])).toEqual([
      ["one", false],
      ["bad", true],
    ]);
  });
});
