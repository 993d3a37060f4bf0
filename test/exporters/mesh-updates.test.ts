/** Updates that a bridge began, and the next process finds. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { createMeshUpdates } from "../../host-tools/exporters/mesh-updates";
import { createCollector } from "../../host-tools/gateway/collector";
import { keepRollouts, type RolloutKeeper } from "../../host-tools/gateway/rollout/keeper";
import { RolloutStore } from "../../host-tools/gateway/rollout/store";
import { openSimulation, type SimulatedSession } from "../../host-tools/gateway/sim-session";
import { buildFor } from "../../host-tools/simulator/firmware-builds";
import { parseScenario } from "../../host-tools/simulator/scenario";
import type { UpdateDesk } from "../../host-tools/exporters/updates";
import { until } from "./support/service";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-updates-"));
afterAll(() => fs.rmSync(folder, { recursive: true }));

interface Bridge {
  session: SimulatedSession;
  keeper: RolloutKeeper;
  updates: UpdateDesk;
  heard: () => number;
  log: string[];
}

const UPDATE = { app: "apps/sensor.ts", board: "esp32-devkitc", version: "1.1.0", encoding: "heatshrink" } as const;

async function bridge(kept: string, images: Parameters<typeof createMeshUpdates>[0]["images"]): Promise<Bridge> {
  const scenario = parseScenario({ name: "pair", nodes: 2, telemetry: 10 }, "pair.yaml");
  const session = await openSimulation(scenario, "sim:pair.yaml", { speed: 40 });
  const log: string[] = [];
  const collector = createCollector(session, {});
  const keeper = keepRollouts(session, new RolloutStore(path.join(folder, kept)), (text) => log.push(text));
  const updates = createMeshUpdates({ collector, images, keeper });
  const heard = (): number => collector.nodes().filter(({ telemetry }) => telemetry !== null).length;
  return { session, keeper, updates, heard, log };
}

test("a bridge that died goes on with its update; one that is told to end gives it free", async () => {
  const { image } = await buildFor(UPDATE);
  const first = await bridge("kept", [image]);
  await until("two nodes", () => first.heard() === 2, 60);
  const nodes = first.session.fleet.nodes.map(({ id }) => id);
  const { id } = first.updates.start(image.id, [nodes[1]!]);
  expect(() => first.updates.start(image.id, nodes)).toThrow(/under way/);
  // It dies: nothing is closed, and the lock names a process that is no more.
  await first.session.close();
  fs.writeFileSync(path.join(folder, "kept", `${id}.lock`), String(spawnSync("true").pid));

  const second = await bridge("kept", []);
  expect(second.updates.current()).toMatchObject({ id, state: "running" });
  expect(second.log[0]).toBe(`rollout ${id} is taken up again where it stood: running`);
  await until("the end", () => second.updates.current()!.state !== "running", 120);
  expect(second.updates.current()).toMatchObject({ state: "done", nodes: [{ state: "running", version: "1.1.0" }] });
  second.keeper.close();
  expect(fs.existsSync(path.join(folder, "kept", `${id}.lock`))).toBe(false);
  await second.session.close();

  const third = await bridge("kept", []);
  expect(third.updates.current()).toBeNull();
  await third.session.close();
}, 240_000);

test("a rollout that cannot go on is told of, and keeps nobody from serving", async () => {
  const { image } = await buildFor(UPDATE);
  const first = await bridge("broken", [image]);
  await until("two nodes", () => first.heard() === 2, 60);
  const { id } = first.updates.start(image.id, [first.session.fleet.nodes[1]!.id]);
  first.keeper.close();
  fs.writeFileSync(path.join(folder, "broken", `${id}.image`), "rotten");
  const log: string[] = [];
  const store = new RolloutStore(path.join(folder, "broken"));
  expect(keepRollouts(first.session, store, (text) => log.push(text)).resume()).toBeNull();
  expect(log.join()).toMatch(/cannot be read/);
  await first.session.close();
}, 120_000);
