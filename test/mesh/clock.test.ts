import { join, line, rawClient, tree } from "./support/fleet";
import type { Member } from "./support/fleet";
import { World } from "./support/world";

/** Gives each node a clock of its own, `start` milliseconds ahead. */
function skew(member: Member, start: number): void {
  const world = member.node.world;
  member.node.engine.now = () => world.time + start;
}

/** Largest difference between node times, in microseconds. */
function spread(members: Member[]): number {
  const times = members.map((m) => m.mesh.getNodeTime());
  return Math.max(...times.map((t) => Math.abs((t - times[0]!) | 0)));
}

function skewed(world: World, parents: number[]): Member[] {
  const members = tree(world, parents);
  // Before anything has happened; one of them is about to wrap.
  members.forEach((m, i) => skew(m, i === 1 ? 4294960 : (world.random() % 1e9) / 1000));
  return members;
}

test.each([2, 5, 8])("a line of %d agrees on the time within 2 ms in two minutes, and stays so", (count) => {
  const world = new World(count);
  const members = skewed(world, line(count));
  world.run(120000);
  expect(spread(members)).toBeLessThan(2000);
  const before = members.map((m) => m.events.filter((e) => e.startsWith("time")).length);
  world.run(300000);
  expect(spread(members)).toBeLessThan(2000);
  members.forEach((m, i) =>
    expect(m.events.filter((e) => e.startsWith("time")).length - before[i]!).toBeLessThanOrEqual(10),
  );
});

test("everyone adopts the authority, however small its part of the mesh", () => {
  const world = new World();
  const members = skewed(world, line(5));
  members[4]!.mesh.setTimeAuthority(true);
  world.run(180000);
  expect(spread(members)).toBeLessThan(2000);
  expect(members[4]!.events.filter((e) => e.startsWith("time"))).toEqual([]);
});

function answer(arrival: number, delay: number, text: string, clock: (at: number) => number): string {
  const t0 = Number(/"t0":(\d+)/.exec(text)![1]);
  const times = `"t0":${t0},"t1":${clock(arrival)},"t2":${clock(arrival) + delay}`;
  return `{"type":4,"dest":3000,"from":1,"msg":{"type":2,${times}}}`;
}

function timed(gap: number): { world: World; member: Member; requests: () => number } {
  const world = new World();
  const member = join(world, { name: "ap" }, { nodeId: 3000 });
  const peer = rawClient(world, "ap");
  const clock = (at: number): number => Math.floor(at * 1000) + 777000000;
  world.runUntil(() => peer.opened, 100, 1);
  peer.onFrame = (text) => {
    if (text.includes('"type":5')) peer.send('{"nodeId":1,"subs":[{"nodeId":50}],"type":6,"dest":3000,"from":1}');
    if (text.includes('"type":4')) {
      const arrival = world.time;
      // A slow interpreter at the other end: the answer is read 30 ms after it came.
      world.at(30, () => peer.send(answer(arrival, gap, text, clock)));
    }
  };
  peer.send('{"nodeId":1,"subs":[{"nodeId":50}],"type":5,"dest":0,"from":1}');
  return { world, member, requests: () => peer.texts().filter((t) => t.includes('"type":4')).length };
}

test("a responder that takes no time is believed all the same", () => {
  const { world, member, requests } = timed(0);
  world.run(13000);
  const difference = (member.mesh.getNodeTime() - (Math.floor(world.time * 1000) + 777000000)) | 0;
  // Half of the 30 ms that only one way took.
  expect(Math.abs(difference)).toBeLessThan(16000);
  expect(requests()).toBeLessThanOrEqual(4);
});

test("replies keep t1 and t2 so far apart that C++ nodes believe them", () => {
  const world = new World();
  join(world, { name: "ap" }, { nodeId: 3000 });
  const peer = rawClient(world, "ap");
  world.runUntil(() => peer.opened, 100, 1);
  peer.send('{"nodeId":1,"type":5,"dest":0,"from":1}');
  world.run(50);
  world.latency = 50;
  const asked = world.time;
  peer.send('{"type":4,"dest":3000,"from":1,"msg":{"type":1,"t0":4294967290}}');
  let answered = 0;
  peer.onFrame = () => (answered = world.time);
  world.run(300);
  const reply = JSON.parse(peer.texts().at(-1)!) as { msg: { type: number; t0: number; t1: number; t2: number } };
  expect(reply.msg).toMatchObject({ type: 2, t0: 4294967290 });
  const roundTrip = (answered - asked) * 1000;
  const between = (reply.msg.t2 - reply.msg.t1) | 0;
  expect(between * 85).toBeGreaterThanOrEqual(roundTrip);
  // Moved apart by the same amount, so that the offset stays true.
  const middle = (asked + 50) * 1000;
  expect(Math.abs((reply.msg.t1 + reply.msg.t2) / 2 - middle)).toBeLessThan(2);
});

test("answers that are late, repeated or forged move nothing", () => {
  const { world, member } = timed(500);
  world.run(13000);
  const before = member.events.filter((e) => e.startsWith("time")).length;
  expect(before).toBeGreaterThan(0);
  const peer = world.nodes.find((n) => n.options.name === "raw")!.wires[0]!;
  peer.write('{"type":4,"dest":3000,"from":1,"msg":{"type":2,"t0":5,"t1":1,"t2":2}}\0');
  world.run(1000);
  expect(member.events.filter((e) => e.startsWith("time")).length).toBe(before);
});

test("a peer whose answers are never good is not asked for ever", () => {
  const world = new World();
  const member = join(world, { name: "ap" }, { nodeId: 3000 });
  const peer = rawClient(world, "ap");
  world.runUntil(() => peer.opened, 100, 1);
  let asked = 0;
  peer.onFrame = (text) => {
    if (text.includes('"type":5')) peer.send('{"nodeId":1,"subs":[{"nodeId":50}],"type":6,"dest":3000,"from":1}');
    if (!text.includes('"type":4')) return;
    asked++;
    peer.send(answer(world.time, 900, text, () => world.random() % 2 ** 31));
  };
  peer.send('{"nodeId":1,"subs":[{"nodeId":50}],"type":5,"dest":0,"from":1}');
  world.run(70000);
  expect(asked).toBeGreaterThan(10);
  expect(asked).toBeLessThan(70);
  expect(member.mesh.getNodeList()).toEqual([1, 50]);
});

test("the way to a node is measured over several hops", () => {
  const world = new World();
  const members = skewed(world, line(4));
  world.run(5000);
  world.latency = 10;
  expect(members[0]!.mesh.startDelayMeas(4)).toBe(true);
  world.run(1000);
  const [, from, delay] = members[0]!.events
    .find((e) => e.startsWith("delay"))!
    .split(" ")
    .map(Number);
  expect(from).toBe(4);
  expect(delay).toBeGreaterThan(29000);
  expect(delay).toBeLessThan(31000);
});
