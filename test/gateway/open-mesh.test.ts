import * as net from "node:net";
import * as path from "node:path";
import { createNode, type EspalierNode } from "../../firmware/node";
import { CAN_AIRWAVE } from "../../firmware/wire/packages";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { memoryRegion } from "../../host-tools/device/memory-region";
import type { MeshSession } from "../../host-tools/gateway/mesh-session";
import { createNodeEngine, type NodeEngine } from "../../host-tools/gateway/node-engine";
import { openMesh, parseVia } from "../../host-tools/gateway/open-mesh";
import { openSimulation, runAlong } from "../../host-tools/gateway/sim-session";
import { openTcp } from "../../host-tools/gateway/tcp-session";
import { EventQueue } from "../../host-tools/simulator/events";
import { parseScenario } from "../../host-tools/simulator/scenario";

const SCENARIOS = path.join(__dirname, "../scenarios");
const BOARD_ADDRESS = "127.0.0.2";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition: () => boolean, ms = 10_000): Promise<void> {
  for (const end = Date.now() + ms; !condition(); await sleep(20)) if (Date.now() > end) throw new Error("never came");
}

describe("parseVia", () => {
  it.each([
    ["tcp://10.7.1.1:5555", { kind: "tcp", host: "10.7.1.1", port: 5555 }],
    ["tcp://10.7.1.1", { kind: "tcp", host: "10.7.1.1", port: 5555 }],
    ["tcp:node.local:80", { kind: "tcp", host: "node.local", port: 80 }],
    ["tcp://[fe80::1]:5000", { kind: "tcp", host: "fe80::1", port: 5000 }],
    ["sim:a/b.yaml", { kind: "sim", scenario: "a/b.yaml", speed: null }],
    ["sim:b?c.yaml?speed=10", { kind: "sim", scenario: "b?c.yaml", speed: 10 }],
    ["sim:b.yaml?speed=max", { kind: "sim", scenario: "b.yaml", speed: Infinity }],
    ["serial:/dev/ttyUSB0", { kind: "serial", path: "/dev/ttyUSB0", baudRate: 115200 }],
    ["serial:COM3?baud=921600", { kind: "serial", path: "COM3", baudRate: 921600 }],
    ["serial:rfc2217://host:4000", { kind: "serial", path: "rfc2217://host:4000", baudRate: 115200 }],
  ])("%s", (via, expected) => expect(parseVia(via)).toEqual(expected));

  it.each([
    "",
    "tcp",
    "tcp:",
    "tcp://:5555",
    "tcp://a:0",
    "tcp://a:65535",
    "tcp://a:99999",
    "tcp://a/b",
    "tcp://u@a",
    "sim:",
    "sim:x?speed=0",
    "sim:x?speed=-1",
    "sim:x?speed=fast",
    "serial:",
    "serial:/dev/a?baud=1",
    "serial:/dev/a?baud=x",
    "udp://a",
    "/dev/ttyUSB0",
  ])("refuses %p", (via) =>
    expect(() => parseVia(via)).toThrow(expect.objectContaining({ code: "BAD_VIA", exitCode: 2 })),
  );
});

describe("virtual time beside the wall's", () => {
  it("keeps to the speed, and stops", async () => {
    const events = new EventQueue();
    const stop = runAlong(events, 20);
    const began = performance.now();
    // A busy machine may be late, but never early.
    await until(() => events.now() >= 4000);
    const ratio = events.now() / (performance.now() - began);
    stop();
    const stoppedAt = events.now();
    expect(ratio).toBeLessThan(20.5);
    await sleep(50);
    expect(events.now()).toBe(stoppedAt);
  });

  it("does not run after what it could not keep up with, and lets others have their turn", async () => {
    const events = new EventQueue();
    const busy = (): void => {
      for (const end = performance.now() + 2; performance.now() < end;);
      events.after(1, busy);
    };
    events.after(1, busy);
    let turns = 0;
    const ticks = setInterval(() => turns++, 10);
    const stop = runAlong(events, 1000);
    const began = performance.now();
    await until(() => turns > 4);
    const elapsed = performance.now() - began;
    stop();
    clearInterval(ticks);
    // Every virtual millisecond takes two of the wall's.
    expect(events.now()).toBeLessThan(elapsed);
  });
});

describe("sim:", () => {
  it("is a place in the scenario's mesh, whose events happen", async () => {
    const scenario = parseScenario({
      name: "three",
      nodes: 3,
      topology: { shape: "line", spacing: 5 },
      late: [{ node: 2, at: 60 }],
      events: [{ at: 120, powerOff: 1 }],
    });
    const epoch = Date.UTC(2026, 0, 1);
    const session = await openSimulation(scenario, "sim:three", { speed: Infinity, epoch, telemetrySeconds: 10 });
    try {
      const heard = new Set<number>();
      const stop = session.onTelemetry((frame) => heard.add(frame.node));
      await session.joined(60_000);
      const { mesh } = session.node;
      expect(session.now() - epoch).toBeLessThan(60_000);
      await until(() => mesh.getNodeList(false).length === 3);
      expect(session.now() - epoch).toBeGreaterThan(60_000);
      await until(() => heard.size === 3);
      stop();
      heard.clear();
      await until(() => mesh.getNodeList(false).length < 3);
      expect(session.now() - epoch).toBeGreaterThan(120_000);
      expect(heard.size).toBe(0);
    } finally {
      await session.close();
    }
    const ended = session.now();
    await sleep(30);
    expect(session.now()).toBe(ended);
    await expect(session.joined(1000)).resolves.toBeUndefined();
  });

  it("reads a scenario file", async () => {
    const session = await openMesh(`sim:${path.join(SCENARIOS, "pair.yaml")}?speed=max`);
    await session.joined(60_000);
    await session.close();
    await expect(openMesh("sim:nowhere.yaml")).rejects.toMatchObject({ code: "NO_FILE" });
  });

  it("says that nobody answers, in virtual time", async () => {
    const scenario = parseScenario({ name: "late", nodes: 1, late: [{ node: 0, at: 500 }] });
    const session = await openSimulation(scenario, "sim:late", { speed: Infinity });
    await expect(session.joined(30_000)).rejects.toMatchObject({ code: "MESH_UNREACHABLE" });
    await session.close();
  });
});

describe("tcp:", () => {
  let board: EspalierNode;
  let engine: NodeEngine;
  let port: number;

  beforeEach(async () => {
    const server = net.createServer().listen(0, BOARD_ADDRESS);
    await new Promise((resolve) => server.once("listening", resolve));
    port = (server.address() as net.AddressInfo).port;
    await new Promise((resolve) => server.close(resolve));
    engine = createNodeEngine({
      directory: "",
      regions: {},
      settings: {},
      log: () => {},
      restart: () => {},
      address: BOARD_ADDRESS,
    });
    const settings = {
      role: "node",
      telemetrySeconds: 10,
      mesh: { meshName: "m", password: "", port, channel: 1, root: true },
    };
    board = createNode({
      engine,
      settings,
      version: "1.2.3",
      capabilities: CAN_AIRWAVE,
      stage: memoryRegion(8),
      running: memoryRegion(8),
      spare: memoryRegion(8),
      trial: false,
      starts: 1,
      installs: true,
      telemetry: null,
    });
    // Without WiFi the role alone does not make a root.
    board.mesh.setRoot(true);
    board.start();
  });

  afterEach(() => engine.close());

  it("joins as a leaf, hears telemetry, sends and receives, and leaves", async () => {
    const session: MeshSession = await openMesh(`tcp://${BOARD_ADDRESS}:${port}`);
    const frames: Telemetry[] = [];
    const messages: string[] = [];
    session.onTelemetry((frame) => frames.push(frame));
    board.mesh.onReceive((from, text) => messages.push(`${from === session.node.mesh.getNodeId()} ${text}`));
    session.node.mesh.onReceive((_, text) => messages.push(`answer ${text}`));
    await session.joined(10_000);
    const id = board.mesh.getNodeId();
    session.node.mesh.sendSingle(id, "hello");
    await until(() => messages.length === 1);
    board.mesh.sendBroadcast("world");
    await until(() => messages.length === 2 && frames.length > 0, 20_000);
    expect(messages).toEqual(["true hello", "answer world"]);
    expect(frames[0]).toMatchObject({ node: id, major: 1, minor: 2, patch: 3 });
    expect(Math.abs(session.now() - Date.now())).toBeLessThan(1000);
    await session.close();
    await until(() => board.mesh.neighbours().length === 0);
  }, 60_000);

  it("two on one computer do not disturb each other", async () => {
    const sessions = [1, 2].map(() => openTcp(BOARD_ADDRESS, port, "tcp"));
    await Promise.all(sessions.map((session) => session.joined(10_000)));
    await until(() => board.mesh.neighbours().length === 2);
    await Promise.all(sessions.map((session) => session.close()));
  });

  it("says that nobody answers", async () => {
    engine.close();
    const session = openTcp(BOARD_ADDRESS, port, `tcp://${BOARD_ADDRESS}:${port}`);
    await expect(session.joined(700)).rejects.toMatchObject({ code: "MESH_UNREACHABLE" });
    await session.close();
  });
});
