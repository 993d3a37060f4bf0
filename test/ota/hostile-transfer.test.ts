import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { PACKAGE_ABORT, PACKAGE_NAK, PACKAGE_PIECE } from "../../firmware/ota/session";
import type { Package } from "../../firmware/wire/packages";
import type { Image } from "../../host-tools/build/image";
import * as mesh from "./support/update-mesh";

const { announce, codeIn, imageOf, load, loadUnchecked, sampleCode, standing, verified, withManifest } = mesh;
const CODE = sampleCode(20000);
const IMAGE = imageOf(CODE, "raw");
const pass = (bytes: string) => [{ bytes, delay: 0 }];
const isChunk = (bytes: string): boolean => bytes[0] === "C" && bytes.charCodeAt(1) === 1;

/** A mesh in which the origin has offered an image. */
function offered(image: Image, count = 2, more: object = {}) {
  const made = standing(count, "line");
  loadUnchecked(made.origin, image);
  announce(made.origin, image, more);
  return { ...made, node: made.nodes[0]! };
}

describe("frames", () => {
  test("doubled and out of order: each is stored once", () => {
    const { world, origin, nodes } = standing(2);
    let n = 0;
    nodes[0]!.air = (bytes) =>
      isChunk(bytes) ? [0, 1].map((k) => ({ bytes, delay: 1 + ((n++ * 37) % 211) + k * 60 })) : pass(bytes);
    load(origin, IMAGE);
    announce(origin, IMAGE);
    expect(verified(world, nodes, CODE)).toBe(true);
    const { chunks, duplicates, refused } = nodes[0]!.receiver.stats;
    expect([chunks, refused]).toEqual([IMAGE.chunks.length + Math.ceil(IMAGE.blob.length / 1016), 0]);
    expect(duplicates).toBeGreaterThan(5);
  });

  test.each<[string, (bytes: string) => string]>([
    ["cut short", (bytes) => bytes.slice(0, -1)],
    ["cut to its header", (bytes) => bytes.slice(0, 8)],
    ["cut inside its header", (bytes) => bytes.slice(0, 5)],
    ["too long", (bytes) => bytes + "x"],
    ["of wrong bytes", (bytes) => bytes.slice(0, 500) + "\x00\x01" + bytes.slice(502)],
    ["numbered out of range", (bytes) => bytes.slice(0, 6) + "\xff\xff" + bytes.slice(8)],
    [
      "numbered one too high",
      (bytes) => bytes.slice(0, 6) + String.fromCharCode(IMAGE.chunks.length, 0) + bytes.slice(8),
    ],
    ["under another's number", (bytes) => bytes.slice(0, 6) + "\x03\x00" + bytes.slice(8)],
    ["of another image", (bytes) => bytes.slice(0, 2) + "abcd" + bytes.slice(6)],
    ["random", (bytes) => sampleCode(bytes.length, bytes.charCodeAt(20))],
  ])("%s: nothing of it is stored, and the chunk is fetched again", (_what, spoil) => {
    const { world, origin, nodes } = standing(2);
    const seen = new Set<number>();
    nodes[0]!.air = (bytes) => {
      const index = bytes.charCodeAt(6);
      if (!isChunk(bytes) || seen.has(index) || index % 2 === 1) return pass(bytes);
      seen.add(index);
      return pass(spoil(bytes));
    };
    load(origin, IMAGE);
    announce(origin, IMAGE);
    expect(verified(world, nodes, CODE)).toBe(true);
    expect(seen.size).toBe(10);
  });

  test("a blob that is spoilt on its way is fetched anew, at most three times", () => {
    for (const times of [2, 3]) {
      const { world, origin, nodes } = standing(2);
      let spoilt = 0;
      nodes[0]!.air = (bytes) => {
        const hit = bytes[0] === "C" && !isChunk(bytes) && bytes.charCodeAt(6) === 0 && spoilt < times;
        if (hit) spoilt++;
        return pass(hit ? bytes.slice(0, 50) + "#" + bytes.slice(51) : bytes);
      };
      load(origin, IMAGE);
      announce(origin, IMAGE);
      const fine = verified(world, nodes, CODE, 60000);
      expect([times, fine, nodes[0]!.receiver.error()]).toEqual([times, times < 3, times < 3 ? "" : "bad-blob"]);
      expect(nodes[0]!.receiver.stats.refused).toBe(times);
    }
  });
});

describe("packages", () => {
  test("a request for an image that is not here is counted", () => {
    const { world, origin, nodes } = standing(2);
    load(origin, IMAGE);
    const nak = { type: PACKAGE_NAK, routing: 0, dest: 1, from: 2, p: 1, m: "////", o: 0 };
    nodes[0]!.mesh.sendPackage({ ...nak, id: "0123456789abcdef" } as Package);
    world.run(5000);
    expect([origin.receiver.stats.stray, origin.sent().naks, origin.sent().chunks]).toEqual([1, 0, 0]);
    nodes[0]!.mesh.sendPackage({ ...nak, id: IMAGE.id } as Package);
    world.run(5000);
    expect([origin.receiver.stats.stray, origin.sent().naks, origin.sent().chunks]).toEqual([1, 1, 20]);
  });

  test("an offer that changes in flight is refused, and the transfer goes on", () => {
    const { world, origin, nodes, node } = offered(IMAGE);
    world.runUntil(() => node.receiver.stats.chunks > 5, 60000, 1);
    announce(origin, IMAGE, { blob: IMAGE.blob.length + 1 });
    expect(verified(world, nodes, CODE)).toBe(true);
    expect(node.receiver.stats.refused).toBe(1);
  });

  test.each<[string, object]>([
    ["id too short", { id: "abcd" }],
    ["id no hex", { id: "zzzzzzzzzzzzzzzz" }],
    ["id a number", { id: 1234567812345678 }],
    ["no id", { id: undefined }],
    ["blob empty", { blob: 1 }],
    ["blob huge", { blob: 11265 }],
    ["blob fractional", { blob: 500.5 }],
    ["blob a text", { blob: "500" }],
    ["pace 0", { pace: 0 }],
    ["pace negative", { pace: -30 }],
    ["pace huge", { pace: 1e9 }],
    ["pace an object", { pace: {} }],
  ])("an offer with %s is refused", (_what, change) => {
    const { world, origin, node } = offered(IMAGE, 2, change);
    world.run(30000);
    expect([node.receiver.state(), node.receiver.stats.refused, origin.sent().naks]).toEqual(["idle", 1, 0]);
  });

  test("pieces with wrong data are refused by their hash and asked for again", () => {
    const { world, origin, nodes } = standing(2);
    let forged = 0;
    const send = origin.mesh.sendPackage;
    origin.mesh.sendPackage = (pkg) => {
      const hit = pkg.type === PACKAGE_PIECE && pkg.p === 1 && (pkg.i as number) % 5 === 0 && forged < 6;
      if (hit) forged++;
      return send(hit ? { ...pkg, d: forged % 2 ? "AAAA" : 5 } : pkg);
    };
    load(origin, IMAGE);
    announce(origin, IMAGE, { transport: "sequential" });
    expect(verified(world, nodes, CODE)).toBe(true);
    expect([forged, nodes[0]!.receiver.stats.refused]).toEqual([6, 3]);
  });

  test("property: packages of every type with fields of any type neither throw nor hinder", () => {
    const field = fc.oneof(
      fc.constantFrom(IMAGE.id, "0123456789abcdef", "broadcast", "ESP32", "node", 0, 1, 2, 20, 1000, IMAGE.blob.length),
      fc.jsonValue({ maxDepth: 1 }),
    );
    const names = [
      "id",
      "blob",
      "hardware",
      "role",
      "version",
      "transport",
      "pace",
      "p",
      "m",
      "o",
      "i",
      "d",
      "only",
      "s",
    ];
    const fields = fc.dictionary(fc.constantFrom(...names), field);
    // An abort, or an offer that stands, may rightly end what goes on.
    const types = fc.constantFrom(711, 712, 714, 715, 716, 720, 721);
    const { world, origin, nodes } = standing(3, "line");
    const send = (type: number, more: object): void => {
      for (const [from, to] of [
        [origin, 2],
        [nodes[0]!, 3],
        [nodes[0]!, 1],
      ] as const)
        from.mesh.sendPackage({ ...more, type, routing: 1, dest: to, from: from.id } as Package);
    };
    load(origin, IMAGE);
    announce(origin, IMAGE);
    world.runUntil(() => nodes[0]!.receiver.stats.chunks > 3, 60000, 1);
    fc.assert(
      fc.property(types, fields, (type, more) => {
        send(type, type === 714 ? { ...more, only: [] } : more);
        world.run(20);
      }),
      { numRuns: 300, seed: 7 },
    );
    world.run(20000);
    const quiet = nodes.every((n) => n.receiver.state() === "verified" && codeIn(n.flash.spare) === CODE);
    expect([quiet, nodes.map((n) => n.restarts)]).toEqual([true, [0, 0]]);
  });
});

describe("images", () => {
  const big = imageOf(sampleCode(60000), "raw");
  const heat = imageOf(CODE, "heatshrink");
  const deflated = imageOf(CODE, "deflate");
  const chunked = (image: Image, chunks: Buffer[], change: object = {}): Image => {
    const short = chunks.map((chunk) => createHash("sha256").update(chunk).digest().subarray(0, 8));
    const hashes = Buffer.concat(short).toString("base64");
    return { ...withManifest(image, { chunkHashes: hashes, ...change }), chunks };
  };
  const garbage = (image: Image): Buffer[] =>
    image.chunks.map((c, i) => Buffer.from(sampleCode(c.length, i), "latin1"));

  test.each<[string, Image, string]>([
    ["a wrong result hash", withManifest(IMAGE, { resultHash: "ab".repeat(32) }), "bad-hash"],
    [
      "chunk hashes that are no base64",
      withManifest(IMAGE, { chunkHashes: "!".repeat(IMAGE.manifest.chunkHashes.length) }),
      "bad-manifest:chunkHashes",
    ],
    [
      "chunk hashes with a hole",
      withManifest(IMAGE, { chunkHashes: "    " + IMAGE.manifest.chunkHashes.slice(4) }),
      "bad-manifest:chunkHashes",
    ],
    ["a manifest for other hardware than its offer", withManifest(IMAGE, { hardware: "ESP32-C3" }), "wrong-target"],
    ["a manifest for another role than its offer", withManifest(IMAGE, { role: "root" }), "wrong-target"],
    ["a manifest without a name", withManifest(IMAGE, { product: "" }), "bad-manifest:name"],
    ["a manifest too long for a slot's header", withManifest(IMAGE, { notes: "n".repeat(4000) }), "too-large:manifest"],
    ["deflate that is none", chunked(deflated, garbage(deflated)), "decode:"],
    ["heatshrink that is none", chunked(heat, garbage(heat)), "decode:"],
    ["a chunk twice and one not at all", chunked(IMAGE, [IMAGE.chunks[1]!, ...IMAGE.chunks.slice(1)]), "bad-hash"],
    ["deflate of a longer text", withManifest(deflated, { resultBytes: 19999 }), "decode:"],
    ["deflate of a shorter text", withManifest(deflated, { resultBytes: 20001 }), "decode:"],
  ])("%s: refused with a code, reported, and not taken again", (_what, image, code) => {
    const { world, origin, node } = offered(image, 2, { hardware: "ESP32", role: "node" });
    expect(world.runUntil(() => node.receiver.state() === "failed", 300000)).toBe(true);
    expect(node.receiver.error()).toContain(code);
    expect(codeIn(node.flash.spare)).toBeNull();
    world.run(1000);
    expect(origin.reports.at(-1)).toMatchObject({ id: image.id, s: "failed", e: node.receiver.error() });
    const { naks } = origin.sent();
    for (let minute = 0; minute < 3; minute++) {
      world.run(60000);
      announce(origin, image, { hardware: "ESP32", role: "node" });
    }
    world.run(1000);
    expect(origin.sent().naks).toBe(naks);
    expect(origin.reports.at(-1)).toMatchObject({ s: "failed" });
    // Another image is taken all the same.
    load(origin, IMAGE);
    announce(origin, IMAGE);
    expect(verified(world, [node], CODE)).toBe(true);
  });

  test.each([
    ["slot", { slotPages: 5 }, "too-large:result"],
    ["stage", { stagePages: 10 }, "too-large:payload"],
  ])("larger than the %s: refused before anything is stored", (_what, options, code) => {
    const { world, origin, nodes } = standing(2, "line", { 2: options });
    load(origin, big);
    announce(origin, big);
    world.run(30000);
    expect([nodes[0]!.receiver.state(), nodes[0]!.receiver.error()]).toEqual(["failed", code]);
    expect(nodes[0]!.flash.stage.read(12288, 64)).toBe("\xff".repeat(64));
  });
});

test("an abort ends a transfer at once; the same image may be sent again", () => {
  const { world, origin, nodes, node } = offered(IMAGE, 3);
  world.runUntil(() => node.receiver.stats.chunks > 8, 60000, 1);
  origin.mesh.sendPackage({ type: PACKAGE_ABORT, routing: 2, from: 1, dest: 0, id: "0123456789abcdef" });
  world.run(50);
  expect(node.receiver.state()).toBe("receiving");
  origin.mesh.sendPackage({ type: PACKAGE_ABORT, routing: 2, from: 1, dest: 0, id: IMAGE.id });
  world.run(60000);
  expect(nodes.map((n) => n.changes.at(-1))).toEqual(["failed:aborted", "failed:aborted"]);
  announce(origin, IMAGE);
  expect(verified(world, nodes, CODE)).toBe(true);
});
