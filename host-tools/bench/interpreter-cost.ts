/**
 * Compares what the virtual chip charges with the instructions that a real Espruino executes for the same work, counted
 * by callgrind. Each program runs with N and with 2 N repetitions; the difference leaves start-up out.
 *
 * ESPRUINO=<32-bit Linux build> npx tsx host-tools/bench/interpreter-cost.ts [name ... | network]
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { encodeStorage } from "../device/storage-image";
import { ESP32 } from "../simulator/chip/board";
import { Chip } from "../simulator/chip/chip";
import { EventQueue } from "../simulator/events";
import { EVALUATED, firmwareWork } from "./firmware-work";
import { CostWork, MICRO, NATIVES, REALISTIC, workProgram } from "./cost-work";
import { NETWORK, chargedOnNetwork } from "./network-work";

export interface CostComparison {
  name: string;
  /** Instructions of one repetition. */
  real: number;
  charged: number;
  /** charged / real */
  ratio: number;
}

/** The whole area of an ESP32: its free flash lies in the second half. */
const ESP32_AREA = 224 * 4096;
/** A program under callgrind takes some seconds; this long means it is stuck. */
const TIMEOUT_MS = 120000;

export function hasValgrind(): boolean {
  return spawnSync("valgrind", ["--version"]).status === 0;
}

/** Instructions the interpreter executes for a whole program, start and end included. */
export async function countInstructions(espruino: string, program: string, variables?: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "espalier-cost-"));
  try {
    const file = join(directory, "work.js");
    writeFileSync(file, program, "latin1");
    const options = ["--tool=callgrind", "--callgrind-out-file=/dev/null", espruino, file];
    const output = await outputOf("valgrind", options, directory, variables);
    const collected = /Collected : (\d+)/.exec(output);
    if (!collected) throw new Error(`callgrind gave no count: ${output.slice(-300)}`);
    if (/Uncaught/.test(output)) throw new Error(`the program failed: ${/Uncaught.*/.exec(output)![0]}`);
    return Number(collected[1]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Instructions the virtual chip charges for a program. */
export function chargedInstructions(program: string): number {
  const queue = new EventQueue();
  const flash = encodeStorage([{ name: ".boot0", data: ";" }], { areaBytes: ESP32_AREA, pageBytes: 4096 });
  const chip = new Chip({ clock: queue, mac: "24:0a:c4:00:00:10", flash });
  chip.powerOn();
  queue.run(ESP32.bootMs + 1000);
  const before = chip.stats.instructions;
  chip.evaluate(program);
  return chip.stats.instructions - before;
}

export async function measureReal(espruino: string, work: CostWork): Promise<number> {
  const times = work.repeat ?? 20;
  const once = await countInstructions(espruino, workProgram(work, times), work.variables);
  const twice = await countInstructions(espruino, workProgram(work, 2 * times), work.variables);
  return (twice - once) / times;
}

export function measureCharged(work: CostWork): number {
  const times = work.repeat ?? 20;
  const twice = chargedInstructions(workProgram(work, 2 * times));
  return (twice - chargedInstructions(workProgram(work, times))) / times;
}

/** Compares pieces of work, as many at a time as there are processors. */
export async function compareCosts(espruino: string, works: readonly CostWork[]): Promise<CostComparison[]> {
  const results: CostComparison[] = new Array<CostComparison>(works.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < works.length; index = next++) {
      const work = works[index]!;
      const real = await measureReal(espruino, work);
      const charged = measureCharged(work);
      results[index] = { name: work.name, real, charged, ratio: charged / real };
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

/** Compares traffic, one piece of work after another: time that passes between events is counted, too. */
export async function compareNetwork(espruino: string): Promise<CostComparison[]> {
  // Start-up differs by some million from run to run, with the time that passes in it.
  const times = 150;
  const results: CostComparison[] = [];
  for (const { name, program } of NETWORK) {
    const once = await countInstructions(espruino, program(times));
    const real = ((await countInstructions(espruino, program(2 * times))) - once) / times;
    const charged = (chargedOnNetwork(program(2 * times)) - chargedOnNetwork(program(times))) / times;
    results.push({ name, real, charged, ratio: charged / real });
  }
  return results;
}

export function formatComparison(results: readonly CostComparison[]): string {
  const width = Math.max(...results.map((r) => r.name.length), 4);
  const k = (n: number) => (n / 1000).toFixed(1).padStart(10);
  const lines = results.map(
    (r) => `${r.name.padEnd(width)}${k(r.real)}${k(r.charged)}${r.ratio.toFixed(2).padStart(8)}`,
  );
  return [`${"work".padEnd(width)}    real k charged k   ratio`, ...lines].join("\n");
}

/** Runs a program with an open, silent standard input: the Linux build spins on one that has ended. */
function outputOf(command: string, options: string[], cwd: string, variables?: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = variables === undefined ? process.env : { ...process.env, ESPR_VARS: `${variables}` };
    const child = spawn(command, options, { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    let output = "";
    const add = (data: Buffer): void => void (output += data.toString("latin1"));
    child.stdout.on("data", add);
    child.stderr.on("data", add);
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(timer);
      child.stdin.destroy();
      resolve(output);
    });
  });
}

async function main(): Promise<void> {
  const espruino = process.env.ESPRUINO;
  if (!espruino || !hasValgrind()) {
    console.log("Set ESPRUINO to a 32-bit Linux build of Espruino, and install valgrind.");
    return;
  }
  const wanted = process.argv.slice(2);
  const all = [...MICRO, ...NATIVES, ...EVALUATED, ...REALISTIC, ...(await firmwareWork())];
  const works = all.filter((w) => !wanted.length || wanted.includes(w.name));
  const results = await compareCosts(espruino, works);
  if (!wanted.length || wanted.includes("network")) results.push(...(await compareNetwork(espruino)));
  console.log(formatComparison(results));
}

if (require.main === module) void main();
