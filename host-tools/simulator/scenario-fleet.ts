/** A scenario's fleet, switched on, with everything that is to happen to it in the queue of events. */
import type { SecuritySettings } from "../../firmware/ota/trust";
import { loadBoard } from "../build/board";
import { generateKey } from "../build/sign";
import { type Build, buildFor, loaderFor } from "./firmware-builds";
import { Fleet, type FleetOptions } from "./fleet";
import { Random } from "./random";
import type { Scenario } from "./scenario";
import { places } from "./topology";

type Happening = Scenario["events"][number];

export interface ScenarioFleet {
  fleet: Fleet;
  /** What every board starts with. */
  first: Build;
  /** Signs images where the scenario has keys. */
  secretKey: Uint8Array | null;
  /** Virtual seconds at which the last of the scenario's events happens, 0 without any. */
  lastEvent: number;
}

/** Keys that are the same in every run; they guard nothing but virtual boards. */
async function siteKeys(): Promise<{ settings: SecuritySettings; secretKey: Uint8Array }> {
  const { publicKey, secretKey } = await generateKey(new Uint8Array(48).fill(7));
  const settings = { publicKey: Buffer.from(publicKey).toString("base64"), meshKey: "5a".repeat(32) };
  return { settings, secretKey };
}

function apply(fleet: Fleet, event: Happening): void {
  const { world } = fleet;
  const node = (number: number) => fleet.nodes[number]!;
  if (event.reset !== undefined) node(event.reset).chip.reset();
  if (event.powerOff !== undefined) node(event.powerOff).chip.powerOff();
  if (event.powerOn !== undefined) node(event.powerOn).chip.powerOn();
  if (event.cutLink) world.cutLink(node(event.cutLink[0]).place, node(event.cutLink[1]).place);
  if (event.restoreLink) world.restoreLink(node(event.restoreLink[0]).place, node(event.restoreLink[1]).place);
  if (event.loss !== undefined) world.setLoss(event.loss);
  if (event.laptopOff) fleet.laptop.stop();
}

/** The same scenario gives the same run, byte for byte; nothing has happened yet when it is returned. */
export async function createScenarioFleet(
  scenario: Scenario,
  watch: Pick<FleetOptions, "onPrint" | "onBoot" | "onEvent" | "onTelemetry" | "telemetrySeconds"> = {},
): Promise<ScenarioFleet> {
  const first = await buildFor({
    app: scenario.app,
    board: scenario.board,
    version: scenario.version,
    encoding: "raw",
    size: scenario.update?.size,
  });
  const differing = new Map<number, Build & { outsider: boolean }>();
  for (const { node, version, app } of scenario.differing) {
    const build = await buildFor({
      app: app ?? scenario.app,
      board: scenario.board,
      version: version ?? scenario.version,
      encoding: "raw",
    });
    differing.set(node, { ...build, outsider: app !== undefined });
  }
  const keys = scenario.keys ? await siteKeys() : null;
  const { shape, spacing } = scenario.topology;
  const fleet = new Fleet({
    board: loadBoard(scenario.board),
    seed: scenario.seed,
    places: places(shape, scenario.nodes, spacing, new Random(scenario.seed).stream("places")),
    loss: scenario.radio.loss,
    throughput: scenario.radio.throughput,
    loader: await loaderFor(scenario.board),
    code: first.code,
    image: first.image,
    differing,
    ...(keys ? { security: keys.settings } : {}),
    ...watch,
    telemetrySeconds: watch.telemetrySeconds ?? scenario.telemetry,
  });
  const late = new Map(scenario.late.map(({ node, at }) => [node, at]));
  fleet.start(fleet.nodes.map(({ number }) => number).filter((number) => !late.has(number)));
  const happenings = [
    ...scenario.late.map(({ node, at }): Happening => ({ at, powerOn: node })),
    ...scenario.events,
  ].sort((a, b) => a.at - b.at);
  for (const event of happenings) fleet.world.events.at(event.at * 1000, () => apply(fleet, event));
  return {
    fleet,
    first,
    secretKey: keys?.secretKey ?? null,
    lastEvent: Math.max(0, ...happenings.map(({ at }) => at)),
  };
}
