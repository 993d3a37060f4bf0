/**
 * Deltas of this repository's own history: bundles of earlier commits' firmware, built with the tools of today, with names
 * that stay and with a minifier's.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { MAX_CHUNK } from "../../firmware/ota/image";
import { bundle, type Names } from "../build/bundle";
import { BuildError } from "../build/findings";
import { packPayload } from "../build/pack";
import { formatTable } from "../ui/table";

const ROOT = path.resolve(__dirname, "../..");
/** What a standard node is made of. */
const SOURCES = ["firmware", "apps/sensor.ts"];
/** A release holds at least so many commits that change the firmware, merges not counted. */
const COMMITS = 4;
const RELEASES = 6;

/** File, what stands there, and what stands there after the fix. */
export type Edit = readonly [file: string, from: string, to: string];

/** Fixes of one line each, made up. */
export const FIXES: Readonly<Record<string, Edit>> = {
  "a call more": ["firmware/mesh/mesh.ts", "router.tick(now);", 'router.tick(now); bus.fire("tick", now);'],
  "a condition more": [
    "firmware/ota/receiver.ts",
    "if (transfer) transfer.ask()",
    "if (transfer && mesh) transfer.ask()",
  ],
  "a number": ["firmware/mesh/mesh.ts", "engine.every(1000,", "engine.every(1500,"],
};

export interface BuildChoice {
  version: string;
  names?: Names;
  edit?: Edit;
}

/** The standard node's bundle of the sources in a folder, which an edit changes in a copy. @throws BuildError */
export async function standardNode(folder: string, { version, names, edit }: BuildChoice): Promise<Buffer> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-deltas-"));
  try {
    for (const source of SOURCES) fs.cpSync(path.join(folder, source), path.join(root, source), { recursive: true });
    if (edit) {
      const [file, from, to] = edit;
      const text = fs.readFileSync(path.join(root, file), "utf8");
      if (!text.includes(from)) throw new RangeError(`${file} has no "${from}" any more; choose another edit`);
      fs.writeFileSync(path.join(root, file), text.replace(from, to));
    }
    const { code } = await bundle({
      root,
      app: "apps/sensor.ts",
      role: "node",
      board: "esp32-devkitc",
      version,
      names,
    });
    return Buffer.from(code);
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

/** Bytes of a delta's chunks by bytes of the bundle that it makes. */
export function deltaShare(before: Buffer, after: Buffer): number {
  return packPayload(after, "delta", MAX_CHUNK, before).payloadBytes / after.length;
}

function git(...args: string[]): string {
  return execFileSync("git", ["-C", ROOT, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}

interface Release {
  from: string;
  to: string;
  commits: number;
}

/** Releases back from the newest commit, along first parents. */
function releases(): Release[] {
  const line = git("log", "--first-parent", "--format=%h", "--", "firmware").split("\n").filter(Boolean);
  const found: Release[] = [];
  let to = line[0];
  for (const from of line.slice(1)) {
    const commits = Number(git("rev-list", "--no-merges", "--count", `${from}..${to}`, "--", "firmware"));
    if (commits < COMMITS) continue;
    found.push({ from, to: to!, commits });
    if (found.length === RELEASES) break;
    to = from;
  }
  return found;
}

/** Calls `run` with the sources of a commit. */
async function withSources<T>(commit: string, run: (folder: string) => Promise<T>): Promise<T> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-history-"));
  try {
    const input = execFileSync("git", ["-C", ROOT, "archive", commit, ...SOURCES], { maxBuffer: 1 << 28 });
    execFileSync("tar", ["-x", "-C", folder], { input });
    return await run(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Both bundles of a commit, or why the tools of today do not build it. */
async function bundlesOf(commit: string, version: string): Promise<[stable: Buffer, minified: Buffer] | string> {
  try {
    return await withSources(commit, async (folder) => [
      await standardNode(folder, { version }),
      await standardNode(folder, { version, names: "frequent" }),
    ]);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    return error.findings[0]?.message ?? error.message;
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

async function releaseRow({ from, to, commits }: Release): Promise<string[]> {
  const before = await bundlesOf(from, "1.0.0");
  const after = await bundlesOf(to, "1.1.0");
  const name = `${from}..${to}`;
  if (typeof before === "string" || typeof after === "string") {
    const why = typeof before === "string" ? before : (after as string);
    return [name, String(commits), "", "no build", why];
  }
  const growth = `${before[0].length} to ${after[0].length}`;
  return [name, String(commits), growth, ...[0, 1].map((i) => percent(deltaShare(before[i]!, after[i]!)))];
}

/** Prints as it goes; two minutes. */
export async function benchDeltas(print: (text: string) => void): Promise<void> {
  const version = "1.0.0";
  const stable = await standardNode(ROOT, { version });
  const minified = await standardNode(ROOT, { version, names: "frequent" });
  print(`bundle of ${stable.length} bytes with names that stay, of ${minified.length} with a minifier's`);
  const rows: string[][] = [];
  for (const [name, edit] of Object.entries(FIXES)) {
    const fixed = { version: "1.0.1", edit };
    const share = deltaShare(stable, await standardNode(ROOT, fixed));
    const other = deltaShare(minified, await standardNode(ROOT, { ...fixed, names: "frequent" }));
    rows.push([`one line: ${name}`, "", "", percent(share), percent(other)]);
  }
  let history: Release[] = [];
  try {
    history = releases();
    if (history.length < RELEASES && git("rev-parse", "--is-shallow-repository") === "true") {
      print('This clone is shallow; "git fetch --unshallow" brings the history that releases are measured on.');
    }
  } catch (error) {
    print(`There is no history here to measure releases on: ${(error as Error).message.split("\n")[0]}`);
  }
  for (const release of history) rows.push(await releaseRow(release));
  const columns = ["delta by bundle", "commits", "bytes", "names stay", "a minifier's"].map((title) => ({ title }));
  print(formatTable(columns, rows));
}
