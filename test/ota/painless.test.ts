import { readFileSync } from "node:fs";
import path from "node:path";
import { OTA_ANNOUNCE, OTA_DATA, OTA_REQUEST, type Package } from "../../firmware/wire/packages";
import { encodeImageFile } from "../../host-tools/build/image-file";
import { type PainlessProgress, type PainlessSender, startPainlessSender } from "./support/painless-sender";
import { announce, codeIn, imageOf, load, sampleCode, standing, type Station, verified } from "./support/update-mesh";

const CODE = sampleCode(9000);
const IMAGE = imageOf(CODE, "heatshrink");
const FILE = encodeImageFile(IMAGE);

function offer(origin: Station, content: Buffer, progress?: (p: PainlessProgress) => void): PainlessSender {
  const { member, mesh } = origin;
  return startPainlessSender(member.node.engine, mesh, { hardware: "ESP32", role: "node", content }, progress);
}

/** Announces by hand, and answers each request with what `answer` makes of it. */
function byHand(origin: Station, announce: object, answer: (request: Package) => object | null): Package[] {
  const requests: Package[] = [];
  const fields = { md5: "0".repeat(32), hardware: "ESP32", role: "node", noPart: 4, broadcasted: false };
  origin.mesh.onPackage(OTA_REQUEST, (request) => {
    requests.push(request);
    const reply = answer(request);
    if (reply) {
      origin.mesh.sendPackage({
        ...request,
        type: OTA_DATA,
        from: origin.mesh.getNodeId(),
        dest: request.from,
        ...reply,
      });
    }
  });
  origin.mesh.sendPackage({ type: OTA_ANNOUNCE, routing: 2, ...fields, ...announce });
  return requests;
}

const part = (content: Buffer, number: number): string =>
  content.subarray(number * 1024, (number + 1) * 1024).toString("base64");

test("an image file announced as painlessMesh does reaches nodes two hops away, and starts by itself", () => {
  const { world, origin, nodes } = standing(3, "line");
  const seen: PainlessProgress[] = [];
  const sender = offer(origin, FILE, (p) => seen.push(p));
  expect(sender.parts).toBe(Math.ceil(FILE.length / 1024));
  expect(verified(world, nodes, CODE)).toBe(true);
  expect(world.runUntil(() => nodes.every((n) => n.restarts === 1), 120000)).toBe(true);
  for (const { id } of nodes) {
    const { parts } = sender;
    expect(sender.progress.get(id)).toEqual({ node: id, asked: parts, parts, repeats: 0 });
  }
  expect(seen.length).toBe(2 * sender.parts);
  expect(sender.refused()).toBe(0);
});

test("requests and announces have the fields that C++ nodes were seen to send, and their types", () => {
  const vectors = readFileSync(path.join(__dirname, "../vectors/painlessmesh-ota.txt"), "utf8");
  const line = (type: number): string => new RegExp(`\\{.*"type":${type},.*\\}`).exec(vectors)![0];
  const shape = (p: object): string[] =>
    Object.entries(p)
      .map(([key, value]) => `${key} ${typeof value}`)
      .sort();
  const { world, origin, nodes } = standing(2);
  const announces: Package[] = [];
  nodes[0]!.mesh.onPackage(OTA_ANNOUNCE, (p) => announces.push({ ...p, dest: undefined } as unknown as Package));
  const requests = byHand(origin, {}, () => null);
  offer(origin, FILE);
  world.run(3000);
  const golden = JSON.parse(line(OTA_ANNOUNCE)) as object;
  expect(shape(announces.at(-1)!).filter((f) => f !== "dest undefined")).toEqual(shape(golden));
  const data = JSON.parse(line(OTA_DATA)) as Record<string, unknown>;
  delete data.data;
  expect(shape(requests[0]!)).toEqual(shape(data));
  expect(requests[0]).toMatchObject({ routing: 1, partNo: 0, broadcasted: false, dest: 1, from: 2 });
});

test("a silent sender is asked ten times, half a minute apart, and followed anew at its next announce", () => {
  const { world, origin, nodes } = standing(2);
  const requests = byHand(origin, {}, () => null);
  world.run(295000);
  expect(requests.length).toBe(10);
  world.run(60000);
  expect(requests.length).toBe(10);
  expect(nodes[0]!.receiver.state()).toBe("idle");
  offer(origin, FILE);
  expect(verified(world, nodes, CODE)).toBe(true);
});

test.each([
  ["another role", { role: "root" }],
  ["other hardware", { hardware: "ESP8266" }],
  ["a role with an underscore", { role: "node_x" }],
  ["no md5", { md5: undefined }],
  ["a short md5", { md5: "00" }],
  ["no parts", { noPart: 0 }],
  ["parts that are no number", { noPart: "4" }],
  ["more parts than any file has", { noPart: 4294967295 }],
])("an announce of %s is not followed", (_, change) => {
  const { world, origin, nodes } = standing(2);
  const requests = byHand(origin, change, () => null);
  world.run(2000);
  expect(requests).toEqual([]);
  expect(nodes[0]!.receiver.state()).toBe("idle");
});

test.each([
  ["with another md5", { md5: "1".repeat(32) }],
  ["out of order", { partNo: 1 }],
  ["that is no text", { data: 5 }],
  ["that is empty", { data: "" }],
  ["that is too long", { data: "A".repeat(5000) }],
])("a part %s is not taken", (_, change) => {
  const { world, origin, nodes } = standing(2);
  const requests = byHand(origin, {}, ({ partNo }) => ({ data: part(FILE, partNo as number), ...change }));
  world.run(35000);
  expect(requests.map((r) => r.partNo)).toEqual([0, 0]);
  expect(nodes[0]!.receiver.state()).toBe("idle");
});

const damaged = (change: (file: Buffer) => Buffer | void): Buffer => {
  const copy = Buffer.from(FILE);
  return change(copy) ?? copy;
};

test.each([
  ["is no image", damaged((f) => void f.write("firmware")), "idle"],
  ["claims a blob of four gigabytes", damaged((f) => void f.fill(255, 8, 12)), "idle"],
  ["claims a blob of one byte", damaged((f) => void f.writeUInt32LE(1, 8)), "idle"],
  ["ends in its blob", damaged((f) => f.subarray(0, 200)), "idle"],
  ["has another blob", damaged((f) => void (f[40]! ^= 1)), "failed"],
  ["has a chunk that is another", damaged((f) => void (f[f.length - 9]! ^= 1)), "failed"],
  ["ends in its payload", damaged((f) => f.subarray(0, f.length - 700)), "failed"],
])("a file that %s is refused", (_, content, state) => {
  const { world, origin, nodes } = standing(2);
  const sender = offer(origin, content);
  world.run(200000);
  expect(nodes[0]!.receiver.state()).toBe(state);
  expect(codeIn(nodes[0]!.flash.spare)).toBeNull();
  expect(nodes[0]!.restarts).toBe(0);
  sender.stop();
  // Whoever sends rubbish in the name of an image does not keep the image away.
  load(origin, IMAGE);
  announce(origin, IMAGE);
  expect(verified(world, nodes, CODE)).toBe(true);
});

test("a mesh that asks for sealed commands does not follow an announce that is not", () => {
  const meshKey = "5a".repeat(32);
  const { world, origin, nodes } = standing(2, "star", { 1: { meshKey }, 2: { meshKey } });
  const sender = offer(origin, FILE);
  world.run(5000);
  expect([nodes[0]!.receiver.state(), sender.progress.size]).toEqual(["idle", 0]);
});

test("requests for what is not offered are counted and left without an answer", () => {
  const { world, origin, nodes } = standing(2);
  const sender = startPainlessSender(origin.member.node.engine, origin.mesh, {
    hardware: "ESP32",
    role: "sensor",
    content: Buffer.alloc(3000, 1),
  });
  const answers: Package[] = [];
  const { mesh } = nodes[0]!;
  mesh.onPackage(OTA_DATA, (p) => answers.push(p));
  const request = { type: OTA_REQUEST, routing: 1, dest: 1, md5: sender.md5, hardware: "ESP32", role: "sensor" };
  for (const wrong of [{ partNo: 3 }, { partNo: -1 }, { partNo: 0.5 }, { partNo: "0" }, {}, { partNo: 0, md5: "x" }])
    mesh.sendPackage({ ...request, ...wrong });
  mesh.sendPackage({ ...request, partNo: 2 });
  world.run(1000);
  expect(sender.refused()).toBe(6);
  expect(answers.map(({ partNo, noPart, data }) => [partNo, noPart, (data as string).length])).toEqual([[2, 3, 1272]]);
});

test("a file is announced once a minute, sixty times, and no more once it is stopped", () => {
  const { world, origin, nodes } = standing(2);
  let announces = 0;
  nodes[0]!.mesh.onPackage(OTA_ANNOUNCE, () => void announces++);
  const file = { hardware: "ESP32", role: "sensor", content: Buffer.alloc(10) };
  const sender = startPainlessSender(origin.member.node.engine, origin.mesh, file);
  world.run(150000);
  expect(announces).toBe(3);
  sender.stop();
  world.run(150000);
  expect(announces).toBe(3);
  startPainlessSender(origin.member.node.engine, origin.mesh, file);
  world.run(70 * 60000);
  expect(announces).toBe(63);
});
