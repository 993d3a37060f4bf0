import { World } from "../../../host-tools/simulator/world";
import { joinAll, startChip, startChips, type TestChip } from "./test-port";

/* eslint-disable @typescript-eslint/no-explicit-any -- Espruino's sockets are used as firmware uses them, untyped */

const PORT = 5555;

function pair(seed = 1) {
  const world = new World({ seed, radio: { shadowingDb: 0 } });
  const [root, leaf] = startChips(world, 2) as [TestChip, TestChip];
  joinAll(world, root, [leaf]);
  return { world, root, leaf, run: (ms: number) => world.events.run(world.events.now() + ms) };
}

function listen(log: string[], socket: any, name: string): void {
  for (const event of ["connect", "drain", "end", "close", "error"]) {
    socket.on(event, (value: any) => {
      log.push(`${name} ${event}${event === "close" ? ` ${value}` : event === "error" ? ` ${value.code}` : ""}`);
    });
  }
}

function serve(chip: TestChip, log: string[], received: (socket: any, bytes: string) => void): { sockets: any[] } {
  const sockets: any[] = [];
  chip.run(() => {
    chip.net
      .createServer((socket: any) => {
        log.push("server accept");
        sockets.push(socket);
        listen(log, socket, "server");
        socket.on("data", (bytes: string) => received(socket, bytes));
      })
      .listen(PORT);
  });
  return { sockets };
}

describe("TCP between virtual ESP32s", () => {
  test("events come in Espruino's order", () => {
    const { root, leaf, run } = pair();
    const atRoot: string[] = [];
    const atLeaf: string[] = [];
    serve(root, atRoot, (socket, bytes) => {
      atRoot.push(`server data ${bytes}`);
      if (bytes === "ping") socket.write("pong");
      if (bytes === "bye") socket.end("done");
    });
    run(10);
    let client: any;
    leaf.run(() => {
      client = leaf.net.connect({ host: "10.0.1.1", port: PORT }, (socket: any) => {
        atLeaf.push(`client callback ${socket === client}`);
        socket.write("pi");
        socket.write("ng");
      });
      client.on("data", (bytes: string) => atLeaf.push(`client data ${bytes}`));
      listen(atLeaf, client, "client");
    });
    run(300);
    leaf.run(() => client.write("bye"));
    run(300);
    expect(atLeaf).toEqual([
      "client callback true",
      "client connect",
      "client drain",
      "client drain",
      "client data pong",
      "client drain",
      "client data done",
      "client end",
      "client close false",
    ]);
    expect(atRoot).toEqual([
      "server accept",
      // Listeners that the callback adds come too late for the first "connect" and "drain".
      "server data ping",
      "server drain",
      "server data bye",
      "server end",
      "server close false",
    ]);
    leaf.run(() => expect(() => client.write("x")).toThrow("This socket is closed"));
    run(10);
    expect(leaf.errors).toEqual([]);
  });

  test("bytes arrive in order, in pieces of at most 536, under loss and with a slow reader", () => {
    const { world, root, leaf, run } = pair(4);
    world.setLoss({ mean: 0.3, burst: 50 });
    let got = "";
    let longest = 0;
    serve(root, [], (_socket, bytes) => {
      got += bytes;
      longest = Math.max(longest, bytes.length);
    });
    let sent = "";
    for (let i = 0; i < 9000; i++) sent += String.fromCharCode((i * 7 + (i >> 8)) & 255);
    leaf.run(() => {
      const socket = leaf.net.connect({ host: "10.0.1.1", port: PORT });
      socket.write(sent.substring(0, 5000));
      socket.write(sent.substring(5000));
    });
    root.busy(2000);
    run(60_000);
    expect(got === sent).toBe(true);
    expect(longest).toBe(536);
    expect(world.radio.statistics.retries).toBeGreaterThan(0);
  });

  test("a connect whose packets a link loses holds the interpreter, and fails after twenty seconds", () => {
    const { world, root, leaf, run } = pair();
    serve(root, [], () => {});
    const held: number[] = [];
    const connect = (): void =>
      leaf.run(() => {
        const before = leaf.now();
        try {
          leaf.net.connect({ host: "10.0.1.1", port: PORT });
        } finally {
          held.push(Math.round(leaf.now() - before));
        }
      });
    connect();
    run(30_000);
    expect(held[0]).toBeLessThan(30);
    expect(leaf.errors).toEqual([]);
    world.radio.loss.set(root.node.id, leaf.node.id, 1);
    connect();
    run(30_000);
    expect(held[1]).toBe(20_000);
    expect(leaf.errors).toEqual([new Error("Unable to create socket")]);
  });

  test("a receive buffer asked for by a datagram socket also makes TCP pieces longer", () => {
    const { root, leaf, run } = pair();
    const lengths: number[] = [];
    serve(root, [], (_socket, bytes) => lengths.push(bytes.length));
    root.run(() => root.dgram.createSocket({ type: "udp4", recvBufferSize: 1480 }));
    leaf.run(() => leaf.net.connect({ host: "10.0.1.1", port: PORT }).write("x".repeat(2000)));
    run(1000);
    expect(Math.max(...lengths)).toBeGreaterThan(536);
  });

  test("a connection to nobody holds the interpreter for 20 s and throws; a refused one throws soon", () => {
    const { world, leaf, run } = pair();
    const at: number[] = [];
    const start = world.events.now();
    leaf.run(() => {
      expect(() => leaf.net.connect({ host: "10.0.1.1", port: 99 })).toThrow("Unable to create socket");
    });
    leaf.run(() => at.push(world.events.now() - start));
    leaf.run(() => expect(() => leaf.net.connect({ host: "10.0.1.9", port: 1 })).toThrow("Unable to create socket"));
    leaf.run(() => at.push(world.events.now() - start));
    run(60_000);
    expect(leaf.errors).toEqual([]);
    expect(at[0]).toBeLessThan(100);
    expect(at[1]).toBeGreaterThan(20_000);
  });

  test("a chip has ten sockets, whatever they are for", () => {
    const { leaf, root, run } = pair();
    serve(root, [], () => {});
    let made = 0;
    const failures: string[] = [];
    run(10);
    leaf.run(() => {
      leaf.net.createServer(() => {}).listen(1);
      for (let i = 0; i < 4; i++) leaf.dgram.createSocket("udp4").bind(100 + i);
      for (let i = 0; i < 7; i++) {
        try {
          leaf.net.connect({ host: "10.0.1.1", port: PORT });
          made++;
        } catch (error) {
          failures.push((error as Error).message);
        }
      }
    });
    run(1000);
    expect(made).toBe(5);
    expect(failures).toEqual(["Unable to create socket", "Unable to create socket"]);
  });

  test("a peer that restarted answers with a reset, one that is off is noticed by no one until bytes are sent", () => {
    const { world, root, leaf, run } = pair();
    const log: string[] = [];
    serve(root, [], () => {});
    run(10);
    let socket: any;
    leaf.run(() => {
      socket = leaf.net.connect({ host: "10.0.1.1", port: PORT });
      listen(log, socket, "client");
    });
    run(1000);
    // The stations come back before they miss enough beacons, so only a frame shows what happened.
    root.down();
    const again = startChip(world, root.node);
    again.run(() => {
      again.Wifi.startAP("net-1", { password: "password", channel: 6 });
      again.Wifi.setAPIP({ ip: "10.0.1.1", gw: "10.0.1.1", netmask: "255.255.255.0" }, () => {});
    });
    run(20_000);
    expect(log.slice(0, 2)).toEqual(["client connect", "client drain"]);
    expect(log.slice(-2)).toEqual(["client end", "client close false"]);
    expect(leaf.node.driver.link).toBe(again.node.driver);
  });

  test("the access point's end of a connection stays open when the station vanishes, until it writes for long", () => {
    const { root, leaf, run } = pair();
    const log: string[] = [];
    const { sockets } = serve(root, log, () => {});
    run(10);
    leaf.run(() => leaf.net.connect({ host: "10.0.1.1", port: PORT }));
    run(1000);
    leaf.down();
    log.length = 0;
    run(600_000);
    expect(log).toEqual([]);
    root.run(() => sockets[0].write("anyone?"));
    run(60_000);
    expect(log).toEqual(["server drain"]);
    run(1_200_000);
    expect(log).toEqual(["server drain", "server end", "server close false"]);
  });

  test("a station's connections end with its link", () => {
    const { world, root, leaf, run } = pair();
    const log: string[] = [];
    serve(root, [], () => {});
    run(10);
    leaf.run(() => listen(log, leaf.net.connect({ host: "10.0.1.1", port: PORT }), "client"));
    run(500);
    world.cutLink(root.node, leaf.node);
    run(6500);
    expect(log).toEqual(["client connect", "client drain", "client end", "client close false"]);
  });

  test("data that nobody listens to waits, up to 512 bytes, for a listener or read()", () => {
    const { root, leaf, run } = pair();
    const { sockets } = serve(root, [], () => {});
    run(10);
    let client: any;
    leaf.run(() => (client = leaf.net.connect({ host: "10.0.1.1", port: PORT })));
    run(500);
    root.run(() => sockets[0].write("early"));
    run(500);
    expect(client.available()).toBe(5);
    expect(client.read(2)).toBe("ea");
    const got: string[] = [];
    leaf.run(() => client.on("data", (bytes: string) => got.push(bytes)));
    run(100);
    expect(got).toEqual(["rly"]);
  });
});
