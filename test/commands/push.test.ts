import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { assemble, blobChunks, makeImage } from "../../host-tools/build/image";
import { encodeImageFile } from "../../host-tools/build/image-file";
import { nodeIds } from "../../host-tools/commands/push";
import { type Build, buildFor } from "../../host-tools/simulator/firmware-builds";
import { espalier } from "./support/run";

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

const run = (line: string[], interrupt?: Parameters<typeof espalier>[1]) => espalier(["push", ...line], interrupt);

it("updates every node, one that restarts in the middle too", async () => {
  const { code, out } = await run([file, "--via", via, "--json"]);
  expect(code).toBe(0);
  const report = JSON.parse(out) as {
    transmissions: number;
    lowerBound: number;
    nodes: { node: string; seconds: number }[];
  };
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
  // By the computer and the first node, which the second one hangs on.
  expect(report.lowerBound).toBe(2 * (build.image.chunks.length + blobChunks(build.image)));
  const ratio = report.transmissions / report.lowerBound;
  expect([ratio >= 1, ratio < 1.5]).toEqual([true, true]);
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

describe("a base", () => {
  const base = (version: string): string => path.join(folder, `base-${version}.espalier`);
  beforeAll(async () => {
    for (const [version, encoding] of [
      ["1.0.0", "deflate"],
      ["0.9.0", "raw"],
    ] as const) {
      const made = await buildFor({ app: "apps/sensor.ts", board: "esp32-devkitc", version, encoding });
      fs.writeFileSync(base(version), encodeImageFile(made.image));
    }
  });

  it("that all nodes run makes a delta of the update, and of its image file too", async () => {
    const { code, out } = await run([file, "--base", base("1.0.0"), "--via", via, "--json"]);
    const report = JSON.parse(out) as { encodingWhy: string };
    expect(report).toMatchObject({
      ok: true,
      image: { version: "1.1.0", encoding: "delta", chunks: 1 },
      whole: { id: build.image.id, encoding: "heatshrink" },
      nodes: [
        { state: "running", version: "1.1.0", total: 1 },
        { state: "running", version: "1.1.0", total: 1 },
      ],
    });
    expect(report.encodingWhy).toMatch(/^predicted delta .* s .*, heatshrink/);
    expect(code).toBe(0);
  });

  it("that nobody runs costs an answer, and everybody gets the whole image in the same session", async () => {
    const { code, out } = await run([file, "--base", base("0.9.0"), "--encoding", "delta", "--via", via, "--json"]);
    const { chunks } = build.image;
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      image: { encoding: "delta" },
      nodes: [
        { state: "running", version: "1.1.0", total: chunks.length },
        { state: "running", version: "1.1.0", total: chunks.length },
      ],
    });
    expect(code).toBe(0);
  });

  it("goes with a rollout, and the whole image for whoever runs something else with it", async () => {
    for (const [version, total] of [
      ["1.0.0", 1],
      ["0.9.0", build.image.chunks.length],
    ] as const) {
      const kept = ["--folder", path.join(folder, "rollouts"), "--rollout", "all-at-once", "--config", site];
      const { code, out } = await run([
        file,
        "--base",
        base(version),
        "--encoding",
        "delta",
        ...kept,
        "--via",
        via,
        "--json",
      ]);
      expect(JSON.parse(out)).toMatchObject({
        state: "done",
        reason: "2 of 2 run 1.1.0",
        nodes: [{ total }, { total }],
      });
      expect(code).toBe(0);
    }
  });

  it("is refused where it makes no sense", async () => {
    const codeOf = async (...line: string[]): Promise<string> =>
      (JSON.parse((await run([...line, "--via", via, "--json"])).out) as { error: { code: string } }).error.code;
    expect(await codeOf(file, "--encoding", "delta")).toBe("NEEDS_BASE");
    expect(await codeOf("apps/sensor.ts", "--encoding", "raw", "--base", base("1.0.0"))).toBe("BASE_UNUSED");
    expect(await codeOf(file, "--base", path.join(folder, "none.espalier"))).toBe("NO_FILE");
    expect(await codeOf(file, "--base", site)).toBe("NOT_AN_IMAGE_FILE");
    const change = makeImage({ ...build.image.manifest, code: "print(1)", encoding: "delta", base: "print(2)" });
    const delta = path.join(folder, "delta.espalier");
    fs.writeFileSync(delta, encodeImageFile(change));
    expect(await codeOf(file, "--base", delta)).toBe("BAD_BASE");
    expect(await codeOf(delta, "--base", base("1.0.0"))).toBe("NO_BUNDLE");
  });

  it("of a signed image needs the key that signs its delta", async () => {
    const signed = path.join(folder, "signed.espalier");
    fs.writeFileSync(signed, encodeImageFile(assemble(build.image.manifest, build.image.chunks, Buffer.alloc(7856))));
    const { out } = await run([signed, "--base", base("1.0.0"), "--via", via, "--json"]);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "DELTA_UNSIGNED" } });
  });
});

it("lets each node take the image from the nearest that has it", async () => {
  const { code, out } = await run([file, "--via", via, "--transport", "peer", "--json"]);
  expect(JSON.parse(out)).toMatchObject({
    ok: true,
    transport: "peer",
    nodes: [{ state: "running" }, { state: "running" }],
  });
  expect(code).toBe(0);
});

it("keeps to a share of the channel", async () => {
  const seconds = async (percent: string): Promise<number> => {
    const { out } = await run([file, "--via", via, "--airtime", percent, "--json"]);
    expect(JSON.parse(out)).toMatchObject({ ok: true });
    return (JSON.parse(out) as { seconds: number }).seconds;
  };
  // Some fifty frames of 38 ms, by two senders.
  expect((await seconds("5")) - (await seconds("75"))).toBeGreaterThan(50);
  for (const bad of ["0", "101", "much"]) {
    const { code, out } = await run([file, "--via", via, "--airtime", bad, "--json"]);
    expect([code, JSON.parse(out).error.code]).toEqual([2, "INVALID_ARGUMENT"]);
  }
  const both = await run([file, "--via", via, "--airtime", "5", "--pace", "50", "--json"]);
  expect(both.code).toBe(2);
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
