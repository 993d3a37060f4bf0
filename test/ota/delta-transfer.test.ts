import { fillSlot, type Image, makeImage } from "../../host-tools/build/image";
import {
  announce,
  codeIn,
  emptyFlash,
  type Flash,
  imageOf,
  load,
  sampleCode,
  standing,
  type StationOptions,
  verified,
  withManifest,
} from "./support/update-mesh";

const BASE = sampleCode(24000);
/** A line more in the middle, a word changed further on. */
const CODE =
  BASE.slice(0, 9000) + "function added(a){return a+1}" + BASE.slice(9000, 20000) + "return 7;" + BASE.slice(20010);

function running(code: string): StationOptions & { flash: Flash } {
  const flash = emptyFlash();
  const image = imageOf(code, "raw", { version: "1.0.0" });
  fillSlot(flash.running, image, code, 4);
  return { flash, image: image.id, hash: image.manifest.resultHash };
}

const DELTA = makeImage({
  ...{ product: "espalier", hardware: "ESP32", role: "node", version: "2.0.0" },
  ...{ code: CODE, encoding: "delta", base: BASE },
});

/** An origin and one node that runs `code`, offered an image. */
function offered(image: Image, code: string) {
  const mesh = standing(2, "star", { 2: running(code) });
  load(mesh.origin, image);
  announce(mesh.origin, image);
  return { ...mesh, node: mesh.nodes[0]! };
}

test("a delta is a fraction of the bundle, and rebuilds it out of the one that runs", () => {
  expect(DELTA.manifest.payloadBytes).toBeLessThan(CODE.length / 50);
  const { world, nodes } = offered(DELTA, BASE);
  world.loss = 0.2;
  expect(verified(world, nodes, CODE)).toBe(true);
});

test("a node that runs something else says so, stores nothing of it, and takes the full image afterwards", () => {
  const { world, origin, node } = offered(DELTA, sampleCode(24000, 9));
  expect(world.runUntil(() => node.receiver.state() === "failed", 60000)).toBe(true);
  expect(node.receiver.error()).toBe("wrong-base");
  expect(codeIn(node.flash.spare)).toBeNull();
  world.run(1000);
  expect(origin.reports.at(-1)).toMatchObject({ id: DELTA.id, s: "failed", e: "wrong-base" });
  const full = imageOf(CODE, "deflate");
  load(origin, full);
  announce(origin, full);
  expect(verified(world, [node], CODE)).toBe(true);
});

test("who runs the same bundle already, out of whatever image, is current", () => {
  const { world, node } = offered(imageOf(CODE, "heatshrink"), CODE);
  world.run(3000);
  expect([node.receiver.state(), node.receiver.percent()]).toEqual(["current", 100]);
  expect(node.receiver.stats.chunks).toBe(0);
});

test.each<[string, object, string]>([
  ["a base that is not the one it was made for", { baseBytes: 12000 }, "decode:-33"],
  ["a result of another length", { resultBytes: CODE.length - 100 }, "decode:-32"],
  ["a result that is longer than what comes out", { resultBytes: CODE.length + 1 }, "decode:length"],
  ["another result", { resultHash: "0".repeat(64) }, "bad-hash"],
])("%s: refused, and the running slot is as it was", (_what, change, code) => {
  const { world, node } = offered(withManifest(DELTA, change), BASE);
  expect(world.runUntil(() => node.receiver.state() === "failed", 300000)).toBe(true);
  expect(node.receiver.error()).toBe(code);
  expect(codeIn(node.flash.spare)).toBeNull();
  expect(codeIn(node.flash.running)).toBe(BASE);
});
