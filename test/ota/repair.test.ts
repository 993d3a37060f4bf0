import fc from "fast-check";
import {
  createRepairPlan,
  createRepairReceiver,
  encodeCombination,
  MAX_CHILDREN,
  MAX_DEGREE,
  REPAIR_KEPT,
  REPAIR_RECOVERED,
  REPAIR_REFUSED,
  REPAIR_USELESS,
  REPAIR_WRONG,
  type RepairReceiver,
} from "../../firmware/ota/repair";
import { createXor } from "../../firmware/ota/xor";
import { unionNakFactor } from "../../host-tools/build/choose-encoding";
import { codedRepair, denseRepair, idealFormula, unionRepair } from "../../host-tools/bench/repair";

const CHUNK = 40;
const xor = createXor(CHUNK);

const chunkOf = (index: number): string =>
  Array.from({ length: CHUNK }, (_, i) => String.fromCharCode((index * 89 + i * i * 7 + 3) & 255)).join("");

function bitmap(missing: Iterable<number>, count: number): string {
  const bytes = Buffer.alloc((count + 7) >> 3);
  for (const i of missing) bytes[i >> 3]! |= 1 << (i & 7);
  return bytes.toString("latin1");
}

/** A child: what it has, and a receiver that checks what it recovers. */
function makeChild(count: number, missing: Iterable<number>, keep = 3) {
  const has = new Map<number, string>();
  const gone = new Set(missing);
  for (let i = 0; i < count; i++) if (!gone.has(i)) has.set(i, chunkOf(i));
  const calls: number[] = [];
  const receiver: RepairReceiver = createRepairReceiver(
    {
      has: (index) => has.has(index),
      read: (index) => has.get(index) ?? "",
      recovered: (index, bytes) => {
        calls.push(index);
        if (bytes !== chunkOf(index)) return false;
        has.set(index, bytes);
        gone.delete(index);
        return true;
      },
      xor,
    },
    count,
    CHUNK,
    keep,
  );
  return { has, gone, calls, receiver };
}

const combine = (list: number[]): string => encodeCombination(list, chunkOf, xor);

const missingSets = fc.integer({ min: 1, max: 60 }).chain((count) =>
  fc.record({
    count: fc.constant(count),
    children: fc.array(fc.uniqueArray(fc.nat(count - 1), { maxLength: count }), {
      minLength: 1,
      maxLength: MAX_CHILDREN,
    }),
  }),
);

describe("exclusive or", () => {
  it("is its own inverse, and takes the shorter for filled up with zeros", () => {
    const text = fc
      .uint8Array({ minLength: 1, maxLength: CHUNK })
      .map((bytes) => Buffer.from(bytes).toString("latin1"));
    fc.assert(
      fc.property(text, text, (a, b) => {
        const both = xor(a, b);
        expect(both.length).toBe(Math.max(a.length, b.length));
        expect(xor(both, b).slice(0, a.length)).toBe(a);
        expect(both.charCodeAt(0)).toBe(a.charCodeAt(0) ^ b.charCodeAt(0));
      }),
    );
  });
});

describe("repair plan", () => {
  it("gives each child at most one chunk it misses, somebody one in every combination, and everything once", () => {
    fc.assert(
      fc.property(missingSets, ({ count, children }) => {
        const plan = createRepairPlan(count);
        children.forEach((missing, child) => plan.lack(child, bitmap(missing, count)));
        expect(plan.left()).toBe(new Set(children.flat()).size);
        const seen: number[] = [];
        for (let list = plan.next(); list.length > 0; list = plan.next()) {
          expect(list.length).toBeLessThanOrEqual(MAX_DEGREE);
          expect(list).toEqual([...new Set(list)].sort((a, b) => a - b));
          for (const index of list) expect(children.some((missing) => missing.includes(index))).toBe(true);
          for (const missing of children) {
            expect(list.filter((index) => missing.includes(index)).length).toBeLessThanOrEqual(1);
          }
          seen.push(...list);
        }
        expect(plan.left()).toBe(0);
        expect(seen.sort((a, b) => a - b)).toEqual([...new Set(children.flat())].sort((a, b) => a - b));
      }),
    );
  });

  it("forgets what a child no longer misses", () => {
    const plan = createRepairPlan(20);
    plan.lack(0, bitmap([1, 9, 17], 20));
    plan.lack(1, bitmap([9], 20));
    plan.lack(0, bitmap([17], 20));
    expect(plan.left()).toBe(2);
    expect(plan.next()).toEqual([9, 17]);
    expect(plan.next()).toEqual([]);
    plan.lack(1, "");
    expect(plan.left()).toBe(0);
  });

  it("ignores bits behind the last chunk and takes short bitmaps", () => {
    const plan = createRepairPlan(10);
    plan.lack(0, "\xff\xff\xff\xff");
    expect(plan.left()).toBe(10);
    plan.lack(0, "\x01");
    expect(plan.left()).toBe(1);
    expect(plan.next()).toEqual([0]);
  });
});

describe("repair receiver", () => {
  it("converges on every child under loss, with a combination of use to somebody each time", () => {
    fc.assert(
      fc.property(missingSets, fc.infiniteStream(fc.boolean()), ({ count, children: sets }, losses) => {
        const children = sets.map((missing) => makeChild(count, missing));
        const plan = createRepairPlan(count);
        for (let round = 0; children.some((child) => child.gone.size > 0); round++) {
          expect(round).toBeLessThan(500);
          children.forEach((child, i) => plan.lack(i, bitmap(child.gone, count)));
          for (let list = plan.next(); list.length > 0; list = plan.next()) {
            const bytes = combine(list);
            expect(children.some((child) => list.some((index) => child.gone.has(index)))).toBe(true);
            for (const child of children) if (!losses.next().value || round > 20) child.receiver.take(bytes);
          }
        }
        for (const child of children) expect(child.has.size).toBe(count);
      }),
      { numRuns: 60 },
    );
  });

  it("solves combinations with several unknowns together", () => {
    const { receiver, gone } = makeChild(10, [1, 2, 3]);
    expect(receiver.take(combine([1, 2]))).toBe(REPAIR_KEPT);
    expect(receiver.take(combine([2, 3, 7]))).toBe(REPAIR_KEPT);
    expect(receiver.kept()).toBe(2);
    expect(receiver.take(combine([1, 3, 5]))).toBe(REPAIR_USELESS);
    expect(receiver.take(combine([1, 2, 3]))).toBe(REPAIR_RECOVERED);
    expect(gone.size).toBe(0);
    expect(receiver.kept()).toBe(0);
    expect(receiver.take(combine([4]))).toBe(REPAIR_USELESS);
  });

  it("solves what waits when a chunk arrives by itself", () => {
    const { receiver, has, gone } = makeChild(10, [1, 2, 3]);
    receiver.take(combine([1, 2]));
    receiver.take(combine([2, 3]));
    has.set(2, chunkOf(2));
    gone.delete(2);
    receiver.learned(2);
    expect(gone.size).toBe(0);
    expect(receiver.kept()).toBe(0);
  });

  it("recovers exactly what linear algebra can, whatever the order, with room for all", () => {
    const lists = fc.array(fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: MAX_DEGREE }), { maxLength: 12 });
    fc.assert(
      fc.property(lists, (all) => {
        const { receiver, has } = makeChild(8, [0, 1, 2, 3, 4, 5, 6, 7], 100);
        const span = new Set<number>([0]);
        for (const list of all) {
          receiver.take(combine([...list].sort((a, b) => a - b)));
          const mask = list.reduce((sum, index) => sum | (1 << index), 0);
          for (const other of [...span]) span.add(other ^ mask);
        }
        for (let index = 0; index < 8; index++) expect(has.has(index)).toBe(span.has(1 << index));
      }),
      { numRuns: 300 },
    );
  });

  it("keeps a bounded number of combinations, the newest", () => {
    const { receiver, gone } = makeChild(
      40,
      Array.from({ length: 40 }, (_, i) => i),
      2,
    );
    for (let i = 0; i < 40; i += 2) {
      receiver.take(combine([i, i + 1]));
      expect(receiver.kept()).toBeLessThanOrEqual(2);
    }
    receiver.take(combine([39]));
    expect([...gone].includes(38)).toBe(false);
  });

  it("refuses malformed combinations and survives false ones", () => {
    const { receiver, calls, gone } = makeChild(10, [1, 2, 3]);
    const good = combine([1, 5]);
    expect(receiver.take("")).toBe(REPAIR_REFUSED);
    expect(receiver.take("\x00")).toBe(REPAIR_REFUSED);
    expect(receiver.take(good.slice(0, 5))).toBe(REPAIR_REFUSED);
    expect(receiver.take(`${good}x`)).toBe(REPAIR_REFUSED);
    expect(receiver.take(`\x05${good.slice(1)}`)).toBe(REPAIR_REFUSED);
    expect(receiver.take(combine([5, 1]))).toBe(REPAIR_REFUSED);
    expect(receiver.take(combine([1, 1]))).toBe(REPAIR_REFUSED);
    expect(receiver.take(combine([1, 10]))).toBe(REPAIR_REFUSED);
    expect(calls).toEqual([]);
    expect(receiver.take(`${good.slice(0, -1)}\x00`)).toBe(REPAIR_WRONG);
    // False ones that wait do not spoil those that can be solved by themselves.
    receiver.take(`${combine([1, 2]).slice(0, -1)}\x00`);
    receiver.take(`${combine([2, 3]).slice(0, -1)}\x01`);
    expect(receiver.take(good)).toBe(REPAIR_RECOVERED);
    expect(receiver.take(combine([2, 5]))).toBe(REPAIR_RECOVERED);
    expect(receiver.take(combine([3]))).toBe(REPAIR_RECOVERED);
    expect(gone.size).toBe(0);
  });

  it("takes any bytes without recovering anything false", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (frames) => {
        const { receiver, has } = makeChild(6, [0, 2, 4], 2);
        for (const frame of frames) receiver.take(Buffer.from(frame).toString("latin1"));
        expect(receiver.kept()).toBeLessThanOrEqual(2);
        for (const [index, bytes] of has) expect(bytes).toBe(chunkOf(index));
      }),
    );
  });
});

describe("one hop of 4 children, 200 chunks, 10 % loss", () => {
  const hop = { children: 4, chunks: 200, loss: 0.1, runs: 200, seed: 7 };

  it("takes at most 1.20 transmissions a chunk in at most 4 rounds", () => {
    const { perChunk, rounds } = codedRepair(hop);
    expect(perChunk).toBeLessThan(1.2);
    expect(perChunk).toBeGreaterThan(idealFormula(4, 200, 0.1) - 0.01);
    expect(rounds).toBeLessThanOrEqual(4);
  });

  it("agrees with the formulas for plain resends and dense codes, for 20 children as well", () => {
    expect(unionNakFactor(0.1, 4)).toBeCloseTo(1.388, 2);
    expect(unionRepair(hop).perChunk).toBeCloseTo(unionNakFactor(0.1, 4), 1);
    expect(unionRepair({ ...hop, children: 20 }).perChunk).toBeCloseTo(unionNakFactor(0.1, 20), 1);
    expect(idealFormula(20, 200, 0.1)).toBeCloseTo(1.16, 2);
    const dense = denseRepair({ ...hop, children: 20 }).perChunk;
    expect(dense / idealFormula(20, 200, 0.1)).toBeLessThan(1.03);
    expect(dense / idealFormula(20, 200, 0.1)).toBeGreaterThan(1);
  });
});
