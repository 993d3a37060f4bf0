import { createAirwave } from "../../firmware/mesh/airwave";
import { createMesh } from "../../firmware/mesh/mesh";
import { PORT, join, whole } from "./support/fleet";
import type { Member } from "./support/fleet";
import { World } from "./support/world";

function formed(children: number): { world: World; members: Member[] } {
  const world = new World(2);
  const members: Member[] = [];
  for (let id = 1; id <= children + 1; id++)
    members.push(join(world, { name: "w" + id, id, wifi: true }, { root: id === 1 }));
  expect(world.runUntil(() => whole(members), 60000)).toBe(true);
  world.run(2000);
  return { world, members };
}

function hive(children: number) {
  const { world, members } = formed(children);
  const heard: string[] = [];
  const airwaves = members.map((m, i) => {
    const airwave = createAirwave(m.node.engine, m.mesh);
    airwave.onFrame("D".charCodeAt(0), (bytes, fromParent) => heard.push(`${i + 1} ${fromParent} ${bytes}`));
    airwave.start();
    return airwave;
  });
  return { world, members, airwaves, heard };
}

test("one datagram reaches all children, an answer only the parent", () => {
  const { world, airwaves, heard } = hive(3);
  let sent = 0;
  expect(airwaves[0]!.sendToChildren("Ddown", () => sent++)).toBe(true);
  expect(airwaves[2]!.sendToParent("Dup")).toBe(true);
  world.run(100);
  expect(heard.sort()).toEqual(["1 false Dup", "2 true Ddown", "3 true Ddown", "4 true Ddown"]);
  expect(sent).toBe(1);
  expect(airwaves[0]!.stats).toEqual({ rx: 1, tx: 1, malformed: 0, failures: 0 });
});

test("without a parent or an open access point nothing is sent", () => {
  const { airwaves } = hive(1);
  expect(airwaves[0]!.sendToParent("Dx")).toBe(false);
  expect(airwaves[0]!.sendToChildren("")).toBe(false);
  expect(airwaves[0]!.sendToChildren("x".repeat(1473))).toBe(false);
  expect(airwaves[0]!.sendToChildren("x".repeat(1472))).toBe(true);
  const world = new World();
  const wired = join(world, { name: "wired" }, { nodeId: 1 });
  const airwave = createAirwave(wired.node.engine, wired.mesh);
  airwave.start();
  expect(airwave.sendToChildren("Dx")).toBe(false);
});

test("datagrams wait their turn in a bounded queue, each 'sent' comes once and in order", () => {
  const { world, airwaves, heard } = hive(1);
  const sent: number[] = [];
  const taken = Array.from({ length: 12 }, (_, i) => airwaves[0]!.sendToChildren("D" + i, () => sent.push(i)));
  expect(taken).toEqual([...Array<boolean>(9).fill(true), false, false, false]);
  expect(airwaves[0]!.backlog()).toBe(9);
  world.run(100);
  expect(sent).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(heard.length).toBe(9);
  expect(airwaves[0]!.stats.failures).toBe(3);
});

test("frames that nobody handles are counted", () => {
  const { world, airwaves, heard } = hive(1);
  airwaves[0]!.sendToChildren("Zz");
  airwaves[0]!.sendToChildren("\0");
  world.run(100);
  expect(heard).toEqual([]);
  expect(airwaves[1]!.stats).toMatchObject({ rx: 2, malformed: 2 });
});

test("a socket that swallows datagrams is opened again, and its sender is not left waiting", () => {
  const { world, members } = formed(1);
  const engine = members[0]!.node.engine;
  const real = engine.openDatagrams;
  let opened = 0;
  engine.openDatagrams = (port, received) => {
    const socket = real(port, received);
    return opened++ ? socket : { send: () => true, close: () => socket.close() };
  };
  const airwave = createAirwave(engine, members[0]!.mesh);
  airwave.start();
  const sent: number[] = [];
  airwave.sendToChildren("Da", () => sent.push(1));
  airwave.sendToChildren("Db", () => sent.push(2));
  world.run(1000);
  expect(sent).toEqual([]);
  world.run(31000);
  expect(sent).toEqual([1, 2]);
  expect(opened).toBe(2);
});

test("a receiver that has fallen silent is opened again", () => {
  const { world, members } = formed(1);
  const engine = members[1]!.node.engine;
  const real = engine.openDatagrams;
  let opened = 0;
  engine.openDatagrams = (port, received) => {
    opened++;
    return real(port, received);
  };
  const airwave = createAirwave(engine, members[1]!.mesh);
  airwave.start();
  world.run(60000);
  expect(opened).toBe(1);
  world.run(70000);
  expect(opened).toBe(2);
  airwave.shut();
  world.run(200000);
  expect(opened).toBe(2);
});

test("the airwave's port is the one after the mesh's", () => {
  const world = new World();
  const ports: number[] = [];
  const engine = { ...world.node({ name: "n" }).engine };
  engine.openDatagrams = (port) => {
    ports.push(port);
    return { send: () => true, close: () => undefined };
  };
  createAirwave(engine, createMesh(engine, { meshName: "m", password: "", port: PORT, channel: 1 })).start();
  expect(ports).toEqual([PORT + 1]);
});
