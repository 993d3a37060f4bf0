/** Deltas of telemetry: every value that is told is within its dead-band of the truth, whatever is lost on the way. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { createFrameReader } from "../../firmware/status/telemetry-receiver";
import { hex, unhex } from "../../firmware/wire/bytes";
import { DELTA_FIRST, type Telemetry, telemetryDeltas, telemetryFields } from "../../firmware/wire/telemetry";
import { DELTA_STATE, encodeFrame, readNumbers, unzigzag } from "../../firmware/wire/telemetry-delta";
import { Random } from "../../host-tools/simulator/random";
import { Trace } from "../../host-tools/simulator/status-traces";

const crc = (bytes: string): number => crc32(Buffer.from(bytes, "latin1"));
/** A frame as a node sends it: what gives way to a key frame is asked for once more. */
const frameOf = (state: Float64Array, t: Telemetry): string =>
  encodeFrame(state, t, crc, telemetryFields(), telemetryDeltas()) ||
  encodeFrame(state, t, crc, telemetryFields(), telemetryDeltas());
const NAMES = telemetryFields().map((field) => field.slice(1) as keyof Telemetry);
const BANDS = Object.fromEntries(
  telemetryDeltas().map((text, i) => [NAMES[DELTA_FIRST + i]!, Number(text.slice(1).split(":")[0])]),
) as Record<keyof Telemetry, number | undefined>;
const RANGES: Record<string, [number, number]> = {
  B: [0, 255],
  H: [0, 65535],
  I: [0, 4294967295],
  b: [-128, 127],
};

/** Fields of `told` that are farther from the truth than they may be. */
function wrong(told: Telemetry, truth: Telemetry): string[] {
  return NAMES.filter((name) => !(Math.abs(told[name] - truth[name]) <= (BANDS[name] ?? 0))).map(
    (name) => `${name}: ${told[name]} for ${truth[name]}`,
  );
}

/** Frames of any values at all, of one node that goes forward in time. */
const histories = fc
  .record({
    first: fc.tuple(
      ...telemetryFields().map((field) => fc.integer({ min: RANGES[field[0]!]![0], max: RANGES[field[0]!]![1] })),
    ),
    steps: fc.array(
      fc.record({
        seconds: fc.integer({ min: 0, max: 200 }),
        changes: fc.array(
          fc.tuple(
            fc.integer({ min: DELTA_FIRST, max: NAMES.length - 1 }),
            fc.oneof(fc.integer({ min: -40, max: 40 }), fc.integer({ min: -(2 ** 32), max: 2 ** 32 })),
          ),
          { maxLength: 5 },
        ),
        lost: fc.boolean(),
      }),
      { maxLength: 40 },
    ),
  })
  .map(({ first, steps }) => {
    const t = Object.fromEntries(NAMES.map((name, i) => [name, first[i]!])) as unknown as Telemetry;
    Object.assign(t, { magic: 0xe1, node: t.node || 1, uptime: t.uptime % 1e9, interval: 12 });
    const frames: { t: Telemetry; lost: boolean }[] = [{ t, lost: false }];
    for (const { seconds, changes, lost } of steps) {
      const next = { ...frames.at(-1)!.t };
      next.sequence = (next.sequence + 1) & 65535;
      next.uptime += seconds;
      for (const [at, by] of changes) {
        const [least, most] = RANGES[telemetryFields()[at]![0]!]!;
        next[NAMES[at]!] = Math.min(most, Math.max(least, next[NAMES[at]!] + by));
      }
      frames.push({ t: next, lost });
    }
    return frames;
  });

test("any values, any losses: what is told is within its dead-band of the truth", () => {
  let told = 0;
  fc.assert(
    fc.property(histories, (frames) => {
      const state = new Float64Array(DELTA_STATE);
      let asked = false;
      let askedAt = -Infinity;
      let received: Telemetry[] = [];
      const reader = createFrameReader(
        crc,
        (t) => void received.push(t),
        () => void (asked = true),
      );
      for (const { t, lost } of frames) {
        if (asked) state[0] = 0;
        asked = false;
        const frame = frameOf(state, t);
        if (lost) continue;
        received = [];
        reader.take(frame, 1e6 + t.uptime * 1000);
        told += received.length;
        for (const one of received) expect(wrong(one, t)).toEqual([]);
        if (asked) askedAt = t.uptime;
        // Nobody is asked twice within ten seconds.
        expect(received.length > 0 || t.uptime - askedAt < 10 || t === frames[0]!.t).toBe(true);
      }
      expect(reader.malformed()).toBe(0);
    }),
    { numRuns: 400 },
  );
  expect(told).toBeGreaterThan(1000);
});

describe("a realistic day", () => {
  /** Plays hours of a trace; frames that the reader gives, with the truth. */
  function play(hours: number, lost: (n: number) => boolean, delayed = 0) {
    const trace = new Trace(
      { id: 77, parent: 5, hops: 2, root: false, children: 1, nodes: 10, interval: 60, battery: true },
      new Random(9),
      0,
    );
    const state = new Float64Array(DELTA_STATE);
    const seen = { keys: 0, deltas: 0, repeats: 0, bytes: 0, told: 0, asked: 0, wrong: [] as string[] };
    let truth: Telemetry;
    let ask = false;
    const reader = createFrameReader(
      crc,
      (t) => {
        seen.told++;
        seen.wrong.push(...wrong(t, truth));
      },
      () => {
        seen.asked++;
        ask = true;
      },
    );
    for (let n = 0; n < hours * 60; n++) {
      const now = 60 * n + 20;
      truth = { ...trace.at(now) };
      trace.values.sequence = (trace.values.sequence + 1) & 65535;
      if (ask) state[0] = 0;
      ask = false;
      const frame = frameOf(state, truth);
      const first = frame.charCodeAt(0);
      if (first === 64) seen.keys++;
      else if (first & 128) seen.repeats++;
      else seen.deltas++;
      seen.bytes += frame.length;
      if (!lost(n)) reader.take(frame, now * 1000 + delayed);
    }
    return seen;
  }

  test("nothing lost: a frame a minute arrives, few of them key frames", () => {
    const day = play(24, () => false);
    expect(day).toMatchObject({ told: 1440, asked: 0, wrong: [] });
    expect(day.keys).toBeLessThan(40);
    expect(day.repeats).toBeGreaterThan(100);
  });

  test("half of all frames lost, singly or for an hour: nothing wrong, and key frames are asked for", () => {
    const random = new Random(4);
    const singly = play(24, () => random.chance(0.5));
    expect(singly.wrong).toEqual([]);
    expect(singly.asked).toBeGreaterThan(0);
    expect(singly.told).toBeGreaterThan(550);
    const hours = play(24, (n) => Math.floor(n / 60) % 2 === 1);
    expect(hours.wrong).toEqual([]);
    expect(hours.told).toBeGreaterThan(650);
  });

  test("frames that come late are as good", () => {
    expect(play(6, () => false, 15_000)).toMatchObject({ told: 360, wrong: [] });
  });
});

const base = (): Telemetry =>
  ({
    ...(Object.fromEntries(NAMES.map((name) => [name, 0])) as unknown as Telemetry),
    ...{ magic: 0xe1, node: 9, sequence: 500, uptime: 1000, memoryFree: 2000, rssi: -60, latency: 20, interval: 12 },
  }) as Telemetry;

function sender() {
  const state = new Float64Array(DELTA_STATE);
  let t = base();
  return {
    state,
    send(changes: Partial<Telemetry> = {}): string {
      t = { ...t, sequence: (t.sequence + 1) & 65535, uptime: t.uptime + 60, ...changes };
      return frameOf(state, t);
    },
  };
}

test("a frame that says nothing new has nine bytes, one with a field has eleven", () => {
  const { send } = sender();
  expect(send()).toHaveLength(65);
  expect(send()).toHaveLength(9);
  const delta = send({ rssi: -66 });
  expect(hex(delta)).toBe("09" + "09000000" + "f5" + "02" + "00" + "02" + "01");
  expect(hex(send({ rssi: -68 }))).toBe("88" + "09000000" + "f5" + "03" + "02" + "00");
});

test("what is critical is told with every frame", () => {
  const { send } = sender();
  send();
  expect(send({ alerts: 64 }).charCodeAt(0) & 128).toBe(0);
  expect(send().charCodeAt(0) & 128).toBe(0);
  send({ alerts: 0 });
  expect(send().charCodeAt(0) & 128).toBe(128);
  send({ memoryFree: 600 });
  expect(send().charCodeAt(0) & 128).toBe(0);
});

test.each([
  ["a restart", { starts: 3 }],
  ["another version", { patch: 1 }],
  ["a signal that is unknown from now on", { rssi: 0 }],
  ["200 frames", { sequence: 500 + 1 + 201 }],
  ["a clock that went back", { uptime: 5 }],
])("%s takes a key frame", (_, changes) => {
  const { send } = sender();
  send();
  expect(send(changes).charCodeAt(0)).toBe(64);
});

test("a key frame of before a restart is not taken for the new one, though their numbers are the same", () => {
  const asked: number[] = [];
  const told: Telemetry[] = [];
  const reader = createFrameReader(
    crc,
    (t) => void told.push(t),
    (id) => void asked.push(id),
  );
  reader.take(sender().send(), 0);
  const again = sender();
  again.send({ memoryFree: 1500 });
  // Its key frame is lost.
  reader.take(again.send(), 600_000);
  expect(told).toHaveLength(1);
  expect(asked).toEqual([9]);
});

test("a reader does not ask the same node twice in ten seconds, nor many nodes at once", () => {
  const asked: number[] = [];
  const reader = createFrameReader(
    crc,
    () => undefined,
    (id) => void asked.push(id),
  );
  const { send, state } = sender();
  send();
  for (let i = 0; i < 5; i++) reader.take(send(), 1000 + i);
  expect(asked).toEqual([9]);
  reader.take(send(), 12_000);
  expect(asked).toEqual([9, 9]);
  state[0] = 0;
  for (let node = 100; node < 150; node++) {
    const other = sender();
    other.send({ node });
    reader.take(other.send({ node }), 20_000);
  }
  expect(asked.length).toBeLessThan(20);
});

test("numbers: those that have no end, or are too long, are refused", () => {
  expect(readNumbers("\x00\x7f\x80\x01\xff\xff\xff\xff\x1f", 0)).toEqual([0, 127, 128, 8589934591]);
  expect([0, 1, 2, 3, 8589934591].map(unzigzag)).toEqual([0, -1, 1, -2, -4294967296]);
  expect(readNumbers("\x80", 0)).toBeNull();
  expect(readNumbers("\xff\xff\xff\xff\xff\xff\x01", 0)).toBeNull();
});

test("any bytes at all neither throw nor invent a node", () => {
  const { send } = sender();
  const key = send();
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 200 }), fc.nat(80), (list, at) => {
      const told: Telemetry[] = [];
      const reader = createFrameReader(
        crc,
        (t) => void told.push(t),
        () => undefined,
      );
      reader.take(key, 0);
      const noise = String.fromCharCode(...list);
      reader.take(noise, 60_000);
      reader.take(key.slice(0, at) + noise, 60_000);
      for (const t of told) expect(NAMES.every((name) => Number.isFinite(t[name]))).toBe(true);
      expect(told.every(({ node }) => node === 9)).toBe(true);
    }),
  );
});

test("the vectors hold in both directions", () => {
  const lines = readFileSync(path.join(__dirname, "../vectors/telemetry-delta.txt"), "utf8").split("\n");
  const vectors = lines
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.split(" ") as [string, string, string]);
  expect(vectors.length).toBeGreaterThan(5);
  const state = new Float64Array(DELTA_STATE);
  const told: Telemetry[] = [];
  const reader = createFrameReader(
    crc,
    (t) => void told.push(t),
    () => undefined,
  );
  for (const [frame, truth, values] of vectors) {
    const t = JSON.parse(truth) as Telemetry;
    expect(hex(frameOf(state, t))).toBe(frame);
    reader.take(unhex(frame)!, t.uptime * 1000);
    expect(told.pop()).toEqual(JSON.parse(values));
  }
});
