import type { Region } from "../../firmware/engine/engine";
import { sessionFromStage } from "../../firmware/ota/session";
import * as mesh from "./support/update-mesh";

const { announce, boot, codeIn, crash, imageOf, load, sampleCode, settle, standing, verified } = mesh;
const CODE = sampleCode(20000);
const IMAGE = imageOf(CODE, "raw");
const BLOB_CHUNKS = Math.ceil(IMAGE.blob.length / 1016);

/** A node that is gone in the middle of its flash work: `budget` bytes and pages from now on, then nothing more. */
function cutAfter(region: Region, budget: number, cut: () => void): void {
  const { write, erase } = region;
  let left = budget;
  const spend = (n: number): number => {
    const now = Math.min(left, n);
    left -= now;
    if (now < n) cut();
    return now;
  };
  region.write = (offset, bytes) => write(offset, bytes.slice(0, spend(bytes.length)));
  region.erase = (offset) => {
    if (spend(1) === 1) erase(offset);
  };
}

/** The same flash, in the hands of a node that starts anew. */
function again(made: ReturnType<typeof standing>, old: mesh.Station): mesh.Station {
  const { stage, running, spare } = old.flash;
  const plain = (data: Buffer) => {
    const region = mesh.emptyFlash(data.length / 4096, 1).running;
    data.copy(region.data);
    return region;
  };
  const flash = { stage: plain(stage.data), running: plain(running.data), spare: plain(spare.data) };
  const station = boot(made.world, old.id, { flash });
  settle(made.world, [made.origin, station]);
  return station;
}

test.each([0, 1, 7, 19])("a reset with %d chunks in the stage loses none of them", (chunks) => {
  const made = standing(2);
  const { world, origin } = made;
  const [node] = made.nodes as [mesh.Station];
  load(origin, IMAGE);
  announce(origin, IMAGE);
  expect(world.runUntil(() => node.receiver.stats.chunks >= BLOB_CHUNKS + chunks, 60000, 1)).toBe(true);
  crash(node);
  const held = node.receiver.stats.chunks - BLOB_CHUNKS;
  world.run(30000);
  const fresh = again(made, node);
  announce(origin, IMAGE);
  expect(verified(world, [fresh], CODE)).toBe(true);
  const kept = chunks === 0 && fresh.receiver.stats.chunks > 20 ? BLOB_CHUNKS : 0;
  expect(fresh.receiver.stats.chunks).toBe(IMAGE.chunks.length - held + kept);
});

test("a reset with the whole image in the stage needs no more than the next offer", () => {
  const made = standing(2);
  const { world, origin } = made;
  const [node] = made.nodes as [mesh.Station];
  load(origin, IMAGE);
  announce(origin, IMAGE);
  expect(world.runUntil(() => node.receiver.state() === "decoding", 60000, 1)).toBe(true);
  crash(node);
  const fresh = again(made, node);
  const { chunks } = origin.sent();
  announce(origin, IMAGE);
  expect(verified(world, [fresh], CODE)).toBe(true);
  expect([fresh.receiver.stats.chunks, origin.sent().chunks]).toEqual([0, chunks]);
});

/** Flash work of a whole update, in bytes and pages, by region. */
function work(name: "stage" | "spare"): number {
  const { world, origin, nodes } = standing(2);
  let spent = 0;
  const region = nodes[0]!.flash[name];
  const { write, erase } = region;
  region.write = (offset, bytes) => {
    spent += bytes.length;
    write(offset, bytes);
  };
  region.erase = (offset) => {
    spent++;
    erase(offset);
  };
  load(origin, IMAGE);
  announce(origin, IMAGE);
  if (!verified(world, nodes, CODE)) throw new Error("the update does not end");
  return spent;
}

test.each(["stage", "spare"] as const)(
  "power cut anywhere in the work on the %s: no half image, and it goes on",
  (name) => {
    const total = work(name);
    const early = Array.from({ length: 12 }, (_, i) => i);
    const spread = Array.from({ length: 24 }, (_, i) => Math.floor((total * (i + 1)) / 25));
    const late = Array.from({ length: 12 }, (_, i) => total - 1 - i);
    for (const budget of [...early, ...spread, ...late]) {
      const made = standing(2);
      const { world, origin } = made;
      const [node] = made.nodes as [mesh.Station];
      // What lay there before the update.
      node.flash[name].data.fill(0x5a);
      cutAfter(node.flash[name], budget, () => crash(node));
      load(origin, IMAGE);
      announce(origin, IMAGE);
      expect(world.runUntil(() => !node.member.node.powered, 120000)).toBe(true);
      expect([null, CODE]).toContain(codeIn(node.flash.spare));
      const fresh = again(made, node);
      announce(origin, IMAGE);
      expect([budget, verified(world, [fresh], CODE)]).toEqual([budget, true]);
    }
  },
);

describe("what is not for a node", () => {
  const other = { hardware: "ESP32-C3" };
  const foreign = (seed: number) => imageOf(sampleCode(12000, seed), "raw", other);

  test("is ignored, and passed on when a node below asks", () => {
    const { world, origin, nodes } = standing(3, "line", { 3: other });
    const image = foreign(1);
    load(origin, image);
    announce(origin, image);
    expect(verified(world, [nodes[1]!], sampleCode(12000, 1))).toBe(true);
    expect([nodes[0]!.receiver.state(), codeIn(nodes[0]!.flash.spare)]).toEqual(["relaying", null]);
    // Nobody below: nothing is fetched.
    const alone = standing(2);
    load(alone.origin, image);
    announce(alone.origin, image);
    alone.world.run(60000);
    expect([alone.nodes[0]!.receiver.state(), alone.origin.sent().chunks]).toEqual(["idle", 0]);
  });

  test("makes way for the next image that is passed on, and for one of its own", () => {
    const { world, origin, nodes } = standing(3, "line", { 3: other });
    for (const seed of [1, 2]) {
      const image = foreign(seed);
      load(origin, image);
      announce(origin, image);
      expect(verified(world, [nodes[1]!], sampleCode(12000, seed))).toBe(true);
      world.run(5000);
    }
    load(origin, IMAGE);
    announce(origin, IMAGE);
    expect(verified(world, [nodes[0]!], CODE)).toBe(true);
  });

  test("another role is other hardware", () => {
    const { world, origin, nodes } = standing(2);
    const image = imageOf(CODE, "raw", { role: "bridge" });
    load(origin, image);
    announce(origin, image);
    world.run(60000);
    expect([nodes[0]!.receiver.state(), nodes[0]!.receiver.stats.refused]).toEqual(["idle", 0]);
  });

  test("what runs already is reported as current", () => {
    const { world, origin } = standing(2, "star", { 2: { image: IMAGE.id } });
    load(origin, IMAGE);
    announce(origin, IMAGE);
    world.run(5000);
    expect(origin.reports.at(-1)).toMatchObject({ s: "current", p: 100 });
    expect(origin.sent().naks).toBe(0);
  });
});

test("what a node holds of an image is bitmaps: hashes, notes and texts of the manifest are let go", () => {
  const image = imageOf(CODE, "raw", { notes: "what changed ".repeat(150) });
  const { origin } = standing(2);
  load(origin, image);
  const session = sessionFromStage(origin.member.node.engine, origin.flash.stage, 98304, image.id, 30)!;
  expect(session.payload!.bits.length).toBe(Math.ceil(image.chunks.length / 8));
  const texts = JSON.stringify({ ...session, blob: null, payload: null });
  expect(texts.length).toBeLessThan(600);
});

test("an image on trial takes no other image before it has confirmed itself", () => {
  const { world, origin, nodes } = standing(2, "star", { 2: { trial: true } });
  load(origin, IMAGE);
  announce(origin, IMAGE);
  world.run(20000);
  const [node] = nodes;
  expect(node!.receiver.state()).toBe("idle");
  node!.receiver.trialOver();
  expect(verified(world, nodes, CODE)).toBe(true);
});

test("an image on trial passes another one on, and takes it from there once it has confirmed itself", () => {
  const { world, origin, nodes } = standing(3, "line", { 2: { trial: true } });
  load(origin, IMAGE);
  announce(origin, IMAGE);
  expect(verified(world, nodes.slice(1), CODE)).toBe(true);
  const [middle] = nodes;
  expect(middle!.receiver.state()).toBe("relaying");
  middle!.receiver.trialOver();
  expect(verified(world, nodes, CODE)).toBe(true);
});

describe("an origin that fell silent", () => {
  const other = imageOf(sampleCode(20000, 8), "raw", { version: "3.0.0" });

  /** A node between two computers, the first of which goes silent in the middle of its image. */
  function abandoned() {
    const made = standing(3, "line", { 3: { installs: false } });
    const [node, second] = made.nodes as [mesh.Station, mesh.Station];
    const first = imageOf(sampleCode(40000, 7), "raw");
    load(made.origin, first);
    announce(made.origin, first);
    expect(made.world.runUntil(() => node.receiver.stats.chunks > 5, 30000)).toBe(true);
    const tag = Buffer.from(first.id, "hex").toString("latin1", 0, 4);
    node.air = (bytes) => (bytes.substr(2, 4) === tag ? [] : [{ bytes, delay: 0 }]);
    load(second, other);
    return { ...made, first, second, node };
  }

  test("is waited for while its offers could still come", () => {
    const { world, origin, node, first, second } = abandoned();
    world.run(100000);
    announce(origin, first);
    world.run(100000);
    announce(second, other);
    world.run(5000);
    expect(node.receiver.state()).toBe("receiving");
    expect(second.reports).toEqual([]);
  });

  test("makes way for another one after two and a half minutes", () => {
    const { world, node, second } = abandoned();
    world.run(155000);
    announce(second, other);
    expect(verified(world, [node], sampleCode(20000, 8))).toBe(true);
  });
});
