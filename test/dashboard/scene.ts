/** A dashboard with a paper fleet behind it, in the middle of its life: for tests of the page, screenshots and the bench. */
import { buildPage } from "../../host-tools/dashboard/page-bundle";
import { openHistory } from "../../host-tools/dashboard/history";
import { createRolloutDesk } from "../../host-tools/dashboard/rollout-desk";
import { type Dashboard, startDashboard } from "../../host-tools/dashboard/server";
import { FakeFleet, FakeRollout, idOf } from "./fake-fleet";

export const TOKEN = "token-of-the-scene";
export const IMAGE = {
  id: "a1b2c3d4e5f60718",
  version: "2.0.0",
  hardware: "ESP32",
  role: "node",
  bytes: 58_123,
  notes: "- Readings every 10 seconds instead of 30\n- A lost link costs no memory any more\n- Reports the battery",
};

export interface Scene {
  fleet: FakeFleet;
  dashboard: Dashboard;
  /** The rollout that was previewed last. */
  rollout(): FakeRollout | null;
  stop(): Promise<void>;
}

const HOURS = 6;

export async function openScene(nodes: number, options: { gatherMs?: number; quiet?: boolean } = {}): Promise<Scene> {
  let shift = -HOURS * 3_600_000;
  const now = (): number => Date.now() + shift;
  const fleet = new FakeFleet(nodes, now);
  const history = openHistory({ file: ":memory:", now: Date.now });
  let rollout: FakeRollout | null = null;
  const desk = createRolloutDesk({
    images: [IMAGE],
    plan: ({ policy, transport }) => (rollout = new FakeRollout([...fleet.views.keys()], IMAGE, policy, transport)),
  });
  const dashboard = await startDashboard({
    collector: fleet,
    history,
    desk,
    page: await buildPage(),
    version: "0.1.0",
    mesh: "orchard",
    via: "tcp://10.7.1.1",
    token: TOKEN,
    port: 0,
    now: Date.now,
    gatherMs: options.gatherMs ?? 50,
  });
  if (!options.quiet) {
    const step = nodes > 50 ? 600_000 : 120_000;
    for (; shift < 0; shift += step) fleet.reportAll();
    shift = 0;
    fleet.alert({
      key: `low-memory:${idOf(3)}`,
      severity: "critical",
      message: "512 variables are free, fewer than 700",
      value: 512,
      threshold: 700,
      since: now() - 400_000,
    });
    fleet.alert({
      key: `weak-signal:${idOf(7)}`,
      message: "signal of -84 dBm, below -80 dBm",
      value: -84,
      threshold: -80,
      since: now() - 100_000,
    });
    fleet.alert({
      key: `loss:${idOf(5)}`,
      state: "resolved",
      message: "12 % of all frames are lost",
      since: now() - 900_000,
      resolvedAt: now() - 500_000,
    });
    fleet.event({ kind: "node-joined", node: idOf(4), text: "joined" });
    fleet.event({ kind: "restart", node: idOf(6), text: "restarted after 3 hours, not asked for" });
  }
  shift = 0;
  fleet.reportAll();
  fleet.change(idOf(11), { presence: "stale" });
  return {
    fleet,
    dashboard,
    rollout: () => rollout,
    async stop() {
      await dashboard.close();
      history.close();
    },
  };
}

/** Half-way through a rollout in waves. */
export function halfWay(rollout: FakeRollout): void {
  const view = rollout.view();
  const now = Date.now();
  rollout.set({
    state: "running",
    transmissions: 812,
    lowerBound: 640,
    startedAt: now - 95_000,
    nodes: view.nodes.map((row, i) =>
      i < 7
        ? {
            ...row,
            state: "running",
            percent: 100,
            chunks: 44,
            total: 44,
            repaired: i % 4,
            version: "2.0.0",
            seconds: 61 + i,
          }
        : { ...row, state: "receiving", percent: (i * 7) % 90, chunks: (i * 3) % 40, total: 44, repaired: 2 },
    ),
    waves: view.waves.map((wave, i) => ({
      ...wave,
      state: (["passed", "soaking", "updating"] as const)[i] ?? "waiting",
      startedAt: now - 90_000,
      soakUntil: now + 42_000,
    })),
  });
}
