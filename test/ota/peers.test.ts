import { compareVersions } from "../../firmware/ota/peers";
import { PACKAGE_SOURCE } from "../../firmware/ota/session";
import {
  announce,
  boot,
  crash,
  imageOf,
  load,
  sampleCode,
  settle,
  standing,
  type Station,
  verified,
} from "./support/update-mesh";

const CODE = sampleCode(24000);
const IMAGE = imageOf(CODE, "heatshrink");

/** Restarts a node into the image that it has verified, as the loader does. */
function restarted(world: Parameters<typeof boot>[0], station: Station, trial = false): Station {
  crash(station);
  const { stage, running, spare } = station.flash;
  return boot(world, station.id, {
    flash: { stage, running: spare, spare: running },
    image: IMAGE.id,
    hash: IMAGE.manifest.resultHash,
    version: "2.0.0",
    trial,
  });
}

/** A line of an origin and two nodes that run version 2; the origin is gone, and a node of version 1 joins. */
function afterwards(trial = false) {
  const mesh = standing(3, "line");
  const { world, origin, nodes } = mesh;
  load(origin, IMAGE);
  announce(origin, IMAGE);
  expect(verified(world, nodes, CODE)).toBe(true);
  const updated = nodes.map((node) => restarted(world, node, trial));
  crash(origin);
  const late = boot(world, 4);
  settle(world, [...updated, late]);
  return { world, updated, late };
}

test("a late node is fed by its neighbour, with the origin gone", () => {
  const { world, updated, late } = afterwards();
  late.receiver.query(false);
  expect(verified(world, [late], CODE)).toBe(true);
  // Over the air from the neighbour, not chunk by chunk.
  expect(updated[1]!.sent()).toMatchObject({ pieces: 0 });
  expect(updated[1]!.sent().chunks).toBeGreaterThan(10);
});

test("who serves what it runs passes something else on when nobody asks for that any more", () => {
  const { world, origin, nodes } = standing(3, "line");
  load(origin, IMAGE);
  announce(origin, IMAGE);
  expect(verified(world, nodes, CODE)).toBe(true);
  const middle = restarted(world, nodes[0]!);
  crash(nodes[1]!);
  const last = boot(world, 3);
  settle(world, [origin, middle, last]);
  announce(origin, IMAGE);
  expect(verified(world, [last], CODE)).toBe(true);
  expect([middle.receiver.state(), middle.sent().chunks > 10]).toEqual(["current", true]);
  world.run(15000);
  const code = sampleCode(9000, 4);
  const other = imageOf(code, "raw");
  load(origin, other);
  announce(origin, other, { only: [last.id] });
  expect(verified(world, [last], code)).toBe(true);
});

test("an image on trial is not handed on", () => {
  const { world, late } = afterwards(true);
  late.receiver.query(true);
  world.run(60000);
  expect(late.receiver.state()).toBe("idle");
});

test("a node asks in vain for something older, for another role, or where the stage was overwritten", () => {
  const { world, updated, late } = afterwards();
  for (const change of [{ version: "2.0.0" }, { version: "3.0.0" }, { role: "other" }, { hardware: "ESP32-C3" }]) {
    const heard: number[] = [];
    late.mesh.onPackage(PACKAGE_SOURCE, (pkg) => void heard.push(pkg.from));
    const query = { type: 718, routing: 2, dest: 0, from: 4, hardware: "ESP32", role: "node", version: "1.0.0" };
    late.mesh.sendPackage({ ...query, ...change });
    world.run(10000);
    expect(heard).toEqual([]);
  }
  for (const node of updated) node.flash.stage.erase(0);
  late.receiver.query(true);
  world.run(60000);
  expect(late.receiver.state()).toBe("idle");
});

test("with the peer transport the origin serves three at a time, and nodes that have the image the others", () => {
  const { world, origin, nodes } = standing(6, "line");
  const code = sampleCode(95000);
  const image = imageOf(code, "raw");
  load(origin, image);
  announce(origin, image, { transport: "peer" });
  expect(verified(world, nodes, code, 1800000)).toBe(true);
  const served = nodes.filter((node) => node.sent().chunks + node.sent().pieces > 0);
  expect(served.length).toBeGreaterThan(0);
  // Its neighbour takes the image over the air, three others chunk by chunk, the rest from peers.
  expect(origin.sent().pieces).toBeLessThan(5 * image.chunks.length);
});

test("versions are ordered by their numbers", () => {
  const sorted = ["1.10.0", "1.2.0", "2", "1.2.10", "0.9.9"].sort(compareVersions);
  expect(sorted).toEqual(["0.9.9", "1.2.0", "1.2.10", "1.10.0", "2"]);
  expect(compareVersions("1.2", "1.2.0")).toBe(0);
});

test("a source that is none is not believed: what it sends is refused, and the real one takes over", () => {
  const { world, late, updated } = afterwards();
  // A node in between that answers for the image without having it.
  const liar = updated[0]!;
  liar.flash.stage.data.fill(0x55, 12288 + 8);
  late.receiver.query(true);
  expect(verified(world, [late], CODE, 600000)).toBe(true);
});
