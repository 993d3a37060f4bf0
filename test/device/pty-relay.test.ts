/** The relay behind a pseudo terminal leaves no program behind, however it ends. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const RELAY = path.resolve(__dirname, "../../host-tools/device/virtual/pty-relay.py");
const hasPython = spawnSync("python3", ["--version"]).status === 0;

/** Says who it is, and prints on, as an interpreter that ignores a lost terminal. */
const PROGRAM = `
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("pid.part", "w").write(str(os.getpid()))
os.rename("pid.part", "pid")
while True:
    try:
        os.write(1, b"still here")
    except OSError:
        pass
    time.sleep(0.02)
`;

async function until(test: () => boolean): Promise<boolean> {
  for (let i = 0; i < 200 && !test(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  return test();
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

(hasPython ? describe : describe.skip)("a program behind a pseudo terminal", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-relay-"));
  afterAll(() => fs.rmSync(folder, { recursive: true }));

  const ends: [string, boolean, (relay: ChildProcess) => void][] = [
    ["its input is closed", false, (relay) => relay.stdin!.end()],
    ["nobody reads its output", false, (relay) => relay.stdout!.destroy()],
    ["it is told to end", false, (relay) => relay.kill("SIGTERM")],
    // What only Linux can promise.
    ["it is killed", true, (relay) => relay.kill("SIGKILL")],
  ];

  function runs(name: string): { args: string[]; pid: () => number } {
    const directory = fs.mkdtempSync(path.join(folder, "run-"));
    const python = spawnSync("python3", ["-c", "import sys; print(sys.executable)"], {
      encoding: "utf8",
    }).stdout.trim();
    const file = path.join(directory, "pid");
    fs.writeFileSync(path.join(directory, "program.py"), PROGRAM);
    return {
      args: [RELAY, "run", directory, python, "program.py", name],
      pid: () => (fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 0),
    };
  }

  it.each(ends)("ends with the relay when %s", async (name, linux, end) => {
    if (linux && process.platform !== "linux") return;
    const { args, pid } = runs(name);
    const relay = spawn("python3", args, { stdio: ["pipe", "pipe", "ignore"] });
    expect(await until(() => pid() > 0)).toBe(true);
    end(relay);
    expect(await until(() => !lives(pid()))).toBe(true);
  });

  it("ends with the relay when what started the relay is killed, though it left both pipes to others", async () => {
    if (process.platform !== "linux") return;
    const { args, pid } = runs("parent");
    const script = `require("node:child_process").spawn("python3", ${JSON.stringify(args)}, { stdio: "inherit" })`;
    const holder = spawn("sleep", ["60"], { stdio: ["ignore", "pipe", "ignore"] });
    const parent = spawn(process.execPath, ["-e", script], { stdio: [holder.stdout, "ignore", "ignore"] });
    expect(await until(() => pid() > 0)).toBe(true);
    parent.kill("SIGKILL");
    expect(await until(() => !lives(pid()))).toBe(true);
    holder.kill();
  });
});
