/**
 * Three real interpreters and a laptop form a mesh over real sockets, talk, and take updates: the laptop at the root's
 * access point, the third interpreter two hops from there.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { MARK, SLOT_CONFIRMED, SLOT_SEQUENCE } from "../../firmware/ota/layout";
import type { Encoding } from "../../firmware/ota/image";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { checkBudget } from "../../host-tools/build/budget";
import { bundle } from "../../host-tools/build/bundle";
import type { Image } from "../../host-tools/build/image";
import type { NodeProgress } from "../../host-tools/gateway/push";
import type { Command, ImageFile, LaptopOptions } from "./fixtures/laptop";
import { hasNamespaces, Machine } from "./networks";
import { flashFor, imageOf, type Interpreter, interpreter, NodeProcess, PRODUCT, until, wifiShim } from "./nodes";
import { describeEngine } from "./support";

const APP = "test/engine/fixtures/mesh-app.ts";
const PORT = 5555;
const IDS = [0xc4a00701, 0xc4a00803, 0xc4a00905];
const [A, B, C] = IDS as [number, number, number];
const PAGE = 4096;

const network = (id: number): string => `10.${(id >> 8) & 255}.${id & 255}`;
const macOf = (id: number): string => `24:0a:${id.toString(16).match(/../g)!.join(":")}`;
const seen = (id: number): { ssid: string; mac: string; rssi: number; channel: string } => ({
  ssid: `${PRODUCT}-${id.toString(16)}`,
  mac: macOf(id),
  rssi: -50,
  channel: "1",
});

/** The laptop in a process of its own. */
class LaptopProcess {
  readonly lines: unknown[][] = [];
  errors = "";
  private readonly child: ChildProcess;

  constructor(inside: string[], options: LaptopOptions) {
    const script = path.join(__dirname, "fixtures/laptop.ts");
    const [command, ...args] = [...inside, process.execPath, "-r", "tsx/cjs", script, JSON.stringify(options)];
    this.child = spawn(command!, args, { cwd: path.resolve(__dirname, "../.."), stdio: ["pipe", "pipe", "pipe"] });
    let rest = "";
    this.child.stdout!.setEncoding("utf8").on("data", (part: string) => {
      const lines = (rest + part).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.lines.push(JSON.parse(line) as unknown[]);
    });
    this.child.stderr!.setEncoding("utf8").on("data", (part: string) => (this.errors += part));
  }

  tell(command: Command): void {
    this.child.stdin!.write(`${JSON.stringify(command)}\n`);
  }

  all(kind: string): unknown[][] {
    return this.lines.filter((line) => line[0] === kind).map((line) => line.slice(1));
  }

  /** The last frame of a node. */
  telemetry(node: number): Telemetry | undefined {
    const frames = (this.all("telemetry") as [Telemetry][]).map(([frame]) => frame);
    return frames.filter((frame) => frame.node === node).at(-1);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const over = new Promise((resolve) => this.child.on("close", resolve));
    this.child.kill("SIGKILL");
    await over;
  }
}

function writeImage(file: string, { id, manifest, blob, chunks }: Image): void {
  const text = (bytes: Buffer): string => bytes.toString("base64");
  const content: ImageFile = { id, manifest, blob: text(blob), chunks: chunks.map(text) };
  fs.writeFileSync(file, JSON.stringify(content));
}

const UPDATES: [string, Encoding, "broadcast" | "sequential"][] = [
  ["1.1.0", "heatshrink", "broadcast"],
  ["1.2.0", "deflate", "broadcast"],
  ["1.3.0", "raw", "sequential"],
  ["1.4.0", "delta", "broadcast"],
];

describeEngine("a mesh of three interpreters and a laptop", () => {
  if (!hasNamespaces()) {
    test("needs network namespaces", () => {
      console.log("skipped the mesh of interpreters: it needs root and network namespaces (ip netns)");
      expect(hasNamespaces()).toBe(false);
    });
    return;
  }

  const fileOf = (version: string): string => path.join(folder, `${version}.json`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-laptop-"));
  const machines: Machine[] = [];
  const nodes: NodeProcess[] = [];
  const images = new Map<string, Image>();
  let laptop: LaptopProcess;
  let real: Interpreter;

  beforeAll(async () => {
    real = interpreter();
    const { code } = await bundle({ app: APP, role: "node", board: "esp32-devkitc", version: "1.0.0" });
    const first = { code, image: imageOf(code, "1.0.0", "raw") };
    images.set("1.0.0", first.image);
    let base = code;
    for (const [version, encoding] of UPDATES) {
      const update = await bundle({ app: APP, role: "node", board: "esp32-devkitc", version });
      const image = imageOf(update.code, version, encoding, base);
      base = update.code;
      images.set(version, image);
      writeImage(fileOf(version), image);
    }
    const parents = [0, A, B];
    for (const [i, id] of IDS.entries()) {
      const machine = new Machine();
      machines.push(machine);
      machine.openAccessPoint(`${network(id)}.1`);
      const parent = parents[i]!;
      if (parent) machine.join(machines[i - 1]!, `${network(parent)}.2`);
      const shim = wifiShim(
        {
          mac: macOf(id),
          ...(parent ? { seen: [seen(parent)], ip: `${network(parent)}.2`, gw: `${network(parent)}.1` } : {}),
        },
        100,
      );
      const mesh = { meshName: PRODUCT, password: "", port: PORT, channel: 1, root: id === A };
      const settings = { role: "node", telemetrySeconds: 10, mesh };
      nodes.push(new NodeProcess(await flashFor(real, shim, settings, first), machine.inside));
    }
    const away = new Machine();
    machines.push(away);
    away.join(machines[0]!, `${network(A)}.3`);
    for (const node of nodes) node.start();
    const options = { directory: folder, meshName: PRODUCT, port: PORT, uplink: `${network(A)}.1` };
    laptop = new LaptopProcess(away.inside, options);
  }, 240_000);

  afterAll(async () => {
    await laptop?.stop();
    for (const node of nodes) await node.remove();
    for (const machine of machines) machine.remove();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** Where the slot lies that a node runs: the newer of the two. */
  function runningSlot(flash: Buffer): number {
    const base = flash.indexOf(Buffer.from(`espalier${MARK}`, "latin1")) - 4 + 32;
    const slots = ["slot0", "slot1"].map((name) => base + real.board.regions[name]![0] * PAGE);
    const sequences = slots.map((at) =>
      flash.toString("latin1", at, at + 4) === "ESP1" ? flash.readUInt32LE(at + SLOT_SEQUENCE) : 0,
    );
    return sequences[0]! > sequences[1]! ? slots[0]! : slots[1]!;
  }

  function runs(id: number, version: string): boolean {
    const image = images.get(version)!;
    const frame = laptop.telemetry(id);
    return (
      frame !== undefined &&
      `${frame.major}.${frame.minor}.${frame.patch}` === version &&
      frame.image === Buffer.from(image.id, "hex").readUInt32LE(0)
    );
  }

  it("forms a chain, and telemetry of all comes through", async () => {
    await until("three nodes run 1.0.0", 60, () => IDS.every((id) => runs(id, "1.0.0")));
    const hops = IDS.map((id) => laptop.telemetry(id)!.hops);
    expect(hops).toEqual([0, 1, 2]);
    const inside = `{"nodeId":${A},"root":true,"subs":[{"nodeId":${B},"subs":[{"nodeId":${C}}]}]}`;
    await until("the laptop sees the chain", 15, () => String(laptop.all("tree").at(-1)![0]).includes(inside));
    expect(nodes.flatMap(({ errors }) => errors)).toEqual([]);
  }, 90_000);

  it("carries single, acknowledged and broadcast messages", async () => {
    const got = (text: string): boolean => laptop.all("message").some(([, message]) => message === text);
    laptop.tell({ send: C, message: "echo far" });
    laptop.tell({ send: B, message: `deliver ${C}` });
    laptop.tell({ send: C, message: "all" });
    laptop.tell({ broadcast: "hello" });
    laptop.tell({ send: C, message: "certain", ack: true });
    await until("answers", 20, () => got("echoed far") && got("receipt null") && got(`from ${C}`));
    await until("a receipt", 20, () => laptop.all("receipt").length > 0);
    expect(laptop.all("receipt")).toEqual([[null]]);
    const heard = nodes.map((node) => node.all("message").map(([, message]) => message));
    expect(heard[2]!.filter((message) => message === `delivered by ${B}`)).toHaveLength(1);
    expect(heard[2]!.filter((message) => message === "certain")).toHaveLength(1);
    for (const list of heard) expect(list.filter((message) => message === "hello")).toHaveLength(1);
    for (const list of heard.slice(0, 2)) expect(list).toContain(`from ${C}`);
  }, 45_000);

  it.each(UPDATES)(
    "takes version %s, packed as %s (%s)",
    async (version, encoding, transport) => {
      const image = images.get(version)!;
      const starts = nodes.map((node) => node.starts);
      const samples = nodes.map((node) => node.all("variables").length);
      const already = laptop.all("pushed").length;
      laptop.tell({ push: fileOf(version), pace: 30, targets: IDS, transport });
      await until(`the laptop is done with ${version}`, 110, () => laptop.all("pushed").length > already);
      const [progress, sent] = laptop.all("pushed").at(-1) as [NodeProgress[], Record<string, number>];
      const peaks = nodes.map((node, i) => node.peak(samples[i]));
      const figures = progress.map(
        ({ node, doneAfter, repaired }, i) =>
          `${node.toString(16)} after ${(doneAfter / 1000).toFixed(1)} s, ${repaired} repaired, ${peaks[i]} variables at peak`,
      );
      console.log(
        `${version} ${encoding} ${transport}: ${image.chunks.length} chunks, laptop sent ${sent.chunks}` +
          ` and ${sent.repairs} again\n  ${figures.join("\n  ")}`,
      );
      expect(progress.map(({ state, error }) => [state, error])).toEqual(IDS.map(() => ["running", ""]));
      // A node's word that it runs the image comes before its telemetry.
      await until(`telemetry of ${version}`, 100, () => IDS.every((id) => runs(id, version)));
      expect(nodes.map((node, i) => node.starts - starts[i]!)).toEqual([1, 1, 1]);
      expect(nodes.flatMap(({ errors }) => errors)).toEqual([]);
      if (real.like) {
        for (const peak of peaks)
          expect(checkBudget(real.board, { bytes: image.manifest.resultBytes }, { peak })).toEqual([]);
      }
    },
    200_000,
  );

  it("confirms the image after half a minute in the mesh", async () => {
    const confirmed = (): boolean =>
      nodes.every(({ flash }) => flash[runningSlot(flash) + SLOT_CONFIRMED] === MARK.charCodeAt(0));
    await until("all slots are confirmed", 60, confirmed);
    for (const node of nodes) expect(node.all("ready").at(-1)![0]).toBe("1.4.0");
  }, 75_000);
});
