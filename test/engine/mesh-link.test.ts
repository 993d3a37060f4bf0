import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { bundle } from "../../host-tools/build/bundle";
import { describeEngine, runScript } from "./support";

type Line = [event: string, a: unknown, b: unknown];

/** Ports of this machine that nobody listens on. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>((resolve) => {
          const server = net.createServer().listen(0, () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((s) => (s.address() as net.AddressInfo).port);
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return ports;
}

/** Flash with the node's bundle in it, since code that runs from there costs no variables. */
async function flashFor(id: number, listen: number, dial: number): Promise<Buffer> {
  const { code } = await bundle({
    app: null,
    entry: "test/engine/fixtures/mesh-node.ts",
    role: "node",
    board: "esp32-devkitc",
    version: "9.9.9",
    defines: { NODE_ID: `${id}`, LISTEN: `${listen}`, DIAL: `${dial}` },
  });
  let script = 'var s=require("Storage");';
  for (let at = 0; at < code.length; at += 2000)
    script += `s.write("code",${JSON.stringify(code.slice(at, at + 2000))},${at},${code.length});`;
  return runScript(script, { env: { ESPR_VARS: "30000" } }).flash!;
}

/** Runs a node to its end; what it printed. */
function runNode(flash: Buffer): Promise<Line[]> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-mesh-"));
  fs.writeFileSync(path.join(directory, "espruino.flash"), flash);
  fs.writeFileSync(
    path.join(directory, "script.js"),
    // What the loader leaves: cold functions are evaluated out of the running script's text.
    'echo(0);global.espalierBoot={code:require("Storage").read("code")};eval(espalierBoot.code);setTimeout(quit,18000);',
  );
  const deaf = fs.openSync("/dev/null", "w");
  const child = spawn(path.resolve(process.env.ESPRUINO!), ["script.js"], {
    cwd: directory,
    stdio: [deaf, "pipe", "ignore"],
  });
  fs.closeSync(deaf);
  const limit = setTimeout(() => child.kill("SIGKILL"), 40_000);
  let text = "";
  child.stdout!.setEncoding("latin1").on("data", (part: string) => (text += part));
  return new Promise((resolve) =>
    child.on("close", () => {
      clearTimeout(limit);
      fs.rmSync(directory, { recursive: true, force: true });
      const lines = text.split(/\r?\n/);
      const odd = lines.filter((l) => /Uncaught|OUT OF MEMORY|rror/.test(l));
      resolve([
        ...odd.map((l): Line => ["error", l, 0]),
        ...lines.filter((l) => l.startsWith('["')).map((l) => JSON.parse(l) as Line),
      ]);
    }),
  );
}

describeEngine("three interpreters on real sockets", () => {
  let nodes: Line[][];
  const of = (node: number, event: string): unknown[][] =>
    nodes[node]!.filter((l) => l[0] === event).map((l) => l.slice(1));

  beforeAll(async () => {
    const ports = await freePorts(3);
    const flashes: Buffer[] = [];
    for (let i = 0; i < 3; i++) flashes.push(await flashFor(3000000001 + i, ports[i]!, i ? ports[i - 1]! : 0));
    nodes = await Promise.all(flashes.map(runNode));
  });

  it("form a tree whose ids stay integers", () => {
    expect(nodes.flatMap((lines) => lines.filter((l) => l[0] === "error"))).toEqual([]);
    expect(of(0, "tree")).toEqual([
      ['{"nodeId":3000000001,"subs":[{"nodeId":3000000002,"subs":[{"nodeId":3000000003}]}]}', null],
    ]);
    expect(of(2, "tree")[0]![0]).toBe(
      '{"nodeId":3000000003,"subs":[{"nodeId":3000000002,"subs":[{"nodeId":3000000001}]}]}',
    );
  });

  it("deliver text in UTF-8 once, with a receipt, and a broadcast longer than the write window", () => {
    expect(of(0, "receipt")).toEqual([[null, null]]);
    const [text] = of(2, "message")
      .map((m) => m[1])
      .filter((m) => typeof m === "string");
    // A board's strings are bytes; the Linux build puts UTF-8 that it parses together to characters.
    expect(["gr\xc3\xbc\xc3\x9fe", "gr\xfc\xdfe"]).toContain(text);
    expect(of(2, "message")).toContainEqual([3000000001, 3000]);
    expect(of(2, "message").length).toBe(2);
    expect(of(1, "message")).toEqual([[3000000001, 3000]]);
  });

  it("agree on the time", () => {
    const offsets = nodes.map((_, i) => {
      const [microseconds, seconds] = of(i, "time")[0] as [number, number];
      return (microseconds - Math.floor(seconds * 1e6)) % 2 ** 32;
    });
    for (const offset of offsets) {
      const difference = (offset - offsets[0]!) | 0;
      expect(Math.abs(difference)).toBeLessThan(20_000);
    }
  });

  it("know each other as Espalier nodes, lose nothing, and fit", () => {
    expect(of(1, "neighbours")[0]![0]).toEqual(
      expect.arrayContaining([expect.objectContaining({ espalier: true, v: "9.9.9", c: 5 })]),
    );
    for (let i = 0; i < 3; i++) {
      const [stats, variables] = of(i, "stats")[0] as [Record<string, number>, number];
      expect(stats).toMatchObject({ malformed: 0, dropped: 0, queueDrops: 0, refused: 0 });
      expect(variables).toBeLessThan(1400);
    }
  });
});
