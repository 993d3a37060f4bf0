import { PORT, join, line, rawClient, tree, whole } from "./support/fleet";
import { World } from "./support/world";
import type { RawPeer } from "./support/world";

const sync = (id: number, type = 5, subs = ""): string =>
  `{"nodeId":${id}${subs && `,"subs":[${subs}]`},"type":${type},"dest":0,"from":${id}}`;

/** A raw neighbour that answers node syncs with a tree. */
function neighbour(world: World, host: string, id: number, subs = ""): RawPeer {
  const peer = rawClient(world, host, "raw" + id);
  peer.onFrame = (text) => {
    if (text.includes('"type":5')) peer.send(sync(id, 6, subs));
  };
  world.runUntil(() => peer.opened, 1000, 1);
  peer.send(sync(id, 5, subs));
  world.run(20);
  return peer;
}

function single(): { world: World; member: ReturnType<typeof join> } {
  const world = new World();
  return { world, member: join(world, { name: "hub" }, { nodeId: 2000 }) };
}

test.each([
  ["its own id", sync(2000)],
  ["its own id below", sync(7, 5, '{"nodeId":8,"subs":[{"nodeId":2000}]}')],
  ["the peer below itself", sync(7, 5, '{"nodeId":8,"subs":[{"nodeId":7}]}')],
])("a new link that brings %s is refused without an answer", (_, text) => {
  const { world, member } = single();
  const peer = rawClient(world, "hub");
  world.run(10);
  peer.send(text);
  world.run(20);
  expect(peer.closedAt).not.toBeNull();
  expect(peer.frames).toEqual([]);
  expect(member.events).toEqual([]);
  expect(member.mesh.stats.refused).toBe(1);
});

test("an id that is reachable already is refused on a new link, and the old one stays", () => {
  const { world, member } = single();
  const first = neighbour(world, "hub", 7, '{"nodeId":8}');
  for (const id of [7, 8]) {
    const second = rawClient(world, "hub", "second" + id);
    world.run(10);
    second.send(sync(id));
    world.run(20);
    expect(second.frames).toEqual([]);
    expect(second.closedAt).not.toBeNull();
  }
  world.run(30000);
  expect(first.closedAt).toBeNull();
  expect(member.mesh.getNodeList()).toEqual([7, 8]);
});

test("a neighbour that restarted gets in as soon as its dead link has been probed", () => {
  const { world, member } = single();
  const first = neighbour(world, "hub", 7);
  first.onFrame = null;
  const second = neighbour(world, "hub", 7);
  expect(second.closedAt).not.toBeNull();
  world.run(6100);
  expect(member.mesh.getNodeList()).toEqual([]);
  expect(neighbour(world, "hub", 7).closedAt).toBeNull();
  expect(member.mesh.getNodeList()).toEqual([7]);
});

test("a neighbour that changes its id is closed, one whose tree names its own id too", () => {
  const { world, member } = single();
  const a = neighbour(world, "hub", 7);
  a.send(sync(9));
  const b = neighbour(world, "hub", 10);
  b.send(sync(10, 5, '{"nodeId":11,"subs":[{"nodeId":10}]}'));
  world.run(20);
  expect(a.closedAt).not.toBeNull();
  expect(b.closedAt).not.toBeNull();
  expect(member.events.filter((e) => e !== "changed")).toEqual(["new 7", "dropped 7", "new 10", "dropped 10"]);
});

test("a loop that closes behind a node's back is broken at its parent link", () => {
  const world = new World();
  const [, child] = tree(world, line(2));
  world.run(3000);
  expect(child!.mesh.getNodeList()).toEqual([1]);
  // The parent's tree suddenly holds the child itself.
  neighbour(world, "n1", 50, '{"nodeId":2}');
  world.run(100);
  expect(child!.mesh.stats.refused).toBe(1);
});

test("before its node sync a peer is not listened to", () => {
  const { world, member } = single();
  const other = neighbour(world, "hub", 7);
  const stranger = rawClient(world, "hub", "stranger");
  world.run(10);
  stranger.send('{"type":8,"from":9,"dest":0,"msg":"spam"}');
  stranger.send('{"type":4,"from":9,"dest":2000,"msg":{"type":1,"t0":1}}');
  world.run(20);
  expect(member.received).toEqual([]);
  expect(stranger.frames).toEqual([]);
  expect(other.texts().filter((t) => t.includes("spam"))).toEqual([]);
  expect(member.mesh.stats.dropped).toBe(2);
});

test("node sync cannot be routed through others", () => {
  const { world, member } = single();
  const a = neighbour(world, "hub", 7);
  const b = neighbour(world, "hub", 8);
  const before = b.frames.length;
  a.send('{"nodeId":99,"type":5,"dest":0,"from":99,"routing":2}');
  a.send('{"nodeId":99,"type":5,"dest":2000,"from":99,"routing":1}');
  world.run(20);
  expect(member.mesh.getNodeList()).toEqual([7, 8]);
  expect(b.frames.length).toBe(before);
});

test("unknown packages are passed on by their routing, byte for byte", () => {
  const { world, member } = single();
  const a = neighbour(world, "hub", 7);
  const b = neighbour(world, "hub", 8, '{"nodeId":9}');
  const c = neighbour(world, "hub", 10);
  const frames = [
    '{"type":777, "from":7,"dest":9,"routing":1,"deep":{"a":[1,2.50]}}',
    '{"from":7,"routing":2,"type":778,"x":"\xc3\xa9"}',
    '{"type":779,"from":7,"dest":8,"routing":0}',
  ];
  for (const frame of frames) a.send(frame);
  world.run(20);
  const got = (peer: RawPeer): string[] => peer.texts().filter((t) => t.includes('"type":77'));
  expect(got(b)).toEqual([frames[0], frames[1]]);
  expect(got(c)).toEqual([frames[1]]);
  expect(got(a)).toEqual([]);
  expect(member.mesh.stats.forwarded).toBe(3);
});

test("a package is not sent back to where it came from, nor to nowhere", () => {
  const { world, member } = single();
  const a = neighbour(world, "hub", 7, '{"nodeId":9}');
  a.send('{"type":9,"from":7,"dest":9,"msg":"back?"}');
  a.send('{"type":9,"from":7,"dest":55,"msg":"nowhere"}');
  world.run(20);
  expect(a.texts().filter((t) => t.includes('"type":9'))).toEqual([]);
  expect(member.mesh.stats.dropped).toBe(2);
});

test("junk on one link harms nobody", () => {
  const { world, member } = single();
  const a = neighbour(world, "hub", 7);
  for (let i = 0; i < 500; i++) {
    const length = world.random() % 200;
    let bytes = "";
    for (let k = 0; k < length; k++) bytes += String.fromCharCode(world.random() & 255);
    a.wire!.write(bytes);
  }
  a.wire!.write("\0");
  for (const bad of ['"subs":5', '"subs":[{"nodeId":-4}]', '"subs":[[[]]]', '"nodeId":"7"'])
    a.send(`{"type":5,"from":7,"dest":0,${bad}}`);
  for (const msg of ["5", "null", "{}", '{"type":1}', '{"type":2,"t0":1}', '{"type":1,"t0":-1}', '"x"'])
    for (const type of [3, 4, 8, 9, 701]) a.send(`{"type":${type},"from":7,"dest":2000,"routing":1,"msg":${msg}}`);
  a.send('{"type":9,"from":7,"dest":2000,"msg":"still here"}');
  world.run(1000);
  expect(member.received).toContain("7:still here");
  expect(member.received.filter((r) => !["7:still here", "7:x"].includes(r))).toEqual([]);
  expect(member.node.log).toEqual([]);
  expect(member.mesh.stats.malformed).toBeGreaterThan(20);
});

test("a neighbour that dies is noticed, and the others hear of it", () => {
  const world = new World();
  const members = tree(world, line(4));
  expect(world.runUntil(() => whole(members), 20000)).toBe(true);
  members[2]!.node.powerOff();
  expect(world.runUntil(() => members[0]!.mesh.getNodeList().length === 1, 75000)).toBe(true);
  expect(members[1]!.events).toContain("dropped 3");
  expect(members[3]!.mesh.getNodeList()).toEqual([]);
});

test("trees do not change by themselves: the mesh falls silent but for its minute", () => {
  const world = new World();
  const members = tree(world, line(5));
  world.run(60000);
  const changes = members.map((m) => m.events.filter((e) => e === "changed").length);
  const sent = members.map((m) => m.mesh.stats.tx);
  world.run(600000);
  expect(members.map((m) => m.events.filter((e) => e === "changed").length)).toEqual(changes);
  // Two sides of at most two links: sync, reply and time exchange a minute.
  members.forEach((m, i) => expect(m.mesh.stats.tx - sent[i]!).toBeLessThan(10 * 2 * 2 * 4));
  expect(members[0]!.mesh.state.stability).toBeGreaterThan(200);
});

test("a root is seen everywhere, and a flag missing from a reply does not flip", () => {
  const world = new World();
  const members = tree(world, line(3));
  world.run(15000);
  expect(members[2]!.mesh.rootId()).toBe(0);
  members[0]!.mesh.setRoot(true);
  world.run(100);
  expect(members.map((m) => m.mesh.rootId())).toEqual([1, 1, 1]);
  expect(members[2]!.mesh.subConnectionJson()).toBe(
    '{"nodeId":3,"subs":[{"nodeId":2,"subs":[{"nodeId":1,"root":true}]}]}',
  );
  const { world: w2, member } = single();
  const peer = rawClient(w2, "hub");
  w2.run(10);
  peer.send('{"nodeId":7,"hasTimeAuthority":true,"type":5,"dest":0,"from":7}');
  w2.run(20);
  const changes = member.events.length;
  peer.send('{"nodeId":7,"type":6,"dest":2000,"from":7}');
  w2.run(20);
  expect(member.events.length).toBe(changes);
});

test("HELLO tells Espalier nodes from others", () => {
  const world = new World();
  const hello = { v: "1.2.3", c: 5 };
  const hub = join(world, { name: "hub" }, { nodeId: 1, hello });
  const child = join(world, { name: "child" }, { nodeId: 2, uplink: { host: "hub", port: PORT } });
  neighbour(world, "hub", 7);
  world.run(3000);
  expect(hub.mesh.neighbours()).toMatchObject([
    { id: 7, up: false, espalier: false, v: "", c: 0, nodes: 1 },
    { id: 2, up: false, espalier: true, v: "", c: 0, nodes: 1 },
  ]);
  expect(child.mesh.neighbours()).toMatchObject([{ id: 1, up: true, espalier: true, v: "1.2.3", c: 5, nodes: 2 }]);
});

test("links beyond the limit are refused", () => {
  const world = new World();
  const hub = join(world, { name: "hub" }, { nodeId: 1, maxLinks: 3 });
  const peers = [7, 8, 9, 10].map((id) => {
    const peer = rawClient(world, "hub", "raw" + id);
    world.run(10);
    return peer;
  });
  expect(peers.map((p) => p.closedAt !== null)).toEqual([false, false, false, true]);
  expect(hub.mesh.stats.refused).toBe(1);
});

test("an interpreter that was held up does not blame its neighbours", () => {
  const { world, member } = single();
  const peer = neighbour(world, "hub", 7);
  world.runUntil(() => peer.texts().some((t) => t.includes('"type":5')), 12000);
  peer.onFrame = null;
  world.runUntil(() => peer.texts().filter((t) => t.includes('"type":5')).length > 1, 70000);
  // A connect blocks for 15 s; the answer that came meanwhile is read after the timers have run.
  for (const event of (world as unknown as { events: { at: number }[] }).events) event.at += 15000;
  world.at(16200, () => peer.send(sync(7, 6)));
  world.run(30000);
  expect(member.mesh.getNodeList()).toEqual([7]);
});

test("handlers that throw are logged and skipped", () => {
  const { world, member } = single();
  const heard: string[] = [];
  member.mesh.onReceive(() => {
    throw new Error("application");
  });
  member.mesh.onReceive((from, text) => heard.push(from + text));
  const peer = neighbour(world, "hub", 7);
  peer.send('{"type":9,"from":7,"dest":2000,"msg":"a"}');
  world.run(20);
  expect(heard).toEqual(["7a"]);
  expect(member.node.log).toEqual(["mesh: receive: Error: application"]);
});

test("stop closes everything and start forms the mesh again", () => {
  const world = new World();
  const members = tree(world, line(3));
  world.run(5000);
  members[1]!.mesh.stop();
  world.run(5000);
  expect(members.map((m) => m.mesh.getNodeList().length)).toEqual([0, 0, 0]);
  members[1]!.mesh.start();
  expect(world.runUntil(() => whole(members), 60000)).toBe(true);
});

test("sending without a way, to oneself, or with self included", () => {
  const { world, member } = single();
  expect(member.mesh.sendSingle(2000, "me")).toBe(false);
  expect(member.mesh.sendSingle(7, "x")).toBe(false);
  expect(member.mesh.sendBroadcast("x")).toBe(false);
  expect(member.mesh.sendBroadcast("self", true)).toBe(false);
  expect(member.received).toEqual(["2000:self"]);
  expect(member.mesh.startDelayMeas(7)).toBe(false);
  neighbour(world, "hub", 7);
  expect(member.mesh.sendBroadcast("x")).toBe(true);
  expect(member.mesh.sendPackage({ type: 604, routing: 1, dest: 7, x: 1 })).toBe(true);
  expect(member.mesh.sendPackage({ type: 604, x: 1 })).toBe(false);
  expect([member.mesh.getHopCount(2000), member.mesh.getHopCount(7), member.mesh.getHopCount(8)]).toEqual([0, 1, -1]);
  expect([member.mesh.routeTo(7), member.mesh.routeTo(8)]).toEqual([7, 0]);
});
