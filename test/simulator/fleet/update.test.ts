import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { bundle } from "../../../host-tools/build/bundle";
import { runScenario } from "../../../host-tools/simulator/run-scenario";
import { parseScenario, type ScenarioInput } from "../../../host-tools/simulator/scenario";
import * as builds from "../../../host-tools/simulator/firmware-builds";

jest.mock("../../../host-tools/simulator/firmware-builds", () => {
  const actual = jest.requireActual<typeof builds>("../../../host-tools/simulator/firmware-builds");
  return { ...actual, buildFor: jest.fn(actual.buildFor) };
});

const scenario = (input: Partial<ScenarioInput>) => parseScenario({ name: "test", nodes: 3, ...input });

test("the same seed gives the same run, byte for byte", async () => {
  const input = scenario({ seed: 11, radio: { loss: 0.1 }, update: { encoding: "heatshrink" } });
  const one = { ...(await runScenario(input)), wallSeconds: 0 };
  const two = { ...(await runScenario(input)), wallSeconds: 0 };
  expect(one.updated).toBe(3);
  expect(two).toEqual(one);
});

test("a node's version is what its telemetry says after the restart", async () => {
  const result = await runScenario(scenario({ update: { version: "3.2.1", encoding: "heatshrink" } }));
  expect(result.list.map(({ versionBefore, version, boots }) => [versionBefore, version, boots])).toEqual([
    ["1.0.0", "3.2.1", 2],
    ["1.0.0", "3.2.1", 2],
    ["1.0.0", "3.2.1", 2],
  ]);
  expect(result.compactions).toBe(0);
});

/** The sensor firmware with a fault in inflate: two code lengths change places. */
async function brokenSensor(): Promise<string> {
  const root = mkdtempSync(path.join(tmpdir(), "espalier-"));
  const project = path.join(__dirname, "../../..");
  for (const folder of ["firmware", "apps"])
    cpSync(path.join(project, folder), path.join(root, folder), { recursive: true });
  const file = path.join(root, "firmware/ota/inflate.ts");
  const text = readFileSync(file, "utf8");
  const broken = text.replace('const ORDER = "\\x10\\x11', 'const ORDER = "\\x11\\x10');
  expect(broken).not.toBe(text);
  writeFileSync(file, broken);
  const { code } = await bundle({
    app: "apps/sensor.ts",
    board: "esp32-devkitc",
    role: "node",
    version: "1.0.0",
    root,
  });
  rmSync(root, { recursive: true });
  return code;
}

test("with a broken inflate nobody is updated", async () => {
  const { buildFor } = jest.requireActual<typeof builds>("../../../host-tools/simulator/firmware-builds");
  const code = await brokenSensor();
  jest
    .mocked(builds.buildFor)
    .mockImplementation((request) =>
      request.version === "1.0.0" ? Promise.resolve(builds.imageOf(request, code)) : buildFor(request),
    );
  const result = await runScenario(scenario({ nodes: 2, update: { encoding: "deflate", deadline: 400 } }));
  jest.mocked(builds.buildFor).mockImplementation(buildFor);
  expect(result.updated).toBe(0);
  expect(result.failed).toBe(2);
});

test("an expectation that does not hold is named", async () => {
  const result = await runScenario(
    scenario({ nodes: 2, update: { encoding: "raw", damage: "result-hash" }, expect: { updated: 2 } }),
  );
  expect(result.failures).toEqual(["updated: expected 2, 0 are"]);
});
