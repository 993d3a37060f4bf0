import { execFile } from "node:child_process";
import * as path from "node:path";

const ROOT = path.resolve(__dirname, "../..");

/** The program as users start it. */
function espalier(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: unknown; out: string; err: string }> {
  const options = { cwd: ROOT, env: { ...process.env, ...env } };
  return new Promise((resolve) => {
    execFile(process.execPath, ["bin/espalier.js", ...args], options, (error, out, err) =>
      resolve({ code: error ? error.code : 0, out, err }),
    );
  });
}

describe("the process", () => {
  it("lists boards as JSON and exits with 0", async () => {
    const { code, out, err } = await espalier(["boards", "--json"]);
    expect(err).toBe("");
    expect(code).toBe(0);
    const { boards } = JSON.parse(out) as { boards: { name: string; bundle: { standard: number } }[] };
    expect(boards.map((board) => board.name)).toContain("esp32-devkitc");
    expect(boards.every((board) => board.bundle.standard <= 61_440)).toBe(true);
  }, 30_000);

  it("exits with 2 for a board that is not there", async () => {
    const { code, out } = await espalier(["build", "--app", "apps/sensor.ts", "--board", "esp31", "--json"]);
    expect(code).toBe(2);
    const { error } = JSON.parse(out) as { error: { code: string; hint: string } };
    expect(error.code).toBe("UNKNOWN_BOARD");
    expect(error.hint).toContain("esp32-devkitc");
  }, 30_000);
});
