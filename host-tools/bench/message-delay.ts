/** What an update costs an application: round trips of acknowledged messages across the mesh, before and during one. */
import { startPush } from "../gateway/push";
import { buildFor } from "../simulator/firmware-builds";
import { parseScenario } from "../simulator/scenario";
import { createScenarioFleet } from "../simulator/scenario-fleet";
import { formatTable } from "../ui/table";

const EVERY_MS = 1000;
const FORMED_S = 60;
const IDLE_S = 60;

export interface Delays {
  /** Milliseconds, ascending. */
  trips: number[];
  /** Messages that nobody confirmed. */
  lost: number;
}

/** Round trips to the node that is farthest away: idle, and while an image of 200 KB is on its way. */
export async function messageDelays(nodes = 20): Promise<{ hops: number; idle: Delays; updating: Delays }> {
  const scenario = parseScenario({ name: "delay", seed: 7, nodes, radio: { loss: 0.05 } });
  const { fleet } = await createScenarioFleet(scenario);
  const { mesh, engine } = fleet.gateway;
  const queue = fleet.world.events;
  const runFor = (seconds: number): void => queue.run(queue.now() + seconds * 1000);
  runFor(FORMED_S);
  const ids = mesh.getNodeList(false);
  const farthest = ids.reduce((a, b) => (mesh.getHopCount(b) > mesh.getHopCount(a) ? b : a));
  const hops = mesh.getHopCount(farthest);
  const measure = (seconds: number): Delays => {
    const delays: Delays = { trips: [], lost: 0 };
    const timer = engine.every(EVERY_MS, () => {
      const sent = engine.now();
      const done = (error: unknown): void => void (error ? delays.lost++ : delays.trips.push(engine.now() - sent));
      if (!mesh.sendSingle(farthest, "how are you", { ack: true, done })) delays.lost++;
    });
    runFor(seconds);
    engine.cancel(timer);
    runFor(30);
    delays.trips.sort((a, b) => a - b);
    return delays;
  };
  const idle = measure(IDLE_S);
  const request = { app: scenario.app, board: scenario.board, version: "2.0.0", size: 204800 };
  const { image } = await buildFor({ ...request, encoding: "raw" });
  startPush(fleet.gateway, image, { transport: "broadcast", targets: ids, deadline: 3600000 }, () => {});
  runFor(20);
  const updating = measure(IDLE_S);
  fleet.stop();
  return { hops, idle, updating };
}

export async function benchMessageDelay(print: (text: string) => void): Promise<void> {
  const { hops, idle, updating } = await messageDelays();
  const at = ({ trips }: Delays, share: number): string =>
    `${Math.round(trips[Math.floor(trips.length * share)] ?? NaN)}`;
  const right = "right" as const;
  const columns = [
    { title: `round trip over ${hops} hops, ms` },
    ...["half", "90 %", "98 %", "lost"].map((title) => ({ title, align: right })),
  ];
  const row = (name: string, d: Delays): string[] => [name, at(d, 0.5), at(d, 0.9), at(d, 0.98), `${d.lost}`];
  print(formatTable(columns, [row("idle", idle), row("while 200 KB are broadcast", updating)]));
}
