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
  const { wallSeconds: _first, ...one } = await runScenario(input);
  const { wallSeconds: _second, ...two } = await runScenario(input);
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

test("with a broken inflate nobody is updated", async () => {
  const { buildFor } = jest.requireActual<typeof builds>("../../../host-tools/simulator/firmware-builds");
  jest.mocked(builds.buildFor).mockImplementation(async (request) => {
    const build = await buildFor(request);
    if (request.version !== "1.0.0") return build;
    // The code that the boards run now takes deflate's distances for one too short.
    const broken = build.code.replace(/"\\x10\\x11\\x12\\0/, '"\\x11\\x10\\x12\\0');
    expect(broken).not.toBe(build.code);
    return builds.imageOf(request, broken);
  });
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
