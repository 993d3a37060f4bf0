/**
 * What somebody who is in the mesh, and has neither the private key nor the mesh key, can do to a node: the threats of The
 * Update Framework (https://theupdateframework.io/docs/security/), and those that commands add. docs/security.md has
 * a row for each test.
 */
import { OTA_ANNOUNCE, OTA_REQUEST, type Package } from "../../firmware/wire/packages";
import { frameHeader, FLAG_PAYLOAD, FRAME_CHUNK } from "../../firmware/wire/frames";
import { PACKAGE_ABORT, PACKAGE_ACTIVATE, PACKAGE_OFFER, PACKAGE_ROLLBACK } from "../../firmware/ota/session";
import { assemble, fillSlot, type Image } from "../../host-tools/build/image";
import { signatureOf } from "../../host-tools/build/sign-image";
import * as mesh from "./support/update-mesh";
import { KEYS, signed } from "./support/signed";

jest.setTimeout(120_000);

const { announce, codeIn, imageOf, load, loadUnchecked, sampleCode, standing, verified } = mesh;
const MESH_KEY = "5a".repeat(32);
const CODE = sampleCode(6000);
const PLAIN = imageOf(CODE, "raw", { counter: 3 });
const STAGE_HEADER = 12288;

let good: Image;
beforeAll(async () => {
  good = await signed(PLAIN);
});

/** An origin that holds the mesh key, and a node that asks for both: counter 3. */
function secured(node: mesh.StationOptions = {}, origin: mesh.StationOptions = {}) {
  const made = standing(2, "star", {
    1: { meshKey: MESH_KEY, controlStart: 1_000_000, ...origin },
    2: { meshKey: MESH_KEY, publicKey: KEYS[0]!.publicKey, counter: 3, ...node },
  });
  return { ...made, node: made.nodes[0]! };
}

/** Offers an image as its origin would; what became of it at the node, and whether any payload was stored. */
function outcome(made: ReturnType<typeof secured>, image: Image): [string, string, boolean] {
  const { world, origin, node } = made;
  loadUnchecked(origin, image);
  announce(origin, image);
  world.runUntil(() => ["failed", "verified"].includes(node.receiver.state()), 120_000);
  return [node.receiver.state(), node.receiver.error(), stored(node)];
}

const stored = (node: mesh.Station): boolean =>
  node.flash.stage.data.subarray(STAGE_HEADER).some((byte) => byte !== 255);

test("the good image is taken", () => {
  const made = secured();
  expect(outcome(made, good)).toEqual(["verified", "", true]);
  expect(codeIn(made.node.flash.spare)).toBe(CODE);
});

describe("arbitrary software", () => {
  test("without a signature: nothing of its payload is stored", () => {
    expect(outcome(secured(), PLAIN)).toEqual(["failed", "unsigned", false]);
  });

  test("signed by another key", async () => {
    expect(outcome(secured(), await signed(PLAIN, KEYS[1]))).toEqual(["failed", "bad-signature", false]);
  });

  test("with the good image's signature under another manifest", () => {
    const forged = assemble({ ...good.manifest, version: "9.9.9" }, good.chunks, signatureOf(good));
    expect(outcome(secured(), forged)).toEqual(["failed", "bad-signature", false]);
  });

  test("with other chunks under the good manifest: they are refused one by one", () => {
    const made = secured();
    const other = imageOf(sampleCode(6000, 9), "raw");
    const { world, node } = made;
    loadUnchecked(made.origin, { ...good, chunks: other.chunks });
    announce(made.origin, good);
    world.run(30_000);
    expect([node.receiver.state(), stored(node)]).toEqual(["receiving", false]);
    expect(node.receiver.stats.refused).toBeGreaterThan(10);
  });

  test("offered by somebody without the mesh key: not even looked at", () => {
    const made = secured({}, { meshKey: "" });
    load(made.origin, good);
    announce(made.origin, good);
    made.world.run(30_000);
    expect([made.node.receiver.state(), made.node.receiver.stats.chunks]).toEqual(["idle", 0]);
    expect(made.node.control.stats.forged).toBeGreaterThan(0);
  });
});

describe("rollback", () => {
  test("a signed image with a lower counter", async () => {
    const old = await signed(imageOf(CODE, "raw", { counter: 2 }));
    expect(outcome(secured(), old)).toEqual(["failed", "downgrade", false]);
  });

  test("unless its signature says so for this counter", async () => {
    const old = await signed(imageOf(CODE, "raw", { counter: 2, downgradeFrom: 3 }));
    expect(outcome(secured(), old)[0]).toBe("verified");
    expect(outcome(secured({ counter: 4 }), old)).toEqual(["failed", "downgrade", false]);
  });
});

describe("freeze", () => {
  test("a recorded offer of what was once new starts nothing, and the node's report tells its version", () => {
    const made = secured();
    const { world, origin, node } = made;
    const recorded: string[] = [];
    node.mesh.onPackage(PACKAGE_OFFER, (p) => void recorded.push(JSON.stringify(p)));
    expect(outcome(made, good)[0]).toBe("verified");
    expect(origin.reports.at(-1)).toMatchObject({ v: "1.0.0", s: "verified" });
    const fresh = secured();
    load(fresh.origin, good);
    for (const text of recorded) fresh.origin.mesh.sendPackage(JSON.parse(text) as Package);
    fresh.world.run(30_000);
    expect([fresh.node.receiver.state(), fresh.node.receiver.stats.chunks]).toEqual(["idle", 0]);
    expect(fresh.node.control.stats.unproven + fresh.node.control.stats.replayed).toBe(recorded.length);
    world.run(1000);
  });
});

describe("endless data", () => {
  test.each<[string, object, string]>([
    ["a result larger than the slot", { resultBytes: 99_999_999, payloadBytes: 99_999_999 }, "too-large:result"],
    ["a payload larger than the stage", { payloadBytes: 99_999_999, encoding: "deflate" }, "too-large:payload"],
    ["more chunks than it names hashes of", { payloadBytes: 60_000, resultBytes: 60_000 }, "bad-manifest:chunkHashes"],
  ])("%s is refused by its manifest", (_what, change, code) => {
    const image = assemble({ ...PLAIN.manifest, ...change }, PLAIN.chunks);
    expect(outcome(secured({ publicKey: undefined }), image)).toEqual(["failed", code, false]);
  });

  test("a blob larger than its room is not asked for", () => {
    const made = secured();
    loadUnchecked(made.origin, good);
    announce(made.origin, good, { blob: 11_265 });
    announce(made.origin, good, { blob: 11_265 });
    made.world.run(30_000);
    expect(made.node.receiver.state()).toBe("idle");
    expect(made.node.receiver.stats.refused).toBeGreaterThan(0);
  });

  test("frames without end wear no flash", () => {
    const made = secured();
    const { world, origin, node } = made;
    // Nothing of what is served fits, so that the node stays open to frames.
    loadUnchecked(origin, { ...good, chunks: good.chunks.map((chunk) => chunk.map((byte) => byte ^ 1) as Buffer) });
    announce(origin, good);
    const ready = (): boolean => node.receiver.state() === "receiving" && node.flash.stage.data[19] === 0;
    expect(world.runUntil(ready, 60_000, 1)).toBe(true);
    let writes = 0;
    const { write, erase } = node.flash.stage;
    Object.assign(node.flash.stage, {
      write: (offset: number, bytes: string) => void (writes++, write(offset, bytes)),
      erase: (offset: number) => void (writes++, erase(offset)),
    });
    const tag = Buffer.from(good.id, "hex").toString("latin1", 0, 4);
    for (let i = 0; i < 600; i++) {
      const bytes = sampleCode(i % 3 ? 1016 : good.chunks.at(-1)!.length, i);
      origin.airwave.sendToChildren(frameHeader(FRAME_CHUNK, FLAG_PAYLOAD, tag, i % 9) + bytes);
      world.run(10);
    }
    expect([node.receiver.state(), stored(node), writes]).toEqual(["receiving", false, 0]);
    expect(node.receiver.stats.refused).toBeGreaterThan(500);
  });
});

describe("mix and match", () => {
  test("a delta on another base", async () => {
    const manifest = { ...PLAIN.manifest, encoding: "delta" as const, base: "ab".repeat(32), baseBytes: 5000 };
    const delta = await signed(assemble(manifest, PLAIN.chunks));
    expect(outcome(secured({ hash: "cd".repeat(32) }), delta)).toEqual(["failed", "wrong-base", false]);
  });

  test("a result that is not what the manifest says never becomes a slot", () => {
    const image = assemble({ ...PLAIN.manifest, resultHash: "0".repeat(64) }, PLAIN.chunks);
    const made = secured({ publicKey: undefined });
    expect(outcome(made, image).slice(0, 2)).toEqual(["failed", "bad-hash"]);
    expect(codeIn(made.node.flash.spare)).toBeNull();
  });
});

describe("wrong target", () => {
  test.each<[string, object, object, string]>([
    ["product", { product: "other" }, {}, "wrong-target:product"],
    ["hardware, while the offer says this one", { hardware: "ESP32-C3" }, {}, "wrong-target:hardware"],
    ["role, while the offer says this one", { role: "bridge" }, {}, "wrong-target:role"],
    ["engine", { engine: "jerryscript" }, {}, "wrong-target:engine"],
  ])("another %s", (_what, change, _node, code) => {
    const made = secured({ publicKey: undefined });
    const image = assemble({ ...PLAIN.manifest, ...change }, PLAIN.chunks);
    loadUnchecked(made.origin, image);
    announce(made.origin, image, { hardware: "ESP32", role: "node" });
    made.world.runUntil(() => made.node.receiver.state() === "failed", 120_000);
    expect([made.node.receiver.error(), stored(made.node)]).toEqual([code, false]);
  });
});

describe("commands", () => {
  /** A node in the middle of a transfer, with a good image to go back to. */
  function busy() {
    const made = secured();
    const { world, origin, node } = made;
    for (const slot of [node.flash.running, node.flash.spare]) fillSlot(slot, PLAIN, CODE, 1);
    node.flash.spare.write(17, "\0");
    loadUnchecked(origin, good);
    announce(origin, good);
    expect(world.runUntil(() => node.receiver.state() === "receiving", 60_000, 1)).toBe(true);
    return made;
  }

  test.each([
    ["abort", PACKAGE_ABORT],
    ["activate", PACKAGE_ACTIVATE],
    ["roll back", PACKAGE_ROLLBACK],
  ])("to %s without a tag, with a wrong one, or replayed, are counted and ignored", (_what, type) => {
    const { world, origin, node } = busy();
    const heard: string[] = [];
    node.mesh.onPackage(PACKAGE_OFFER, (p) => void heard.push(JSON.stringify(p)));
    announce(origin, good);
    world.run(100);
    const before = { ...node.control.stats };
    const plain = { type, routing: 2, from: origin.id, dest: 0, id: type === PACKAGE_ROLLBACK ? PLAIN.id : good.id };
    origin.mesh.sendPackage({ ...plain });
    origin.mesh.sendPackage({ ...plain, seq: 4_000_000, tag: "AAAAAAAAAAAAAAAAAAAAAA==" });
    // A genuine tag of another package.
    const offer = JSON.parse(heard.at(-1)!) as Package;
    origin.mesh.sendPackage({ ...offer, type });
    origin.mesh.sendPackage(offer);
    world.run(3000);
    expect([node.receiver.error(), node.restarts]).toEqual(["", 0]);
    expect(node.flash.running.data[18]).toBe(255);
    expect(node.control.stats.forged - before.forged).toBe(3);
    expect(node.control.stats.replayed - before.replayed).toBe(1);
    expect(verified(world, [node], CODE)).toBe(true);
  });

  test("to update by painlessMesh's own packages, which nobody can seal, are followed without a mesh key only", () => {
    const asked = (made: ReturnType<typeof secured>): number => {
      let requests = 0;
      made.origin.mesh.onPackage(OTA_REQUEST, () => void requests++);
      const p = { type: OTA_ANNOUNCE, routing: 2, md5: "5a".repeat(16), hardware: "ESP32", role: "node", noPart: 9 };
      made.origin.mesh.sendPackage({ ...p, from: made.origin.id, dest: 0, forced: false });
      made.world.run(5000);
      return requests;
    };
    expect(asked(secured({ meshKey: "" }, { meshKey: "" }))).toBe(1);
    expect(asked(secured())).toBe(0);
  });

  test("a genuine one is obeyed", () => {
    const { world, origin, node } = busy();
    const p = { type: PACKAGE_ABORT, routing: 2, from: origin.id, dest: 0, id: good.id };
    origin.mesh.sendPackage(origin.control.seal(p));
    world.run(1000);
    expect([node.receiver.state(), node.receiver.error()]).toEqual(["failed", "aborted"]);
  });
});

test("without keys, which is for the bench, everything is taken", () => {
  const made = secured({ publicKey: undefined, meshKey: "" }, { meshKey: "" });
  expect(outcome(made, PLAIN)[0]).toBe("verified");
  expect(made.node.control.checks).toBe(false);
});
