/** Runs the inflater over a stream as a node does: numbered pieces, slices, history read back from the output. */
import { transformSync } from "esbuild";
import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { createInflate, INFLATE_MORE, INFLATE_WAITING } from "../../firmware/ota/inflate";

export interface Options {
  /** Bytes of a piece; 1016 unless given. */
  chunk?: number;
  /** Output bytes of a slice; 96 unless given. */
  slice?: number;
  /** Most output; the output buffer is no larger, so that a byte too many throws. */
  limit: number;
  /** Each piece is missing this many times before it is there. */
  late?: number;
  /** A view on the output: what stays as it was, or what changes with it. */
  view?: "copy" | "live";
}

export interface Outcome {
  code: number;
  output: Buffer;
  /** Calls of step. */
  steps: number;
  /** Calls of history. */
  reads: number;
  /** Longest piece of output. */
  longest: number;
}

export function run(stream: Uint8Array, { chunk = 1016, slice = 96, limit, late = 0, view }: Options): Outcome {
  const source = Buffer.from(stream);
  const target = Buffer.alloc(limit, 0xff);
  let written = 0;
  let reads = 0;
  let longest = 0;
  let lacking = late;
  const text = (from: number, length: number): string => {
    if (from < 0 || length < 1 || length > 258 || from + length > written) throw new Error(`read ${from}, ${length}`);
    return target.toString("latin1", from, from + length);
  };
  const live = {
    charCodeAt: (i: number) => target[i],
    substr: (from: number, length: number) => text(from, length),
  } as unknown as string;
  const inflate = createInflate({
    input: (index) => {
      const piece = source.toString("latin1", index * chunk, (index + 1) * chunk);
      if (!piece || lacking-- === 0) {
        lacking = late;
        return piece;
      }
      return undefined;
    },
    output: (bytes) => {
      if (written + bytes.length > limit) throw new Error("more output than the limit");
      target.write(bytes, written, "latin1");
      written += bytes.length;
      longest = Math.max(longest, bytes.length);
    },
    history: (from, length) => {
      reads++;
      return text(from, length);
    },
    limit,
    view: view === "live" ? live : view === "copy" ? target.toString("latin1") : undefined,
  });
  // Every slice takes input, gives output or makes some of a table; the tables of a block are some 40 slices.
  const most = 100 + 60 * (stream.length + 1) * (late + 1) + limit;
  for (let steps = 1; steps <= most; steps++) {
    const code = inflate.step(slice);
    if (code === INFLATE_MORE || (code === INFLATE_WAITING && late > 0)) continue;
    if (inflate.step(slice) !== code) throw new Error("the end is not final");
    return { code, output: target.subarray(0, written), steps, reads, longest };
  }
  throw new Error("does not come to an end");
}

/** Minified JavaScript as bundles have it: this project's own firmware. */
export function minifiedSources(): Buffer {
  const firmware = path.resolve(__dirname, "../../firmware");
  const files = readdirSync(firmware, { recursive: true, encoding: "utf8" });
  const sources = files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts")).sort();
  const parts = sources.map(
    (file) => transformSync(readFileSync(path.join(firmware, file), "utf8"), { loader: "ts", minify: true }).code,
  );
  return Buffer.from(parts.join(""), "latin1");
}
