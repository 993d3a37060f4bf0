import * as fc from "fast-check";
import type { Engine, Region } from "../../firmware/engine/engine";
import type { Manifest } from "../../firmware/ota/image";
import { admit, type NodeFacts } from "../../firmware/ota/policy";
import { configuredKey, confirmTrust, readTrust, type Trust, type TrustFields } from "../../firmware/ota/trust";
import { type MemoryRegion, memoryRegion } from "../../host-tools/device/memory-region";
import { codecs } from "./support/update-mesh";

const PAGE = 4096;
const logged: string[] = [];
const engine = { ...codecs, log: (text: string) => void logged.push(text) } as unknown as Engine;
const key = (seed: number): string =>
  Array.from({ length: 32 }, (_, i) => String.fromCharCode((seed * 37 + i) & 255)).join("");
const FIRST = key(1);
const b64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");

function manifest(more: Partial<Manifest & TrustFields> = {}): Manifest & TrustFields {
  return {
    product: "grove",
    hardware: "ESP32",
    role: "node",
    engine: "espruino",
    version: "2.0.0",
    counter: 0,
    encoding: "raw",
    chunkBytes: 1016,
    payloadBytes: 100,
    resultBytes: 100,
    resultHash: "ab".repeat(32),
    chunkHashes: "",
    ...more,
  };
}

/** What a node believes that starts with this flash. */
const read = (region: Region | null, configured = FIRST, counter = 0): Trust =>
  readTrust(engine, region, configured, counter);

function confirm(region: Region, more: Partial<Manifest & TrustFields>, configured = FIRST): void {
  confirmTrust(engine, region, configured, read(region, configured), manifest(more));
}

describe("what a node believes", () => {
  test("is what the settings and the running image say, until an image changes it", () => {
    const region = memoryRegion(2);
    expect(read(region, FIRST, 3)).toEqual({ key: FIRST, counter: 3, sequence: 0 });
    confirm(region, { counter: 5 });
    expect(read(region, FIRST, 3)).toEqual({ key: FIRST, counter: 5, sequence: 1 });
    confirm(region, { counter: 5, nextKey: b64(key(2)) });
    expect(read(region, FIRST, 9)).toEqual({ key: key(2), counter: 5, sequence: 2 });
    // Without the region it lasts until the next restart.
    const trust = read(null);
    confirmTrust(engine, null, FIRST, trust, manifest({ counter: 4 }));
    expect([trust.counter, read(null).counter]).toEqual([4, 0]);
  });

  test("does not rest on the image that runs: its counter is kept although it was the node's own", () => {
    const region = memoryRegion(2);
    const trust = read(region, FIRST, 5);
    confirmTrust(engine, region, FIRST, trust, manifest({ counter: 5 }));
    expect(read(region, FIRST, 0).counter).toBe(5);
    const plain = memoryRegion(2);
    confirmTrust(engine, plain, FIRST, read(plain), manifest());
    expect(plain.data.every((byte) => byte === 0xff)).toBe(true);
  });

  test("writes nothing when nothing changes", () => {
    const region = memoryRegion(2);
    confirm(region, { counter: 5, nextKey: b64(key(2)) });
    const before = Buffer.from(region.data);
    for (let i = 0; i < 5; i++) confirm(region, { counter: 5, nextKey: b64(key(2)) });
    expect(region.data.equals(before)).toBe(true);
  });

  test("another key in the settings replaces the one that was handed on; the counter stays", () => {
    const region = memoryRegion(2);
    confirm(region, { counter: 5, nextKey: b64(key(2)) });
    expect(read(region, key(3))).toMatchObject({ key: key(3), counter: 5 });
    expect(read(region, "")).toMatchObject({ key: "", counter: 5 });
  });

  test("no key in the settings is said loudly, and a wrong one stops the node", () => {
    logged.length = 0;
    expect(configuredKey(engine, undefined)).toBe("");
    expect(logged.join()).toMatch(/UNSIGNED/);
    expect(configuredKey(engine, b64(FIRST))).toBe(FIRST);
    expect(() => configuredKey(engine, b64(FIRST.slice(1)))).toThrow("publicKey");
  });

  test("survives hundreds of changes in two pages, erased in turn", () => {
    const region = memoryRegion(2);
    const erased: number[] = [];
    const { erase } = region;
    region.erase = (offset) => {
      erased.push(offset);
      erase(offset);
    };
    for (let i = 1; i <= 400; i++) {
      confirm(region, { counter: i, nextKey: b64(key(i)) });
      expect(read(region)).toEqual({ key: key(i), counter: i, sequence: i });
    }
    // The first change of page finds the other one as it was provisioned, and erases it all the same.
    expect(erased).toEqual([PAGE, 0, PAGE, 0, PAGE, 0]);
  });

  test("a power cut at any byte of any change leaves the state before or after it, and the next change holds", () => {
    let cuts = 0;
    for (const changes of [0, 1, 5, 63, 64, 65, 127, 128]) {
      const before = memoryRegion(2);
      for (let i = 1; i <= changes; i++) confirm(before, { counter: i, nextKey: b64(key(i)) });
      const old = read(before);
      for (let cut = 0; ; cut++) {
        const region = copy(before);
        const done = cutAfter(region, cut, () => confirm(region, { counter: 1000, nextKey: b64(key(99)) }));
        cuts++;
        const found = read(region);
        expect([old, { key: key(99), counter: 1000, sequence: old.sequence + 1 }]).toContainEqual(found);
        confirm(region, { counter: 2000 });
        expect(read(region)).toMatchObject({ counter: 2000, key: found.key });
        if (done) break;
      }
    }
    expect(cuts).toBeGreaterThan(400);
  });

  test("property: whatever lies in the region, it is read without an exception, and a change holds", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 300 }),
        fc.nat(60),
        fc.boolean(),
        (bytes, record, second) => {
          const region = memoryRegion(2);
          for (let i = 1; i < record; i++) confirm(region, { counter: i });
          region.write(
            (second ? PAGE : 0) + record * 64,
            Buffer.from(bytes)
              .toString("latin1")
              .slice(0, 4096 - record * 64),
          );
          const { counter } = read(region);
          expect(counter === 0 || counter === record - 1).toBe(true);
          confirm(region, { counter: 7777 });
          expect(read(region).counter).toBe(7777);
        },
      ),
      { numRuns: 50 },
    );
  });
});

function copy(from: MemoryRegion): MemoryRegion {
  const region = memoryRegion(from.size / PAGE);
  from.data.copy(region.data);
  return region;
}

/** Runs `work` until power fails after so many bytes written (an erasure counts as 40, in steps); true when it does not. */
function cutAfter(region: MemoryRegion, budget: number, work: () => void): boolean {
  const { write, erase } = region;
  let left = budget;
  const off = new Error("power");
  region.write = (offset, bytes) => {
    const part = bytes.slice(0, left);
    left -= part.length;
    write(offset, part);
    if (part.length < bytes.length) throw off;
  };
  region.erase = (offset) => {
    if (left >= 40) {
      left -= 40;
      erase(offset);
      return;
    }
    region.data.fill(0xff, offset, offset + Math.floor((PAGE * left) / 40));
    throw off;
  };
  let done = true;
  try {
    work();
  } catch (error) {
    if (error !== off) throw error;
    done = false;
  }
  Object.assign(region, { write, erase });
  return done;
}

describe("what a node takes", () => {
  const facts: NodeFacts = {
    product: "grove",
    hardware: "ESP32",
    role: "node",
    engine: "espruino",
    counter: 4,
    hash: "cd".repeat(32),
  };

  test.each<[string, object, string]>([
    ["an image of the same counter", { counter: 4 }, ""],
    ["a higher counter", { counter: 5 }, ""],
    ["a lower counter", { counter: 3 }, "downgrade"],
    ["a lower counter, allowed from here", { counter: 3, downgradeFrom: 4 }, ""],
    ["a lower counter, allowed from above", { counter: 0, downgradeFrom: 9 }, ""],
    ["a lower counter, allowed from below only", { counter: 2, downgradeFrom: 3 }, "downgrade"],
    ["a lower counter, allowed by a text", { counter: 2, downgradeFrom: "9" }, "downgrade"],
    ["a lower counter, allowed by nothing", { counter: 2, downgradeFrom: NaN }, "downgrade"],
    ["another product", { counter: 4, product: "grove2" }, "wrong-target:product"],
    ["other hardware", { counter: 4, hardware: "ESP32-C3" }, "wrong-target:hardware"],
    ["another role", { counter: 4, role: "root" }, "wrong-target:role"],
    ["another engine", { counter: 4, engine: "jerryscript" }, "wrong-target:engine"],
    ["a delta on what runs", { counter: 4, base: "cd".repeat(32) }, ""],
    ["a delta on something else", { counter: 4, base: "ce".repeat(32) }, "wrong-base"],
    ["a delta on nothing", { counter: 4, base: "" }, "wrong-base"],
    ["a next key", { counter: 4, nextKey: b64(key(2)) }, ""],
    ["a next key that is too short", { counter: 4, nextKey: b64(key(2)).slice(4) }, "bad-manifest:nextKey"],
    ["a next key of 31 bytes", { counter: 4, nextKey: b64(key(2).slice(1)) }, "bad-manifest:nextKey"],
    ["a next key of 33 bytes", { counter: 4, nextKey: b64(`${key(2)}x`) }, "bad-manifest:nextKey"],
    ["a next key that is no text", { counter: 4, nextKey: 5 }, "bad-manifest:nextKey"],
  ])("%s", (_what, more, code) => {
    expect(admit(manifest(more as Partial<Manifest>), facts)).toBe(code);
  });

  test("nothing that is based on a bundle when its own is not known", () => {
    expect(admit(manifest({ counter: 4, base: "" } as object), { ...facts, hash: "" })).toBe("wrong-base");
  });
});
