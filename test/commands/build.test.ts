import { loadBoard } from "../../host-tools/build/board";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { COMMANDS } from "../../host-tools/commands";
import { EXIT } from "../../host-tools/errors";
import { runProgram } from "../../host-tools/program";
import { createRecorder } from "../ui/support";

jest.setTimeout(60_000);

let directory: string;

beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-build-"));
});

afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

async function espalier(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const stdout = createRecorder(false);
  const stderr = createRecorder(false);
  const code = await runProgram(COMMANDS, args, "0.0.0", { stdout, stderr, env: {} });
  return { code, out: stdout.text, err: stderr.text };
}

const SENSOR = ["build", "--app", "apps/sensor.ts", "--board", "esp32-devkitc"];

describe("espalier build", () => {
  it("writes the bundle and prints its size by module and against the budget", async () => {
    const file = path.join(directory, "new", "sensor.js");
    const { code, out, err } = await espalier(...SENSOR, "--out", file);
    expect(err).toBe("");
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/\d+ +[\d.]+ % {2}firmware\/mesh\//);
    expect(out).toMatch(/\d+ +[\d.]+ % {2}apps\/sensor\.ts/);
    const total = /(\d+) +[\d.]+ % {2}of the budget of 98304 bytes for esp32-devkitc/.exec(out);
    expect(fs.statSync(file).size).toBe(Number(total?.[1]));
    // The example on a plain node: what an application of one's own has on top is the rest of the budget.
    expect(Number(total?.[1])).toBeLessThanOrEqual(loadBoard("esp32-devkitc").bundle.standard);
  });

  it("describes the bundle as JSON", async () => {
    const { code, out } = await espalier(...SENSOR, "--version", "2.0.7", "--role", "root", "--json");
    expect(code).toBe(EXIT.ok);
    const result = JSON.parse(out) as { bytes: number; modules: { path: string; bytes: number }[] };
    expect(result).toMatchObject({ board: "esp32-devkitc", role: "root", version: "2.0.7", budget: 98304, out: null });
    const sum = result.modules.reduce((total, module) => total + module.bytes, 0);
    expect(sum).toBe(result.bytes);
  });

  it("builds the recovery bundle without an application, against a budget of its own", async () => {
    const { code, out } = await espalier("build", "--board", "esp32-devkitc", "--role", "recovery", "--json");
    expect(code).toBe(EXIT.ok);
    const result = JSON.parse(out) as { app: null; bytes: number; budget: number };
    expect(result).toMatchObject({ app: null, budget: 77824, role: "recovery" });
    expect(result.bytes).toBeLessThan(result.budget);
    const { out: refused } = await espalier("build", "--board", "esp32-devkitc", "--json");
    expect((JSON.parse(refused) as { error: { code: string } }).error.code).toBe("MISSING_OPTION");
  });

  it("refuses an application that Espruino cannot run, with file and line", async () => {
    const { code, out } = await espalier(
      ...["build", "--app", "test/commands/refused-app.ts", "--board", "esp32-devkitc", "--json"],
    );
    expect(code).toBe(EXIT.failed);
    const { error } = JSON.parse(out) as {
      error: { code: string; context: { findings: { file: string; line: number }[] } };
    };
    expect(error.code).toBe("BUILD_REFUSED");
    expect(error.context.findings[0]).toMatchObject({ file: "test/commands/refused-app.ts", line: 2 });
  });

  it.each([
    [["--board", "esp32-devkitc"], "MISSING_OPTION", "--app must be given"],
    [["--app", "apps/sensor.ts", "--board", "esp31"], "UNKNOWN_BOARD", "Known boards: esp32-c3-devkitm"],
    [["--app", "apps/sensor.ts", "--borad", "x"], "UNKNOWN_OPTION", "Did you mean --board?"],
    [[...SENSOR.slice(1), "--version", "1.300.0"], "INVALID_ARGUMENT", "255.255.65535"],
    [[...SENSOR.slice(1), "--version", "latest"], "INVALID_ARGUMENT", "three numbers"],
    [[...SENSOR.slice(1), "--role", "Über"], "INVALID_ARGUMENT", "small letters"],
  ])("refuses %j", async (args, errorCode, text) => {
    const { code, err } = await espalier("build", ...args);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain(`error[${errorCode}]: `);
    expect(err).toContain(text);
  });

  it("calls an application that is not there by its name", async () => {
    const { code, err } = await espalier("build", "--app", "apps/nothing.ts", "--board", "esp32-devkitc");
    expect(code).not.toBe(EXIT.ok);
    expect(err).toContain("apps/nothing.ts");
  });
});
