/** One node: what it reports now, and how that went over time. */
import type { NodeView } from "../../gateway/fleet-view";
import type { History, HistoryField } from "../api";
import { alertItem } from "./alerts";
import { chart, type Series, withGaps } from "./charts";
import { type Child, type Children, h, type VNode } from "./dom";
import { count, csv, hex, number, span, UNKNOWN } from "./format";
import {
  activeAlerts,
  button,
  empty,
  icon,
  nodeLink,
  panel,
  presenceBadge,
  signalBars,
  since,
  skeleton,
  sparkline,
} from "./parts";
import { changed, get, local, now, type Spark, state } from "./store";

const RANGES = [
  { label: "1 h", hours: 1 },
  { label: "6 h", hours: 6 },
  { label: "24 h", hours: 24 },
  { label: "7 d", hours: 168 },
  { label: "30 d", hours: 720 },
];
const REFRESH_MS = 15_000;

const view = {
  node: 0,
  hours: 6,
  /** Set while zoomed in, milliseconds of the server. */
  zoom: null as { from: number; to: number } | null,
  history: null as History | null,
  drawn: null as Drawn | null,
  error: "",
  loading: false,
  loadedAt: 0,
};

interface Drawn {
  times: number[];
  columns: Map<HistoryField, (number | null)[]>;
  from: number;
  to: number;
}

function prepare(data: History): Drawn {
  const times = data.points.map((point) => local(point[0] ?? 0) / 1000);
  const columns = data.fields.map((_, i) => data.points.map((point) => point[i + 1] ?? null));
  const spread = withGaps(times, columns, data.resolution);
  return {
    times: spread.times,
    columns: new Map(data.fields.map((field, i) => [field, spread.columns[i]!])),
    from: local(data.from) / 1000,
    to: local(data.to) / 1000,
  };
}

async function load(): Promise<void> {
  const { node } = view;
  const to = Math.round(view.zoom?.to ?? now());
  const from = Math.round(view.zoom?.from ?? to - view.hours * 3_600_000);
  view.loading = true;
  view.loadedAt = performance.now();
  try {
    const data = await get<History>(`/history/${node}?from=${Math.max(0, from)}&to=${Math.max(0, to)}&points=600`);
    if (view.node !== node) return;
    view.history = data;
    view.drawn = prepare(data);
    view.error = "";
  } catch (error) {
    view.error = error instanceof Error ? error.message : "no answer";
  }
  view.loading = false;
  changed();
}

function show(id: number): void {
  if (view.node !== id) {
    Object.assign(view, {
      node: id,
      zoom: null,
      history: null,
      drawn: null,
      error: "",
      loading: false,
      loadedAt: -Infinity,
    });
    view.hours = Math.min(6, state.info?.history.hours ?? 6);
  }
  const due = performance.now() - view.loadedAt > (state.info?.server === "esp32" ? REFRESH_MS * 4 : REFRESH_MS);
  if (state.ready && !view.loading && due && !view.zoom) void load();
}

function exportCsv(node: NodeView): void {
  const data = view.history;
  if (!data) return;
  const rows = [
    ["time", ...data.fields],
    ...data.points.map((point) => [new Date(local(point[0] ?? 0)).toISOString(), ...point.slice(1)]),
  ];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" }));
  link.download = `${node.name.replace(/[^\w-]+/g, "_")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function metric(
  name: string,
  value: Children,
  sparks: readonly Spark[],
  pick: ((spark: Spark) => number) | null,
  least = 0,
): VNode {
  return h(
    "div",
    { class: "metric" },
    h("span", { class: "metric-name" }, name),
    h("span", { class: "metric-value" }, value),
    pick && sparkline(sparks.map(pick), { label: name, width: 130, height: 28, least }),
  );
}

const UPDATE_STATES = [
  "no update",
  "preparing",
  "receiving",
  "relaying",
  "decoding",
  "verified",
  "up to date",
  "failed",
];

function metrics(node: NodeView): VNode {
  const t = node.telemetry;
  if (!t) return empty("info", "No telemetry yet", "This node is part of the mesh, but its first report has not come.");
  const sparks = state.sparks.get(node.id) ?? [];
  const last = sparks[sparks.length - 1];
  const rate = (value: number | undefined): string =>
    Number.isFinite(value) ? `${number(Math.round(value!))} a minute` : UNKNOWN;
  return h(
    "div",
    { class: "metrics" },
    metric(
      "Memory free",
      [
        `${number(Math.round((t.memoryFree / (t.memoryTotal || 1)) * 100))} %`,
        h("small", null, ` ${number(t.memoryFree)} of ${number(t.memoryTotal)} variables`),
      ],
      sparks,
      (s) => s.memory,
      100,
    ),
    metric("Signal to parent", signalBars(t.rssi), sparks, (s) => s.rssi, 6),
    metric("Chunk loss", `${number(t.loss / 10)} %`, sparks, (s) => s.loss, 1),
    metric(
      "Round trip to parent",
      t.latency === 65535 ? UNKNOWN : `${number(t.latency)} ms`,
      sparks,
      (s) => s.latency,
      10,
    ),
    metric("Packages received", rate(last?.received), sparks, (s) => s.received, 4),
    metric("Packages sent", rate(last?.sent), sparks, (s) => s.sent, 4),
    metric(
      "Uptime",
      [
        span(t.uptime),
        h(
          "small",
          null,
          ` ${count(t.starts, "start")}, the last ${t.reset === 1 ? "asked for" : "by power, crash or watchdog"}`,
        ),
      ],
      sparks,
      null,
    ),
    metric(
      "Update",
      [UPDATE_STATES[t.updateState] ?? UNKNOWN, t.updateState > 0 && t.updateState < 5 ? ` ${t.updatePercent} %` : ""],
      sparks,
      null,
    ),
    metric("Dropped and refused", `${number(t.dropped)} and ${number(t.refused)} packages`, sparks, null),
    t.temperature !== -128 && metric("Temperature", `${number(t.temperature)} °C`, sparks, null),
    t.battery !== 0 && metric("Battery", `${number(t.battery / 1000)} V`, sparks, null),
  );
}

interface Graph {
  title: string;
  fields: { field: HistoryField; label: string; unit: string; scale?: number }[];
  floor?: number;
}

const GRAPHS: Graph[] = [
  {
    title: "Memory free (variables)",
    fields: [{ field: "memoryFree", label: "Memory free", unit: "variables" }],
    floor: 0,
  },
  { title: "Signal to parent (dBm)", fields: [{ field: "rssi", label: "Signal", unit: "dBm" }] },
  { title: "Chunk loss (percent)", fields: [{ field: "loss", label: "Loss", unit: "%", scale: 0.1 }], floor: 0 },
  {
    title: "Round trip to parent (milliseconds)",
    fields: [{ field: "latency", label: "Round trip", unit: "ms" }],
    floor: 0,
  },
  {
    title: "Packages a minute",
    fields: [
      { field: "received", label: "Received", unit: "a minute" },
      { field: "sent", label: "Sent", unit: "a minute" },
    ],
    floor: 0,
  },
];

function graphs(drawn: Drawn): (VNode | null)[] {
  return GRAPHS.map(({ title, fields, floor }) => {
    const series = fields.flatMap(({ field, label, unit, scale }, i): Series[] => {
      const column = drawn.columns.get(field);
      if (!column || column.every((value) => value === null)) return [];
      const values = scale ? column.map((value) => (value === null ? null : value * scale)) : column;
      return [{ label, unit, values, color: `--series-${i + 1}` }];
    });
    if (series.length === 0) return null;
    const { times, from, to } = drawn;
    return chart({
      key: `${view.node} ${title}`,
      title,
      times,
      series,
      from,
      to,
      floor,
      onZoom(left, right) {
        const shift = local(0);
        view.zoom = { from: left * 1000 - shift, to: right * 1000 - shift };
        void load();
      },
    });
  });
}

function historyPanel(node: NodeView): VNode {
  const most = state.info?.history.hours ?? 24;
  const tools = [
    h(
      "div",
      { class: "segments", role: "group", "aria-label": "Time shown" },
      RANGES.filter(({ hours }) => hours <= most).map(({ label, hours }) =>
        h(
          "button",
          {
            type: "button",
            "aria-pressed": !view.zoom && view.hours === hours ? "true" : "false",
            onclick: () => {
              view.hours = hours;
              view.zoom = null;
              void load();
            },
          },
          label,
        ),
      ),
    ),
    view.zoom &&
      button(
        "Reset zoom",
        () => {
          view.zoom = null;
          void load();
        },
        { class: "button small" },
      ),
    button([icon("down"), "CSV"], () => exportCsv(node), {
      class: "button small",
      "aria-label": "Export as CSV",
      disabled: !view.history?.points.length,
    }),
  ];
  let inside: Child;
  if (view.drawn && view.history!.points.length > 0) {
    inside = h("div", { class: "charts" }, graphs(view.drawn));
  } else if (view.error) inside = empty("warning", "History could not be loaded", `The server said: ${view.error}.`);
  else if (view.history)
    inside = empty("info", "Nothing in this span", "Choose a longer one, or wait for the next report.");
  else inside = skeleton(6);
  return panel("History", tools, inside, h("p", { class: "muted small hint" }, "Drag across a graph to zoom in."));
}

export function nodePage(id: number): VNode {
  const node = state.nodes.get(id);
  if (!node) {
    return h(
      "div",
      { class: "stack" },
      h("h1", null, "Node"),
      state.ready
        ? panel(
            hex(id),
            null,
            empty("search", "This node was never heard", "It may have another id now, or the mesh has changed."),
          )
        : panel("Loading", null, skeleton(6)),
    );
  }
  show(id);
  const alerts = activeAlerts().filter((alert) => alert.node === id);
  const children = [...state.nodes.values()].filter(({ parent }) => parent === id);
  return h(
    "div",
    { class: "stack" },
    h("a", { class: "back", href: "#/nodes" }, icon("back"), "Nodes"),
    h(
      "div",
      { class: "title-row" },
      h("h1", null, node.name),
      presenceBadge(node),
      h("span", { class: "muted mono" }, hex(id)),
    ),
    h(
      "p",
      { class: "muted" },
      `${node.hardware || "Unknown hardware"}, role ${node.role || "unknown"}, version ${node.version || "unknown"}, heard ${since(node.heardAt)}. `,
      node.parent ? ["Parent ", nodeLink(node.parent), `, ${count(node.hops, "hop")} to the root. `] : "No parent. ",
      children.length > 0 && [
        `${count(children.length, "child", "children")}: `,
        children.flatMap((child, i) => [i > 0 ? ", " : null, nodeLink(child.id)]),
        ".",
      ],
    ),
    alerts.length > 0 && panel("Alerts", null, h("ul", { class: "alerts" }, alerts.map(alertItem))),
    panel("Now", null, metrics(node)),
    historyPanel(node),
  );
}
