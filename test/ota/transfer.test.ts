import type { Encoding } from "../../firmware/ota/image";
import { PACKAGE_ACTIVATE } from "../../firmware/ota/session";
import {
  announce,
  boot,
  codeIn,
  crash,
  imageOf,
  load,
  sampleCode,
  settle,
  standing,
  verified,
} from "./support/update-mesh";

const CODE = sampleCode(24000);

describe("a broadcast transfer", () => {
  const encodings: Encoding[] = ["raw", "deflate", "heatshrink"];
  const cases = encodings.flatMap((encoding) => [0, 0.05, 0.2, 0.5].map((loss) => [encoding, loss] as const));

  test.each(cases)("%s over two hops at a loss of %d ends whole", (encoding, loss) => {
    const { world, origin, nodes } = standing(3, "line");
    world.loss = loss;
    const image = imageOf(CODE, encoding);
    load(origin, image);
    announce(origin, image);
    expect(verified(world, nodes, CODE)).toBe(true);
    for (const { receiver, changes } of nodes) {
      expect(receiver.stats).toMatchObject({ refused: 0 });
      expect(changes.at(-1)).toBe("verified");
      expect(receiver.percent()).toBe(100);
    }
    // Without loss nothing is sent twice to anybody.
    if (loss === 0) {
      expect(origin.sent().repairs).toBe(0);
      expect(nodes[1]!.receiver.stats.duplicates).toBe(0);
    }
  });

  test("four children share one broadcast", () => {
    const { world, origin, nodes } = standing(5);
    const image = imageOf(CODE, "raw");
    load(origin, image);
    announce(origin, image);
    expect(verified(world, nodes, CODE)).toBe(true);
    expect(origin.sent().chunks).toBe(image.chunks.length + Math.ceil(image.blob.length / 1016));
  });

  test("random loss is no reason to slow down, loss in long runs is", () => {
    const paces = [false, true].map((runs) => {
      const { world, origin, nodes } = standing(2);
      const image = imageOf(sampleCode(90000), "raw");
      load(origin, image);
      let n = 0;
      nodes[0]!.air = (bytes) => {
        n++;
        const lost = runs ? n % 12 < 6 : n % 5 === 0;
        return lost && bytes[0] === "C" ? [] : [{ bytes, delay: 0 }];
      };
      announce(origin, image);
      let slowest = 0;
      world.runUntil(() => {
        slowest = Math.max(slowest, origin.receiver.servingPace());
        return nodes[0]!.receiver.state() === "verified";
      }, 600000);
      expect(codeIn(nodes[0]!.flash.spare)).toBe(sampleCode(90000));
      return slowest;
    });
    expect(paces[0]).toBe(20);
    expect(paces[1]).toBeGreaterThan(20);
  });

  test("a lost tail is polled for, and asked for when the poll is lost too", () => {
    const { world, origin, nodes } = standing(2);
    const image = imageOf(CODE, "raw");
    load(origin, image);
    const last = image.chunks.length - 1;
    let dropped = 0;
    nodes[0]!.air = (bytes) => {
      const tail =
        bytes[0] === "P" || (bytes[0] === "C" && bytes.charCodeAt(1) === 1 && bytes.charCodeAt(6) >= last - 2);
      if (tail && dropped < 8) {
        dropped++;
        return [];
      }
      return [{ bytes, delay: 0 }];
    };
    announce(origin, image);
    expect(verified(world, nodes, CODE, 60000)).toBe(true);
    expect(dropped).toBe(8);
  });

  test("a node that joins late catches up from its parent, with the next offer", () => {
    const { world, origin, nodes, stations } = standing(3, "line");
    const image = imageOf(CODE, "deflate");
    load(origin, image);
    announce(origin, image);
    expect(verified(world, nodes, CODE)).toBe(true);
    const late = boot(world, 4);
    settle(world, [...stations, late]);
    const before = origin.sent().chunks;
    announce(origin, image);
    expect(verified(world, [late], CODE)).toBe(true);
    // Repair does not cross more than one hop.
    expect(origin.sent().chunks).toBe(before);
  });

  test("an image goes up the tree and down again", () => {
    const { world, stations } = standing(4, "line", { 1: { installs: true }, 3: { installs: false } });
    world.loss = 0.1;
    const origin = stations[2]!;
    const others = stations.filter((s) => s !== origin);
    const image = imageOf(CODE, "heatshrink");
    load(origin, image);
    announce(origin, image);
    expect(verified(world, others, CODE)).toBe(true);
  });
});

describe("the sequential transport", () => {
  test.each(["raw", "deflate", "heatshrink"] as Encoding[])("%s is pulled over the links alone", (encoding) => {
    const { world, origin, nodes } = standing(3, "line");
    world.loss = 1;
    const image = imageOf(CODE, encoding, { chunkBytes: 512 });
    load(origin, image);
    announce(origin, image, { transport: "sequential" });
    expect(verified(world, nodes, CODE)).toBe(true);
    const chunks = image.chunks.length + Math.ceil(image.blob.length / 1016);
    expect(origin.sent()).toMatchObject({ chunks: 0, pieces: 2 * chunks });
  });

  test("an origin that comes back is pulled from again after its next offer", () => {
    const { world, origin, nodes } = standing(2);
    const image = imageOf(CODE, "raw");
    load(origin, image);
    announce(origin, image, { transport: "sequential" });
    world.runUntil(() => nodes[0]!.receiver.stats.chunks > 8, 60000, 1);
    crash(origin);
    world.run(120000);
    expect(nodes[0]!.receiver.state()).toBe("receiving");
    const back = boot(world, 1, { installs: false, flash: origin.flash });
    settle(world, [back, ...nodes]);
    load(back, image);
    announce(back, image, { transport: "sequential" });
    expect(verified(world, nodes, CODE)).toBe(true);
  });
});

describe("activation", () => {
  const sent = (only?: unknown) => {
    const { world, origin, nodes } = standing(3);
    const image = imageOf(CODE, "raw");
    load(origin, image);
    announce(origin, image);
    expect(verified(world, nodes, CODE)).toBe(true);
    const pkg = { type: PACKAGE_ACTIVATE, routing: 2, from: 1, dest: 0, id: image.id };
    origin.mesh.sendPackage({ ...pkg, ...(only === undefined ? {} : { only }) });
    world.run(10000);
    return { world, nodes, restarts: nodes.map((n) => n.restarts) };
  };

  test("restarts all, or those that it names", () => {
    expect(sent().restarts).toEqual([1, 1]);
    expect(sent([3]).restarts).toEqual([0, 1]);
    expect(sent([]).restarts).toEqual([0, 0]);
  });

  test.each([5, "3", { indexOf: 1 }, true])("a list that is none activates nothing and does no harm: %j", (only) => {
    expect(sent(only).restarts).toEqual([0, 0]);
  });

  test("a verified image starts by itself when its origin falls silent", () => {
    const { world, nodes } = sent([]);
    world.run(310000);
    expect(nodes.map((n) => n.restarts)).toEqual([1, 1]);
  });
});
