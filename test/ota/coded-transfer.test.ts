import { announce, imageOf, load, sampleCode, standing, verified } from "./support/update-mesh";

const CHUNKS = 200;
const CODE = sampleCode(CHUNKS * 1016);
const PAGES = { slotPages: 52, stagePages: 54 };
const options = Object.fromEntries([1, 2, 3, 4, 5].map((id) => [id, PAGES]));

/** Four children of one access point take 200 chunks at the loss; payload transmissions for each chunk. */
function run(loss: number, seed: number) {
  const { world, origin, nodes } = standing(5, "star", options, seed);
  const image = imageOf(CODE, "raw");
  expect(image.chunks.length).toBe(CHUNKS);
  load(origin, image);
  announce(origin, image);
  // The blob comes first, and is none of the 200.
  world.runUntil(() => nodes.every((n) => n.receiver.state() === "receiving" && n.receiver.percent() === 0), 30000);
  world.loss = loss;
  const whole = verified(world, nodes, CODE);
  const { chunks, repairs, coded, polls } = origin.sent();
  const blob = Math.ceil(image.blob.length / 1016);
  return { whole, factor: (chunks - blob) / CHUNKS, repairs, coded, polls };
}

test("repair of one hop sends combinations: 1.20 transmissions a chunk at 10 % loss, where union NAK needs 1.39", () => {
  const runs = [3, 4, 5].map((seed) => run(0.1, seed));
  expect(runs.map(({ whole }) => whole)).toEqual([true, true, true]);
  const mean = runs.reduce((sum, { factor }) => sum + factor, 0) / runs.length;
  console.log(
    runs
      .map((r) => `${r.factor.toFixed(3)} a chunk, ${r.repairs} repairs, ${r.coded} combined, ${r.polls} polls`)
      .join("\n"),
  );
  expect(mean).toBeLessThanOrEqual(1.2);
  for (const { coded } of runs) expect(coded).toBeGreaterThan(5);
});

test("one child gains nothing by combinations, and gets none", () => {
  const { world, origin, nodes } = standing(2, "star", options);
  const image = imageOf(CODE, "raw");
  load(origin, image);
  announce(origin, image);
  world.loss = 0.1;
  expect(verified(world, nodes, CODE)).toBe(true);
  expect(origin.sent().repairs).toBeGreaterThan(5);
  expect(origin.sent().coded).toBe(0);
});

test("forged combinations harm nobody", () => {
  const { world, origin, nodes } = standing(3);
  const image = imageOf(sampleCode(24000), "raw");
  load(origin, image);
  announce(origin, image);
  const tag = Buffer.from(image.id, "hex").toString("latin1", 0, 4);
  let n = 0;
  for (const node of nodes) {
    node.air = (bytes) => {
      if (bytes[0] !== "C" || bytes.charCodeAt(1) !== 1) return [{ bytes, delay: 0 }];
      const i = n++ % 30;
      const body = [
        `\x01${String.fromCharCode(i)}\0` + "x".repeat(1016),
        "\x04\0\0\x01\0\x02\0\x03\0" + "y".repeat(1016),
        "\x02\0\0\0\0z",
        "\xff",
        "",
      ];
      const forged = `X\x01${tag}\0\0${body[n % body.length]!}`;
      // Every third is lost, so that there is something to repair.
      return n % 3
        ? [
            { bytes: forged, delay: 0 },
            { bytes, delay: 1 },
          ]
        : [{ bytes: forged, delay: 0 }];
    };
  }
  expect(verified(world, nodes, sampleCode(24000))).toBe(true);
  for (const { receiver } of nodes) expect(receiver.stats.refused).toBeGreaterThan(0);
});
