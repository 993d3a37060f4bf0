/** The dashboard beside a simulated update: what the demo lets a browser watch while it runs. */
import { version as ownVersion } from "../../package.json";
import type { Telemetry } from "../../firmware/wire/telemetry";
import type { CommandContext } from "../command";
import { newToken } from "../dashboard/guard";
import { openHistory } from "../dashboard/history";
import { buildPage } from "../dashboard/page-bundle";
import { createRolloutDesk, type RolloutDesk } from "../dashboard/rollout-desk";
import { type Dashboard, startDashboard } from "../dashboard/server";
import { EspalierError } from "../errors";
import { createCollector } from "../gateway/collector";
import type { Collector, Rollout } from "../gateway/fleet-view";
import { createSession, createTelemetryHub } from "../gateway/session";
import type { Fleet } from "../simulator/fleet";
import type { ScenarioWatcher } from "../simulator/run-scenario";
import { EPOCH_MS } from "../simulator/scenario-rollout";

export interface DemoDashboard {
  watcher: Pick<ScenarioWatcher, "opened" | "telemetry" | "planned">;
  /** Chunk frames on air so far, and the least that the tree allows. */
  counted(transmissions: number, lowerBound: number): void;
  /** Lets browsers see the end, then stops; `stay` waits for Ctrl-C. */
  close(stay: boolean): Promise<void>;
}

const PORT = 4180;
/** Wall milliseconds that the preview stands before the update begins by itself, without and with a browser. */
const GLANCE_MS = 500;
const PREVIEW_MS = 5000;
const FAREWELL_MS = 3000;

/** The rollout with the count of what went over the simulated air, which no computer beside real boards could know. */
function withCounts(rollout: Rollout, counts: { transmissions: number; lowerBound: number }): Rollout {
  const view = (): ReturnType<Rollout["view"]> => ({ ...rollout.view(), ...counts });
  return { ...rollout, view, onChange: (listener) => rollout.onChange(() => listener(view())) };
}

export async function openDemoDashboard(context: CommandContext): Promise<DemoDashboard> {
  const page = await buildPage();
  const hub = createTelemetryHub();
  const counts = { transmissions: 0, lowerBound: 0 };
  const token = newToken();
  let now = (): number => EPOCH_MS;
  const history = openHistory({ file: ":memory:", now: () => now() });
  let collector: Collector | null = null;
  let starting: Promise<Dashboard | null> = Promise.resolve(null);
  let server: Dashboard | null = null;
  const desk: RolloutDesk = createRolloutDesk({
    images: [],
    plan() {
      throw new EspalierError("DEMO", "the demo has one update, which is planned already");
    },
  });

  function opened(fleet: Fleet): void {
    const { engine } = fleet.gateway;
    now = () => EPOCH_MS + engine.now();
    const session = createSession({ via: "sim:demo", node: fleet.gateway, hub, now, close: () => Promise.resolve() });
    const names = new Map(fleet.nodes.map(({ number, id }) => [id, { name: `n${number}`, hardware: "ESP32" }]));
    collector = createCollector(session, { names });
    const serve = (port: number): Promise<Dashboard> =>
      startDashboard({
        collector: collector!,
        history,
        desk,
        page,
        version: ownVersion,
        mesh: "demo",
        via: "sim:demo",
        token,
        port,
        now,
        monotonic: now,
      });
    starting = serve(PORT)
      .catch(() => serve(0))
      .then((running) => {
        server = running;
        context.stderr.write(`Dashboard: ${running.url}/#token=${token}\n`);
        return running;
      });
  }

  function planned(rollout: Rollout): boolean {
    rollout.onEvent((event) => server?.event(event));
    desk.adopt(withCounts(rollout, counts));
    const start = (): void => {
      if (rollout.view().state === "preview") rollout.start();
    };
    setTimeout(start, (server?.live.size ?? 0) > 0 ? PREVIEW_MS : GLANCE_MS);
    return true;
  }

  return {
    watcher: { opened, planned, telemetry: (frame: Telemetry) => hub.publish(frame) },
    counted(transmissions, lowerBound) {
      Object.assign(counts, { transmissions, lowerBound });
    },
    async close(stay) {
      const running = await starting;
      const { signal } = context;
      if (running && !signal.aborted && (stay || running.live.size > 0)) {
        if (stay) context.stderr.write("The dashboard stays until Ctrl-C.\n");
        await new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve());
          if (!stay) setTimeout(resolve, FAREWELL_MS);
        });
      }
      collector?.close();
      await running?.close();
      history.close();
    },
  };
}
