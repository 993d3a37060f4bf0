/** The finished bundle on a real interpreter: loader, slots, memory, telemetry. */
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { createNode, type Settings } from "../../firmware/node";
import { MARK, SLOT_BAD, SLOT_CONFIRMED, SLOT_HEADER } from "../../firmware/ota/layout";
import { sealSlot } from "../../firmware/ota/slots";
import { CAN_AIRWAVE, IS_GATEWAY } from "../../firmware/wire/packages";
import { receiveTelemetry } from "../../firmware/status/telemetry-receiver";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { checkBudget } from "../../host-tools/build/budget";
import { createNodeEngine, type NodeEngine } from "../../host-tools/gateway/node-engine";
import { memoryRegion } from "../../host-tools/device/memory-region";
import { provision } from "../../host-tools/device/provision";
import { decodeStorage } from "../../host-tools/device/storage-image";
import {
  build,
  type Build,
  flashFor,
  imageOf,
  type Interpreter,
  interpreter,
  NodeProcess,
  PRODUCT,
  until,
  wifiShim,
} from "./nodes";
import { describeEngine, runScript } from "./support";

const MAC = "24:0a:c4:a0:07:01";
const NODE_ID = 0xc4a00701;
const PAGE = 4096;

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describeEngine("the bundle of a node", () => {
  let real: Interpreter;
  let sensor: Build;
  let port: number;
  let flash: Buffer;
  const shim = wifiShim({ mac: MAC }, 500);
  const processes: NodeProcess[] = [];
  const boot = (content: Buffer): NodeProcess => {
    const node = new NodeProcess(content);
    processes.push(node);
    return node;
  };

  beforeAll(async () => {
    real = interpreter();
    sensor = await build("apps/sensor.ts", "1.0.0", "raw");
    port = await freePort();
    const mesh = { meshName: PRODUCT, password: "", port, channel: 1, root: true };
    flash = await flashFor(real, shim, { role: "node", telemetrySeconds: 10, mesh }, sensor);
  });

  afterEach(async () => {
    for (const node of processes.splice(0)) await node.remove();
  });

  /** Where the regions begin in the flash. */
  function base(content: Buffer): number {
    const found = content.indexOf(Buffer.from(`espalier${MARK}`, "latin1"));
    return found - 4 + 32;
  }

  /** Lets another image stand in slot 1, sealed as an update would have left it. */
  function withUpdate(content: Buffer, code: string, version: string): Buffer {
    const image = imageOf(code, version, "raw");
    const [first, count] = real.board.regions.slot1!;
    const slot = memoryRegion(count);
    slot.write(SLOT_HEADER, code);
    sealSlot(slot, image.id, 2, code.length, image.blob.toString("latin1", 2, 2 + image.blob.readUInt16LE(0)));
    const result = Buffer.from(content);
    slot.data.copy(result, base(result) + first * PAGE);
    return result;
  }

  const slotByte = (content: Buffer, slot: string, at: number): number =>
    content[base(content) + real.board.regions[slot]![0] * PAGE + at]!;

  /** A node's loader ends and a script asks what it chose. */
  function chosen(content: Buffer): { slot: string; starts: number; out: string; flash: Buffer } {
    const run = runScript(
      "var b=global.espalierBoot;print('@'+JSON.stringify(b?[b.slot,b.starts]:['none',0]));setTimeout(quit,0);",
      { flash: content },
    );
    const [slot, starts] = JSON.parse(/@(\[.*\])/.exec(run.stdout)![1]!) as [string, number];
    return { slot, starts, out: run.stdout, flash: run.flash! };
  }

  /** Variables before anything runs, and what the test's own radio and samples take. */
  function costOfTest(): { empty: number; shimCost: number } {
    const empty = Number(/@(\d+)/.exec(runScript("print('@'+process.memory().usage)").stdout)![1]);
    const { board, prelude } = real;
    const onlyShim = { board, loader: `${prelude}${shim}require("Wifi")`, settings: {} as Settings, ...sensor };
    const alone = runScript("setTimeout(function(){print('@'+process.memory().usage);quit()},100)", {
      flash: provision(onlyShim),
    });
    const shimCost = Number(/@(\d+)/.exec(alone.stdout)![1]) - empty;
    return { empty, shimCost };
  }

  const broker = { host: "127.0.0.1", port: 9, prefix: "mesh" };
  it.each([
    ["node", {}],
    ["root", {}],
    ["bridge", { bridge: broker }],
  ])(
    "of the role %s leaves a board what its budget says",
    async (role, more) => {
      const made = await build("apps/sensor.ts", "1.0.0", "raw", role);
      const mesh = { meshName: PRODUCT, password: "", port: await freePort(), channel: 1, root: true };
      const node = boot(await flashFor(real, shim, { role, telemetrySeconds: 10, mesh, ...more }, made));
      node.start();
      await until("samples", 60, () => node.all("variables").length >= 24);
      const { shimCost } = costOfTest();
      const samples = node.all("variables").map(([count]) => count as number);
      const rest = Math.min(...samples.slice(-10)) - shimCost;
      console.log(`role ${role}: ${rest} variables at rest, alone in its mesh; bundle ${made.code.length} bytes`);
      expect(node.errors).toEqual([]);
      if (real.like) expect(checkBudget(real.board, { bytes: made.code.length }, { rest })).toEqual([]);
    },
    120_000,
  );

  it("starts from slot 0, fits, and tells who it is", async () => {
    const { empty, shimCost } = costOfTest();
    const node = boot(flash);
    node.start();
    await until("samples", 20, () => node.all("variables").length >= 12);
    expect(node.errors).toEqual([]);
    const samples = node.all("variables").map(([count]) => count as number);
    const rest = Math.min(...samples.slice(-5)) - shimCost;

    const frames: Telemetry[] = [];
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-laptop-"));
    const settings = {
      role: "gateway",
      mesh: {
        meshName: PRODUCT,
        password: "",
        port: await freePort(),
        channel: 1,
        leaf: true,
        uplink: { host: "127.0.0.1", port },
      },
    };
    const engine: NodeEngine = createNodeEngine({
      directory,
      regions: { stage: 54, slot: 51 },
      settings,
      address: "127.0.0.1",
      log: () => {},
      restart: () => {},
    });
    try {
      const laptop = createNode({
        engine,
        settings,
        version: "0.0.0",
        capabilities: CAN_AIRWAVE | IS_GATEWAY,
        stage: engine.region("stage")!,
        running: engine.region("slot")!,
        spare: engine.region("slot")!,
        trial: false,
        starts: 0,
        installs: false,
        telemetry: receiveTelemetry((frame) => void frames.push(frame)),
      });
      laptop.start();
      engine.every(1000, () => laptop.stream.subscribe());
      await until("telemetry", 60, () => frames.length > 0);
      const linked =
        Math.min(
          ...node
            .all("variables")
            .slice(-3)
            .map(([count]) => count as number),
        ) - shimCost;
      console.log(
        `variables: ${empty} before anything, ${rest} at rest, ${linked} with a link to a laptop ` +
          `(${shimCost} of the test's own subtracted); bundle ${sensor.code.length} bytes`,
      );
      if (real.like) {
        expect(checkBudget(real.board, { bytes: sensor.code.length }, { rest: linked })).toEqual([]);
        expect(sensor.code.length).toBeLessThanOrEqual(real.board.bundle.standard);
      }
    } finally {
      engine.close();
      fs.rmSync(directory, { recursive: true });
    }
    expect(frames[0]).toMatchObject({
      magic: 0xe1,
      node: NODE_ID,
      major: 1,
      minor: 0,
      patch: 0,
      hops: 0,
      children: 1,
      nodes: 2,
      starts: 1,
      image: Buffer.from(sensor.image.id, "hex").readUInt32LE(0),
    });
    expect(frames[0]!.memoryFree).toBeGreaterThan(1000);
    expect(node.errors).toEqual([]);
  }, 120_000);

  it("finds its files as they were laid out, and counts its starts in the state page", () => {
    const first = chosen(flash);
    expect([first.slot, first.starts]).toEqual(["slot0", 1]);
    const second = chosen(first.flash);
    expect([second.slot, second.starts]).toEqual(["slot0", 2]);
    const names = decodeStorage(second.flash, real.board.storage.page).files.map(({ name }) => name);
    expect(names).toEqual(decodeStorage(flash, real.board.storage.page).files.map(({ name }) => name));
  });

  it("prefers a newer slot, but not one that has rotted", () => {
    const newer = withUpdate(flash, sensor.code, "1.1.0");
    expect(chosen(newer).slot).toBe("slot1");
    const rotten = Buffer.from(newer);
    rotten[base(rotten) + real.board.regions.slot1![0] * PAGE + SLOT_HEADER + 20_000]! ^= 4;
    expect(chosen(rotten).slot).toBe("slot0");
    const both = Buffer.from(rotten);
    both[base(both) + real.board.regions.slot0![0] * PAGE + SLOT_HEADER]! ^= 1;
    const none = chosen(both);
    expect(none.slot).toBe("none");
    expect(none.out).toContain("no image to run");
  });

  it("gives an unconfirmed image three starts, then runs the other again", () => {
    let at = withUpdate(flash, "print('here');throw new Error('broken')", "1.1.0");
    for (let start = 1; start <= 3; start++) {
      const run = chosen(at);
      expect([run.slot, run.starts]).toEqual(["slot1", start]);
      expect(run.out).toContain("slot1 failed to start");
      expect(slotByte(run.flash, "slot1", SLOT_BAD)).toBe(255);
      at = run.flash;
    }
    const back = chosen(at);
    expect([back.slot, back.starts]).toEqual(["slot0", 4]);
    expect(slotByte(back.flash, "slot1", SLOT_BAD)).toBe(0);
    expect(slotByte(back.flash, "slot0", SLOT_CONFIRMED)).toBe(0);
    expect(chosen(back.flash).slot).toBe("slot0");
  });
});
