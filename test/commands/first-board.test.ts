/** The README's way from an unopened board to a running node, and the demonstration over USB, as a user types them. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { loadBoard } from "../../host-tools/build/board";
import { createBench } from "../../host-tools/device/virtual/bench";
import { standInFirmware } from "../../host-tools/device/virtual/stand-in";
import { espalier } from "./support/run";

const README = fs.readFileSync(path.join(__dirname, "../../README.md"), "utf8");
const board = loadBoard("esp32-devkitc");

test("the README's first board", async () => {
  const block = /## First board[^]*?```sh\n([^]*?)```/.exec(README)![1]!;
  const lines = block.trim().split("\n");
  expect(lines.length).toBeLessThanOrEqual(6);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-first-"));
  for (const [name, data] of standInFirmware(board)) fs.writeFileSync(path.join(folder, name), data);
  const bench = await createBench({ board, espruino: [false], speed: 10 });
  const { port, board: virtual } = bench.boards[0]!;
  const before = process.env.ESPALIER_MESH_PASSWORD;
  try {
    const done: string[] = [];
    for (const line of lines) {
      const setting = /^export (\w+)=(\S+)$/.exec(line);
      if (setting) process.env[setting[1]!] = setting[2];
      const words = /^npx espalier (.*)$/.exec(line)?.[1]!.split(" ");
      if (!words) continue;
      const args = words.map((word) => word.replace("/dev/ttyUSB0", port).replace(/^espruino_.*\.tgz$/, folder));
      // A user's only board is found; here there is no system that could list it.
      if (args[0] === "flash") args.push("--port", port);
      const { code, out, err } = await espalier([...args, "--json"]);
      expect([line, code, code === 0 ? "" : out + err]).toEqual([line, 0, ""]);
      done.push(args[0]!);
      const report = JSON.parse(out) as Record<string, unknown>;
      if (args[0] === "flash") expect(report).toMatchObject({ boards: [{ verified: true }], failed: [] });
      if (args[0] === "push") {
        expect(report).toMatchObject({ ok: true, nodes: [{ state: "running", version: "0.2.0" }] });
      }
      if (args[0] === "status") expect(out).toContain('"presence":"online"');
    }
    expect(done).toEqual(["flash", "status", "push"]);
    expect(virtual.state).toBe("console");
    // The password is on the board, and nowhere in what an application's script holds.
    expect(virtual.flash.bytes.includes("a-password-of-yours")).toBe(true);
  } finally {
    if (before === undefined) delete process.env.ESPALIER_MESH_PASSWORD;
    else process.env.ESPALIER_MESH_PASSWORD = before;
    await bench.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);

test("npm run demo:usb", async () => {
  const { code, out } = await espalier(["demo-usb", "--json"]);
  expect(JSON.parse(out)).toMatchObject({
    ok: true,
    flashed: [{ verified: true }, { verified: true }],
    injected: { mac: "24:0a:c4:b0:00:06" },
    updated: Array.from({ length: 3 }, () => ({ state: "running", versionBefore: "1.0.0", version: "2.0.0" })),
    slots: ["slot1", "slot1", "slot1"],
  });
  expect(code).toBe(0);
}, 300_000);
