import { World, type WorldOptions } from "../../../host-tools/simulator/world";
import { joinAll, startChip, startChips, type TestChip } from "./test-port";

const quiet: WorldOptions = { seed: 3, radio: { shadowingDb: 0 } };

function record(chip: TestChip): [string, unknown][] {
  const seen: [string, unknown][] = [];
  for (const name of ["associated", "connected", "disconnected", "sta_joined", "sta_left"]) {
    chip.Wifi.on(name, (details: unknown) => seen.push([name, details]));
  }
  return seen;
}

describe("Wifi of a virtual ESP32", () => {
  test("joins, gets an address, and tells both sides, with Espruino's details", () => {
    const world = new World(quiet);
    const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
    const atRoot = record(root);
    const atLeaf = record(leaf);
    joinAll(world, root, [leaf]);
    expect(atRoot).toEqual([["sta_joined", { mac: leaf.node.mac }]]);
    expect(atLeaf).toEqual([
      ["associated", { ssid: "net-1", mac: root.node.accessPointMac, channel: "6" }],
      ["connected", { ip: "10.0.1.2", netmask: "255.255.255.0", gw: "10.0.1.1" }],
    ]);
    expect(leaf.Wifi.getIP()).toEqual({ ip: "10.0.1.2", netmask: "255.255.255.0", gw: "10.0.1.1", mac: leaf.node.mac });
    expect(root.Wifi.getAPIP().mac).toBe("02:00:00:00:00:01");
    expect(leaf.Wifi.getStatus()).toMatchObject({ station: "connected", ssid: "net-1", rssi: -60, channel: 6 });
    expect(leaf.Wifi.getDetails().status).toBe("connected");
    expect(root.Wifi.getAPDetails()).toMatchObject({ ssid: "net-1", maxConn: 4, authMode: "wpa2" });
  });

  test("a scan takes the time of 13 channels and lists what is heard, channels as strings", () => {
    const world = new World(quiet);
    const chips = startChips(world, 3);
    chips[0]!.run(() => chips[0]!.Wifi.startAP("one", { channel: 3 }));
    chips[1]!.run(() => chips[1]!.Wifi.startAP("two", { password: "password" }));
    world.events.run(100);
    let found: { ssid: string; channel: string; authMode: string; mac: string; rssi: number }[] = [];
    let at = 0;
    chips[2]!.run(() => {
      chips[2]!.Wifi.scan((list: typeof found) => ((found = list), (at = world.events.now())));
      expect(() => chips[2]!.Wifi.scan(() => {})).toThrow("already in progress");
    });
    world.events.run(10_000);
    expect(chips[2]!.errors).toEqual([]);
    expect(at).toBeGreaterThan(100 + 13 * 115);
    expect(found.map((f) => [f.ssid, f.channel, f.authMode, f.mac]).sort()).toEqual([
      ["one", "3", "open", chips[0]!.node.accessPointMac],
      ["two", "1", "wpa2", chips[1]!.node.accessPointMac],
    ]);
    for (const { rssi } of found) expect(Math.abs(rssi + 60)).toBeLessThanOrEqual(2);
  });

  test("the fifth station is refused, after three tries, until a place is free", () => {
    const world = new World(quiet);
    const chips = startChips(world, 6);
    joinAll(world, chips[0]!, chips.slice(1, 5));
    const late = chips[5]!;
    const errors: unknown[] = [];
    late.run(() => late.Wifi.connect("net-1", { password: "password" }, (error: unknown) => errors.push(error)));
    world.events.run(world.events.now() + 20_000);
    expect(errors).toEqual(["ASSOC_TOOMANY"]);
    chips[1]!.run(() => chips[1]!.Wifi.disconnect());
    world.events.run(world.events.now() + 100);
    late.run(() => late.Wifi.connect("net-1", { password: "password" }, (error: unknown) => errors.push(error)));
    world.events.run(world.events.now() + 20_000);
    expect(errors).toEqual(["ASSOC_TOOMANY", null]);
  });

  test.each([
    ["nowhere", "password", "NO_AP_FOUND"],
    ["net-1", "passwort", "4WAY_HANDSHAKE_TIMEOUT"],
  ])("connect to %s with %s reports %s", (ssid, password, reason) => {
    const world = new World(quiet);
    const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
    joinAll(world, root, []);
    const errors: unknown[] = [];
    leaf.run(() => leaf.Wifi.connect(ssid, { password }, (error: unknown) => errors.push(error)));
    world.events.run(world.events.now() + 60_000);
    expect(errors).toEqual([reason]);
  });

  test("an access point that hears nothing of a station is found, and not joined", () => {
    const world = new World(quiet);
    const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
    joinAll(world, root, []);
    world.radio.loss.set(leaf.node.id, root.node.id, 1);
    const errors: unknown[] = [];
    leaf.run(() => leaf.Wifi.connect("net-1", { password: "password" }, (error: unknown) => errors.push(error)));
    world.events.run(world.events.now() + 60_000);
    expect(errors).toEqual(["AUTH_EXPIRE"]);
    // Seven tries for each of three attempts, and no frame beyond the first of a join.
    expect(world.radio.statistics.byKind["join"]!.frames).toBe(21);
    expect(root.node.driver.stations.size).toBe(0);
  });

  test("frames of a join that bursts take are sent again until the station has an address", () => {
    let joined = 0;
    for (let seed = 0; seed < 20; seed++) {
      const world = new World({ seed, radio: { shadowingDb: 0, loss: { mean: 0.2, burst: 100 } } });
      const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
      joinAll(world, root, []);
      leaf.run(() => leaf.Wifi.connect("net-1", { password: "password" }));
      world.events.run(world.events.now() + 30_000);
      if (leaf.Wifi.getIP().ip === "10.0.1.2") joined++;
    }
    // One connect() is three attempts; each needs four frames in a row that no burst outlasts.
    expect(joined).toBeGreaterThan(14);
  });

  test("an access point that dies in the middle of a join is given up", () => {
    const world = new World(quiet);
    const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
    joinAll(world, root, []);
    const errors: unknown[] = [];
    leaf.run(() => leaf.Wifi.connect("net-1", { password: "password" }, (error: unknown) => errors.push(error)));
    world.observe((frame) => {
      if (frame.kind === "join" && root.node.on) world.events.after(0, () => root.down());
    });
    world.events.run(world.events.now() + 60_000);
    expect(errors).toEqual(["NO_AP_FOUND"]);
  });

  test("a scan misses an access point when the link is bad for as long as it listens", () => {
    const heard = [0, 0.2, 0.9].map((mean) => {
      const world = new World({ seed: 5, radio: { shadowingDb: 0, loss: mean && { mean, burst: 400 } } });
      const [root, node] = startChips(world, 2) as [TestChip, TestChip];
      root.run(() => root.Wifi.startAP("one", { channel: 3 }));
      let count = 0;
      for (let i = 0; i < 100; i++) {
        node.run(() => node.Wifi.scan((list: unknown[]) => (count += list.length)));
        world.events.run(world.events.now() + 5000);
      }
      return count;
    });
    // Two scans of a hundred miss what they should hear, for whatever reason.
    expect(heard[0]).toBeGreaterThan(95);
    expect(heard[1]).toBeGreaterThan(80);
    expect(heard[1]).toBeLessThan(97);
    expect(heard[2]).toBeLessThan(40);
    expect(heard[2]).toBeGreaterThan(5);
  });

  test("setAPIP works and reports a failure; wrong arguments throw", () => {
    const world = new World(quiet);
    const [root] = startChips(world, 1) as [TestChip];
    const replies: unknown[] = [];
    root.run(() => {
      const address = { ip: "10.9.8.1", gw: "10.9.8.1", netmask: "255.255.255.0" };
      root.Wifi.setAPIP(address, (error: unknown) => replies.push(error));
      expect(() => root.Wifi.setAPIP({ ...address, ip: "here" }, () => {})).toThrow("Not a valid IP address");
      expect(() => root.Wifi.startAP("x", { password: "short" })).toThrow("at least 8 characters");
      expect(() => root.Wifi.connect(5)).toThrow("No SSID provided");
    });
    world.events.run(1000);
    expect(root.errors).toEqual([]);
    expect(replies).toEqual(["Failure"]);
    expect(root.Wifi.getAPIP().ip).toBe("10.9.8.1");
  });

  test("with an access point up and no link, a second connect comes to nothing, silently", () => {
    const world = new World(quiet);
    const [root, node] = startChips(world, 2) as [TestChip, TestChip];
    joinAll(world, root, []);
    const replies: unknown[] = [];
    node.run(() => node.Wifi.startAP("mine", {}));
    // The scan turns the station interface on beside the access point: nothing will start it again.
    node.run(() => node.Wifi.scan(() => replies.push("scanned")));
    world.events.run(world.events.now() + 5000);
    node.run(() => node.Wifi.connect("net-1", { password: "password" }, (e: unknown) => replies.push(e)));
    world.events.run(world.events.now() + 60_000);
    expect(replies).toEqual(["scanned"]);
    node.run(() => node.Wifi.stopAP());
    world.events.run(world.events.now() + 100);
    node.run(() => node.Wifi.connect("net-1", { password: "password" }, (e: unknown) => replies.push(e)));
    world.events.run(world.events.now() + 10_000);
    expect(replies).toEqual(["scanned", null]);
  });

  test("a scan that meets a dial of the last network is aborted with an empty list", () => {
    const world = new World(quiet);
    const [root, node] = startChips(world, 2) as [TestChip, TestChip];
    joinAll(world, root, [node]);
    node.run(() => node.Wifi.disconnect());
    world.events.run(world.events.now() + 1000);
    const found: number[] = [];
    const scan = () => node.Wifi.scan((list: unknown[]) => found.push(list.length));
    node.run(scan);
    world.events.run(world.events.now() + 5000);
    // Without a network to dial the station interface starts alone.
    node.run(() => {
      node.Wifi.connect("", {});
      scan();
    });
    world.events.run(world.events.now() + 5000);
    expect(found).toEqual([0, 1]);
  });

  test("an access point that dies is noticed by missing beacons, a farewell at once", () => {
    for (const farewell of [false, true]) {
      const world = new World(quiet);
      const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
      joinAll(world, root, [leaf]);
      const seen = record(leaf);
      const died = world.events.now();
      root.down(farewell);
      const linkLost = () => leaf.node.driver.link === null;
      while (!linkLost()) world.events.step();
      expect(world.events.now() - died).toBe(farewell ? 0 : 6000);
      world.events.run(died + 20_000);
      expect(seen.map(([name]) => name)).toEqual(["disconnected"]);
      expect(leaf.Wifi.getIP().ip).toBe("0.0.0.0");
    }
  });

  test("a station that goes silent keeps its place for five minutes, and gets it back when it returns", () => {
    const world = new World(quiet);
    const chips = startChips(world, 2);
    joinAll(world, chips[0]!, [chips[1]!]);
    const seen = record(chips[0]!);
    const gone = world.events.now();
    chips[1]!.down();
    world.events.run(gone + 299_000);
    expect(chips[0]!.node.driver.stations.size).toBe(1);
    world.events.run(gone + 301_000);
    expect(seen).toEqual([["sta_left", { mac: chips[1]!.node.mac }]]);
    const back = startChip(world, chips[1]!.node);
    back.run(() => back.Wifi.connect("net-1", { password: "password" }));
    world.events.run(world.events.now() + 10_000);
    expect(back.Wifi.getIP().ip).toBe("10.0.1.2");
  });

  test("a cut link is lost after six seconds; one restored in time stands", () => {
    const world = new World(quiet);
    const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
    joinAll(world, root, [leaf]);
    world.cutLink(root.node, leaf.node);
    world.events.run(world.events.now() + 5000);
    world.restoreLink(root.node, leaf.node);
    world.events.run(world.events.now() + 10_000);
    expect(leaf.node.driver.link).toBe(root.node.driver);
    world.cutLink(root.node, leaf.node);
    world.events.run(world.events.now() + 6100);
    expect(leaf.node.driver.link).toBeNull();
  });

  test("an access point follows its own station's channel, and takes its stations along", () => {
    const world = new World(quiet);
    const [root, middle, leaf] = startChips(world, 3) as [TestChip, TestChip, TestChip];
    middle.run(() => middle.Wifi.startAP("middle", { channel: 1 }));
    world.events.run(100);
    leaf.run(() => leaf.Wifi.connect("middle"));
    world.events.run(8000);
    expect([middle.node.channel, leaf.node.channel]).toEqual([1, 1]);
    joinAll(world, root, [middle]);
    expect([root.node.channel, middle.node.channel, leaf.node.channel]).toEqual([6, 6, 6]);
    expect(leaf.node.driver.link).toBe(middle.node.driver);
  });

  test("a C3 is either an access point or a station", () => {
    const world = new World(quiet);
    const [root] = startChips(world, 1) as [TestChip];
    const limits = { chip: "ESP32C3", accessPointBesideStation: false };
    const c3 = startChip(world, world.addNode({ mac: "02:00:00:00:09:00", limits }));
    joinAll(world, root, [c3]);
    expect(c3.node.driver.link).toBe(root.node.driver);
    c3.run(() => c3.Wifi.startAP("c3", {}));
    world.events.run(world.events.now() + 1000);
    expect(c3.node.driver.link).toBeNull();
    expect(c3.node.driver.accessPointUp).toBe(true);
    c3.run(() => c3.Wifi.connect("net-1", { password: "password" }));
    world.events.run(world.events.now() + 10_000);
    expect(c3.node.driver.accessPointUp).toBe(false);
    expect(c3.node.driver.link).toBe(root.node.driver);
  });
});
