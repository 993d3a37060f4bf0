/** A computer at the console of a real interpreter that runs a node: joining, an update over the line, a pulled cable. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { startPush } from "../../host-tools/gateway/push";
import { openSerial, type SerialSession } from "../../host-tools/gateway/serial-session";
import { InterpreterBoard } from "../../host-tools/device/virtual/pty";
import { build, type Build, flashFor, type Interpreter, interpreter, until, wifiShim } from "./nodes";
import { describeEngine } from "./support";

const NODE_ID = 0xc4a00801;
const shim = wifiShim({ mac: "24:0a:c4:a0:08:01" }, 250);

describeEngine("a node whose console is a way into the mesh", () => {
  let real: Interpreter;
  let first: Build;
  let second: Build;
  let folder: string;
  let board: InterpreterBoard;
  let session: SerialSession;
  const printed: string[] = [];

  const variables = (from: number): number[] =>
    printed.slice(from).flatMap((line) => /^\["variables",(\d+)\]/.exec(line)?.slice(1).map(Number) ?? []);

  beforeAll(async () => {
    real = interpreter();
    first = await build("apps/sensor.ts", "1.0.0", "raw");
    second = await build("apps/sensor.ts", "1.1.0", "raw");
  });

  beforeEach(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-serial-"));
    const mesh = { meshName: "grove", password: "", port: 5551, channel: 1, root: true };
    const settings = { role: "node", telemetrySeconds: 10, mesh };
    fs.writeFileSync(path.join(folder, "espruino.flash"), await flashFor(real, shim, settings, first));
    board = new InterpreterBoard(process.env.ESPRUINO!, folder);
    printed.length = 0;
    session = await openSerial(() => board.line.port(), "serial:test", {
      baudRate: 115200,
      log: (line) => printed.push(line),
    });
  });

  afterEach(async () => {
    await session.close();
    await board.stop();
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });

  async function push(targets: number[], meanwhile: (percent: () => number) => Promise<void>) {
    const versions: string[] = [];
    let done = false;
    const job = startPush(session.node, second.image, { transport: "broadcast", targets, deadline: 100_000 }, () => {
      done = true;
    });
    session.onTelemetry((frame) => {
      versions.push(`${frame.major}.${frame.minor}.${frame.patch}`);
      job.telemetry(frame);
    });
    const progress = job.progress.get(targets[0]!)!;
    await meanwhile(() => progress.percent);
    await until("the push", 150, () => done);
    return { progress, versions };
  }

  it("joins, takes an update over the line, and runs it", async () => {
    await session.joined(30_000);
    expect(session.node.mesh.getNodeList(false)).toEqual([NODE_ID]);
    const linked = printed.length;
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const rest = Math.min(...variables(linked));
    const began = Date.now();
    let receivedAt = 0;
    const { progress } = await push([NODE_ID], async (percent) => {
      await until("chunks", 60, () => percent() === 100);
      receivedAt = Date.now();
    });
    expect(progress).toMatchObject({ state: "running", version: "1.1.0", error: "" });
    const peak = Math.max(...variables(linked));
    const bytes = second.image.manifest.payloadBytes;
    console.log(
      `${bytes} bytes in ${((receivedAt - began) / 1000).toFixed(1)} s; variables: ${rest} linked, ${peak} at peak; ` +
        `lines ${JSON.stringify(session.line.stats)}`,
    );
    expect(printed.filter((line) => /Uncaught|OUT OF|FAULT/i.test(line))).toEqual([]);
    if (real.like) expect(peak).toBeLessThan(3400);
  }, 200_000);

  it("bytes lost on the line cost a repeat, a pulled cable a pause", async () => {
    // Of 9000 bytes one is lost and one garbled, both ways.
    const spoil = (): ((bytes: Uint8Array) => Uint8Array) => {
      let count = 0;
      return (bytes) =>
        Uint8Array.from(
          [...bytes].flatMap((byte) => (++count % 9000 === 0 ? [] : [count % 9000 === 4500 ? byte ^ 4 : byte])),
        );
    };
    board.line.noise = spoil();
    const toBoard = spoil();
    const receive = board.receive.bind(board);
    board.receive = (bytes) => receive(toBoard(bytes));
    await session.joined(60_000);
    const { progress } = await push([NODE_ID], async (percent) => {
      await until("a third", 100, () => percent() > 33);
      const before = percent();
      board.line.unplug();
      await new Promise((resolve) => setTimeout(resolve, 3000));
      board.line.plug();
      await until("more", 100, () => percent() > before);
    });
    expect(progress).toMatchObject({ state: "running", version: "1.1.0", error: "" });
    expect(session.line.stats.garbled).toBeGreaterThan(0);
    expect(session.line.stats.repeats).toBeGreaterThan(0);
  }, 300_000);
});
