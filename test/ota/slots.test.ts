import * as fc from "fast-check";
import type { Region } from "../../firmware/engine/engine";
import {
  freeStage,
  type Installed,
  openStage,
  readSlot,
  readStage,
  sealSlot,
  stagedChunks,
} from "../../firmware/ota/slots";
import { memoryRegion } from "../../host-tools/device/memory-region";

const ID = "00112233445566ff";
const MANIFEST = JSON.stringify({ product: "espalier", version: "2.0.0", resultHash: "ab".repeat(32) });
const WHOLE: Installed = {
  id: ID,
  sequence: 0x01020304,
  verified: true,
  confirmed: false,
  bad: false,
  manifest: MANIFEST,
};

/** A region whose writes end after so many bytes, as when power is cut. */
function torn(region: Region, budget: number): Region {
  let left = budget;
  return {
    size: region.size,
    read: region.read,
    erase: region.erase,
    write(offset, bytes) {
      const part = bytes.slice(0, left);
      left -= part.length;
      if (part) region.write(offset, part);
    },
  };
}

/** Bytes that `work` writes. */
function bytesOfWork(work: (region: Region) => void): number {
  let bytes = 0;
  const region = memoryRegion(2);
  work({ ...region, size: region.size, read: region.read, write: (_, part) => void (bytes += part.length) });
  return bytes;
}

const seal = (region: Region): void => sealSlot(region, ID, WHOLE.sequence, 3000, MANIFEST);

test("a sealed slot reads back", () => {
  const slot = memoryRegion(2);
  expect(readSlot(slot)).toBeNull();
  seal(slot);
  expect(readSlot(slot)).toEqual(WHOLE);
});

test("a seal that is cut at any byte leaves a slot that is not verified", () => {
  const total = bytesOfWork(seal);
  expect(total).toBe(MANIFEST.length + 8 + 16 + 1);
  for (let cut = 0; cut < total; cut++) {
    const slot = memoryRegion(2);
    seal(torn(slot, cut));
    expect([cut, readSlot(slot)?.verified ?? false]).toEqual([cut, false]);
    // Sealed again without an erase, as long as it is the same image, it is whole.
    seal(slot);
    expect(readSlot(slot)).toEqual(WHOLE);
  }
});

const open = (region: Region): void => openStage(region, ID, 5000);

test("an opened stage reads back; cut at any byte it is no stage", () => {
  const stage = memoryRegion(4);
  open(stage);
  expect(readStage(stage)).toEqual({
    id: ID,
    blobBytes: 5000,
    blobOk: false,
    complete: false,
    givenUp: false,
    erased: false,
    free: false,
  });
  const total = bytesOfWork(open);
  expect(total).toBe(14);
  for (let cut = 0; cut < total; cut++) {
    const half = memoryRegion(4);
    open(torn(half, cut));
    expect([cut, readStage(half)]).toEqual([cut, null]);
  }
});

test("only the image that is offered to everybody is free to be handed on", () => {
  const stage = memoryRegion(4);
  freeStage(stage, ID);
  expect(readStage(stage)).toBeNull();
  open(stage);
  freeStage(stage, "ffeeddccbbaa9988");
  expect(readStage(stage)!.free).toBe(false);
  freeStage(stage, ID);
  expect(readStage(stage)!.free).toBe(true);
});

test("marks of chunks are read one by one", () => {
  const stage = memoryRegion(4);
  open(stage);
  for (const i of [0, 3, 99]) stage.write(32 + i, "\x00");
  const have = stagedChunks(stage, 100);
  expect([have.count, have.size]).toEqual([3, 100]);
  expect([0, 1, 3, 98, 99].map((i) => have.has(i))).toEqual([true, false, true, false, true]);
});

test("property: whatever lies in flash, slot and stage are read without an exception and within bounds", () => {
  const header = fc.tuple(
    fc.constantFrom("ESP1", "ESPT", "\xff\xff\xff\xff", "\0\0\0\0"),
    fc.uint8Array({ maxLength: 120 }),
  );
  fc.assert(
    fc.property(header, ([magic, bytes]) => {
      const region = memoryRegion(4);
      region.write(0, magic + Buffer.from(bytes).toString("latin1"));
      const slot = readSlot(region);
      if (slot) expect(slot.manifest.length).toBeLessThanOrEqual(4096 - 64);
      const stage = readStage(region);
      if (stage) expect(stage.blobBytes).toBeLessThanOrEqual(11264);
      expect([slot === null || magic === "ESP1", stage === null || magic === "ESPT"]).toEqual([true, true]);
    }),
  );
});
