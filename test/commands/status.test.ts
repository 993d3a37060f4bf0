/** "espalier status": names, times, the table, and one whole run on virtual boards. */
import { EventEmitter } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { COMMANDS } from "../../host-tools/commands";
import { duration, nodeId } from "../../host-tools/commands/status";
import { runProgram } from "../../host-tools/program";
import { watchInterrupt } from "../../host-tools/ui/interrupt";
import { createRecorder } from "../ui/support";

async function espalier(line: string): Promise<{ code: number; out: string; err: string }> {
  const stdout = createRecorder(false);
  const stderr = createRecorder(false);
  const signals = new EventEmitter();
  const host = {
    on: (event: string, handler: () => void) => signals.on(event, handler),
    removeListener: (event: string, handler: () => void) => signals.removeListener(event, handler),
    exit: () => undefined,
    stderr,
  };
  const code = await runProgram(COMMANDS, line.split(" "), "1.2.3", {
    stdout,
    stderr,
    env: {},
    watchInterrupt: () => watchInterrupt(host),
  });
  return { code, out: stdout.text, err: stderr.text };
}

test.each([
  [0, "0s"],
  [59, "59s"],
  [61, "1min"],
  [3600, "1h"],
  [3660, "1h 1min"],
  [90061, "1d 1h"],
])("%d seconds are %s", (seconds, text) => expect(duration(seconds)).toBe(text));

test("a node by its name, its decimal and its hexadecimal id", () => {
  const names = new Map([[5, { name: "porch" }]]);
  expect(nodeId("porch", names)).toBe(5);
  expect(nodeId("3298820097", names)).toBe(3298820097);
  expect(nodeId("c4a00001", names)).toBe(0xc4a00001);
  expect(nodeId("0x12345678", names)).toBe(0x12345678);
  for (const text of ["garage", "", "-1", "99999999999", "c4a0", "0"]) {
    expect(() => nodeId(text, names)).toThrow(expect.objectContaining({ code: "BAD_NODE" }));
  }
});

test("without a way into a mesh, and with rules that are none", async () => {
  expect(await espalier("status")).toMatchObject({ code: 2, err: expect.stringContaining("--via") as string });
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "espalier-rules-")), "rules.json");
  fs.writeFileSync(file, '{"loss": {"enter": "all"}}');
  const wrong = await espalier(`status --via sim:test/scenarios/pair.yaml --alerts ${file}`);
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining("loss.enter") as string });
  fs.rmSync(path.dirname(file), { recursive: true });
});

test("asks two virtual boards and one that is not there", async () => {
  const asked = await espalier("status --via sim:test/scenarios/pair.yaml?speed=max --json");
  expect(asked.code).toBe(0);
  const { nodes, missing, alerts } = JSON.parse(asked.out) as {
    nodes: { id: number; version: string; presence: string; telemetry: { memoryTotal: number } }[];
    missing: number[];
    alerts: unknown[];
  };
  expect(missing).toEqual([]);
  expect(alerts).toEqual([]);
  expect(nodes).toHaveLength(2);
  for (const node of nodes) expect(node).toMatchObject({ version: "1.0.0", telemetry: { memoryTotal: 4000 } });
  const absent = await espalier("status --via sim:test/scenarios/pair.yaml?speed=max --node 4711");
  expect(absent.code).toBe(1);
  expect(absent.out).toContain("1 did not answer");
});
