import { readFileSync } from "node:fs";
import * as path from "node:path";
import { PORT, join, rawClient, rawServer } from "./support/fleet";
import type { Member } from "./support/fleet";
import { World } from "./support/world";
import type { RawPeer } from "./support/world";

const VECTORS = path.join(__dirname, "../vectors");
/** Housekeeping runs once a second. */
const TICK = 1100;

interface Step {
  at: number;
  kind: string;
  text: string;
}

function steps(name: string): Step[] {
  return readFileSync(path.join(VECTORS, `painlessmesh-${name}.txt`), "utf8")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => {
      const match = /^\s*([\d.]+) ([<>!=]) (.*)$/.exec(line)!;
      return { at: Number(match[1]) * 1000, kind: match[2]!, text: match[3]! };
    });
}

const masked = (text: string): string => text.replace(/"(t[012])":\d+/g, '"$1":0');

/** Plays one recording against a node and its peer; the node's frames have to come in order and in time. */
function replay(name: string, world: World, member: Member, peer: RawPeer): void {
  const start = world.time;
  const others = new Map<string, RawPeer>();
  const clock = (): number => Math.floor(world.time * 1000) + 123456789;
  let lag = 0;
  let frames = 0;
  let received = 0;
  let asked = 0;
  const expected: string[] = [];
  const actual: string[] = [];
  for (const { at, kind, text } of steps(name)) {
    if (start + at + lag > world.time) world.run(start + at + lag - world.time);
    const [verb, who, ...rest] = text.split(" ");
    if (kind === ">") {
      const now = clock();
      const bytes = text.replaceAll("\\0", "\0").replace("$t0", `${asked}`).replace("$now", `${now}`);
      peer.wire!.write(bytes.replace("$later", `${now + 700}`));
    } else if (kind === "<") {
      expected.push(masked(text));
      world.runUntil(() => peer.texts().length > frames, TICK, 1);
      lag = Math.max(lag, world.time - start - at);
      const frame = peer.texts()[frames++] ?? "(nothing)";
      actual.push(masked(frame));
      asked = Number(/"type":1,"t0":(\d+)/.exec(frame)?.[1] ?? asked);
    } else if (kind === "=") {
      world.run(20);
      expect(member.received[received++]).toBe(text.replace(" ", ":"));
    } else if (verb === "single") {
      expect(member.mesh.sendSingle(Number(who), rest.join(" "))).toBe(true);
    } else if (verb === "broadcast") {
      expect(member.mesh.sendBroadcast(who!)).toBe(true);
    } else if (verb === "join") {
      const other = rawClient(world, member.node.options.name, "other" + who);
      others.set(who!, other);
      world.runUntil(() => other.opened, 1000, 1);
      other.send(`{"nodeId":${who},"type":5,"dest":0,"from":${who}}`);
    } else others.get(who!)!.wire!.close();
  }
  expect(actual).toEqual(expected);
  expect(received).toBe(member.received.length);
}

test("a station joins, talks, sends junk and sees trees change", () => {
  const world = new World();
  const member = join(world, { name: "ap" }, { nodeId: 2000 });
  const local: number[] = [];
  member.mesh.onPackage(604, (p) => local.push(p.x as number));
  const peer = rawClient(world, "ap");
  world.runUntil(() => peer.opened, 100, 1);
  replay("station", world, member, peer);
  // Without a routing it is not passed on, but handlers here still see it.
  expect(local).toEqual([1, 2]);
  expect(member.mesh.stats.malformed).toBe(1);
  expect(member.events.filter((e) => e.startsWith("new"))).toEqual(["new 1500", "new 1600", "new 1700"]);
  expect(member.mesh.getHopCount(79)).toBe(3);
});

test("a station syncs first and asks the larger mesh's time to be adopted", () => {
  const world = new World();
  const peer = rawServer(world, "cpp");
  const member = join(world, { name: "sta" }, { nodeId: 4000, uplink: { host: "cpp", port: PORT } });
  world.runUntil(() => peer.opened, 3000, 1);
  // 4000 is larger than 10, so this node keeps its time.
  replay("access-point", world, member, peer);
  expect(member.mesh.neighbours()).toMatchObject([{ id: 10, up: true, espalier: false }]);
});

test("an access point adopts the time of a larger mesh in two exchanges", () => {
  const world = new World();
  const member = join(world, { name: "ap" }, { nodeId: 3000 });
  const peer = rawClient(world, "ap");
  world.runUntil(() => peer.opened, 100, 1);
  replay("time", world, member, peer);
  world.run(100);
  const difference = (member.mesh.getNodeTime() - Math.floor(world.time * 1000) - 123456789) | 0;
  expect(Math.abs(difference)).toBeLessThan(1000);
  // The first exchange moved the clock, the second found it good: silence for a minute.
  const before = peer.texts().filter((t) => t.includes('"type":4')).length;
  world.run(30000);
  expect(peer.texts().filter((t) => t.includes('"type":4')).length).toBe(before);
});

test("update packages reach their handlers", () => {
  const world = new World();
  const peer = rawServer(world, "cpp");
  const member = join(world, { name: "sta" }, { nodeId: 4100, uplink: { host: "cpp", port: PORT } });
  const seen: unknown[] = [];
  for (const type of [10, 12]) member.mesh.onPackage(type, (p, from) => seen.push([p.type, p.partNo, from]));
  world.runUntil(() => peer.opened, 3000, 1);
  replay("ota", world, member, peer);
  world.run(100);
  expect(seen).toEqual([
    [10, undefined, 10],
    [12, 0, 10],
    [12, 1, 10],
    [12, 3, 10],
  ]);
});

test("a silent client gets a node sync after 10 s and is closed 10 s later", () => {
  const world = new World();
  const member = join(world, { name: "ap" }, { nodeId: 2000 });
  world.run(333);
  const peer = rawClient(world, "ap");
  world.run(40000);
  const since = (at: number | null): number => (at ?? 0) - 333;
  expect(peer.frames.map((f) => f.text)).toEqual(['{"nodeId":2000,"type":5,"dest":0,"from":2000}']);
  expect(since(peer.frames[0]!.at)).toBeGreaterThan(9990);
  expect(since(peer.frames[0]!.at)).toBeLessThan(10000 + TICK);
  expect(since(peer.closedAt)).toBeGreaterThan(19990);
  expect(since(peer.closedAt)).toBeLessThan(20000 + 2 * TICK);
  expect(member.events).toEqual([]);
});

test("a neighbour that talks is not given up for want of an answer; one that falls silent is, 20 s after it was asked", () => {
  const world = new World();
  const member = join(world, { name: "ap" }, { nodeId: 2000 });
  const peer = rawClient(world, "ap");
  world.runUntil(() => peer.opened, 100, 1);
  peer.send('{"nodeId":1,"type":5,"dest":0,"from":1}');
  for (let i = 0; i < 30; i++) {
    world.run(10000);
    peer.send('{"type":8,"dest":0,"from":1,"msg":"here"}');
  }
  const asked = peer.texts().filter((text) => text.includes('"type":5')).length;
  expect(asked).toBeGreaterThan(4);
  expect(member.mesh.getNodeList()).toEqual([1]);
  const last = world.time;
  world.runUntil(() => peer.closedAt !== null, 90000);
  expect(peer.closedAt! - last).toBeGreaterThan(19000);
  expect(peer.closedAt! - last).toBeLessThan(70000 + 2 * TICK);
});

test("a silent server is left after 10 s", () => {
  const world = new World();
  const peer = rawServer(world, "cpp");
  join(world, { name: "sta" }, { nodeId: 4000, uplink: { host: "cpp", port: PORT } });
  world.runUntil(() => peer.opened, 3000, 1);
  const start = world.time;
  world.runUntil(() => peer.closedAt !== null, 30000);
  expect(peer.closedAt! - start).toBeGreaterThan(9990);
  expect(peer.closedAt! - start).toBeLessThan(10000 + TICK);
});
