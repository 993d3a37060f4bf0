/** Plays a scenario: forms the mesh, pushes the update, lets happen what is to happen, and compares with what is expected. */
import type { Telemetry } from "../../firmware/wire/telemetry";
import type { Encoding } from "../../firmware/ota/image";
import { loadBoard } from "../build/board";
import { assemble, blobChunks, type Image } from "../build/image";
import { chooseEncoding } from "../build/choose-encoding";
import { paceFor, sendersIn } from "../gateway/distribution";
import type { Rollout, RolloutView } from "../gateway/fleet-view";
import { signImage } from "../build/sign-image";
import { type NodeProgress, type Push, startPush } from "../gateway/push";
import { type Build, buildFor } from "./firmware-builds";
import { meanLoss } from "./loss";
import type { Scenario } from "./scenario";
import type { Fleet, FleetNode } from "./fleet";
import { judgeRollout, type ScenarioRollout, startScenarioRollout } from "./scenario-rollout";
import { createScenarioFleet } from "./scenario-fleet";
import { runningHash, runningVersion } from "./fleet";

export interface NodeResult {
  number: number;
  id: number;
  /** Hops to the root when the push began. */
  hops: number;
  versionBefore: string;
  /** As the last telemetry said. */
  version: string;
  state: string;
  error: string;
  chunks: number;
  /** Chunks that came only after the node had asked for them again. */
  repaired: number;
  /** Seconds from the push until telemetry showed the new version, -1 when it never did. */
  seconds: number;
  boots: number;
  /** Longest that one event held the node's interpreter, in milliseconds, and what the event was. */
  longestMs: number;
  longestIn: string;
}

export interface Slice {
  milliseconds: number;
  /** The event, for instance "sockets, data 536 B", and the node that it happened to. */
  label: string;
  node: number;
}

export interface ScenarioResult {
  name: string;
  seed: number;
  nodes: number;
  /** Virtual seconds until the mesh was whole, -1 when it never was. */
  formed: number;
  updated: number;
  /** Boards whose running slot holds the image's bytes: read out of their flash at the end, and hashed. */
  verified: number;
  failed: number;
  encoding: Encoding | null;
  /** How "auto" came to it. */
  encodingWhy: string;
  transport: string | null;
  imageBytes: number;
  chunks: number;
  /** Virtual seconds from the push to the last node that runs the new version; -1 when none does. */
  seconds: number;
  /** Frames with chunks on air, repeats included, and the least that the tree allows. */
  transmissions: number;
  /** Bytes of those frames, as UDP or TCP carries them. */
  chunkBytes: number;
  lowerBound: number;
  ratio: number;
  /** Virtual seconds of the channel in use. */
  airtime: number;
  virtualSeconds: number;
  wallSeconds: number;
  hops: number;
  overflowed: number;
  compactions: number;
  /** The piece of work that held an interpreter longest, the starts of lives apart: in all, and until the mesh was whole. */
  longestSlice: Slice;
  longestFormingSlice: Slice;
  faults: string[];
  list: NodeResult[];
  /** How the update went wave by wave; null when it had no waves. */
  rollout: RolloutView | null;
  /** Expectations that did not hold, in words. */
  failures: string[];
}

export interface ScenarioWatcher {
  /** Called now and then with virtual seconds and what the laptop sees. */
  tick?(view: {
    seconds: number;
    inMesh: number;
    push: Push | null;
    phase: "forming" | "updating" | "after";
    /** Frames with chunks so far, and the least that the tree allows. */
    transmissions: number;
    lowerBound: number;
  }): void;
  /** The boards are on. */
  opened?(fleet: Fleet): void;
  /** Each telemetry frame that reaches the laptop. */
  telemetry?(frame: Telemetry): void;
  /** The update's waves are planned; true leaves their start to the watcher. */
  planned?(rollout: Rollout): boolean;
  print?(node: number, line: string): void;
  /** Each interpreter event of a node: ms that it took, and what it was. */
  event?(node: number, milliseconds: number, label: string): void;
  /** True stops the run. */
  stopped?(): boolean;
}

/** Virtual milliseconds between two looks at the fleet. */
const STEP_MS = 500;
/** The mesh counts as whole when all nodes have been in it for so long. */
const SETTLE_SECONDS = 10;

/** An image with a fault, which every node must refuse. */
function damaged({ image }: Build, how: NonNullable<Scenario["update"]>["damage"]): Image {
  if (how === "result-hash") return assemble({ ...image.manifest, resultHash: "0".repeat(64) }, image.chunks);
  if (how !== "payload") return image;
  const chunks = image.chunks.map((chunk) => Buffer.from(chunk));
  chunks[0]![chunks[0]!.length >> 1]! ^= 1;
  return { ...image, chunks };
}

export async function runScenario(scenario: Scenario, watcher: ScenarioWatcher = {}): Promise<ScenarioResult> {
  const began = performance.now();
  const board = loadBoard(scenario.board);
  const { update } = scenario;
  const common = { app: scenario.app, board: scenario.board };
  const telemetry = new Map<number, Telemetry>();
  let push: Push | null = null;
  let rollout: ScenarioRollout | null = null;
  const { fleet, first, secretKey, lastEvent } = await createScenarioFleet(scenario, {
    onPrint: (node, line) => watcher.print?.(node, line),
    onEvent: watcher.event && ((node, milliseconds, label) => watcher.event?.(node, milliseconds, label)),
    onTelemetry(frame) {
      telemetry.set(frame.node, frame);
      push?.telemetry(frame);
      watcher.telemetry?.(frame);
    },
  });
  watcher.opened?.(fleet);
  const { world } = fleet;
  let transmissions = 0;
  let bytesOnAir = 0;
  world.observe((frame) => {
    const { payload } = frame;
    if (payload === undefined) return;
    if (frame.kind === "tcp" ? payload.includes('"type":716') : "CX".includes(payload[0]!)) {
      transmissions++;
      bytesOnAir += payload.length;
    }
  });

  for (const event of scenario.events) {
    if (event.rollout ?? event.rolloutRestart) world.events.at(event.at * 1000, () => rollout?.happen(event));
  }

  const outsiders = new Set(scenario.differing.filter(({ app }) => app !== undefined).map(({ node }) => node));
  let formed = -1;
  let longestFormingSlice: Slice = longestSlice(fleet.nodes);
  let wholeSince = -1;
  let pushed = -1;
  let pushDone = false;
  let lowerBound = 0;
  let hops = 0;
  let image: Image | null = null;
  let encoding: Encoding | null = null;
  let encodingWhy = "";
  const hopsOf = new Map<number, number>();
  const until = scenario.until * 1000;

  async function begin(): Promise<void> {
    if (!update) return;
    const { mesh } = fleet.gateway;
    const tree = JSON.parse(mesh.subConnectionJson()) as Parameters<typeof sendersIn>[0];
    const senders = sendersIn(tree);
    for (const { id } of fleet.nodes) hopsOf.set(id, mesh.getHopCount(id) - 1);
    hops = Math.max(0, ...hopsOf.values());
    const request = {
      ...common,
      ...(update.app === undefined ? {} : { app: update.app }),
      version: update.version,
      chunkBytes: update.chunkBytes,
      size: update.size,
      hardware: update.hardware,
      base: first.code,
    };
    const wanted: Encoding[] = update.encoding === "auto" ? ["raw", "heatshrink", "deflate"] : [update.encoding];
    const builds: Build[] = [];
    for (const one of wanted) builds.push(await buildFor({ ...request, encoding: one }));
    const choice = chooseEncoding(
      builds.map(({ image: candidate }) => ({
        encoding: candidate.manifest.encoding,
        chunks: candidate.chunks.length + blobChunks(candidate),
        resultBytes: candidate.manifest.resultBytes,
      })),
      {
        paceMs: paceFor(senders),
        hops: hops + 1,
        loss: meanLoss(scenario.radio.loss),
        instructionsPerSecond: board.cost.instructionsPerSecond,
      },
    );
    encoding = choice.encoding;
    if (wanted.length > 1) encodingWhy = choice.why;
    image = damaged(builds[wanted.indexOf(encoding)]!, update.damage);
    let whole = encoding === "delta" ? (await buildFor({ ...request, encoding: "heatshrink" })).image : null;
    if (secretKey) {
      image = await signImage(image, secretKey);
      if (whole) whole = await signImage(whole, secretKey);
    }
    pushed = fleet.seconds();
    lowerBound = (image.chunks.length + blobChunks(image)) * senders;
    transmissions = bytesOnAir = 0;
    if (update.rollout) {
      push = rollout = startScenarioRollout(
        fleet,
        scenario,
        image,
        whole,
        telemetry,
        () => void (pushDone = true),
        watcher.planned,
      );
      return;
    }
    push = startPush(
      fleet.gateway,
      image,
      {
        transport: update.transport,
        targets: fleet.nodes.filter(({ number }) => !outsiders.has(number)).map(({ id }) => id),
        ...(whole ? { whole } : {}),
        deadline: update.deadline * 1000,
      },
      () => void (pushDone = true),
    );
    for (const frame of telemetry.values()) push.telemetry(frame);
  }

  while (world.events.now() < until && !watcher.stopped?.()) {
    world.events.run(Math.min(until, world.events.now() + STEP_MS));
    const seconds = fleet.seconds();
    const inMesh = fleet.gateway.mesh.getNodeList(false).length;
    const on = fleet.nodes.filter(({ chip }) => chip.on).length;
    if (inMesh < on) wholeSince = -1;
    else if (wholeSince < 0) wholeSince = seconds;
    if (formed < 0 && wholeSince >= 0 && seconds - wholeSince >= SETTLE_SECONDS) formed = wholeSince;
    if (formed < 0) longestFormingSlice = longestSlice(fleet.nodes);
    const due = update && (update.at === undefined ? formed >= 0 : seconds >= update.at);
    if (due && pushed < 0) await begin();
    const phase = pushed < 0 ? "forming" : pushDone ? "after" : "updating";
    watcher.tick?.({ seconds, inMesh, push, phase, transmissions, lowerBound });
    const heard = scenario.expect.unchanged === undefined || telemetry.size >= on;
    if (update ? pushDone && heard && seconds > lastEvent : formed >= 0 && seconds > lastEvent + SETTLE_SECONDS) break;
    // Lets the terminal and Ctrl-C have their turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  const progress = push ? (push as Push).progress : new Map<number, NodeProgress>();
  const list = fleet.nodes.map(({ number, id, chip }): NodeResult => {
    const frame = telemetry.get(id);
    const p = progress.get(id);
    return {
      number,
      id,
      hops: hopsOf.get(id) ?? -1,
      versionBefore: p?.versionBefore || scenario.version,
      version: frame ? `${frame.major}.${frame.minor}.${frame.patch}` : "",
      state: p?.state ?? "",
      error: p?.error ?? "",
      chunks: p?.chunks ?? 0,
      repaired: p?.repaired ?? 0,
      seconds: p && p.doneAfter >= 0 ? p.doneAfter / 1000 : -1,
      boots: chip.stats.boots,
      longestMs: Math.round(chip.stats.longestMs),
      longestIn: chip.stats.longestIn,
    };
  });
  const updated = list.filter(({ state }) => state === "running").length;
  const result: ScenarioResult = {
    name: scenario.name,
    seed: scenario.seed,
    nodes: scenario.nodes,
    formed,
    updated,
    verified: image ? fleet.nodes.filter((node) => runningHash(node, board) === image!.manifest.resultHash).length : 0,
    failed: list.filter(({ state }) => state === "failed").length,
    encoding,
    encodingWhy,
    transport: update?.transport ?? null,
    imageBytes: image ? (image as Image).manifest.resultBytes : 0,
    chunks: image ? (image as Image).chunks.length : 0,
    seconds: Math.max(-1, ...list.map(({ seconds }) => seconds)),
    transmissions,
    chunkBytes: bytesOnAir,
    lowerBound,
    ratio: lowerBound ? transmissions / lowerBound : 0,
    airtime: world.radio.statistics.airtime / 1000,
    virtualSeconds: fleet.seconds(),
    wallSeconds: (performance.now() - began) / 1000,
    hops,
    overflowed: world.counts.datagramsOverflowed,
    compactions: fleet.nodes.reduce((sum, { chip }) => sum + chip.stats.compactions, 0),
    longestSlice: longestSlice(fleet.nodes),
    longestFormingSlice,
    faults: fleet.nodes.flatMap(({ number, chip }) => chip.faults.map((fault) => `node ${number}: ${fault}`)),
    list,
    rollout: (rollout as ScenarioRollout | null)?.view() ?? null,
    failures: [],
  };
  result.failures = judge(scenario, result);
  for (const [number, version] of Object.entries(scenario.expect.runs ?? {})) {
    const found = runningVersion(fleet.nodes[Number(number)]!, board);
    if (found !== version)
      result.failures.push(`runs: node ${number} should run ${version}, it runs ${found || "nothing"}`);
  }
  fleet.stop();
  return result;
}

function longestSlice(nodes: readonly FleetNode[]): Slice {
  const slices = nodes.map(({ number, chip: { stats } }) => ({
    milliseconds: Math.round(stats.longestMs),
    label: stats.longestIn,
    node: number,
  }));
  return slices.reduce((longest, one) => (one.milliseconds > longest.milliseconds ? one : longest));
}

/** What does not hold of a scenario's expectations. */
export function judge(scenario: Scenario, result: ScenarioResult): string[] {
  const { expect } = scenario;
  const failures: string[] = [];
  const check = (holds: boolean, text: string): void => void (holds || failures.push(text));
  if (expect.updated !== undefined) {
    check(result.updated === expect.updated, `updated: expected ${expect.updated}, ${result.updated} are`);
  }
  if (expect.verified !== undefined) {
    check(result.verified === expect.verified, `verified: expected ${expect.verified}, ${result.verified} are`);
  }
  if (expect.unchanged !== undefined) {
    const unchanged = result.list.filter(({ version }) => version === scenario.version).length;
    check(unchanged === expect.unchanged, `unchanged: expected ${expect.unchanged}, ${unchanged} are`);
  }
  if (expect.formedWithin !== undefined) {
    const { formed } = result;
    const found = formed < 0 ? "it never did" : `took ${formed.toFixed(1)} s`;
    check(formed >= 0 && formed <= expect.formedWithin, `formedWithin: expected ${expect.formedWithin} s, ${found}`);
  }
  if (expect.updatedWithin !== undefined) {
    const { seconds } = result;
    check(
      seconds >= 0 && seconds <= expect.updatedWithin,
      `updatedWithin: expected ${expect.updatedWithin} s, took ${seconds.toFixed(1)} s`,
    );
  }
  if (expect.ratioAtMost !== undefined) {
    check(
      result.ratio <= expect.ratioAtMost,
      `ratioAtMost: expected ${expect.ratioAtMost}, is ${result.ratio.toFixed(2)}`,
    );
  }
  const checkSlice = (name: "longestSlice" | "longestFormingSlice"): void => {
    const most = expect[`${name}Ms`];
    const { milliseconds, label, node } = result[name];
    const found = `node ${node} was held ${milliseconds} ms by: ${label}`;
    check(most === undefined || milliseconds <= most, `${name}Ms: expected ${most} ms, ${found}`);
  };
  checkSlice("longestSlice");
  checkSlice("longestFormingSlice");
  if (expect.hopsAtLeast !== undefined) {
    check(result.hops >= expect.hopsAtLeast, `hopsAtLeast: expected ${expect.hopsAtLeast}, there are ${result.hops}`);
  }
  if (expect.rollout) failures.push(...judgeRollout(expect.rollout, result.rollout));
  if (expect.error !== undefined) {
    const errors = result.list.filter(({ state }) => state === "failed").map(({ error }) => error);
    check(
      errors.length > 0 && errors.every((error) => error === expect.error),
      `error: expected ${expect.error}, got ${errors.length ? [...new Set(errors)].join(", ") : "no failure"}`,
    );
  }
  check(
    result.compactions === expect.compactions,
    `compactions: expected ${expect.compactions}, ${result.compactions} happened`,
  );
  check(result.faults.length === 0, `faults: ${result.faults.slice(0, 3).join("; ")}`);
  return failures;
}
