import fc from "fast-check";
import { Link, MAX_FRAME, WRITE_WINDOW } from "../../firmware/mesh/link";
import type { LinkOwner } from "../../firmware/mesh/link";

function setup(queueLimit = 4096) {
  const frames: string[] = [];
  const written: string[] = [];
  const stats = { rx: 0, tx: 0, forwarded: 0, bytes: 0, dropped: 0, queueDrops: 0, malformed: 0, refused: 0 };
  let closes = 0;
  const owner: LinkOwner = {
    stats,
    queueLimit,
    waiting: 0,
    opened: () => undefined,
    engine: { now: () => 7 },
    wake: () => held || take(),
    serve: () => void one(),
    closed: () => void closes++,
  };
  let held = false;
  const one = (): void => {
    frames.push(link.take());
    expect(link.arrived).toBe(7);
  };
  const take = (): void => {
    while (link.inbox.length) one();
  };
  const link: Link = new Link(owner, { write: (bytes) => void written.push(bytes), close: () => undefined });
  /** Leaves frames where they wait. */
  const hold = (): void => void (held = true);
  return { link, owner, frames, written, stats, take, hold, closes: () => closes };
}

/** Cuts a string at random places. */
const cut = (text: string, places: number[]): string[] => {
  const at = [...new Set(places.map((p) => p % (text.length + 1)))].sort((a, b) => a - b);
  return [...at, text.length].map((end, i) => text.slice(i ? at[i - 1]! : 0, end));
};

const bytes = fc.array(fc.integer({ min: 1, max: 255 }), { maxLength: 300 }).map((a) => String.fromCharCode(...a));

test("frames arrive whole however the stream is cut, empty ones are skipped", () => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 12 }), fc.array(fc.nat(4000), { maxLength: 40 }), (wanted, places) => {
      const { link, frames } = setup();
      for (const piece of cut(wanted.map((f) => f + "\0").join(""), places)) link.data(piece);
      expect(frames).toEqual(wanted.filter((f) => f));
    }),
  );
});

test("a frame over the limit is dropped once, the next one is read", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: MAX_FRAME - 2, max: MAX_FRAME * 3 }),
      fc.array(fc.nat(30000), { maxLength: 60 }),
      (length, places) => {
        const { link, frames, stats } = setup();
        for (const piece of cut("a\0" + "x".repeat(length) + "\0b\0", places)) link.data(piece);
        expect(frames.map((f) => f.length)).toEqual(length > MAX_FRAME ? [1, 1] : [1, length, 1]);
        expect(stats.malformed).toBe(length > MAX_FRAME ? 1 : 0);
      },
    ),
    { numRuns: 30 },
  );
});

test("a truncated frame waits and is forgotten with the connection", () => {
  const { link, frames, closes } = setup();
  link.data("half");
  link.close();
  link.data(" of it\0");
  link.close();
  expect(frames).toEqual([]);
  expect(closes()).toBe(1);
});

test("a frame may close the link that it came by", () => {
  const { link, owner, frames } = setup();
  owner.wake = () => {
    frames.push(link.take());
    link.close(true);
  };
  link.data("one\0two\0thr");
  expect([link.ended, frames, link.inbox]).toEqual([true, ["one"], []]);
});

test("no more than the window is handed to the engine, and what is sent is the concatenation of whole frames", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 900 }), fc.nat(3)), { maxLength: 30 }), (pushes) => {
      const { link, written } = setup(1e6);
      let flying = 0;
      const peer = setup();
      const drain = (): void => {
        const sum = written.reduce((n, w) => n + w.length, 0);
        expect(sum - flying).toBeLessThanOrEqual(WRITE_WINDOW);
        flying = sum;
        link.drain();
      };
      pushes.forEach(([size, priority], i) => {
        expect(link.push(priority + ":" + i + "x".repeat(size), priority, 0)).toBe(true);
        if (i % 7 === 6) drain();
      });
      for (let i = 0; i < 40; i++) drain();
      for (const w of written) peer.link.data(w);
      expect([...peer.frames].sort()).toEqual(
        pushes.map(([size, priority], i) => priority + ":" + i + "x".repeat(size)).sort(),
      );
    }),
  );
});

test("what waits goes by importance, in order within one level, and a begun frame is finished first", () => {
  const { link, written } = setup();
  const big = "B".repeat(3000);
  link.push(big, 3, 0);
  link.push("low", 3, 0);
  link.push("normal 1", 2, 0);
  link.push("high", 1, 0);
  link.push("normal 2", 2, 0);
  link.push("critical", 0, 0);
  for (let i = 0; i < 5; i++) link.drain();
  expect(written.join("").split("\0")).toEqual([big, "critical", "high", "normal 1", "normal 2", "low", ""]);
});

test("a full queue gives up the least important, counts it, and never grows over its limit", () => {
  const { link, stats, written } = setup(1000);
  // Fills the window, so that everything after waits.
  link.push("w".repeat(2047), 0, 2000);
  for (let i = 0; i < 4; i++) expect(link.push(i + "n".repeat(198), 2, 0)).toBe(true);
  expect(link.push("l".repeat(199), 3, 0)).toBe(true);
  // No room, and nothing less important waits.
  expect(link.push("more", 3, 0)).toBe(false);
  expect(stats.queueDrops).toBe(1);
  // The low one goes first, then the latest normal ones.
  expect(link.push("h".repeat(399), 1, 0)).toBe(true);
  expect(stats.queueDrops).toBe(3);
  // What cannot fit even then drops nobody.
  expect(link.push("x".repeat(2000), 0, 0)).toBe(false);
  expect(stats.queueDrops).toBe(4);
  // Control traffic has room of its own.
  expect(link.push("sync", 1, 4096)).toBe(true);
  for (let i = 0; i < 5; i++) link.drain();
  const sent = written
    .join("")
    .split("\0")
    .map((f) => f[0] ?? "");
  expect(sent).toEqual(["w", "h", "s", "0", "1", "2", ""]);
});

test("when too many frames wait, the oldest are handled before more is read", () => {
  const { link, owner, frames, take, hold } = setup();
  hold();
  for (let i = 0; i < 200; i++) {
    link.data(`${i}`.padEnd(99) + "\0");
    expect(owner.waiting).toBeLessThanOrEqual(6144);
  }
  expect(frames.length).toBeGreaterThan(130);
  expect(owner.waiting).toBeGreaterThan(5000);
  take();
  expect(frames.map((f) => parseInt(f))).toEqual(Array.from({ length: 200 }, (_, i) => i));
  link.data("x".repeat(MAX_FRAME) + "\0");
  expect(frames.length).toBe(201);
  expect(owner.waiting).toBe(0);
});

test("frames that wait are forgotten with the connection", () => {
  const { link, owner, hold } = setup();
  hold();
  link.data("one\0two\0thr");
  link.close();
  expect([link.inbox, owner.waiting]).toEqual([[], 0]);
});
