/**
 * Power fails at every operation of the flash, in several ways each, and the node is started again: the loader must run a
 * whole image that was verified, and what was under way must come to its end.
 */
jest.mock(
  "../../firmware/mesh/mesh",
  () => jest.requireActual<typeof import("./support/fake-mesh")>("./support/fake-mesh").meshModule,
);
jest.mock(
  "../../firmware/mesh/airwave",
  () => jest.requireActual<typeof import("./support/fake-mesh")>("./support/fake-mesh").airwaveModule,
);

import type { Engine } from "../../firmware/engine/engine";
import { readTrust } from "../../firmware/ota/trust";
import { decodeStorage } from "../../host-tools/device/storage-image";
import { NorFlash } from "../../host-tools/simulator/chip/flash";
import { StorageArea } from "../../host-tools/simulator/chip/storage-area";
import {
  type Bundle,
  bundleOf,
  Device,
  type Laptop,
  type LifeEnd,
  newFlash,
  type Operation,
  record,
  type Site,
  siteOf,
  smallBoard,
  tear,
  TEARS,
} from "./support/flash-life";
import { codecs } from "./support/update-mesh";

jest.setTimeout(300_000);

const first = bundleOf("first", 3000);
const last = bundleOf("last", 2500);
const good = bundleOf("good", 9000, { version: "2.0.0", chunkBytes: 100, counter: 3 });
const bad = bundleOf("bad", 5000, { version: "2.0.0", chunkBytes: 200, counter: 3 });
let site: Site;

beforeAll(async () => {
  site = await siteOf(smallBoard(4, 27), first, last);
});

interface Course {
  /** Flash before the first operation. */
  bytes: Buffer;
  base: number;
  operations: Operation[];
  ends: LifeEnd[];
}

/** What happens without any power cut. */
function course(laptop: Laptop, prepare: (device: Device) => void = () => {}): Course {
  const { bytes, base } = newFlash(site);
  const flash = new NorFlash(bytes);
  const device = new Device(site, flash, base);
  prepare(device);
  const before = Buffer.from(flash.bytes);
  const operations = record(flash);
  return { bytes: before, base, ends: device.settle(laptop), operations };
}

const told = (ends: readonly LifeEnd[]): string[] =>
  ends.map(({ ran, slot, why }) => `${ran.join("+")} in ${slot}: ${why}`);

/** Cuts each operation in each way, here and there in so many. Returns how many cuts there were. */
function cutEverywhere(
  { bytes, base, operations }: Course,
  each: (device: Device, at: number, what: string) => void,
  scattered = 1,
): number {
  const before = Buffer.from(bytes);
  const flash = new NorFlash(before);
  let cuts = 0;
  operations.forEach((operation, at) => {
    // A byte is written whole, in part, or not at all.
    const ways = operation.data?.length === 1 ? ([0, 1, "scattered"] as const) : TEARS;
    for (const way of ways) {
      for (let seed = 0; seed < (way === "scattered" ? scattered : 1); seed++) {
        before.copy(flash.bytes);
        tear(flash.bytes, operation, way, at + 1 + seed * operations.length);
        const kind = operation.data ? `write of ${operation.data.length}` : "erasure";
        each(new Device(site, flash, base), at, `operation ${at}, ${kind} at ${operation.offset - base}, torn ${way}`);
        cuts++;
      }
    }
    happen(before, operation);
  });
  return cuts;
}

/** Does an operation whole. */
function happen(bytes: Buffer, { offset, data }: Operation): void {
  if (data) for (let i = 0; i < data.length; i++) bytes[offset + i]! &= data[i]!;
  else bytes.fill(0xff, offset, offset + 4096);
}

/** What the node believes and runs in the end. */
function endsWith(ends: readonly LifeEnd[], bundle: Bundle, what: string): void {
  const final = ends.at(-1)!;
  if (final.why !== "settled" || final.ran.join() !== bundle.name) {
    throw new Error(`${what}: ${told(ends).join("; ")}, ${final.state} ${final.error}`);
  }
}

/** Every start runs one bundle, whole, which is one of these. */
function onlyWhole(ends: readonly LifeEnd[], bundles: readonly Bundle[], what: string): void {
  for (const { ran } of ends) {
    if (ran.length !== 1 || !bundles.some(({ name }) => name === ran[0]))
      throw new Error(`${what}: ${told(ends).join("; ")}`);
  }
}

function counter(device: Device): number {
  return readTrust(codecs as unknown as Engine, device.region("trust"), "", 0).counter;
}

test("an update, from the offer to the confirmation", () => {
  const laptop: Laptop = { push: good, lonely: [] };
  const whole = course(laptop);
  expect(told(whole.ends)).toEqual(["first in slot0: restart", "good in slot1: settled"]);
  let most = 0;
  const cuts = cutEverywhere(whole, (device, _at, what) => {
    const ends = device.settle(laptop);
    onlyWhole(ends, [first, good], what);
    endsWith(ends, good, what);
    if (counter(device) !== 3) throw new Error(`${what}: counter ${counter(device)}`);
    most = Math.max(most, ends.length);
  });
  // Nothing outside the regions was written: no record of Storage was made, changed or moved.
  const end = whole.base + 4096 * Object.values(site.board.regions).reduce((sum, [, pages]) => sum + pages, 0);
  const residual = whole.operations.filter(({ offset }) => offset < whole.base || offset >= end).length;
  console.log(
    `update: ${whole.operations.length} flash operations, ${cuts} cut points, ` +
      `${residual} of them in the creation of records or compaction; at most ${most} starts afterwards`,
  );
  expect(residual).toBe(0);
  expect(cuts).toBeGreaterThan(2000);
});

test("a trial that fails, and the way back", () => {
  const laptop: Laptop = { push: bad, lonely: ["bad"] };
  const whole = course(laptop);
  expect(told(whole.ends)).toEqual([
    "first in slot0: restart",
    "bad in slot1: restart",
    "bad in slot1: restart",
    "bad in slot1: restart",
    "first in slot0: settled",
  ]);
  expect(whole.ends.at(-1)).toMatchObject({ state: "failed", error: "bad-image" });
  // What comes before the first trial is the same work as above.
  const from = whole.operations.findIndex(({ data }, i) => i > 3 && data?.toString("latin1") === "\xfc");
  const tail = { ...whole, bytes: Buffer.from(whole.bytes), operations: whole.operations.slice(from) };
  for (const operation of whole.operations.slice(0, from)) happen(tail.bytes, operation);
  const cuts = cutEverywhere(tail, (device, _at, what) => {
    const ends = device.settle(laptop);
    onlyWhole(ends, [first, bad], what);
    endsWith(ends, first, what);
    const trials = ends.filter(({ ran }) => ran[0] === "bad").length;
    if (trials > 3) throw new Error(`${what}: ${trials} trials`);
    // The next image is taken.
    const next = device.settle({ push: good, lonely: [] });
    onlyWhole(next, [first, good], what);
    endsWith(next, good, what);
  });
  console.log(`trial and way back: ${tail.operations.length} flash operations, ${cuts} cut points`);
  expect(cuts).toBeGreaterThan(20);
});

test("power that fails again and again: in each life at another operation", () => {
  const laptop: Laptop = { push: good, lonely: [] };
  const { bytes, base } = newFlash(site);
  let state = 7;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  let lives = 0;
  for (let round = 0; round < 20; round++) {
    const flash = new NorFlash(bytes);
    const device = new Device(site, flash, base);
    for (let life = 0; life < 15; life++) {
      flash.cutPowerAt(1 + random(120), random(100) / 100);
      const end = device.live(laptop);
      lives++;
      // A cut in the loader itself comes before anything runs.
      if (end.why !== "power" || end.ran.length) onlyWhole([end], [first, good], `round ${round}, life ${life}`);
    }
    flash.cutPowerAt(0);
    const ends = device.settle(laptop);
    onlyWhole(ends, [first, good], `round ${round}`);
    // Three starts of the new image that power ended are three failed trials: then the old one stays.
    const settled = ends.at(-1)!;
    expect(settled.why).toBe("settled");
    if (settled.ran[0] === "first") expect(settled).toMatchObject({ state: "failed", error: "bad-image" });
  }
  console.log(`repeated cuts: ${lives} lives`);
});

test("an update out of the recovery bundle, with both slots bad", () => {
  const laptop: Laptop = { push: good, lonely: [] };
  const spoiled = (device: Device): void => {
    device.region("slot0").write(18, "\0");
  };
  const whole = course(laptop, spoiled);
  expect(told(whole.ends)).toEqual(["last in recovery: restart", "good in slot0: settled"]);
  let tried = 0;
  // Every fifth operation: the work is that of an update, only the slots differ.
  cutEverywhere(whole, (device, at, what) => {
    if (at % 5 && at < whole.operations.length - 30) return;
    tried++;
    const ends = device.settle(laptop);
    onlyWhole(ends, [last, good], what);
    endsWith(ends, good, what);
  });
  console.log(`out of recovery: ${tried} cut points`);
});

test("a hundred updates, one after another, write to the regions alone", () => {
  const { bytes, base } = newFlash(site);
  const flash = new NorFlash(bytes);
  const device = new Device(site, flash, base);
  const storage = (): string =>
    JSON.stringify(decodeStorage(flash.bytes).files.map(({ name, offset }) => [name, offset]));
  const before = storage();
  const operations = record(flash);
  for (let i = 1; i <= 100; i++) {
    const push = bundleOf(`v${i}`, 3000, { version: `2.0.${i}`, counter: i, chunkBytes: 500 });
    endsWith(device.settle({ push, lonely: [] }), push, `update ${i}`);
    expect(counter(device)).toBe(i);
  }
  const end = base + 4096 * Object.values(site.board.regions).reduce((sum, [, pages]) => sum + pages, 0);
  expect(operations.filter(({ offset }) => offset < base || offset >= end)).toEqual([]);
  expect(storage()).toBe(before);
  const first = base / 4096;
  const erased = (name: string): number => {
    const [page, pages] = site.board.regions[name]!;
    return Math.max(...flash.erases.subarray(first + page, first + page + pages));
  };
  const worn = ["state", "slot0", "slot1", "stage", "trust", "recovery"].map((name) => `${name} ${erased(name)}`);
  console.log(`100 updates: ${operations.length} flash operations; most erasures of a page: ${worn.join(", ")}`);
  expect([erased("recovery"), erased("trust") <= 2, erased("state"), erased("slot0") <= 51]).toEqual([
    0,
    true,
    0,
    true,
  ]);
});

/**
 * What an update never does, and what stays at risk: Espruino's own records. An application that creates or replaces a
 * file, and the loader's compaction, are cut at every operation; lost is a node whose Storage Espruino would erase, or whose
 * regions are not where they were.
 */
describe("the residual risk", () => {
  const hooks = { disturbs: () => {}, wrote: () => {}, erased: () => {}, compacted: () => {} };

  function count(prepare: (storage: StorageArea) => void, work: (storage: StorageArea) => void) {
    const { bytes, base } = newFlash(site);
    // Room for files behind the regions.
    const prepared = new NorFlash(Buffer.concat([bytes, Buffer.alloc(12 * 4096, 0xff)]));
    prepare(new StorageArea(prepared, hooks));
    const before = Buffer.from(prepared.bytes);
    const operations = record(prepared);
    work(new StorageArea(prepared, hooks));
    const lost: Operation[] = [];
    const look = ({ flash }: Device, at: number): void => {
      const storage = new StorageArea(flash, hooks);
      const found = storage.isSound() ? storage.find("espalier") : null;
      if (found?.data !== base) lost.push(operations[at]!);
    };
    const cuts = cutEverywhere({ bytes: before, base, operations, ends: [] }, look, 20);
    return { operations, cuts, lost };
  }

  const write = (storage: StorageArea, seed: number): void =>
    void storage.write("app", Buffer.alloc(3000, String(seed)));

  test("lies in the header of a new record, and in compaction", () => {
    const created = count(
      () => {},
      (storage) => write(storage, 1),
    );
    const replaced = count(
      (storage) => write(storage, 1),
      (storage) => write(storage, 2),
    );
    const compacted = count(
      (storage) => {
        storage.write("kept", Buffer.alloc(2000, "k"));
        for (let i = 0; i < 8; i++) write(storage, i);
        storage.write("too", Buffer.alloc(9000, "t"));
      },
      (storage) => void storage.compact(),
    );
    for (const { operations, lost } of [created, replaced]) {
      // Not in the data, and not in the mark of a deleted one.
      expect(lost.every(({ data }) => data?.length === 32)).toBe(true);
      expect(operations.length).toBeLessThan(4);
    }
    for (const [what, { operations, cuts, lost }] of Object.entries({ created, replaced, compacted })) {
      console.log(
        `residual risk, a file ${what}: ${operations.length} flash operations, ${cuts} cut points, ${lost.length} lose the node`,
      );
    }
    expect(compacted.operations.length).toBeGreaterThan(10);
    expect(compacted.lost.length).toBeLessThan(compacted.cuts);
  });
});
