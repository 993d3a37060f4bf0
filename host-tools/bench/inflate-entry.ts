/**
 * Inflates a stream inside the interpreter, as a node does: input in chunks from flash, output to flash. Prints one line
 * of JSON: how it ended, the CRC of what came out, and the interpreter's variables in use before and at the peak.
 */
import { createInflate } from "../../firmware/ota/inflate";

declare const STREAM_BYTES: number;
declare const RESULT_BYTES: number;
declare const RESULT_ADDRESS: number;
declare const CHUNK_BYTES: number;
declare const SLICE_BYTES: number;
/** Sampling memory takes time that would be counted. */
declare const SAMPLE_MEMORY: boolean;
declare function print(text: string): void;
declare const process: { memory(collect: boolean): { usage: number } };
declare const E: { CRC32(bytes: string): number };
declare function require(name: "Storage"): { read(name: string, offset: number, length: number): string };
declare function require(name: "Flash"): { write(bytes: string, address: number): void };

const storage = require("Storage");
const flash = require("Flash");
const before = process.memory(true).usage;
let peak = before;
let written = 0;
let steps = 0;

function sample(): void {
  if (SAMPLE_MEMORY) peak = Math.max(peak, process.memory(false).usage);
}

const inflate = createInflate({
  input: function (index: number) {
    sample();
    const from = index * CHUNK_BYTES;
    return from < STREAM_BYTES ? storage.read("stream", from, Math.min(CHUNK_BYTES, STREAM_BYTES - from)) : "";
  },
  output: function (bytes: string) {
    sample();
    flash.write(bytes, RESULT_ADDRESS + written);
    written += bytes.length;
  },
  history: function (offset: number, length: number) {
    return storage.read("result", offset, length);
  },
  limit: RESULT_BYTES,
  view: storage.read("result", 0, RESULT_BYTES),
});

let code = 0;
while (code === 0) {
  code = inflate.step(SLICE_BYTES);
  steps++;
}
print(
  JSON.stringify({
    code: code,
    written: written,
    crc: E.CRC32(storage.read("result", 0, RESULT_BYTES)),
    steps: steps,
    before: before,
    peak: peak,
  }),
);
