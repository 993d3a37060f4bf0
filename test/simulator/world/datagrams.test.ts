import type { FrameRecord } from "../../../host-tools/simulator/radio-statistics";
import { World } from "../../../host-tools/simulator/world";
import { joinAll, startChips, type TestChip } from "./test-port";

/* eslint-disable @typescript-eslint/no-explicit-any -- Espruino's sockets are used as firmware uses them, untyped */

const PORT = 5556;
const BROADCAST = "10.0.1.255";

interface Received {
  by: string;
  bytes: string;
  info: { address: string; port: number; size: number };
}

function star(stations: number, seed = 1) {
  const world = new World({ seed, radio: { shadowingDb: 0 } });
  const chips = startChips(world, stations + 1);
  joinAll(world, chips[0]!, chips.slice(1));
  const received: Received[] = [];
  const frames: FrameRecord[] = [];
  world.observe((frame) => frames.push(frame));
  function bind(chip: TestChip, options: unknown = { type: "udp4", recvBufferSize: 1480 }): void {
    chip.run(() => {
      chip.dgram.createSocket(options).bind(PORT, (socket: any) => {
        socket.on("message", (bytes: string, info: Received["info"]) => {
          received.push({ by: chip.node.mac, bytes, info });
        });
      });
    });
  }
  return { world, chips, received, frames, bind, run: (ms: number) => world.events.run(world.events.now() + ms) };
}

describe("UDP between virtual ESP32s", () => {
  test("one broadcast transmission of an access point reaches all its stations", () => {
    const { chips, received, frames, bind, run } = star(4);
    for (const chip of chips) bind(chip);
    run(10);
    const [root] = chips as [TestChip];
    const drains: string[] = [];
    root.run(() => {
      const sender = root.dgram.createSocket("udp4");
      sender.on("drain", () => drains.push("drain"));
      sender.send("x".repeat(1472), PORT, BROADCAST);
    });
    run(100);
    expect(frames.map((frame) => frame.kind)).toEqual(["group"]);
    expect(received.map((r) => r.by).sort()).toEqual(chips.slice(1).map((chip) => chip.node.mac));
    expect(received[0]!.info).toEqual({ address: "10.0.1.1", port: expect.any(Number), size: 1472 });
    // The first send of an unbound socket drains twice: once sent, once connected.
    expect(drains).toEqual(["drain", "drain"]);
  });

  test("a station's broadcast goes up to its access point and from there to the others", () => {
    const { chips, received, frames, bind, run } = star(3);
    for (const chip of chips) bind(chip);
    run(10);
    chips[1]!.run(() => chips[1]!.dgram.createSocket("udp4").send("hello", PORT, BROADCAST));
    run(100);
    expect(frames.map((frame) => frame.kind)).toEqual(["udp-up", "group"]);
    expect(received.map((r) => r.by).sort()).toEqual([chips[0]!, chips[2]!, chips[3]!].map((chip) => chip.node.mac));
    expect(new Set(received.map((r) => r.info.address))).toEqual(new Set([chips[1]!.Wifi.getIP().ip]));
  });

  test("both forms of send(), to one address", () => {
    const { chips, received, bind, run } = star(1);
    bind(chips[1]!);
    run(10);
    chips[0]!.run(() => {
      const sender = chips[0]!.dgram.createSocket("udp4");
      sender.send("0123456789", 2, 3, PORT, "10.0.1.2");
      sender.send("\x00\xff\x80", PORT, "10.0.1.2");
    });
    run(100);
    expect(received.map((r) => r.bytes)).toEqual(["234", "\x00\xff\x80"]);
  });

  test("datagrams are cut to 528 bytes unless a larger buffer was asked for, on the whole chip", () => {
    const { world, chips, received, bind, run } = star(2);
    bind(chips[1]!, "udp4");
    bind(chips[2]!);
    run(10);
    chips[0]!.run(() => chips[0]!.dgram.createSocket("udp4").send("x".repeat(1000), PORT, BROADCAST));
    run(100);
    expect(received.map((r) => [r.by, r.bytes.length])).toEqual([
      [chips[1]!.node.mac, 528],
      [chips[2]!.node.mac, 1000],
    ]);
    expect(world.counts.datagramsCut).toBe(1);
  });

  test("six datagrams wait at a busy chip, the seventh is lost and counted", () => {
    const { world, chips, received, bind, run } = star(1);
    bind(chips[1]!);
    run(10);
    chips[1]!.busy(1000);
    for (let i = 0; i < 9; i++) {
      chips[0]!.run(() => chips[0]!.dgram.createSocket("udp4").send(String(i), PORT, BROADCAST));
      run(50);
    }
    run(1000);
    expect(received.map((r) => r.bytes)).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(world.counts.datagramsOverflowed).toBe(3);
  });

  test("a send without a route fails, and takes what is queued behind it along", () => {
    const { world, chips, received, bind, run } = star(1);
    bind(chips[1]!);
    chips[1]!.run(() => chips[1]!.Wifi.disconnect());
    run(1000);
    chips[1]!.run(() => {
      const sender = chips[1]!.dgram.createSocket("udp4");
      const drains: number[] = [];
      sender.on("drain", () => drains.push(world.events.now()));
      sender.send("lost", PORT, "10.0.1.1");
      sender.send("also lost", PORT, "127.0.0.1");
      world.events.after(100, () => {
        expect(drains.length).toBe(2);
        chips[1]!.run(() => sender.send("arrives", PORT, "127.0.0.1"));
      });
    });
    run(1000);
    expect(world.counts.datagramsRefused).toBe(1);
    expect(received.map((r) => r.bytes)).toEqual(["arrives"]);
  });

  test("a datagram longer than a frame is refused", () => {
    const { world, chips, received, bind, run } = star(1);
    bind(chips[1]!);
    run(10);
    chips[0]!.run(() => chips[0]!.dgram.createSocket("udp4").send("x".repeat(1473), PORT, BROADCAST));
    run(100);
    expect(received).toEqual([]);
    expect(world.counts.datagramsRefused).toBe(1);
  });

  test("a port is bound once, unless both ask for reuse; closing frees it and is told twice", () => {
    const { world, chips, run } = star(1);
    const [chip] = chips as [TestChip];
    const log: string[] = [];
    chip.run(() => {
      const first = chip.dgram.createSocket("udp4");
      for (const event of ["connect", "drain", "end", "close"]) first.on(event, () => log.push(event));
      expect(first.bind(7000, (bound: unknown) => log.push(`bound ${bound === first}`))).toBe(first);
      expect(() => chip.dgram.createSocket("udp4").bind(7000)).toThrow("Unable to create socket");
      chip.dgram.createSocket({ type: "udp4", reuseAddr: true }).bind(7000);
      first.addMembership("224.0.0.1", "10.0.1.1");
      world.events.after(50, () => chip.run(() => first.close()));
    });
    run(100);
    expect(chip.errors).toEqual([]);
    expect(log).toEqual(["bound true", "connect", "drain", "end", "close", "end", "close"]);
  });

  test("stations lose frames independently, each link at its own rate", () => {
    const { world, chips, received, bind, run } = star(4, 9);
    for (const chip of chips.slice(1)) bind(chip);
    world.setLoss(0.2);
    world.setLoss(0, chips[0]!.node, chips[4]!.node);
    let sender: any;
    chips[0]!.run(() => (sender = chips[0]!.dgram.createSocket("udp4")));
    for (let i = 0; i < 300; i++) {
      chips[0]!.run(() => sender.send(String(i), PORT, BROADCAST));
      run(20);
    }
    run(100);
    const got = chips.slice(1).map((chip) => received.filter((r) => r.by === chip.node.mac).map((r) => r.bytes));
    expect(got[3]!.length).toBe(300);
    for (const list of got.slice(0, 3)) {
      expect(list.length).toBeGreaterThan(210);
      expect(list.length).toBeLessThan(270);
    }
    expect(got[0]).not.toEqual(got[1]);
  });
});
