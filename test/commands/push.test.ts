import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { encodeImageFile } from "../../host-tools/build/image-file";
import { COMMANDS } from "../../host-tools/commands";
import { nodeIds } from "../../host-tools/commands/push";
import { runProgram } from "../../host-tools/program";
import { type Build, buildFor } from "../../host-tools/simulator/firmware-builds";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-push-"));
const scenario = path.join(folder, "pair.yaml");
const via = `sim:${scenario}`;
const file = path.join(folder, "update.espalier");
const site = path.join(folder, "flash.config.json");
let build: Build;

beforeAll(async () => {
  // A node restarts in the middle of the transfer.
  fs.writeFileSync(scenario, "name: pair\nnodes: 2\nevents: [{ at: 40, reset: 1 }]\n");
  build = await buildFor({
    app: "apps/sensor.ts",
    board: "esp32-devkitc",
    version: "1.1.0",
    encoding: "heatshrink",
  });
  fs.writeFileSync(file, encodeImageFile(build.image));
  const mesh = { name: "m", password: "" };
  fs.writeFileSync(site, JSON.stringify({ mesh, nodes: [{ name: "roof", mac: "24:0a:c4:a0:00:02" }] }));
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Runs a command line; `interrupt` may press Ctrl-C at each piece of progress. */
async function run(line: string[], interrupt?: (progress: string, press: () => void) => void) {
  let out = "";
  let err = "";
  const controller = new AbortController();
  const code = await runProgram(COMMANDS, ["push", ...line], "0.0.0", {
    stdout: { write: (text: string) => (out += text) },
    stderr: {
      write(text: string) {
        err += text;
        interrupt?.(text, () => controller.abort());
      },
    },
    env: {},
    watchInterrupt: () => ({ signal: controller.signal, dispose() {} }),
  });
  return { code, out, err };
}

it("updates every node, one that restarts in the middle too", async () => {
  const { code, out } = await run([file, "--via", via, "--json"]);
  expect(code).toBe(0);
  const report = JSON.parse(out) as { nodes: { node: string; seconds: number }[] };
  expect(report).toMatchObject({
    ok: true,
    state: "done",
    image: { id: build.image.id, version: "1.1.0", encoding: "heatshrink" },
    nodes: [
      { node: "c4a00001", state: "running", versionBefore: "1.0.0", version: "1.1.0" },
      { node: "c4a00003", state: "running", versionBefore: "1.0.0", version: "1.1.0" },
    ],
  });
  for (const { seconds } of report.nodes) expect(seconds).toBeGreaterThan(0);
});

it("updates only the node that is named", async () => {
  const { code, out } = await run([file, "--via", via, "--node", "roof", "--config", site, "--json"]);
  expect(JSON.parse(out)).toMatchObject({ ok: true, nodes: [{ node: "c4a00003", state: "running" }] });
  expect(code).toBe(0);
});

it("updates nodes by what they run, and leaves out who is excepted", async () => {
  const line = [file, "--via", via, "--config", site, "--json"];
  const one = await run([...line, "--if-version", "1.0.*", "--except", "roof"]);
  expect(JSON.parse(one.out)).toMatchObject({ ok: true, nodes: [{ node: "c4a00001", state: "running" }] });
  expect(JSON.parse(one.out).nodes).toHaveLength(1);
  const none = await run([...line, "--if-version", ">=1.1.0"]);
  expect([none.code, JSON.parse(none.out).error.code]).toEqual([1, "NO_TARGETS"]);
});

it("Ctrl-C makes the nodes drop what they have, and says so", async () => {
  const { code, out, err } = await run([file, "--via", via], (progress, press) => {
    if (progress.includes("receiving")) press();
  });
  expect(code).toBe(130);
  expect(err).toContain("receiving");
  expect(out).toContain("Stopped. 0 of 2 nodes run 1.1.0; the others were told to drop it");
});

it("previews without sending, and fails for a named node that is not there", async () => {
  const preview = await run([file, "--via", via, "--dry-run", "--json"]);
  expect(preview.code).toBe(0);
  expect(JSON.parse(preview.out)).toMatchObject({
    state: "preview",
    nodes: [{ state: "silent" }, { state: "silent" }],
  });
  const missing = await run([file, "--via", via, "--node", "00000042", "--join", "30", "--deadline", "1", "--json"]);
  expect(missing.code).toBe(1);
  expect(JSON.parse(missing.out)).toMatchObject({ ok: false, nodes: [{ node: "00000042", state: "silent" }] });
});

it("refuses what is no whole image, and options that cannot apply, before it joins anything", async () => {
  const bytes = fs.readFileSync(file);
  const damaged = Buffer.from(bytes);
  damaged[damaged.length - 9]! ^= 1;
  for (const [content, reason] of [
    [Buffer.from("#!/bin/sh"), "not-an-image"],
    [bytes.subarray(0, 10), "cut-off"],
    [bytes.subarray(0, 500), "cut-off"],
    [bytes.subarray(0, -1), "cut-off"],
    [damaged, "bad-chunk"],
  ] as const) {
    const bad = path.join(folder, "bad.espalier");
    fs.writeFileSync(bad, content);
    const { code, out } = await run([bad, "--via", "sim:nowhere.yaml", "--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "NOT_AN_IMAGE_FILE", context: { reason } } });
  }
  const codeOf = async (...line: string[]): Promise<string> =>
    (JSON.parse((await run([...line, "--json"])).out) as { error: { code: string } }).error.code;
  expect(await codeOf(file)).toBe("MISSING_OPTION");
  expect(await codeOf(path.join(folder, "none.espalier"), "--via", via)).toBe("NO_FILE");
  expect(await codeOf(file, "--via", via, "--encoding", "raw")).toBe("IMAGE_IS_MADE");
  expect(await codeOf(file, "--via", "udp://x")).toBe("BAD_VIA");
  expect(await codeOf(file, "--via", via, "--node", "cellar", "--config", site)).toBe("NODE_UNKNOWN");
  expect(await codeOf(file, "--via", "serial:/dev/no-such-port")).toBe("PORT_NOT_FOUND");
  expect(await codeOf(file, "--via", via, "--pace", "1")).toBe("INVALID_ARGUMENT");
});

it("knows nodes by id and by name", () => {
  expect(nodeIds(["C4A00001", "roof"], site)).toEqual([0xc4a00001, 0xc4a00003]);
});
