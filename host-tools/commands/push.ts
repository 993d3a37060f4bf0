import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Image } from "../build/image";
import { blobChunks } from "../build/image";
import { signatureOf } from "../build/sign-image";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { type CommandContext, type CommandDefinition, requireOptions } from "../command";
import { CONFIG_FILE, loadSite } from "../config/load";
import { EspalierError, EXIT } from "../errors";
import { paceFor, sendersIn, type Transport } from "../gateway/distribution";
import type { MeshSession } from "../gateway/mesh-session";
import { openMesh, VIA_HELP } from "../gateway/open-mesh";
import { type NodeProgress, type Push, startPush } from "../gateway/push";
import { gatherFacts, type KnownNode } from "../gateway/rollout/facts";
import { makePlan } from "../gateway/rollout/plan";
import { imageFacts as rolloutFacts } from "../gateway/rollout/rollout";
import { RolloutStore } from "../gateway/rollout/store";
import { checkRoom, ENCODINGS } from "../gateway/push-source";
import { siteSecurity } from "../gateway/site-security";
import type { Bar } from "../ui/progress";
import { formatTable } from "../ui/table";
import { addRolloutOptions, collect, policyFrom, refuseWithoutRollout, type RolloutOptions } from "./rollout-options";
import { beginRollout } from "./rollout-run";
import { parseRole, parseVersion } from "./build";
import { type ImageOptions, sourceOf } from "./push-image";

export interface PushCommandOptions extends ImageOptions {
  via: string;
  transport: Transport;
  node?: string[];
  pace?: number;
  /** Per cent. */
  airtime?: number;
  deadline: number;
  join: number;
  dryRun?: boolean;
  verbose?: boolean;
}

type Options = PushCommandOptions & RolloutOptions;

/** Offers are repeated after a minute; who has heard two and says nothing is not meant. */
const ANSWER_WITHIN_MS = 90_000;
/** A mesh that a computer has just joined is complete when nothing new came for so long; simulated boards start with it. */
const SETTLED_MS = 3000;
const LOOK_MS = 250;

function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value >= low && value <= high)) throw new InvalidArgumentError(`Expected ${low} to ${high}.`);
    return value;
  };
}

export function nodeName(id: number): string {
  return id.toString(16).padStart(8, "0");
}

/** Ids from what was given: 8 hexadecimal digits, or a name of the site's. @throws EspalierError NODE_UNKNOWN */
export function nodeIds(names: readonly string[], config: string | undefined): number[] {
  return names.map((name) => {
    if (/^[0-9a-f]{8}$/i.test(name)) return parseInt(name, 16);
    const { site } = loadSite(config);
    const mac = site.nodes.find((node) => node.name === name)?.mac;
    if (mac !== undefined) return idOfMac(mac);
    throw new EspalierError("NODE_UNKNOWN", `there is no node "${name}" with a mac in the site's file`, {
      hint: "Give 8 hexadecimal digits as in the table of a push, or a name from flash.config.json.",
      context: { node: name },
      exitCode: EXIT.usage,
    });
  });
}

/** Id of the node with a chip's own address: the end of its access point's, which is one above. */
function idOfMac(mac: string): number {
  return (parseInt(mac.replace(/:/g, "").slice(4), 16) + 1) >>> 0;
}

/** Nodes of the site's file, when there is one. */
export function siteNodes(config: string | undefined): Map<number, KnownNode> {
  const file = config ?? CONFIG_FILE;
  if (config === undefined && !existsSync(file)) return new Map();
  const { nodes } = loadSite(file).site;
  return new Map(
    nodes.flatMap(({ mac, name, role }) => (mac === undefined ? [] : [[idOfMac(mac), { name, role }] as const])),
  );
}

/** Waits on the clock of the session's engine, which may be virtual. */
function wait(session: MeshSession, milliseconds: number): Promise<void> {
  return new Promise((resolve) => session.node.engine.after(milliseconds, resolve));
}

/** Waits until the nodes that are named, or else as many as there are, are seen. */
async function settle(session: MeshSession, wanted: readonly number[], limit: number, signal: AbortSignal) {
  const { mesh, engine } = session.node;
  const began = engine.now();
  let count = 0;
  let since = began;
  while (!signal.aborted) {
    const members = mesh.getNodeList(false);
    const now = engine.now();
    if (members.length !== count) {
      count = members.length;
      since = now;
    }
    const quiet = session.size ? members.length >= session.size() : now - since >= SETTLED_MS;
    const complete = wanted.length ? wanted.every((id) => members.includes(id)) : quiet;
    if ((complete && count > 0) || now - began > limit) break;
    await wait(session, LOOK_MS);
  }
  return mesh.getNodeList(false);
}

function draw(bars: Map<number, Bar>, add: (name: string, total: number) => Bar, push: Push): void {
  for (const p of push.progress.values()) {
    if (p.state === "silent") continue;
    const bar = bars.get(p.node) ?? add(nodeName(p.node), p.total || 1);
    bars.set(p.node, bar);
    if (p.total) bar.setTotal(p.total);
    const repairs = p.repaired ? `, ${p.repaired} repaired` : "";
    if (p.state === "running") bar.done(`runs ${p.version}${repairs}`);
    else if (p.state === "failed") bar.fail(p.error);
    else if (p.state === "decoding") bar.update(p.total, `decoding ${p.percent} %${repairs}`);
    else bar.update(p.chunks, p.state + repairs);
  }
}

export interface PushReport {
  via: string;
  image: {
    id: string;
    version: string;
    hardware: string;
    role: string;
    encoding: string;
    bytes: number;
    chunks: number;
  };
  /** What nodes get that do not run the base of a delta. */
  whole: PushReport["image"] | null;
  encodingWhy: string;
  transport: Transport;
  state: "done" | "interrupted" | "preview";
  /** Chunk frames sent, and the least that as many senders need; 0 when unknown. */
  transmissions: number;
  lowerBound: number;
  /** Seconds from the first offer. */
  seconds: number;
  nodes: (Omit<NodeProgress, "doneAfter" | "node"> & { node: string; seconds: number })[];
}

function imageFacts({ id, manifest, chunks }: Image): PushReport["image"] {
  const { version, hardware, role, encoding, resultBytes } = manifest;
  return { id, version, hardware, role, encoding, bytes: resultBytes, chunks: chunks.length };
}

function text(report: PushReport, { colors }: CommandContext): string {
  const { image, nodes } = report;
  const rows = nodes.map((p) => [
    p.node,
    p.versionBefore || "?",
    p.version || "?",
    p.state === "running" ? colors.green(p.state) : p.state === "failed" ? colors.red(p.error || p.state) : p.state,
    p.seconds < 0 ? "" : `${p.seconds.toFixed(1)} s`,
    p.repaired ? String(p.repaired) : "",
  ]);
  const running = nodes.filter(({ state }) => state === "running").length;
  const head = `image ${image.id}: ${image.hardware} ${image.role} ${image.version}, ${image.bytes} bytes, ${image.encoding}, ${image.chunks} chunks`;
  const end = {
    preview: "Nothing was sent.",
    done: `${running} of ${nodes.length} nodes run ${image.version} after ${report.seconds.toFixed(1)} s`,
    interrupted: `Stopped. ${running} of ${nodes.length} nodes run ${image.version}; the others were told to drop it and keep what they run.`,
  }[report.state];
  const columns = ["node", "before", "now", "state", "after", "repaired"].map((title) => ({ title }));
  const list = formatTable(columns, rows, colors.bold);
  const { whole, encodingWhy } = report;
  const second = whole
    ? `for nodes without its base: image ${whole.id}, ${whole.encoding}, ${whole.chunks} chunks`
    : "";
  const { transmissions, lowerBound } = report;
  const ratio = lowerBound ? `, ${(transmissions / lowerBound).toFixed(2)} x the least possible (${lowerBound})` : "";
  const sent = transmissions ? `${transmissions} chunk frames were sent${ratio}` : "";
  return [head, second, encodingWhy, list, sent, end].filter((line) => line !== "").join("\n");
}

export function addPushOptions(command: Command): Command {
  return command
    .option("--via <way>", `how to reach the mesh (required): ${VIA_HELP}`)
    .addOption(
      new Option(
        "--transport <name>",
        "one transmission for all, node by node, or each node from the nearest that has it",
      )
        .choices(["broadcast", "sequential", "peer"])
        .default("broadcast"),
    )
    .addOption(new Option("--encoding <name>", "auto unless given").choices(["auto", ...ENCODINGS, "delta"]))
    .option("--base <image>", "the image that nodes run: only what changed is sent to them, the whole image to others")
    .option("-b, --board <name>", "of an application: esp32-devkitc unless given")
    .option("-r, --role <name>", "of an application: which nodes it is for; node unless given", parseRole)
    .option("--version <version>", "of an application: what it reports", parseVersion)
    .option("--notes <text>", "of an application: what changed")
    .option("--product <name>", "of an application: the mesh's name in flash.config.json unless given")
    .option("-n, --node <id>", "only this node: 8 hexadecimal digits, or its name; may be given again", collect)
    .option("-c, --config <file>", "the site: names of nodes, its mesh's name, keys; flash.config.json unless given")
    .option("--pace <ms>", "between the frames of one sender; by the size of the mesh unless given", number(5, 60000))
    .addOption(
      new Option("--airtime <percent>", "share of the channel that an update may fill; 75 unless given")
        .argParser(number(1, 100))
        .conflicts("pace"),
    )
    .option("--deadline <seconds>", "after which whoever is not ready is given up", number(1, 1e6), 1800)
    .option("--join <seconds>", "to wait for the mesh", number(1, 3600), 60)
    .option("--dry-run", "join and say what would be sent; send nothing")
    .option("--verbose", "show what the boards print");
}

export const push: CommandDefinition = {
  examples: [
    { line: "push apps/sensor.ts --version 1.1.0 --via serial:/dev/ttyUSB0", comment: "build and update, over USB" },
    { line: "push sensor.espalier --via tcp://10.7.1.1", comment: "an image that was built before, over WiFi" },
    { line: "push sensor.espalier --via tcp://10.7.1.1 --node c4a00003", comment: "one node alone" },
    {
      line: "push sensor-1.1.espalier --base sensor-1.0.espalier --via tcp://10.7.1.1",
      comment: "a delta, and the whole image for whoever does not run 1.0",
    },
    {
      line: "push sensor.espalier --via tcp://10.7.1.1 --airtime 20",
      comment: "slowly, beside an application's own messages",
    },
    {
      line: "push sensor.espalier --via tcp://10.7.1.1 --if-version '<1.2.0' --except roof",
      comment: "old ones, not roof",
    },
    {
      line: "push sensor.espalier --via tcp://10.7.1.1 --rollout progressive",
      comment: "canaries first, then a fifth, then all",
    },
    { line: "push apps/sensor.ts --via sim:test/scenarios/line.yaml --json", comment: "try it without boards" },
  ],

  configure(command) {
    command.argument("<image>", "an image file, or an application's TypeScript module");
    addRolloutOptions(addPushOptions(command));
  },

  async run(context, given, args) {
    requireOptions(given, ["via"]);
    const options = given as unknown as Options;
    refuseWithoutRollout(options);
    const wanted = options.node ? nodeIds(options.node, options.config) : [];
    const policy = policyFrom(options, options.transport, wanted.map(nodeName));
    const selective = options.ifVersion !== undefined || options.except !== undefined;
    const security = siteSecurity(options.via, options.config);
    const source = await sourceOf(args[0] as string, options);
    const airtime = options.airtime === undefined ? undefined : options.airtime / 100;
    const { signal } = context;
    let session: MeshSession | null = null;
    const progress = context.progress({ now: () => session?.node.engine.now() ?? 0, unit: "chunks" });
    // Simulated boards have no reason to be waited for.
    session = await openMesh(options.via, {
      speed: Infinity,
      log: options.verbose ? (line) => progress.log(line) : undefined,
      meshKey: security.meshKey,
    });
    const frames = new Map<number, Telemetry>();
    session.onTelemetry((frame) => void frames.set(frame.node, frame));
    try {
      progress.log(`joining over ${options.via}`);
      await session.joined(options.join * 1000);
      const members = await settle(session, wanted, options.join * 1000, signal);
      const { mesh, engine } = session.node;
      const senders = sendersIn(JSON.parse(mesh.subConnectionJson()) as Parameters<typeof sendersIn>[0]);
      let targets = wanted.length ? wanted : members;
      const chosen = source.choose({
        paceMs: options.pace ?? paceFor(senders, airtime),
        hops: Math.max(1, ...targets.map((id) => mesh.getHopCount(id))),
      });
      const { why } = chosen;
      const image = await security.sign(chosen.image);
      const whole = chosen.whole && (await security.sign(chosen.whole));
      if (whole) checkSigned(image, whole);
      checkRoom(whole ?? image);
      progress.log(`${members.length} nodes in the mesh; ${image.chunks.length + blobChunks(image)} chunks to send`);
      const rollsOut = options.rollout !== undefined;
      const fleet = rollsOut || selective ? await gatherFacts(session, frames, siteNodes(options.config), signal) : [];
      if (selective) {
        const { update, current } = makePlan(fleet, rolloutFacts(image, whole), policy).preview;
        targets = [...update, ...current];
      }
      if (rollsOut) {
        const store = new RolloutStore(options.folder);
        const dryRun = options.dryRun === true;
        return await beginRollout(
          context,
          store,
          { image, whole, fleet, policy, dryRun },
          { session, progress, pace: options.pace, airtime },
        );
      }
      const began = engine.now();
      let job: Push | null = null;
      if (!options.dryRun && !signal.aborted) {
        let ended = false;
        job = startPush(
          session.node,
          image,
          {
            transport: options.transport,
            targets,
            only: wanted.length > 0 || selective,
            pace: options.pace,
            airtime,
            ...(whole ? { whole } : {}),
            deadline: options.deadline * 1000,
            answerWithin: ANSWER_WITHIN_MS,
          },
          () => (ended = true),
        );
        const started = job;
        const stop = session.onTelemetry((frame) => started.telemetry(frame));
        const bars = new Map<number, Bar>();
        while (!ended) {
          if (signal.aborted) job.abort();
          else await wait(session, LOOK_MS);
          draw(bars, (name, total) => progress.bar(name, total), job);
        }
        stop();
      }
      progress.stop();
      const nodes = targets.map((id) => job?.progress.get(id) ?? untouched(id));
      const report: PushReport = {
        via: options.via,
        image: imageFacts(image),
        whole: whole && imageFacts(whole),
        encodingWhy: why,
        transport: options.transport,
        ...(job?.counts() ?? { transmissions: 0, lowerBound: 0 }),
        state: options.dryRun ? "preview" : signal.aborted ? "interrupted" : "done",
        seconds: (engine.now() - began) / 1000,
        nodes: nodes.map(({ doneAfter, node, ...rest }) => ({
          node: nodeName(node),
          ...rest,
          seconds: doneAfter < 0 ? -1 : doneAfter / 1000,
        })),
      };
      const ok = succeeded(nodes, wanted.length > 0 || selective);
      context.report({ ...report, ok }, () => text(report, context));
      return options.dryRun || ok ? EXIT.ok : EXIT.failed;
    } finally {
      await session.close();
    }
  },
};

/**
 * A delta of an image that somebody else signed has no signature of theirs, and nodes with a key would refuse it.
 * @throws EspalierError DELTA_UNSIGNED
 */
function checkSigned(delta: Image, whole: Image): void {
  const signed = (image: Image): boolean => signatureOf(image).length > 0;
  if (signed(delta) || !signed(whole)) return;
  throw new EspalierError("DELTA_UNSIGNED", "the image is signed, and there is no key here to sign its delta with", {
    hint: 'Leave --base out, or name the private key in the site\'s file ("keys": { "private": ... }).',
  });
}

function untouched(node: number): NodeProgress {
  const nothing = { percent: 0, chunks: 0, total: 0, repaired: 0, error: "", versionBefore: "", version: "" };
  return { node, state: "silent", ...nothing, doneAfter: -1 };
}

/** Nodes that nobody named and that say nothing are of another kind; all others have to run the image. */
function succeeded(nodes: readonly NodeProgress[], named: boolean): boolean {
  const meant = named ? nodes : nodes.filter(({ state }) => state !== "silent");
  return meant.length > 0 && meant.every(({ state }) => state === "running");
}
