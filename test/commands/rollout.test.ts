import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { encodeImageFile } from "../../host-tools/build/image-file";
import { buildFor } from "../../host-tools/simulator/firmware-builds";
import { espalier } from "./support/run";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-rollout-"));
const scenario = path.join(folder, "pair.yaml");
const via = `sim:${scenario}`;
const image = path.join(folder, "update.espalier");
const policy = path.join(folder, "rollout.yaml");
const site = path.join(folder, "site.json");

beforeAll(async () => {
  fs.writeFileSync(scenario, "name: pair\nnodes: 2\ntelemetry: 10\n");
  const build = await buildFor({
    app: "apps/sensor.ts",
    board: "esp32-devkitc",
    version: "1.1.0",
    encoding: "heatshrink",
  });
  fs.writeFileSync(image, encodeImageFile(build.image));
  const nodes = [{ name: "roof", mac: "24:0a:c4:a0:00:02" }];
  fs.writeFileSync(site, JSON.stringify({ mesh: { name: "m", password: "" }, nodes }));
  fs.writeFileSync(policy, 'baseline: 0s\nwaves: [{ nodes: 1, soak: 20s }, { nodes: "100 %", soak: 5s }]\n');
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

const push = (kept: string, ...more: string[]): string[] => [
  ...["push", image, "--via", via, "--config", site, "--rollout", policy, "--folder", path.join(folder, kept)],
  ...more,
];

it("shows what would happen, and does nothing", async () => {
  const { code, out } = await espalier(push("dry", "--dry-run"));
  expect(code).toBe(0);
  expect(out).toContain("to update:    2");
  expect(out).toMatch(/canary: roof, watched for 20 s/);
  expect(out).toContain("Nothing was sent.");
  expect(fs.existsSync(path.join(folder, "dry"))).toBe(false);
});

it("changes single things of a progressive rollout", async () => {
  const line = ["push", image, "--via", via, "--config", site, "--dry-run", "--rollout", "progressive"];
  const { out } = await espalier([...line, "--soak", "90s", "--if-version", "1.0.*", "--json"]);
  const { policy: made, waves, dryRun } = JSON.parse(out);
  expect([dryRun, made.targets.versions]).toEqual([true, ["1.0.*"]]);
  expect(waves.map(({ nodes, soakMs }: { nodes: number[]; soakMs: number }) => [nodes.length, soakMs])).toEqual([
    [1, 90_000],
    [1, 90_000],
    [0, 90_000],
  ]);
});

it("goes wave by wave, and keeps the report", async () => {
  const { code, out, err } = await espalier(push("whole"));
  expect(err).toContain("canary passed: 1 of 1 in good health");
  expect(out).toContain("done: 2 of 2 run 1.1.0");
  expect(code).toBe(0);
  const kept = path.join(folder, "whole");
  const list = JSON.parse((await espalier(["rollout", "list", "--folder", kept, "--json"])).out);
  expect(list.rollouts).toMatchObject([{ state: "done", version: "1.1.0", running: 2, nodes: 2, process: 0 }]);
  const shown = await espalier(["rollout", "show", "latest", "--folder", kept]);
  expect(shown.code).toBe(0);
  expect(shown.out.split("\n").slice(1)).toEqual(out.trimEnd().split("\n").slice(1).concat([""]));
});

it("stands still at Ctrl-C, says so, and is ended by another process", async () => {
  const kept = path.join(folder, "cut");
  const first = await espalier(push("cut"), (text, press) => void (text.includes("canary begins") && press()));
  expect(first.code).toBe(130);
  expect(first.err).toMatch(/rollout resume 2.*-1\.1\.0/);
  const idle = await espalier(["rollout", "pause", "latest", "--folder", kept]);
  expect([idle.code, idle.err]).toEqual([1, expect.stringContaining("error[ROLLOUT_IDLE]")]);
  const ended = await espalier(["rollout", "abort", "latest", "--folder", kept, "--via", via, "--json"]);
  expect(ended.code).toBe(1);
  expect(JSON.parse(ended.out)).toMatchObject({ state: "aborted", ok: false, reason: "aborted by a person" });
});

it("does what another terminal asks for", async () => {
  const kept = path.join(folder, "asked");
  let asked = "";
  const ended = await espalier(
    ["push", image, "--via", via, "--config", site, "--rollout", policy, "--folder", kept],
    (text) => {
      if (asked || !text.includes("canary begins")) return;
      asked = fs.readdirSync(kept).find((name) => name.endsWith(".lock"))!;
      const id = asked.slice(0, -".lock".length);
      fs.appendFileSync(path.join(kept, `${id}.wishes`), "approve\nabort\n");
    },
  );
  expect(asked).not.toBe("");
  expect(ended.code).toBe(1);
  expect(ended.err).toMatch(/ROLLOUT_STATE: .* nothing waits for approval/);
  expect(ended.out).toContain("aborted: aborted by a person");
});

describe("what makes no sense is refused before anything is done", () => {
  test.each([
    ["a file with an unknown field", "wavs: []\n", "wavs: is no field of a rollout"],
    ["a wrong duration", "waves: [{ nodes: 1, soak: soon }]\n", "waves.0.soak: a duration up to a week"],
    ["a field too deep", "health: { restart: 1 }\n", "health.restart: is no field of a rollout"],
  ])("%s", async (_name, text, message) => {
    const file = path.join(folder, "bad.yaml");
    fs.writeFileSync(file, text);
    const { code, err } = await espalier(["push", image, "--via", via, "--rollout", file]);
    expect(code).toBe(2);
    expect(err).toContain("error[BAD_ROLLOUT]");
    expect(err).toContain(message);
  });

  test.each([
    [["push", image, "--via", via, "--soak", "5m"], "NEEDS_ROLLOUT"],
    [["push", image, "--via", via, "--rollout", "gently"], "NO_FILE"],
    [["push", image, "--via", via, "--rollout", "progressive", "--canaries", "0"], "BAD_ROLLOUT"],
    [["push", image, "--via", via, "--rollout", "progressive", "--soak", "soon"], "BAD_ROLLOUT"],
    [["push", image, "--via", via, "--rollout", "all-at-once", "--soak", "5m"], "BAD_ROLLOUT"],
    [["rollout", "show", "nothing", "--folder", folder], "NO_ROLLOUT"],
    [["rollout", "show"], "WRONG_ARGUMENTS"],
    [["rollout", "explode", "x"], "WRONG_ARGUMENTS"],
  ])("%j", async (line, code) => {
    const result = await espalier(line);
    expect(result.code).toBe(2);
    expect(result.err).toContain(`error[${code}]`);
  });
});
