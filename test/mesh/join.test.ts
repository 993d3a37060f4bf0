import { accessPointName, idOfAccessPoint } from "../../firmware/mesh/join";
import type { JoinConfig } from "../../firmware/mesh/join";
import { PORT, join, rawClient, rawServer, whole } from "./support/fleet";
import type { Member } from "./support/fleet";
import { World } from "./support/world";
import type { MeshConfig } from "../../firmware/mesh/mesh";

const config: JoinConfig = { meshName: "grove", password: "", port: PORT, channel: 1 };

/** Nodes on a line, `spacing` apart, that hear each other up to 1.5. */
function onLine(world: World, positions: { [id: number]: number }): void {
  world.rssi = (a, b) => {
    const distance = Math.abs(positions[a.options.id!]! - positions[b.options.id!]!);
    return distance > 1.5 ? null : -40 - 20 * distance;
  };
}

const node = (world: World, id: number, extra: Partial<MeshConfig> = {}, hardware = "ESP32", maxStations = 4): Member =>
  join(world, { name: "w" + id, id, wifi: true, hardware, maxStations }, extra);

const count = (member: Member, call: string): number => member.node.radio.filter((r) => r.startsWith(call)).length;

test("SSIDs carry the id, and nothing else does", () => {
  expect(accessPointName(config, 0x1f)).toBe("grove-0000001f");
  const id = (ssid: string, extra: Partial<JoinConfig> = {}): number =>
    idOfAccessPoint({ ...config, ...extra }, { ssid, mac: "aa:bb:cc:dd:ee:ff", rssi: -50, channel: 1 });
  expect(id("grove-deadbeef")).toBe(0xdeadbeef);
  for (const other of [
    "grove-",
    "grove-xyz",
    "grove-1f",
    "grove-deadbeef0",
    "grove-DEADBEEF",
    "grovedeadbeef",
    "lawn-deadbeef",
    "",
  ])
    expect(id(other)).toBe(0);
  expect(id("shared", { ssid: "shared" })).toBe(0xccddeeff);
  expect(id("other", { ssid: "shared" })).toBe(0);
});

test("a root and its nodes form a tree over several hops; each node opens its access point after it has joined", () => {
  const world = new World(7);
  onLine(world, { 1: 0, 2: 1, 3: 2, 4: 3, 5: 4 });
  const members = [node(world, 1, { root: true }), ...[2, 3, 4, 5].map((id) => node(world, id, {}))];
  members.forEach((m) => m.mesh.setContainsRoot());
  expect(world.runUntil(() => whole(members), 180000)).toBe(true);
  expect(members.map((m) => m.mesh.getHopCount(1))).toEqual([0, 1, 2, 3, 4]);
  world.run(2000);
  for (const m of members.slice(1)) {
    expect(m.node.radio.indexOf("startAP")).toBeGreaterThan(m.node.radio.findIndex((r) => r.startsWith("connect")));
    expect(m.mesh.state.parentIp).not.toBe("");
  }
  expect(members[0]!.node.radio).toEqual(["startAP"]);
  // A rooted tree looks for nothing more.
  const scans = members.map((m) => count(m, "scan"));
  world.run(600000);
  expect(members.map((m) => count(m, "scan"))).toEqual(scans);
});

test("the strongest is chosen; a full one is left alone longer and longer, and the next is tried", () => {
  const world = new World(3);
  const rssi: { [id: number]: number } = { 1: -40, 2: -70 };
  world.rssi = (_, b) => rssi[b.options.id!] ?? -60;
  const full = node(world, 1, { root: true }, "ESP32", 0);
  const other = node(world, 2, { root: true });
  const m = node(world, 3);
  expect(world.runUntil(() => m.mesh.isConnected(2), 60000)).toBe(true);
  expect(m.node.radio.filter((r) => r.startsWith("connect"))).toEqual([
    "connect grove-00000001",
    "connect grove-00000002",
  ]);
  expect(full.mesh.getNodeList()).toEqual([]);
  expect(other.mesh.getNodeList()).toEqual([3]);
});

test("with nothing but refusals a node neither loops nor gives up", () => {
  const world = new World(4);
  const full = node(world, 1, { root: true }, "ESP32", 0);
  const m = node(world, 3, { leaf: true });
  world.run(300000);
  const early = count(m, "connect");
  expect(early).toBeLessThanOrEqual(7);
  world.run(3600000);
  const late = count(m, "connect") - early;
  expect(late).toBeGreaterThan(8);
  expect(late).toBeLessThan(20);
  (full.node.options as { maxStations: number }).maxStations = 4;
  expect(world.runUntil(() => m.mesh.isConnected(1), 400000)).toBe(true);
});

test("a parent that joins the network but never answers is given up after five dials", () => {
  const world = new World(5);
  const mute = world.node({ name: "mute", id: 9, wifi: true });
  mute.engine.wifi!.startAccessPoint(
    { ssid: "grove-00000009", password: "secret-word", channel: 6, ip: "10.0.9.1" },
    () => undefined,
  );
  let dials = 0;
  mute.engine.listen(PORT, (socket) => {
    dials++;
    socket.close();
    return { data: () => undefined, drain: () => undefined, close: () => undefined };
  });
  const m = node(world, 3, { leaf: true });
  world.runUntil(() => count(m, "disconnect") > 0, 120000);
  expect(dials).toBe(5);
  world.run(5000);
  expect(m.node.link).toBeNull();
});

test("when the parent vanishes, the node closes its access point, finds another and opens it again", () => {
  const world = new World(6);
  onLine(world, { 1: 0, 2: 0.2, 3: 1, 4: 2 });
  const first = node(world, 1, { root: true });
  const child = node(world, 3);
  const below = node(world, 4);
  expect(world.runUntil(() => whole([first, child, below]), 120000)).toBe(true);
  const second = node(world, 2, { root: true });
  world.run(5000);
  first.node.powerOff();
  expect(world.runUntil(() => whole([second, child, below]), 240000)).toBe(true);
  const calls = child.node.radio;
  expect(calls.slice(calls.lastIndexOf("stopAP"))).toEqual([
    "stopAP",
    ...calls.filter((c) => c === "scan").slice(0, calls.lastIndexOf("startAP") - calls.lastIndexOf("stopAP") - 2),
    "connect grove-00000002",
    "startAP",
  ]);
});

test("a parent that restarts finds its children again", () => {
  const world = new World(8);
  const root = node(world, 1, { root: true });
  const children = [2, 3].map((id) => node(world, id, { leaf: true }));
  expect(world.runUntil(() => whole([root, ...children]), 60000)).toBe(true);
  root.mesh.stop();
  world.run(20000);
  expect(children.map((c) => c.mesh.getNodeList().length)).toEqual([0, 0]);
  root.mesh.start();
  expect(world.runUntil(() => whole([root, ...children]), 180000)).toBe(true);
});

test("two nodes without a root become one mesh", () => {
  for (let seed = 1; seed <= 8; seed++) {
    const world = new World(seed);
    const members = [node(world, 1), node(world, 2)];
    expect(world.runUntil(() => whole(members), 400000)).toBe(true);
    world.run(300000);
    expect(whole(members)).toBe(true);
  }
});

test("two islands that come into range merge, and a rooted one stays where it is", () => {
  for (const root of [true, false]) {
    const world = new World(11);
    const positions: { [id: number]: number } = { 1: 0, 2: 1, 11: 100, 12: 101 };
    onLine(world, positions);
    const left = [node(world, 1, { root }), node(world, 2)];
    const right = [node(world, 11), node(world, 12)];
    expect(world.runUntil(() => whole(left) && whole(right), 600000)).toBe(true);
    const calls = left[0]!.node.radio.length;
    positions[11] = 2;
    positions[12] = 3;
    const all = [...left, ...right];
    expect(world.runUntil(() => whole(all), 3 * 3600000, 1000)).toBe(true);
    if (root) expect(left[0]!.node.radio.length).toBe(calls);
  }
});

test("a node never takes one of its own descendants for a parent", () => {
  const world = new World(12);
  onLine(world, { 1: 0, 2: 1, 3: 2, 4: 2.2 });
  const members = [node(world, 1), node(world, 2), node(world, 3), node(world, 4)];
  expect(world.runUntil(() => whole(members), 900000)).toBe(true);
  const refused = members.map((m) => m.mesh.stats.refused);
  for (const m of members) (m.mesh.state as { stability: number }).stability = 1000;
  world.run(900000);
  expect(whole(members)).toBe(true);
  expect(members.map((m) => m.mesh.stats.refused)).toEqual(refused);
});

test("with one SSID for all, a node that got to its own descendant notices, and tries again later", () => {
  const world = new World(13);
  const shared = { ssid: "everyone" };
  // A C++ node whose tree holds this very node.
  const m = node(world, 3, { ...shared });
  const cpp = world.node({ name: "cpp", id: 0x70009, wifi: true });
  cpp.engine.wifi!.startAccessPoint(
    { ssid: "everyone", password: "secret-word", channel: 6, ip: "10.0.9.1" },
    () => undefined,
  );
  const tries: number[] = [];
  cpp.engine.listen(PORT, (socket) => {
    tries.push(world.time);
    return {
      data: () => socket.write('{"nodeId":458761,"subs":[{"nodeId":3}],"type":6,"dest":3,"from":458761}\0'),
      drain: () => undefined,
      close: () => undefined,
    };
  });
  world.run(600000);
  expect(m.mesh.stats.refused).toBe(tries.length);
  expect(tries.length).toBeGreaterThanOrEqual(10);
  expect(tries.length).toBeLessThan(45);
  expect(m.mesh.getNodeList()).toEqual([]);
});

test("a C3 is a leaf: it never opens an access point, alone or joined", () => {
  const world = new World(14);
  const c3 = node(world, 3, {}, "ESP32-C3");
  world.run(200000);
  const root = node(world, 1, { root: true });
  expect(world.runUntil(() => whole([root, c3]), 60000)).toBe(true);
  expect(count(c3, "startAP")).toBe(0);
  const alone = node(new World(15), 4, { root: true }, "ESP32-C3");
  alone.node.world.run(2000);
  expect(count(alone, "startAP")).toBe(1);
});

test("a fixed parent is the only one that is joined", () => {
  const world = new World(16);
  const rssi: { [id: number]: number } = { 1: -40, 2: -80 };
  world.rssi = (_, b) => rssi[b.options.id!] ?? -60;
  node(world, 1, { root: true });
  node(world, 2, { root: true });
  const m = node(world, 3, { parent: 2 });
  expect(world.runUntil(() => m.mesh.isConnected(2), 60000)).toBe(true);
  expect(count(m, "connect grove-00000001")).toBe(0);
});

test("the access point follows the parent's channel", () => {
  const world = new World(17);
  node(world, 1, { root: true, channel: 11 });
  const m = node(world, 2, { channel: 3 });
  world.run(20000);
  expect(m.node.ap).toMatchObject({ ssid: "grove-00000002", channel: 11, ip: "10.0.2.1", password: "secret-word" });
});

test("a root with a router joins it before it opens its access point, and serves its mesh without it too", () => {
  const world = new World(18);
  const station = { ssid: "home", password: "router-pass" };
  const router = world.node({ name: "router", id: 0x99, wifi: true });
  const open = (): void =>
    router.engine.wifi!.startAccessPoint(
      { ssid: "home", password: "router-pass", channel: 9, ip: "192.168.1.1" },
      () => undefined,
    );
  open();
  const root = node(world, 1, { root: true, station });
  world.run(10000);
  expect(root.node.radio).toEqual(["scan", "connect home", "startAP"]);
  expect(root.node.ap).toMatchObject({ channel: 9 });
  router.closeAp();
  world.run(30000);
  expect(root.node.ap).not.toBeNull();
  open();
  expect(world.runUntil(() => root.node.link !== null && root.node.ap !== null, 120000)).toBe(true);
});

test("an engine without WiFi dials its uplink, and dials again for as long as it takes", () => {
  const world = new World(19);
  const laptop = join(world, { name: "laptop" }, { nodeId: 5, uplink: { host: "cpp", port: PORT } });
  world.run(120000);
  const server = rawServer(world, "cpp");
  expect(world.runUntil(() => server.opened, 40000)).toBe(true);
  server.onFrame = (text) => {
    if (text.includes('"type":5')) server.send('{"nodeId":9,"type":6,"dest":5,"from":9}');
  };
  server.send('{"nodeId":9,"type":6,"dest":5,"from":9}');
  world.run(100);
  expect(laptop.mesh.getNodeList()).toEqual([9]);
  expect(laptop.mesh.state.parentIp).toBe("cpp");
  server.opened = false;
  server.wire!.close();
  expect(world.runUntil(() => server.opened, 10000)).toBe(true);
});

test("a station that left is looked for at once", () => {
  const world = new World(20);
  const root = node(world, 1, { root: true });
  const child = node(world, 2);
  expect(world.runUntil(() => whole([root, child]), 60000)).toBe(true);
  child.node.powerOff();
  // 6 s until the access point notices, 5 s for an answer that does not come.
  expect(world.runUntil(() => root.mesh.getNodeList().length === 0, 12500)).toBe(true);
});

test("a raw client cannot hold a place for ever", () => {
  const world = new World(21);
  const hub = join(world, { name: "hub" }, { nodeId: 1, maxLinks: 1 });
  rawClient(world, "hub");
  world.run(25000);
  const late = rawClient(world, "hub", "late");
  world.run(10);
  late.send('{"nodeId":7,"type":5,"dest":0,"from":7}');
  world.run(10);
  expect(hub.mesh.getNodeList()).toEqual([7]);
});
