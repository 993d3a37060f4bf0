import { createHash } from "node:crypto";
import * as dgram from "node:dgram";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { PAGE, type Socket, type SocketHandler } from "../../firmware/engine/engine";
import { EspalierError } from "../../host-tools/errors";
import { createNodeEngine, type NodeEngine, type NodeEngineOptions } from "../../host-tools/gateway/node-engine";

const LOOPBACK = "127.0.0.1";
const EVERY_BYTE = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("");

let directory: string;
let engines: NodeEngine[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-node-"));
});

afterEach(() => {
  for (const engine of engines) engine.close();
  engines = [];
  fs.rmSync(directory, { recursive: true, force: true });
});

function create(options: Partial<NodeEngineOptions> = {}): NodeEngine {
  const engine = createNodeEngine({
    directory,
    regions: { stage: 2 },
    settings: { role: "gateway" },
    log: () => {},
    restart: () => {},
    address: LOOPBACK,
    ...options,
  });
  engines.push(engine);
  return engine;
}

/** A port that was free a moment ago. */
async function freePort(kind: "tcp" | "udp"): Promise<number> {
  if (kind === "tcp") {
    const server = net.createServer().listen(0, LOOPBACK);
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  const socket = dgram.createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, LOOPBACK, resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** A promise, and the function that fulfils it. */
function gate<T = void>(): { reached: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => {};
  const reached = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { reached, open };
}

function handler(parts: Partial<SocketHandler>): SocketHandler {
  return { data() {}, drain() {}, close() {}, ...parts };
}

describe("TCP", () => {
  it("carries every byte both ways, tells when all has left, and closes once on both sides", async () => {
    const port = await freePort("tcp");
    const engine = create();
    const events: string[] = [];
    const drained = gate();
    const bothClosed = gate();
    let closes = 0;
    const close = (side: string) => {
      events.push(`${side} closed`);
      if (++closes === 2) bothClosed.open();
    };
    let echoed = "";
    let accepted: Socket | null = null;
    const wanted = EVERY_BYTE.repeat(40);
    engine.listen(port, (socket) => {
      accepted = socket;
      return handler({
        data(bytes) {
          expect(bytes.length).toBeLessThanOrEqual(1460);
          socket.write(bytes);
        },
        close: () => close("server"),
      });
    });
    const client = engine.connect(
      LOOPBACK,
      port,
      handler({
        open() {
          client.write(wanted.slice(0, 5000));
          client.write(wanted.slice(5000));
        },
        data(bytes) {
          echoed += bytes;
          if (echoed.length === wanted.length) client.close();
        },
        drain: () => drained.open(),
        close: () => close("client"),
      }),
    );
    await drained.reached;
    await bothClosed.reached;
    expect(echoed).toBe(wanted);
    expect(accepted).not.toBeNull();
    expect([...events].sort()).toEqual(["client closed", "server closed"]);
  });

  it("sends what is queued before it closes", async () => {
    const port = await freePort("tcp");
    const engine = create();
    const ended = gate();
    let heard = "";
    engine.listen(port, () => handler({ data: (bytes) => (heard += bytes), close: () => ended.open() }));
    const client = engine.connect(
      LOOPBACK,
      port,
      handler({
        open() {
          client.write("last words");
          client.close();
        },
      }),
    );
    await ended.reached;
    expect(heard).toBe("last words");
  });

  it("reports a refused connection as a close", async () => {
    const port = await freePort("tcp");
    const closed = gate();
    let opened = false;
    create().connect(LOOPBACK, port, handler({ open: () => (opened = true), close: () => closed.open() }));
    await closed.reached;
    expect(opened).toBe(false);
  });

  it("says which port another program has", async () => {
    const port = await freePort("tcp");
    const failure = gate<EspalierError>();
    create().listen(port, () => handler({}));
    create({ failed: (error) => failure.open(error) }).listen(port, () => handler({}));
    const error = await failure.reached;
    expect(error.code).toBe("PORT_IN_USE");
    expect(error.context).toEqual({ kind: "TCP", port });
  });
});

describe("UDP", () => {
  it("carries every byte, one datagram in flight", async () => {
    const [here, there] = [await freePort("udp"), await freePort("udp")];
    const received = gate<[string, string]>();
    const free = gate();
    const engine = create();
    create().openDatagrams(there, (bytes, address) => received.open([bytes, address]));
    const socket = engine.openDatagrams(here, () => {});
    expect(socket.send(EVERY_BYTE, LOOPBACK, there, () => free.open())).toBe(true);
    expect(socket.send("too early", LOOPBACK, there)).toBe(false);
    expect(await received.reached).toEqual([EVERY_BYTE, LOOPBACK]);
    await free.reached;
    expect(socket.send("next", LOOPBACK, there)).toBe(true);
  });

  it("may broadcast, and does not hear itself", async () => {
    const port = await freePort("udp");
    const heard: string[] = [];
    const done = gate();
    const engine = create({ address: "0.0.0.0" });
    const socket = engine.openDatagrams(port, (bytes) => {
      heard.push(bytes);
      if (bytes === "from another") done.open();
    });
    const sent = gate();
    expect(socket.send("mine", "127.255.255.255", port, () => sent.open())).toBe(true);
    await sent.reached;
    const other = dgram.createSocket("udp4");
    await new Promise<void>((resolve, reject) =>
      other.send("from another", port, LOOPBACK, (error) => (error ? reject(error) : resolve())),
    );
    await done.reached;
    other.close();
    expect(heard).toEqual(["from another"]);
  });

  it("refuses what no datagram of a board can hold", () => {
    const socket = create().openDatagrams(0, () => {});
    expect(socket.send("", LOOPBACK, 9)).toBe(false);
    expect(() => socket.send("x".repeat(1473), LOOPBACK, 9)).toThrow(RangeError);
  });

  it("takes an unreachable address for a lost datagram", async () => {
    const socket = create().openDatagrams(await freePort("udp"), () => {});
    const free = gate();
    // A socket bound to the loopback interface has no way to this address.
    expect(socket.send("x", "192.0.2.1", 9, () => free.open())).toBe(true);
    await free.reached;
    expect(socket.send("y", LOOPBACK, 9)).toBe(true);
  });
});

describe("regions", () => {
  it("obey the rules of flash and outlive the engine", () => {
    const first = create();
    const region = first.region("stage");
    expect(region?.size).toBe(2 * PAGE);
    expect(region?.read(0, 2)).toBe("\xff\xff");
    region?.write(10, "\xf0\x0f");
    region?.write(10, "\x3c\xff");
    expect(region?.read(9, 4)).toBe("\xff\x30\x0f\xff");
    region?.write(PAGE, EVERY_BYTE);
    first.close();

    const again = create().region("stage");
    expect(again?.read(10, 2)).toBe("\x30\x0f");
    again?.erase(PAGE - 1);
    expect(again?.read(10, 2)).toBe("\xff\xff");
    expect(again?.read(PAGE, 256)).toBe(EVERY_BYTE);
  });

  it("are null where none was laid out, whatever the name", () => {
    const engine = create();
    expect(engine.region("slot0")).toBeNull();
    expect(engine.region("constructor")).toBeNull();
  });

  it.each([
    ["write", -1, 1],
    ["write", 2 * PAGE, 1],
    ["write", 2 * PAGE - 1, 2],
    ["read", 2 * PAGE, 1],
    ["erase", 2 * PAGE, 0],
  ] as const)("refuse to %s at %d, %d bytes", (action, offset, length) => {
    const region = create().region("stage")!;
    const act = {
      write: () => region.write(offset, "x".repeat(length)),
      read: () => region.read(offset, length),
      erase: () => region.erase(offset),
    }[action];
    expect(act).toThrow(RangeError);
  });

  it("refuse a file of another size", () => {
    fs.writeFileSync(path.join(directory, "stage.bin"), "short");
    expect(() => create().region("stage")).toThrow(expect.objectContaining({ code: "REGION_SIZE" }));
  });
});

describe("the rest", () => {
  it("hashes and encodes as the boards do", () => {
    const engine = create();
    const hex = Buffer.from(engine.sha256(EVERY_BYTE)).toString("hex");
    const bytes = Uint8Array.from(EVERY_BYTE, (character) => character.charCodeAt(0));
    expect(hex).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(Buffer.from(engine.sha256(bytes.subarray(0))).toString("hex")).toBe(hex);
    expect(engine.sha256("")).toBeInstanceOf(ArrayBuffer);
    expect(engine.fromBase64(engine.toBase64(EVERY_BYTE))).toBe(EVERY_BYTE);
    expect(engine.toBase64("\xff\xfe")).toBe("//4=");
    expect(engine.crc32("123456789")).toBe(0xcbf43926);
    // Literal "a", then nine bytes from distance 1: 1 01100001 0 00000000 001000, filled with zeros.
    expect(engine.unshrink("\xb0\x80\x08")).toBe("a".repeat(10));
    expect(JSON.parse(engine.settings())).toEqual({ role: "gateway" });
    expect(engine.hardware).toBe("HOST");
    expect(engine.wifi).toBeNull();
    expect(engine.memory().free).toBeLessThan(engine.memory().total);
  });

  it("gives random numbers of 32 bits that do not repeat", () => {
    const engine = create();
    const values = Array.from({ length: 200 }, () => engine.random());
    expect(new Set(values).size).toBe(200);
    expect(Math.max(...values)).toBeGreaterThan(2 ** 30);
    expect(values.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32)).toBe(true);
  });

  it("restarts closed: no timer fires, no port is held", async () => {
    const port = await freePort("tcp");
    let restarts = 0;
    const engine = create({ restart: () => restarts++ });
    let fired = false;
    engine.after(0, () => (fired = true));
    engine.every(1, () => (fired = true));
    engine.listen(port, () => handler({}));
    engine.restart();
    engine.restart();
    expect(restarts).toBe(1);

    const next = create({ resetReason: "software" });
    expect(next.resetReason()).toBe("software");
    const accepted = gate();
    next.listen(port, () => {
      accepted.open();
      return handler({});
    });
    next.connect(LOOPBACK, port, handler({}));
    await accepted.reached;
    expect(fired).toBe(false);
  });

  it("stops timers, and takes handles that have fired", async () => {
    const engine = create();
    const order: string[] = [];
    const cancelled = engine.after(1, () => order.push("cancelled"));
    engine.cancel(cancelled);
    engine.cancel(0);
    const done = gate();
    let ticks = 0;
    const ticker = engine.every(1, () => {
      order.push("tick");
      if (++ticks === 3) {
        engine.cancel(ticker);
        const last = engine.after(1, () => {
          engine.cancel(last);
          done.open();
        });
      }
    });
    await done.reached;
    expect(ticker).not.toBe(0);
    expect(order).toEqual(["tick", "tick", "tick"]);
  });
});
