import type { AlertView } from "../../../host-tools/gateway/fleet-view";
import { createCollector } from "../../../host-tools/gateway/collector";
import { openSimulation } from "../../../host-tools/gateway/sim-session";
import { parseScenario } from "../../../host-tools/simulator/scenario";

/** Whole chain: boards that boot the bundle, deltas over the air, a collector on the laptop. */
test("five virtual boards are watched without an alert; one that loses power is lost within a minute", async () => {
  const scenario = parseScenario({ name: "status", nodes: 5, seed: 4, radio: { loss: 0.02 } });
  const session = await openSimulation(scenario, "sim:status", {
    // Virtual time is this test's to run: on a busy machine a turn of the event loop could otherwise be any number of seconds.
    speed: 0,
    epoch: 1_780_000_000_000,
    telemetrySeconds: 30,
  });
  const collector = createCollector(session);
  const { events } = session.fleet.world;
  const fired: AlertView[] = [];
  collector.on("alert", (alert) => void (alert.state === "firing" && fired.push(alert)));
  const until = async (condition: () => boolean, seconds: number): Promise<number> => {
    const began = events.now();
    while (!condition() && events.now() < began + seconds * 1000) {
      events.run(events.now() + 100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return (events.now() - began) / 1000;
  };
  try {
    await until(() => collector.nodes().filter(({ telemetry }) => telemetry).length === 5, 180);
    await until(() => false, 300);
    expect(fired.map(({ message }) => message)).toEqual([]);
    expect(collector.nodes().map(({ presence }) => presence)).toEqual(Array(5).fill("online"));
    // A leaf, so that nobody has to look for another parent.
    const leaf = collector.nodes().find(({ telemetry }) => telemetry!.children === 0 && telemetry!.hops > 0)!;
    session.fleet.nodes.find(({ id }) => id === leaf.id)!.chip.powerOff();
    const seconds = await until(() => fired.length > 0, 120);
    process.stdout.write(`  virtual boards: node-lost after ${seconds.toFixed(0)} s\n`);
    expect(fired.map(({ key }) => key)).toEqual([`node-lost:${leaf.id}`]);
    expect(seconds).toBeLessThanOrEqual(62);
    const asked = collector.query(null);
    await until(() => false, 15);
    expect((await asked).answered).toHaveLength(4);
  } finally {
    collector.close();
    await session.close();
  }
});
