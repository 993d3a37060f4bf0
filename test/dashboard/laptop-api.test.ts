import { startDashboard } from "../../host-tools/dashboard/server";
import { openHistory } from "../../host-tools/dashboard/history";
import { buildPage } from "../../host-tools/dashboard/page-bundle";
import { createRolloutDesk } from "../../host-tools/dashboard/rollout-desk";
import { apiSuite } from "./api-suite";
import { FakeFleet, FakeRollout, idOf } from "./fake-fleet";

const IMAGE = { id: "aa11", version: "2.0.0", hardware: "ESP32", role: "node", bytes: 58000, notes: "Better." };

apiSuite("the interface of the computer's dashboard", async () => {
  const now = Date.now;
  const fleet = new FakeFleet(20, now);
  const history = openHistory({ file: ":memory:", now });
  const desk = createRolloutDesk({ images: [IMAGE], plan: () => new FakeRollout([...fleet.views.keys()], IMAGE) });
  const dashboard = await startDashboard({
    collector: fleet,
    history,
    desk,
    page: await buildPage(),
    version: "0.1.0",
    mesh: "grove",
    via: "sim:twenty.yaml",
    token: "a-token-of-the-test",
    port: 0,
    now,
    maxClients: 6,
    gatherMs: 20,
  });
  fleet.reportAll();
  fleet.alert({ key: `low-memory:${idOf(3)}`, message: "512 variables free", value: 512, threshold: 700 });
  return {
    url: dashboard.url,
    token: "a-token-of-the-test",
    node: idOf(2),
    alert: `low-memory:${idOf(3)}`,
    report: () => fleet.report(idOf(2)),
    async stop() {
      await dashboard.close();
      history.close();
    },
  };
});
