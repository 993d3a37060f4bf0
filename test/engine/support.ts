/**
 * Runs scripts inside a real Espruino, whose binary the environment variable ESPRUINO names. Each run has a temporary
 * directory of its own: the Linux build keeps its flash in the file espruino.flash of the working directory.
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const binary = process.env.ESPRUINO ? path.resolve(process.env.ESPRUINO) : "";

/** Where a binary comes from; printed when there is none. */
export const engineHint = [
  "The engine tests run inside an Espruino binary for Linux; without one they are skipped. To get one, either take the",
  "Linux build from https://www.espruino.com/binaries/, or build it (it becomes bin/espruino):",
  "Then: ESPRUINO=/path/to/espruino npm run test:engine",
].join("\n");

export interface RunOptions {
  /** Files to place in the working directory before the run: name to content. */
  files?: Record<string, string | Uint8Array>;
  /** The interpreter is killed after this time; 30 s unless given. */
  timeoutMs?: number;
  /** Content of the flash before the run; the interpreter makes an erased one unless given. */
  flash?: Uint8Array;
  /** Further environment variables. */
  env?: Record<string, string>;
}

export interface RunResult {
  /** What the script printed (and before it .boot0, where the flash holds one), lines ended by "\n"; one character a byte. */
  stdout: string;
  stderr: string;
  /** null when the interpreter was killed, by the time limit or by a signal of its own making. */
  exitCode: number | null;
  /** Content of the flash after the run, or null when the script never touched it. */
  flash: Buffer | null;
}

/** A `describe` that is skipped when there is no interpreter. */
export function describeEngine(name: string, tests: () => void): void {
  (binary ? describe : describe.skip)(name, tests);
}

/** What the scripts printed: without the welcome, and with the line ends they wrote. */
function scriptOutput(console: string): string {
  return console
    .replaceAll("\r\n", "\n")
    .replace(/^\r\x1b\[J/, "")
    .replace(/\n ____ [^]*?espruino\.com\/Donate\n\n/, "");
}

function execute(source: string, options: RunOptions, before: string[]): RunResult {
  if (!binary) throw new Error(engineHint);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-engine-"));
  // At the end of its input the interpreter reads garbage and may exit early; an input that cannot be read keeps it quiet.
  const deaf = fs.openSync("/dev/null", "w");
  try {
    for (const [name, content] of Object.entries(options.files ?? {})) {
      fs.writeFileSync(path.join(directory, name), content, "latin1");
    }
    if (options.flash) fs.writeFileSync(path.join(directory, "espruino.flash"), options.flash);
    // The interpreter takes source bytes as they are, so a binary string stays one byte a character.
    fs.writeFileSync(path.join(directory, "script.js"), `echo(0);${source}`, "latin1");
    const [command = binary, ...args] = [...before, binary, "script.js"];
    const run = spawnSync(command, args, {
      cwd: directory,
      stdio: [deaf, "pipe", "pipe"],
      encoding: "latin1",
      timeout: options.timeoutMs ?? 30_000,
      // It ignores SIGTERM.
      killSignal: "SIGKILL",
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, ...options.env },
    });
    const failure = run.error as NodeJS.ErrnoException | undefined;
    if (failure && failure.code !== "ETIMEDOUT") throw failure;
    const flashFile = path.join(directory, "espruino.flash");
    const flash = fs.existsSync(flashFile) ? fs.readFileSync(flashFile) : null;
    return { stdout: scriptOutput(run.stdout), stderr: run.stderr, exitCode: run.status, flash };
  } finally {
    fs.closeSync(deaf);
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Runs a script until it has no timers or sockets left; end a script that keeps some with `setTimeout(quit, 0)`. A thrown exception is printed by the interpreter ("Uncaught ...") and makes
 * the exit code 1.
 */
export function runScript(source: string, options: RunOptions = {}): RunResult {
  return execute(source, options, []);
}

/**
 * Instructions that the interpreter executes for a script, counted by valgrind, start and end of the interpreter
 * included: subtract the count of an empty script.
 * @throws when valgrind is missing or the run did not end in time.
 */
export function callgrind(source: string, options: RunOptions = {}): number {
  const limits = { timeoutMs: 120_000, ...options };
  const run = execute(source, limits, ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]);
  const counted = /Collected : (\d+)/.exec(run.stderr);
  if (!counted) throw new Error(`valgrind counted nothing (exit code ${run.exitCode}): ${run.stderr}`);
  return Number(counted[1]);
}
