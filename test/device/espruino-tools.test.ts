/**
 * The package `espruino` (EspruinoTools) against the virtual console: another program's view of the same protocols. It
 * runs in a process of its own, since it puts names on globalThis.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { decodeStorage } from "../../host-tools/device/storage-image";
import { VirtualBoard } from "../../host-tools/device/virtual/board";
import { offerTcp } from "../../host-tools/device/virtual/tcp";
import { NorFlash } from "../../host-tools/simulator/chip/flash";
import { plan, STORAGE } from "./support/site";

const CLI = require.resolve("espruino/bin/espruino-cli.js");

function run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (text: Buffer) => (output += text.toString()));
  child.stderr.on("data", (text: Buffer) => (output += text.toString()));
  return new Promise((resolve) => child.on("exit", (code) => resolve({ code, output })));
}

it("uploads a file to a virtual board's Storage and evaluates there", async () => {
  const flash = new NorFlash(4 * 1024 * 1024);
  for (const region of plan("ESP32").slice(1)) flash.write(region.address, region.data);
  const board = new VirtualBoard({ path: "v0", flash });
  const offered = await offerTcp(board.line, 0, true);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-tools-"));
  const file = path.join(folder, "data.txt");
  const content = "one line of text\n".repeat(100);
  fs.writeFileSync(file, content);
  try {
    // It would ask its web site about the board.
    const offline = ["--config", "BOARD_JSON_URL=http://127.0.0.1:9"];
    const upload = ["--storage", `data:${file}`, "-e", 'print("answer "+(40+2))'];
    const { code, output } = await run(["--no-ble", "--quiet", ...offline, "--port", offered.path, ...upload]);
    expect({ code, answered: output.includes("answer 42") }).toEqual({ code: 0, answered: true });
    const stored = decodeStorage(flash.read(STORAGE.address, STORAGE.bytes));
    expect(stored.files.map((one) => [one.name, one.data.toString()])).toEqual([["data", content]]);
  } finally {
    await offered.close();
    fs.rmSync(folder, { recursive: true });
  }
}, 60_000);
