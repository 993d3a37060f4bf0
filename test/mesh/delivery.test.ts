import { line, tree, whole } from "./support/fleet";
import type { Member } from "./support/fleet";
import { World } from "./support/world";

function formed(count: number): { world: World; members: Member[] } {
  const world = new World();
  const members = tree(world, line(count));
  world.runUntil(() => whole(members), 30000);
  return { world, members };
}

test("an acknowledged message arrives once and is confirmed", () => {
  const { world, members } = formed(4);
  const ends: unknown[] = [];
  expect(members[0]!.mesh.sendSingle(4, "hello", { ack: true, done: (e) => ends.push(e) })).toBe(true);
  world.run(1000);
  expect(ends).toEqual([null]);
  expect(members[3]!.received).toEqual(["1:hello"]);
  world.run(100000);
  expect(members[3]!.received).toEqual(["1:hello"]);
  expect(ends).toEqual([null]);
});

test("lost receipts lead to repetitions, not to a second delivery", () => {
  const { world, members } = formed(2);
  let lost = 3;
  const original = members[1]!.mesh.state as unknown as {
    transmit: (l: never, t: string, p: number, r: number) => boolean;
  };
  const transmit = original.transmit;
  original.transmit = (link, text, priority, reserve) => {
    if (text.includes('"type":702') && lost-- > 0) return true;
    return transmit(link, text, priority, reserve);
  };
  const ends: unknown[] = [];
  members[0]!.mesh.sendSingle(2, "once", { ack: true, done: (e) => ends.push([world.time, e]) });
  world.run(60000);
  expect(members[1]!.received).toEqual(["1:once"]);
  expect(ends.map((e) => (e as unknown[])[1])).toEqual([null]);
  expect(lost).toBe(-1);
});

test("a message survives the reset of a node on its way", () => {
  const { world, members } = formed(3);
  members[1]!.mesh.stop();
  const ends: unknown[] = [];
  members[0]!.mesh.sendSingle(3, "later", { ack: true, done: (e) => ends.push(e) });
  world.run(3000);
  members[1]!.mesh.start();
  world.run(60000);
  expect(ends).toEqual([null]);
  expect(members[2]!.received).toEqual(["1:later"]);
});

test("failure is reported after the last try", () => {
  const { world, members } = formed(2);
  const ends: unknown[] = [];
  const start = world.time;
  members[0]!.mesh.sendSingle(99, "nobody", { ack: true, done: (e) => ends.push([e, world.time - start]) });
  members[0]!.mesh.sendSingle(98, "nobody", { ack: true, tries: 2, done: (e) => ends.push([e, world.time - start]) });
  world.run(100000);
  expect(ends).toEqual([
    ["timeout", expect.closeTo(6000, -3.5)],
    ["timeout", expect.closeTo(62000, -3.5)],
  ]);
});

test("a receipt from somebody else, or for another message, counts for nothing", () => {
  const { world, members } = formed(3);
  const ends: unknown[] = [];
  let id = 0;
  members[1]!.mesh.onPackage(701, (p) => (id = p.id as number));
  members[0]!.mesh.sendSingle(99, "nobody", { ack: true, tries: 1, done: (e) => ends.push(e) });
  members[0]!.mesh.sendSingle(2, "probe", { ack: true });
  world.run(100);
  for (const wrong of [id - 1, id + 1, "x", null])
    members[2]!.mesh.sendPackage({ type: 702, routing: 1, dest: 1, from: 3, id: wrong });
  world.run(10000);
  expect(id).toBeGreaterThan(0);
  expect(ends).toEqual(["timeout"]);
});

test("the number under way is limited; stopping ends them all", () => {
  const { world, members } = formed(2);
  const ends: unknown[] = [];
  const mesh = members[0]!.mesh;
  const sent = Array.from({ length: 20 }, () => mesh.sendSingle(99, "x", { ack: true, done: (e) => ends.push(e) }));
  expect(sent.filter(Boolean).length).toBe(16);
  expect(mesh.sendSingle(1, "self", { ack: true })).toBe(false);
  mesh.stop();
  expect(ends).toEqual(Array.from({ length: 16 }, () => "stopped"));
  expect(mesh.sendSingle(2, "stopped", { ack: true })).toBe(false);
  world.run(1000);
});

test("forty messages in a row are all told apart", () => {
  const { world, members } = formed(2);
  let ok = 0;
  for (let i = 0; i < 40; i++) {
    members[0]!.mesh.sendSingle(2, "m" + i, { ack: true, done: (e) => (ok += e === null ? 1 : 0) });
    world.run(100);
  }
  world.run(5000);
  expect(ok).toBe(40);
  expect(members[1]!.received).toEqual(Array.from({ length: 40 }, (_, i) => "1:m" + i));
});
