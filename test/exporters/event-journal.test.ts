import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import { openEventJournal } from "../../host-tools/exporters/event-journal";
import { createMemoryEvents, type EventStore, eventBytes } from "../../host-tools/exporters/event-store";
import { createOutbox } from "../../host-tools/exporters/outbox";

describe("events on disk", () => {
  let directory: string;
  let store: EventStore | null = null;
  const file = (): string => path.join(directory, "events.jsonl");

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-journal-"));
  });
  afterEach(() => {
    store?.close();
    store = null;
    fs.rmSync(directory, { recursive: true, force: true });
  });

  function open(quotaBytes = 100_000, memoryBytes = 10_000): EventStore {
    store?.close();
    store = openEventJournal({ directory, quotaBytes, memoryBytes });
    return store;
  }
  const payloads = (): string[] => store!.pending().map((number) => store!.read(number)!.payload);

  it("outlive the process, in order, without what was delivered", () => {
    open();
    const numbers = ["a", "b", "c", "d"].map((payload) => store!.add({ topic: "t", payload }));
    store!.remove(numbers[1]!);
    open();
    expect(payloads()).toEqual(["a", "c", "d"]);
    store!.add({ topic: "t", payload: "e" });
    open();
    expect(payloads()).toEqual(["a", "c", "d", "e"]);
  });

  it("leave no file behind that grows when all is delivered", () => {
    open();
    for (let i = 0; i < 100; i++) store!.remove(store!.add({ topic: "t", payload: "x".repeat(100) }));
    expect(fs.statSync(file()).size).toBe(0);
  });

  it("keep the newest within the quota, and count what they push out", () => {
    open(20_000);
    for (let i = 0; i < 400; i++) {
      store!.add({ topic: "t", payload: `${i}-${"x".repeat(80)}` });
      expect(fs.statSync(file()).size).toBeLessThanOrEqual(20_000);
    }
    const kept = payloads();
    expect(kept.length).toBeGreaterThan(100);
    expect(kept.at(-1)).toMatch(/^399-/);
    // Nothing between the oldest kept and the newest is missing.
    expect(Number.parseInt(kept[0]!, 10)).toBe(400 - kept.length);
    expect(store!.dropped).toBe(400 - kept.length);
  });

  it.each([
    ["half a line", '{"n":99,"topic":"t","pay'],
    ["garbage", "\u0000\u0001\n"],
    ["other JSON", '{"n":"x"}\n[]\nnull\n'],
  ])("survive %s at the end", (_, tail) => {
    open();
    store!.add({ topic: "t", payload: "kept" });
    store!.close();
    store = null;
    fs.appendFileSync(file(), tail);
    open();
    expect(payloads()).toEqual(["kept"]);
    store!.add({ topic: "t", payload: "more" });
    open();
    expect(payloads()).toEqual(["kept", "more"]);
  });

  it("go to memory while the disk refuses, and say so", () => {
    let full = false;
    store = openEventJournal({
      directory,
      quotaBytes: 100_000,
      memoryBytes: 2000,
      append(descriptor, text) {
        // A disk that fills up takes a part of what is written.
        fs.writeSync(descriptor, full ? text.slice(0, 10) : text);
        if (full) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      },
    });
    store.add({ topic: "t", payload: "before" });
    full = true;
    store.add({ topic: "t", payload: "first" });
    expect(store.fault).toContain("ENOSPC");
    for (let i = 0; i < 100; i++) store.add({ topic: "t", payload: "x".repeat(100) });
    expect(store.dropped).toBeGreaterThan(80);
    expect(store.size).toBeGreaterThan(5);
    full = false;
    const before = store!.size;
    store!.add({ topic: "t", payload: "again" });
    expect(store!.fault).toBe("");
    expect(store!.size).toBe(before + 1);
    expect(payloads().at(-1)).toBe("again");
    expect(payloads()[0]).toBe("before");
    for (const number of store!.pending()) store!.remove(number);
    expect(store!.size).toBe(0);
  });

  it("are one bridge's alone, unless that one is dead", () => {
    open();
    expect(() => openEventJournal({ directory, quotaBytes: 1000, memoryBytes: 1000 })).toThrow(
      expect.objectContaining({ code: "BUFFER_IN_USE" }),
    );
    store!.close();
    store = null;
    // No process has this number: it is above what Linux gives out.
    fs.writeFileSync(path.join(directory, "lock"), "99999999\n");
    open();
    expect(payloads()).toEqual([]);
  });

  it("cannot lie where a file is", () => {
    const taken = path.join(directory, "file");
    fs.writeFileSync(taken, "");
    expect(() => openEventJournal({ directory: taken, quotaBytes: 1000, memoryBytes: 1000 })).toThrow(
      expect.objectContaining({ code: "BUFFER_UNUSABLE" }),
    );
  });
});

describe("events in memory", () => {
  it("never exceed their quota, keep the newest, and count the rest", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 200 }), fc.integer({ min: 100, max: 3000 }), (sizes, quota) => {
        const store = createMemoryEvents(quota);
        const events = sizes.map((size) => ({ topic: "t", payload: "x".repeat(size) }));
        for (const event of events) store.add(event);
        const kept = store.pending().map((number) => store.read(number)!);
        expect(kept.reduce((sum, event) => sum + eventBytes(event), 0)).toBeLessThanOrEqual(quota);
        expect(kept.length + store.dropped).toBe(events.length);
        const fitting = events.filter((event) => eventBytes(event) <= quota);
        expect(kept).toEqual(kept.length ? fitting.slice(-kept.length) : []);
      }),
      { numRuns: 100 },
    );
  });
});

describe("the outbox", () => {
  it("sends events before states, and of a state the newest", () => {
    const outbox = createOutbox(createMemoryEvents(10_000));
    outbox.state("s", "1");
    outbox.state("s", "2");
    outbox.event("e", "x");
    expect(outbox.take()).toMatchObject({ topic: "e", payload: "x", retain: false, qos: 1 });
    expect(outbox.take()).toMatchObject({ topic: "s", payload: "2", retain: true });
    expect(outbox.take()).toBeNull();
  });

  it("has one message on a topic under way, and then the newest", () => {
    const outbox = createOutbox(createMemoryEvents(10_000));
    outbox.state("s", "1");
    const first = outbox.take()!;
    outbox.state("s", "2");
    outbox.state("s", "3");
    expect(outbox.take()).toBeNull();
    outbox.delivered(first);
    expect(outbox.take()).toMatchObject({ payload: "3" });
  });

  it("does not say again what was delivered, except to a broker that may have forgotten it", () => {
    const outbox = createOutbox(createMemoryEvents(10_000));
    outbox.state("s", "1");
    outbox.delivered(outbox.take()!);
    outbox.state("s", "1");
    expect(outbox.take()).toBeNull();
    outbox.reconnected();
    expect(outbox.take()).toMatchObject({ payload: "1" });
  });

  /** Plays a broker that acknowledges, breaks off, or acknowledges late, at will. */
  it("delivers every event at least once and in order, and ends with the newest states", () => {
    const step = fc.constantFrom("event", "state", "take", "ack", "break", "late");
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const outbox = createOutbox(createMemoryEvents(1_000_000));
        const wanted: string[] = [];
        const got: string[] = [];
        let newest = "";
        let broker: Record<string, string> = {};
        let flying: NonNullable<ReturnType<typeof outbox.take>>[] = [];
        const arrive = (letter: (typeof flying)[number]): void => {
          if (letter.retain) broker[letter.topic] = letter.payload;
          else if (!got.includes(letter.payload)) got.push(letter.payload);
          outbox.delivered(letter);
        };
        const play = (what: string, i: number): void => {
          if (what === "event") {
            wanted.push(`e${i}`);
            outbox.event("e", `e${i}`);
          } else if (what === "state") outbox.state("s", (newest = `s${i}`));
          else if (what === "take") {
            const letter = outbox.take();
            if (letter) flying.push(letter);
          } else if (what === "ack" && flying.length) arrive(flying.shift()!);
          else if (what === "break" || what === "late") {
            const old = flying;
            flying = [];
            broker = {};
            // The broker had the first of them, and its word came when the connection was another.
            if (what === "late" && old.length)
              got.push(...(old[0]!.retain || got.includes(old[0]!.payload) ? [] : [old[0]!.payload]));
            for (const letter of old.reverse()) outbox.lost(letter);
            outbox.reconnected();
          }
        };
        steps.forEach(play);
        for (let i = 0; i < 1000 && (flying.length || outbox.waiting.events || outbox.waiting.states); i++)
          play(i % 2 ? "ack" : "take", -1);
        expect(got).toEqual(wanted);
        expect(broker.s ?? "").toBe(newest);
      }),
      { numRuns: 300 },
    );
  });
});
