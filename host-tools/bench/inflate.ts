/**
 * Speed of inflate: on Node, and in instructions of a real interpreter (the binary that ESPRUINO names; valgrind counts).
 *
 * npx tsx host-tools/bench/inflate.ts
 */
import { buildSync } from "esbuild";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { crc32 } from "node:zlib";
import { createInflate, INFLATE_DONE } from "../../firmware/ota/inflate";
import { bundle } from "../build/bundle";
import { deflateSmallest } from "../build/pack";
import { decodeStorage, encodeStorage } from "../device/storage-image";
import { INSTRUCTIONS_PER_SECOND } from "../simulator/chip/cost-table";
import { hasValgrind } from "./interpreter-cost";

/**
 * A table-driven inflate with its window in RAM, for an 87.5 KB minified file that deflates to 39 % at window bits 12:
 * thousand instructions an output byte, and variables at the peak.
 */
export const TO_BEAT = { kiloInstructions: 37, variables: 1583 };

const CHUNK_BYTES = 1016;
const SLICE_BYTES = 128;
const FLASH_START = 0x10000000;

export interface EngineRun {
  /** What `step` ended with. */
  code: number;
  /** The result has the right CRC. */
  correct: boolean;
  /** Calls of `step`. */
  steps: number;
  /** The interpreter's variables before the inflater was made, and most while it ran. */
  variables: { before: number; peak: number } | null;
  /** Instructions of the whole run, start of the interpreter not included; null unless counted. */
  instructions: number | null;
}

/** Bytes of a real bundle: the example application's. */
export async function exampleBundle(): Promise<Buffer> {
  const { code } = await bundle({ app: "apps/sensor.ts", role: "node", board: "esp32-devkitc", version: "1.0.0" });
  return Buffer.from(code, "latin1");
}

/** A minified file as long and as compressible as the one that TO_BEAT was measured with. */
export function comparisonFile(): Buffer {
  const { outputFiles } = buildSync({
    stdin: { contents: 'export * from "yaml"', resolveDir: __dirname },
    bundle: true,
    minify: true,
    platform: "node",
    write: false,
  });
  return Buffer.from(outputFiles[0]!.contents).subarray(0, 87.5 * 1024);
}

/** A 64-bit Linux build has 256 KB of flash in pages of 1 KB; a 32-bit one is taken to be built like an ESP32. */
export function is32Bit(espruino: string): boolean {
  const head = Buffer.alloc(5);
  const file = openSync(espruino, "r");
  readSync(file, head, 0, 5, 0);
  closeSync(file);
  // EI_CLASS of an ELF header: 1 is 32-bit.
  return head[4] === 1;
}

/** Inflates `stream` inside the interpreter; `count` uses valgrind and leaves the variables out. */
export async function inflateOnEngine(
  espruino: string,
  plain: Uint8Array,
  stream: Uint8Array,
  { count = false, slice = SLICE_BYTES } = {},
): Promise<EngineRun> {
  const geometry = is32Bit(espruino)
    ? { areaBytes: 896 * 1024, pageBytes: 4096 }
    : { areaBytes: 256 * 1024, pageBytes: 1024 };
  const files = [
    { name: "result", data: Buffer.alloc(plain.length, 0xff) },
    { name: "stream", data: stream },
  ];
  const result = decodeStorage(encodeStorage(files, geometry), geometry.pageBytes).files.find(
    (file) => file.name === "result",
  )!;
  const { code } = await bundle({
    app: null,
    entry: "host-tools/bench/inflate-entry.ts",
    role: "node",
    board: "esp32-devkitc",
    version: "1.0.0",
    defines: {
      STREAM_BYTES: `${stream.length}`,
      RESULT_BYTES: `${plain.length}`,
      RESULT_ADDRESS: `${FLASH_START + result.offset}`,
      CHUNK_BYTES: `${CHUNK_BYTES}`,
      SLICE_BYTES: `${slice}`,
      SAMPLE_MEMORY: `${!count}`,
    },
  });
  const flash = encodeStorage([...files, { name: "code", data: code }], geometry);
  const script = 'global.espalierBoot={code:require("Storage").read("code")};eval(espalierBoot.code);';
  const run = runEngine(espruino, script, flash, count);
  const told = JSON.parse(/\{"code".*\}/.exec(run.output)?.[0] ?? "null") as {
    code: number;
    crc: number;
    steps: number;
    before: number;
    peak: number;
  } | null;
  if (!told) throw new Error(`the interpreter said nothing of use: ${run.output.slice(-400)}`);
  return {
    code: told.code,
    correct: told.code === INFLATE_DONE && told.crc === crc32(plain),
    steps: told.steps,
    variables: count ? null : { before: told.before, peak: told.peak },
    instructions: count ? run.instructions - runEngine(espruino, "", flash, true).instructions : null,
  };
}

function runEngine(espruino: string, script: string, flash: Uint8Array, count: boolean) {
  const directory = mkdtempSync(path.join(tmpdir(), "espalier-inflate-"));
  // At the end of its input the interpreter spins; an input that cannot be read keeps it quiet.
  const deaf = openSync("/dev/null", "w");
  try {
    writeFileSync(path.join(directory, "espruino.flash"), flash);
    writeFileSync(path.join(directory, "script.js"), `echo(0);${script}`);
    const valgrind = count ? ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"] : [];
    const [command = "", ...args] = [...valgrind, path.resolve(espruino), "script.js"];
    const run = spawnSync(command, args, {
      cwd: directory,
      stdio: [deaf, "pipe", "pipe"],
      encoding: "latin1",
      timeout: 1_200_000,
      killSignal: "SIGKILL",
    });
    if (run.error) throw run.error;
    return { output: run.stdout, instructions: Number(/Collected : (\d+)/.exec(run.stderr)?.[1] ?? NaN) };
  } finally {
    closeSync(deaf);
    rmSync(directory, { recursive: true });
  }
}

/** Inflates on Node; megabytes of output a second. */
export function nodeSpeed(plain: Uint8Array, stream: Uint8Array, rounds = 20): number {
  const text = Buffer.from(stream).toString("latin1");
  const started = performance.now();
  for (let round = 0; round < rounds; round++) {
    let output = "";
    const inflate = createInflate({
      input: (index) => text.substring(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES),
      output: (bytes) => void (output += bytes),
      history: (from, length) => output.substring(from, from + length),
      limit: plain.length,
    });
    while (inflate.step(4096) === 0);
    if (output.length !== plain.length) throw new Error("inflate does not work");
  }
  return (plain.length * rounds) / 1000 / (performance.now() - started);
}

/** Measures and prints; with an interpreter it takes about two minutes. */
export async function benchInflate(print: (line: string) => void = console.log): Promise<void> {
  await benchFile("example bundle", await exampleBundle(), print);
  await benchFile("comparison file", comparisonFile(), print);
}

async function benchFile(name: string, plain: Buffer, print: (line: string) => void): Promise<void> {
  const stream = deflateSmallest(plain);
  print(`inflate, ${name} of ${plain.length} B, deflated ${stream.length} B (${percent(stream.length, plain.length)})`);
  print(`  Node: ${nodeSpeed(plain, stream).toFixed(1)} MB/s`);
  const espruino = process.env.ESPRUINO;
  if (!espruino) {
    print("  interpreter: set ESPRUINO to measure");
    return;
  }
  const sampled = await inflateOnEngine(espruino, plain, stream);
  if (!sampled.correct) throw new Error(`inflate on the interpreter ended with ${sampled.code}`);
  const { before, peak } = sampled.variables!;
  print(
    `  interpreter: ${peak} variables at the peak (${before} before), ${percent(peak, TO_BEAT.variables)} of the ` +
      `${TO_BEAT.variables} to beat`,
  );
  if (!hasValgrind()) {
    print("  interpreter: valgrind counts instructions, and is not installed");
    return;
  }
  const { instructions } = await inflateOnEngine(espruino, plain, stream, { count: true });
  const each = instructions! / plain.length / 1000;
  print(
    `  interpreter: ${each.toFixed(1)} thousand instructions an output byte in slices of ${SLICE_BYTES} B, ` +
      `${percent(each, TO_BEAT.kiloInstructions)} of the ${TO_BEAT.kiloInstructions} to beat; ` +
      `an ESP32 takes some ${(instructions! / INSTRUCTIONS_PER_SECOND).toFixed(0)} s`,
  );
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(0)} %`;
}

if (require.main === module) void benchInflate();
