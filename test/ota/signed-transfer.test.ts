import { PACKAGE_ABORT } from "../../firmware/ota/session";
import type { KeyPair } from "../../host-tools/build/sign";
import type { Image } from "../../host-tools/build/image";
import { KEYS, signed as sign } from "./support/signed";
import { announce, codeIn, imageOf, load, sampleCode, standing, verified } from "./support/update-mesh";

const CODE = sampleCode(24000);
const MESH_KEY = "ab".repeat(32);
const [site, other] = KEYS as [KeyPair, KeyPair];
let signed: Image;
let forged: Image;

beforeAll(async () => {
  signed = await sign(imageOf(CODE, "raw"), site);
  forged = await sign(imageOf(CODE, "heatshrink"), other);
}, 240_000);

const keyed = (more: object = {}) => ({ publicKey: Buffer.from(site.publicKey), meshKey: MESH_KEY, ...more });
const mesh = () => standing(3, "line", { 1: { ...keyed(), controlStart: 1 }, 2: keyed(), 3: keyed() });

test("an image that the site signed runs; nothing of one that it did not sign is stored", () => {
  const { world, origin, nodes } = mesh();
  load(origin, forged);
  announce(origin, forged);
  world.run(20000);
  announce(origin, forged);
  expect(world.runUntil(() => nodes.every((n) => n.receiver.error() === "bad-signature"), 120000)).toBe(true);
  for (const { flash } of nodes) {
    expect(codeIn(flash.spare)).toBeNull();
    // The marks of payload chunks.
    expect(flash.stage.read(32, forged.chunks.length)).toBe("\xff".repeat(forged.chunks.length));
  }
  load(origin, signed);
  announce(origin, signed);
  expect(verified(world, nodes, CODE)).toBe(true);
});

test("an unsigned image is refused by a node with a key, and an offer without a tag is not heard", () => {
  const { world, origin, nodes } = mesh();
  const image = imageOf(CODE, "raw");
  load(origin, image);
  for (let i = 0; i < 3; i++) {
    announce(origin, image);
    world.run(15000);
  }
  expect(nodes.map((n) => n.receiver.error())).toEqual(["unsigned", ""]);
  // The other one is behind it, and got nothing.
  expect(nodes[1]!.flash.stage.read(32, 8)).toBe("\xff".repeat(8));
  const open = standing(2, "star", { 2: keyed() });
  load(open.origin, image);
  announce(open.origin, image);
  open.world.run(20000);
  expect(open.nodes[0]!.receiver.state()).toBe("idle");
  expect(open.nodes[0]!.control.stats.forged).toBeGreaterThan(0);
});

test("nobody without the mesh key stops a transfer", () => {
  const { world, origin, nodes } = mesh();
  load(origin, signed);
  announce(origin, signed);
  world.run(20000);
  announce(origin, signed);
  world.runUntil(() => nodes.every((n) => n.receiver.state() === "receiving"), 60000);
  for (let i = 0; i < 20; i++) {
    origin.mesh.sendPackage({
      type: PACKAGE_ABORT,
      routing: 2,
      dest: 0,
      from: 1,
      id: signed.id,
      seq: 99 + i,
      tag: "A".repeat(24),
    });
  }
  expect(verified(world, nodes, CODE)).toBe(true);
});

test("a counter below the node's is a downgrade", () => {
  const { world, origin, nodes } = standing(2, "star", { 2: { counter: 5 } });
  const image = imageOf(CODE, "raw", { counter: 4 });
  load(origin, image);
  announce(origin, image);
  expect(world.runUntil(() => nodes[0]!.receiver.state() === "failed", 60000)).toBe(true);
  expect(nodes[0]!.receiver.error()).toBe("downgrade");
});
