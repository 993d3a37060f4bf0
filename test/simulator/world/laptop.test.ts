import { createLaptop, type Laptop } from "../../../host-tools/simulator/laptop";
import { World } from "../../../host-tools/simulator/world";
import { joinAll, startChips, type TestChip } from "./test-port";

/* eslint-disable @typescript-eslint/no-explicit-any -- Espruino's sockets are used as firmware uses them, untyped */

function setUp() {
  const world = new World({ seed: 2, radio: { loss: 0.05 } });
  const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
  joinAll(world, root, [leaf]);
  const laptop = createLaptop(world, { regions: { stage: 2 }, settings: "{}" });
  laptop.placeBeside(root.node);
  return { world, root, leaf, laptop, run: (ms: number) => world.events.run(world.events.now() + ms) };
}

function join(laptop: Laptop, run: (ms: number) => void): unknown[] {
  const results: unknown[] = [];
  laptop.engine.wifi!.connect("net-1", "password", (error, address) => results.push(error ?? address));
  run(15_000);
  return results;
}

describe("laptop in the world", () => {
  test("scans, joins, and hears of a lost link", () => {
    const { world, root, laptop, run } = setUp();
    const { wifi } = laptop.engine;
    let names: string[] = [];
    wifi!.scan((found) => (names = found.map((one) => `${one.ssid} ${one.channel}`)));
    run(3000);
    expect(names).toEqual(["net-1 6"]);
    expect(join(laptop, run)).toEqual([{ ip: "10.0.1.3", gateway: "10.0.1.1" }]);
    expect(wifi!.rssi()).toBe(-30);
    let lost = 0;
    wifi!.onLost(() => lost++);
    world.cutLink(root.node, laptop.node);
    run(7000);
    expect([lost, wifi!.rssi()]).toEqual([1, 0]);
  });

  test("reports a network that is not there, and opens none itself", () => {
    const { laptop, run } = setUp();
    const errors: unknown[] = [];
    laptop.engine.wifi!.connect("nowhere", "", (error) => errors.push(error));
    run(30_000);
    laptop.engine.wifi!.startAccessPoint({ ssid: "x", password: "", channel: 1, ip: "10.0.0.1" }, (e) =>
      errors.push(e),
    );
    run(100);
    expect(errors).toEqual(["reason 201", "a laptop opens no access point"]);
  });

  test("talks TCP with a board, both ways, without blocking", () => {
    const { root, laptop, run } = setUp();
    join(laptop, run);
    root.run(() => root.net.createServer((s: any) => s.on("data", (d: string) => s.write(d))).listen(5555));
    run(10);
    const log: string[] = [];
    let echoed = "";
    const socket = laptop.engine.connect("10.0.1.1", 5555, {
      open: () => log.push("open"),
      data: (bytes) => void (echoed += bytes),
      drain: () => log.push("drain"),
      close: () => log.push("close"),
    });
    laptop.engine.connect("10.0.1.1", 9, { data() {}, drain() {}, close: () => log.push("refused") });
    socket.write("x".repeat(8000));
    run(5000);
    socket.close();
    run(1000);
    expect(echoed).toBe("x".repeat(8000));
    expect(log.sort()).toEqual(["close", "drain", "open", "refused"]);
  });

  test("accepts connections from a board", () => {
    const { leaf, laptop, run } = setUp();
    join(laptop, run);
    const log: string[] = [];
    laptop.engine.listen(5555, (socket) => ({
      data: (bytes) => socket.write(bytes.toUpperCase()),
      drain() {},
      close: () => log.push("closed"),
    }));
    leaf.run(() => {
      const socket = leaf.net.connect({ host: "10.0.1.3", port: 5555 });
      socket.on("data", (bytes: string) => {
        log.push(bytes);
        socket.end();
      });
      socket.write("hello");
    });
    run(5000);
    expect(log).toEqual(["HELLO", "closed"]);
  });

  test("sends one datagram at a time and receives every one", () => {
    const { root, laptop, run } = setUp();
    join(laptop, run);
    const got: string[] = [];
    const datagrams = laptop.engine.openDatagrams(5556, (bytes, address) => got.push(`${bytes} ${address}`));
    let atRoot = 0;
    root.run(() => {
      const socket = root.dgram.createSocket("udp4");
      socket.bind(5556, () => socket.on("message", () => void atRoot++));
      const sender = root.dgram.createSocket("udp4");
      for (let i = 0; i < 20; i++) sender.send(String(i), 5556, "10.0.1.3");
    });
    run(2000);
    expect(got).toEqual(Array.from({ length: 20 }, (_, i) => `${i} 10.0.1.1`));
    let sent = 0;
    const next = () => {
      if (++sent < 20) expect(datagrams.send("x", "10.0.1.255", 5556, next)).toBe(true);
    };
    expect(datagrams.send("x", "10.0.1.255", 5556, next)).toBe(true);
    expect(datagrams.send("y", "10.0.1.255", 5556)).toBe(false);
    run(2000);
    expect([sent, atRoot]).toEqual([20, 20]);
  });

  test("has timers in virtual time, hashes, and regions with flash rules", () => {
    const { laptop, run } = setUp();
    const { engine } = laptop;
    const ticks: number[] = [];
    const timer = engine.every(100, () => ticks.push(engine.now()));
    const start = engine.now();
    run(350);
    engine.cancel(timer);
    run(1000);
    expect(ticks).toEqual([start + 100, start + 200, start + 300]);
    expect(Buffer.from(engine.sha256("abc")).toString("hex").substring(0, 8)).toBe("ba7816bf");
    expect(engine.crc32("123456789")).toBe(0xcbf43926);
    expect(engine.fromBase64(engine.toBase64("\x00\xff"))).toBe("\x00\xff");
    const region = engine.region("stage")!;
    region.write(4095, "\x0f\x0f");
    region.write(4095, "\xf3");
    region.erase(5000);
    expect([region.size, region.read(4095, 2)]).toEqual([8192, "\x03\xff"]);
    expect(() => region.read(8191, 2)).toThrow(RangeError);
    expect(engine.region("slot9")).toBeNull();
    laptop.stop();
    engine.after(1, () => ticks.push(0));
    run(100);
    expect(ticks.length).toBe(3);
  });
});
