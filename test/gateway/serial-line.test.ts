/** Both ends of the serial line, the firmware's and the computer's, on a console that loses and changes bytes. */
import { crc32 } from "node:zlib";
import type { Socket, SocketHandler } from "../../firmware/engine/engine";
import { createSerialLine, type SerialLine } from "../../host-tools/gateway/serial-line";
import { EventQueue } from "../../host-tools/simulator/events";
import { Random } from "../../host-tools/simulator/random";

/* eslint-disable @typescript-eslint/no-require-imports -- the firmware's globals have types of their own */
const { createSerialLink } = require("../../firmware/mesh/serial-link") as {
  createSerialLink(engine: object, mesh: object, airwave: object): void;
};

type Line = (...args: (number | string)[]) => void;

const EVERY_BYTE = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("");

class Side implements SocketHandler {
  text = "";
  opened = 0;
  closed = 0;
  drained = 0;
  socket: Socket | null = null;
  open(): void {
    this.opened++;
  }
  data(bytes: string): void {
    this.text += bytes;
  }
  drain(): void {
    this.drained++;
  }
  close(): void {
    this.closed++;
  }
}

/** A computer and a board with `loss` of all bytes lost and as many changed, both ways. */
function setUp(loss = 0, seed = 1) {
  const events = new EventQueue();
  const random = new Random(seed);
  const timers = new Map<number, object>();
  let last = 0;
  function every(ms: number, run: () => void, id = ++last): number {
    timers.set(
      id,
      events.after(ms, () => {
        every(ms, run, id);
        run();
      }),
    );
    return id;
  }
  const engine = {
    now: () => events.now(),
    random: () => random.uint32(),
    after(ms: number, run: () => void) {
      const id = ++last;
      timers.set(id, events.after(ms, run));
      return id;
    },
    every: (ms: number, run: () => void) => every(ms, run),
    cancel(id: number) {
      const event = timers.get(id);
      if (event) events.cancel(event as never);
      timers.delete(id);
    },
    crc32: (bytes: string) => crc32(Buffer.from(bytes, "latin1")),
    toBase64: (bytes: string) => Buffer.from(bytes, "latin1").toString("base64"),
    fromBase64: (text: string) => Buffer.from(text, "base64").toString("latin1"),
  };
  const world = {
    events,
    plugged: true,
    boards: [] as Side[],
    datagrams: [] as string[],
    printed: [] as string[],
    line: null as unknown as SerialLine,
    run: (ms: number) => events.run(events.now() + ms),
    restart,
  };
  // A line carries one byte after the other: 11 in a millisecond.
  const free = [0, 0];
  function arrive(way: 0 | 1, bytes: number, run: () => void): void {
    free[way] = Math.max(free[way]!, events.now()) + bytes / 11;
    events.at(free[way]!, run);
  }
  const spoil = (text: string): string =>
    [...text]
      .map((c) => (random.next() < loss ? "" : random.next() < loss ? String.fromCharCode(c.charCodeAt(0) ^ 1) : c))
      .join("");

  function restart(): void {
    const link = {
      ...engine,
      log: (text: string) => {
        if (world.plugged) arrive(0, text.length, () => world.line.received(`${spoil(text)}\r\n>`));
      },
    };
    const mesh = {
      accept(socket: Socket) {
        const side = new Side();
        side.socket = socket;
        world.boards.push(side);
        return side;
      },
    };
    const airwave = { take: (bytes: string) => world.datagrams.push(bytes) };
    createSerialLink(link, mesh, airwave);
  }
  restart();

  /** What the interpreter would run: the last line behind ESC [ 2 H, if it still reads as one. */
  function typed(text: string): void {
    const found = /^\x10espalierLine\((\d+),(\d+),(\d+),"([a-z])","([A-Za-z0-9+/=]*)",(\d+)\)$/.exec(
      text.slice(text.lastIndexOf("\x1b[2H") + 4),
    );
    if (!found) return;
    const [s, n, a, kind, data, check] = found.slice(1) as [string, string, string, string, string, string];
    (globalThis as unknown as { espalierLine: Line }).espalierLine(+s, +n, +a, kind, data, +check);
  }
  let input = "";
  world.line = createSerialLine({
    engine,
    baudRate: 115200,
    type: (text) => {
      if (world.plugged) {
        arrive(1, text.length, () => {
          const lines = (input + spoil(text)).split("\n");
          input = lines.pop()!;
          lines.forEach(typed);
        });
      }
      return Promise.resolve();
    },
    log: (line) => world.printed.push(line),
  });
  return world;
}

/** Timers are virtual, promises are not. */
async function pass(world: ReturnType<typeof setUp>, seconds: number): Promise<void> {
  for (let i = 0; i < seconds * 50; i++) {
    world.run(20);
    await Promise.resolve();
    await Promise.resolve();
  }
}

it.each([
  [0, 1],
  [1 / 20000, 2],
  [1 / 4000, 3],
  [1 / 2500, 4],
])("carries every byte in order with %d of the bytes lost and changed", async (loss, seed) => {
  const world = setUp(loss, seed);
  const host = new Side();
  const socket = world.line.connect(host);
  await pass(world, 20);
  expect(host.opened).toBe(1);
  const board = world.boards.at(-1)!;
  const wanted = EVERY_BYTE.repeat(12);
  socket.write(wanted);
  board.socket!.write(EVERY_BYTE.repeat(4));
  await pass(world, 200);
  expect(board.text === wanted).toBe(true);
  expect(host.text === EVERY_BYTE.repeat(4)).toBe(true);
  expect([host.drained > 0, board.drained > 0, host.closed, board.closed]).toEqual([true, true, 0, 0]);
  if (loss === 0) expect(world.line.stats).toMatchObject({ repeats: 0, garbled: 0 });
  else if (loss > 1 / 5000) expect(world.line.stats.repeats).toBeGreaterThan(0);
});

it("carries datagrams one at a time, each once", async () => {
  const world = setUp(1 / 4000, 5);
  world.line.connect(new Side());
  expect(world.line.send("before it stands")).toBe(false);
  await pass(world, 10);
  const frames = Array.from({ length: 20 }, (_, i) => String.fromCharCode(67, i) + EVERY_BYTE.repeat(3));
  const rest = [...frames];
  let busy = 0;
  const next = (): void => {
    while (rest.length) {
      if (!world.line.send(rest[0]!, next)) return void busy++;
      rest.shift();
    }
  };
  next();
  await pass(world, 60);
  expect(world.datagrams).toEqual(frames);
  expect(busy).toBeGreaterThan(0);
});

it("a short pause of the cable is only a pause, a long one ends the connection on both sides", async () => {
  const world = setUp();
  const host = new Side();
  const socket = world.line.connect(host);
  await pass(world, 5);
  const board = world.boards[0]!;
  world.plugged = false;
  socket.write("over");
  board.socket!.write("back");
  await pass(world, 8);
  world.plugged = true;
  await pass(world, 6);
  expect([board.text, host.text, host.closed, board.closed]).toEqual(["over", "back", 0, 0]);
  world.plugged = false;
  board.socket!.write("lost");
  await pass(world, 60);
  expect([host.closed, board.closed]).toEqual([1, 1]);
  world.plugged = true;
  const again = new Side();
  world.line.connect(again).write("again");
  await pass(world, 5);
  expect([again.opened, world.boards.at(-1)!.text]).toEqual([1, "again"]);
});

it("hears of a board that restarted, and of a close from either side", async () => {
  const world = setUp();
  const host = new Side();
  world.line.connect(host);
  await pass(world, 2);
  world.restart();
  await pass(world, 10);
  expect(host.closed).toBe(1);
  const second = new Side();
  world.line.connect(second);
  await pass(world, 2);
  world.boards.at(-1)!.socket!.close();
  await pass(world, 10);
  expect(second.closed).toBe(1);
  const third = new Side();
  const socket = world.line.connect(third);
  await pass(world, 2);
  socket.write("farewell");
  socket.close();
  socket.close();
  await pass(world, 5);
  expect(world.boards.at(-1)).toMatchObject({ text: "farewell", closed: 1 });
  expect(third.closed).toBe(1);
});

it("takes nothing from garbage, and passes on what is printed for people", async () => {
  const world = setUp();
  const host = new Side();
  world.line.connect(host);
  await pass(world, 2);
  const call = (globalThis as unknown as { espalierLine: Line }).espalierLine;
  call(1, 2, 3, "s", "QUJD", 0);
  call(0, 0, 0, "", "", 0);
  world.line.received(`~1,2,3,QUJD,99~\n~~~\n${"x".repeat(9000)}\n~999999,1,1,-,1~\r\n\x1b[J>hello\r\n`);
  await pass(world, 20);
  expect([host.text, host.closed, world.boards.length, world.boards[0]!.text]).toEqual(["", 0, 1, ""]);
  expect(world.printed).toContain("hello");
  expect(world.line.stats.garbled).toBe(2);
});
