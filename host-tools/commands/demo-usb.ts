import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { loadBoard } from "../build/board";
import type { CommandContext, CommandDefinition } from "../command";
import { attachConsole } from "../device/console";
import { portFor } from "../device/serial-port";
import { createBench, type VirtualBench } from "../device/virtual/bench";
import { standInFirmware } from "../device/virtual/stand-in";
import { EspalierError, EXIT } from "../errors";
import { runProgram } from "../program";
import { COMMANDS } from "./index";
import type { PushReport } from "./push";

const ROOT = path.resolve(__dirname, "../..");
const BOARD = "esp32-devkitc";
const APP = path.join(ROOT, "apps/sensor.ts");
const NAMES = ["root", "hall", "attic"];
const BEFORE = "1.0.0";
const AFTER = "2.0.0";
/** Virtual seconds a second. */
const SPEED = 10;

/** The site of the demonstration: Espruino's place is taken by files that the virtual chip accepts. */
function writeSite(folder: string, bench: VirtualBench): string {
  const firmware = path.join(folder, "espruino");
  fs.mkdirSync(firmware);
  for (const [name, data] of standInFirmware(loadBoard(BOARD))) fs.writeFileSync(path.join(firmware, name), data);
  const file = path.join(folder, "flash.config.json");
  const nodes = bench.boards.map(({ mac }, index) => {
    return { name: NAMES[index], mac, app: APP, telemetrySeconds: 10, ...(index === 0 ? { root: true } : {}) };
  });
  const mesh = { name: "demo", password: "not-a-secret" };
  fs.writeFileSync(
    file,
    JSON.stringify({ mesh, version: BEFORE, firmware: { [BOARD]: { path: firmware } }, nodes, baud: 921600 }, null, 2),
  );
  return file;
}

/** Runs a command line as the user would, and gives what it reports. @throws EspalierError DEMO_FAILED */
async function run(context: CommandContext, line: string[]): Promise<Record<string, unknown>> {
  if (!context.json) context.stderr.write(`$ espalier ${line.join(" ")}\n`);
  let out = "";
  const code = await runProgram(COMMANDS, [...line, "--json"], "", {
    stdout: { write: (text) => (out += text) },
    stderr: { write: () => {} },
    env: process.env,
    watchInterrupt: () => ({ signal: context.signal, dispose() {} }),
  });
  const report = (out ? JSON.parse(out) : {}) as Record<string, unknown>;
  if (code === EXIT.ok || code === EXIT.interrupted) return report;
  throw new EspalierError("DEMO_FAILED", `espalier ${line.join(" ")} ended with ${code}`, {
    hint: "Its report is in the context (--json).",
    context: { line, code, report },
  });
}

/** What a board answers itself, over its console. */
async function runningSlot(port: string): Promise<string> {
  const board = await attachConsole(portFor(port));
  try {
    return String(await board.evaluate("espalierBoot.slot"));
  } finally {
    await board.close();
  }
}

export const demoUsb: CommandDefinition = {
  examples: [
    { line: "demo-usb", comment: "flash two virtual boards, inject into a third, update all through the first" },
    { line: "demo-usb --json", comment: "one JSON object instead" },
  ],

  configure() {},

  async run(context) {
    const began = performance.now();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-demo-"));
    const bench = await createBench({ board: loadBoard(BOARD), espruino: [false, false, true], speed: SPEED });
    try {
      const config = writeSite(folder, bench);
      const [first, second, third] = bench.boards.map(({ port }) => port) as [string, string, string];
      const flash = await run(context, ["flash", "--config", config, "--port", first, "--port", second]);
      const inject = await run(context, ["inject", "--config", config, "--port", third]);
      const nodes = NAMES.flatMap((name) => ["--node", name]);
      const target = ["--config", config, ...nodes, "--join", "300"];
      const push = context.signal.aborted
        ? null
        : await run(context, ["push", APP, "--version", AFTER, "--via", `serial:${first}`, ...target]);
      if (context.signal.aborted || !push) return EXIT.interrupted;
      const updated = (push as unknown as PushReport).nodes;
      const slots = await Promise.all([first, second, third].map(runningSlot));
      const flashed = (flash.boards as { path: string; mac: string; verified: boolean }[]).map(({ mac, verified }) => ({
        mac,
        verified,
      }));
      const ok =
        flashed.length === 2 &&
        flashed.every(({ verified }) => verified) &&
        updated.length === 3 &&
        updated.every(({ state, version }) => state === "running" && version === AFTER) &&
        slots.every((slot) => slot === "slot1");
      const seconds = (performance.now() - began) / 1000;
      const injected = { mac: bench.boards[2]!.mac, hash: inject.hash, pages: inject.pagesWritten };
      context.report({ ok, flashed, injected, updated, slots, seconds }, () =>
        [
          ...flashed.map(({ mac, verified }) => `${mac} flashed${verified ? " and verified" : ""}`),
          `${injected.mac} injected and verified`,
          ...updated.map(
            (node, i) =>
              `${NAMES[i]} (${node.node}) ${node.versionBefore} -> ${node.version}: ${node.state}, ${slots[i]}`,
          ),
          `${ok ? context.colors.green("all three updated") : context.colors.red("not all is as it should be")} in ${seconds.toFixed(1)} s`,
        ].join("\n"),
      );
      return ok ? EXIT.ok : EXIT.failed;
    } finally {
      await bench.close();
      fs.rmSync(folder, { recursive: true, force: true });
    }
  },
};
