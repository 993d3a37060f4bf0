/** A dashboard that is killed in the middle of a rollout, and started again. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { encodeImageFile } from "../../host-tools/build/image-file";
import type { NodeView, RolloutView } from "../../host-tools/gateway/fleet-view";
import { buildFor } from "../../host-tools/simulator/firmware-builds";
import { until } from "./api-suite";
import { pause, serve, type Served } from "./served";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-restart-"));
const running: Served[] = [];

afterAll(() => {
  for (const { child } of running) child.kill("SIGKILL");
  fs.rmSync(folder, { recursive: true });
});

test("goes on with the rollout, to the end that the nodes report", async () => {
  const scenario = path.join(folder, "pair.yaml");
  fs.writeFileSync(scenario, "name: pair\nnodes: 2\ntelemetry: 10\n");
  const { image } = await buildFor({
    app: "apps/sensor.ts",
    board: "esp32-devkitc",
    version: "1.1.0",
    encoding: "heatshrink",
  });
  const file = path.join(folder, "update.espalier");
  fs.writeFileSync(file, encodeImageFile(image));
  const history = ["--history", path.join(folder, "history.db")];
  const first = await serve(["--via", `sim:${scenario}?speed=5`, "--image", file, ...history]);
  running.push(first);

  let versions: string[] = [];
  while (versions.filter((version) => version === "1.0.0").length < 2) {
    await pause();
    versions = (await first.get<{ nodes: NodeView[] }>("nodes")).nodes.map(({ version }) => version);
  }
  const wanted = { image: image.id, policy: "all", transport: "broadcast" };
  expect(await first.post("rollout/preview", wanted)).toBe(200);
  expect(await first.post("rollout/start")).toBe(200);
  const before = (await first.get<{ rollout: RolloutView }>("rollout")).rollout;
  expect(before.state).toBe("running");
  first.child.kill("SIGKILL");
  await until("its end", () => first.child.signalCode !== null);

  // Without the image's file: it lies beside the journal.
  const second = await serve(["--via", `sim:${scenario}?speed=20`, ...history]);
  running.push(second);
  const after = (await second.get<{ rollout: RolloutView }>("rollout")).rollout;
  expect([after.id, after.state]).toEqual([before.id, "running"]);
  let view = after;
  while (view.state === "running") {
    await pause();
    view = (await second.get<{ rollout: RolloutView }>("rollout")).rollout;
  }
  expect(view.state).toBe("done");
  expect(view.nodes.map(({ state, version }) => [state, version])).toEqual([
    ["running", "1.1.0"],
    ["running", "1.1.0"],
  ]);
}, 240_000);
