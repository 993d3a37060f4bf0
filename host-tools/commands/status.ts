import type { CommandContext, CommandDefinition } from "../command";
import { requireOptions } from "../command";
import { EspalierError, EXIT } from "../errors";
import { loadSite } from "../config/load";
import { alertRules } from "../config/alert-rules";
import { type CollectorOptions, createCollector } from "../gateway/collector";
import type { AlertView, NodeView, StatusCollector } from "../gateway/fleet-view";
import { openMesh, VIA_HELP } from "../gateway/open-mesh";
import { formatTable } from "../ui/table";
import { readFileSync } from "node:fs";

/** Seconds that a mesh has to answer at all, and to be whole: no new node in so long. */
const JOIN_SECONDS = 60;
const SETTLE_SECONDS = 5;
const SETTLE_LIMIT_SECONDS = 60;
const WATCH_MS = 2000;

interface Options {
  via: string;
  node?: string;
  watch?: boolean;
  config?: string;
  alerts?: string;
}

const COLUMNS = [
  { title: "node" },
  { title: "state" },
  { title: "version" },
  { title: "up", align: "right" as const },
  { title: "memory", align: "right" as const },
  { title: "dBm", align: "right" as const },
  { title: "ms", align: "right" as const },
  { title: "hops", align: "right" as const },
  { title: "parent" },
  { title: "update" },
];

const UPDATE_STATES = ["", "preparing", "receiving", "relaying", "decoding", "verified", "current", "failed"];

/** 90061 as "1d 1h". */
export function duration(seconds: number): string {
  const units: [string, number][] = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0s";
  const [unit, size] = units[first]!;
  const whole = `${Math.floor(seconds / size)}${unit}`;
  const next = units[first + 1];
  const rest = next ? Math.floor((seconds % size) / next[1]) : 0;
  return next && rest && first < 2 ? `${whole} ${rest}${next[0]}` : whole;
}

function row(view: NodeView, nameOf: (id: number) => string, context: CommandContext): string[] {
  const { colors } = context;
  const t = view.telemetry;
  const paint = { online: colors.green, stale: colors.yellow, lost: colors.red }[view.presence];
  const state = paint(t ? view.presence : view.presence === "lost" ? "lost" : "no answer");
  if (!t) return [view.name, state, "", "", "", "", "", "", view.parent ? nameOf(view.parent) : "", ""];
  return [
    view.name,
    state,
    view.version,
    duration(t.uptime),
    t.memoryTotal ? `${t.memoryFree}/${t.memoryTotal}` : String(t.memoryFree),
    t.rssi ? String(t.rssi) : "",
    t.latency < 65535 ? String(t.latency) : "",
    view.hops < 0 ? "" : String(view.hops),
    view.parent ? nameOf(view.parent) : "",
    t.updateState === 2 ? `receiving ${t.updatePercent} %` : (UPDATE_STATES[t.updateState] ?? ""),
  ];
}

function alertLine(alert: AlertView, context: CommandContext): string {
  const { colors } = context;
  const paint = { info: colors.blue, warning: colors.yellow, critical: colors.red }[alert.severity];
  const notes = [
    alert.state === "nodata" ? "no data since" : "",
    alert.flapping ? "flapping" : "",
    alert.inhibitedBy ? "muted" : "",
  ];
  const said = notes.filter(Boolean).join(", ");
  return `${paint(alert.severity)} ${alert.message}${said && ` (${said})`}`;
}

/** The id that `text` means: a name of the site, a decimal id, or a hexadecimal one as tables show it. */
export function nodeId(text: string, names: CollectorOptions["names"]): number {
  for (const [id, { name }] of names ?? []) if (name === text) return id;
  const id =
    /^\d+$/.test(text) && text.length !== 8
      ? Number(text)
      : /^(0x)?[0-9a-f]{8}$/i.test(text)
        ? parseInt(text, 16)
        : NaN;
  if (id > 0 && id <= 0xffffffff) return id;
  throw new EspalierError("BAD_NODE", `"${text}" is no node`, {
    hint: "Give a name of the site, or an id: 3298820097, or c4a00001 in hexadecimal.",
    exitCode: EXIT.usage,
  });
}

/** Names from the site's file: a node's id is the last four bytes of its access point's address, the chip's own plus one. */
export function siteNames(file: string | undefined): NonNullable<CollectorOptions["names"]> {
  const names = new Map<number, { name?: string }>();
  if (file === undefined) return names;
  for (const { mac, name } of loadSite(file).site.nodes) {
    if (mac !== undefined && name !== undefined) {
      names.set((parseInt(mac.replaceAll(":", "").slice(4), 16) + 1) >>> 0, { name });
    }
  }
  return names;
}

function rulesFrom(file: string | undefined): CollectorOptions["rules"] {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
    return alertRules(JSON.parse(text));
  } catch (error) {
    if (error instanceof EspalierError) throw error;
    throw new EspalierError("BAD_ALERT_RULES", `cannot read ${file}: ${(error as Error).message}`, {
      hint: "It must be a JSON object of rules, see docs/status.md.",
      exitCode: EXIT.usage,
      cause: error,
    });
  }
}

/** The table, and below it the alerts that fire. */
export function statusText(nodes: readonly NodeView[], alerts: readonly AlertView[], context: CommandContext): string {
  const names = new Map(nodes.map(({ id, name }) => [id, name]));
  const nameOf = (id: number): string => names.get(id) ?? id.toString(16);
  const lines = [
    formatTable(
      COLUMNS,
      nodes.map((view) => row(view, nameOf, context)),
    ),
  ];
  const active = alerts.filter(({ state }) => state === "firing" || state === "nodata");
  if (active.length > 0) lines.push("", ...active.map((alert) => alertLine(alert, context)));
  return lines.join("\n");
}

export const status: CommandDefinition = {
  examples: [
    { line: "status --via tcp://10.7.1.1", comment: "ask every node, print a table" },
    { line: "status --via sim:test/scenarios/line.yaml?speed=20", comment: "the same on virtual boards" },
    {
      line: "status --via tcp://10.7.1.1 --node greenhouse --config flash.config.json",
      comment: "one node, by its name",
    },
    {
      line: "status --via tcp://10.7.1.1 --watch",
      comment: "the table again whenever something changes, until Ctrl-C",
    },
    { line: "status --via tcp://10.7.1.1 --json", comment: "for a program; with --watch one object a line" },
  ],

  configure(command) {
    command
      .option("--via <way>", VIA_HELP)
      .option("--node <id>", "one node: its name, or its id in decimal or hexadecimal")
      .option("-w, --watch", "go on until Ctrl-C")
      .option("-c, --config <file>", "names of the nodes come from this site")
      .option("--alerts <file>", "JSON that changes the alert rules, see docs/status.md");
  },

  async run(context, given) {
    requireOptions(given, ["via"]);
    const options = given as unknown as Options;
    const names = siteNames(options.config);
    const rules = rulesFrom(options.alerts);
    const only = options.node === undefined ? null : nodeId(options.node, names);
    const session = await openMesh(options.via);
    const progress = context.progress();
    const { mesh, engine } = session.node;
    const wait = (ms: number): Promise<void> => new Promise((resolve) => void engine.after(ms, resolve));
    const collector = createCollector(session, { names, rules });
    try {
      await session.joined(JOIN_SECONDS * 1000);
      let known = -1;
      for (let quiet = 0, waited = 0; quiet < SETTLE_SECONDS && waited < SETTLE_LIMIT_SECONDS; waited++) {
        if (context.signal.aborted) return EXIT.interrupted;
        const count = mesh.getNodeList(false).length;
        if (count !== known) progress.log(`${count} ${count === 1 ? "node" : "nodes"} in the mesh`);
        quiet = count === known && (only === null || mesh.isConnected(only)) ? quiet + 1 : 0;
        known = count;
        await wait(1000);
      }
      const result = await collector.query(only === null ? null : [only]);
      progress.stop();
      show(context, collector, only, result, options.watch === true);
      if (options.watch) await follow(context, collector, only, result);
      if (context.signal.aborted) return EXIT.interrupted;
      return only !== null && result.missing.length > 0 ? EXIT.failed : EXIT.ok;
    } finally {
      collector.close();
      await session.close();
    }
  },
};

function show(
  context: CommandContext,
  collector: StatusCollector,
  only: number | null,
  result: { answered: number[]; missing: number[] },
  line: boolean,
): void {
  const mine = (id: number): boolean => only === null || id === only;
  const nodes = collector.nodes().filter(({ id }) => mine(id));
  nodes.sort((a, b) => a.hops - b.hops || a.id - b.id);
  const alerts = collector.alerts().filter(({ node }) => mine(node));
  const value = { nodes, alerts, answered: result.answered, missing: result.missing };
  if (line && context.json) context.stdout.write(`${JSON.stringify(value)}\n`);
  else
    context.report(value, () => {
      const text = statusText(nodes, alerts, context);
      const { length } = result.missing;
      return length === 0 ? text : `${text}\n\n${length} did not answer`;
    });
}

/** Shows the state again, at most every two seconds and only when something is new. */
async function follow(
  context: CommandContext,
  collector: StatusCollector,
  only: number | null,
  result: { answered: number[]; missing: number[] },
): Promise<void> {
  let news = false;
  const ends = [collector.on("node", () => void (news = true)), collector.on("alert", () => void (news = true))];
  while (!context.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    if (!news || context.signal.aborted) continue;
    news = false;
    if (!context.json) context.stdout.write(context.stdout.isTTY ? "\x1b[H\x1b[2J" : "\n");
    show(context, collector, only, result, true);
  }
  for (const end of ends) end();
}
