/** All nodes as a table that sorts and filters; on a phone each row becomes a card. */
import type { NodeView } from "../../gateway/fleet-view";
import { type Child, type Children, h, type VNode } from "./dom";
import { count, hex, number, span, UNKNOWN } from "./format";
import {
  empty,
  icon,
  nodeAlerts,
  nodeLink,
  nodeName,
  panel,
  presenceBadge,
  signalBars,
  since,
  skeleton,
  sortedNodes,
  sparkline,
} from "./parts";
import { changed, type Spark, state } from "./store";

interface Column {
  name: string;
  title: string;
  sort(node: NodeView): number | string;
  cell(node: NodeView, sparks: readonly Spark[]): Children;
}

const PRESENCE_RANK = { lost: 0, stale: 1, online: 2 };

function withSpark(text: Child, values: number[], label: string, least: number): VNode {
  return h(
    "span",
    { class: "with-spark" },
    h("span", { class: "value" }, text),
    sparkline(values, { label, width: 56, height: 22, least }),
  );
}

const COLUMNS: Column[] = [
  {
    name: "Node",
    title: "Name and id",
    sort: (node) => node.name,
    cell: (node) =>
      h("span", { class: "node-cell" }, nodeLink(node.id), h("span", { class: "muted mono" }, hex(node.id))),
  },
  {
    name: "State",
    title: "Online, late (silent for two intervals) or lost",
    sort: (node) => PRESENCE_RANK[node.presence] * 100 - nodeAlerts(node.id).length,
    cell: (node) => {
      const alerts = nodeAlerts(node.id).length;
      return h(
        "span",
        { class: "row tight" },
        presenceBadge(node),
        alerts > 0 && h("a", { class: "badge is-warning", href: "#/alerts" }, icon("warning"), count(alerts, "alert")),
      );
    },
  },
  {
    name: "Signal",
    title: "Strength of the link to the parent, in decibel-milliwatts",
    sort: (node) => node.telemetry?.rssi ?? -200,
    cell: (node, sparks) =>
      withSpark(
        signalBars(node.telemetry?.rssi ?? 0),
        sparks.map(({ rssi }) => rssi),
        "Signal, dBm",
        6,
      ),
  },
  {
    name: "Memory free",
    title: "Share of the interpreter's variables",
    sort: (node) => (node.telemetry ? node.telemetry.memoryFree / (node.telemetry.memoryTotal || 1) : -1),
    cell: (node, sparks) => {
      const t = node.telemetry;
      if (!t) return UNKNOWN;
      return withSpark(
        `${number(Math.round((t.memoryFree / (t.memoryTotal || 1)) * 100))} %`,
        sparks.map(({ memory }) => memory),
        "Memory free, variables",
        100,
      );
    },
  },
  {
    name: "Loss",
    title: "Chunk frames not heard at first, percent",
    sort: (node) => node.telemetry?.loss ?? -1,
    cell: (node, sparks) =>
      node.telemetry
        ? withSpark(
            `${number(node.telemetry.loss / 10)} %`,
            sparks.map(({ loss }) => loss),
            "Loss, percent",
            1,
          )
        : UNKNOWN,
  },
  {
    name: "Messages",
    title: "Packages received a minute",
    sort: (node) => node.telemetry?.received ?? -1,
    cell: (node, sparks) => {
      const rate = sparks[sparks.length - 1]?.received;
      return node.telemetry
        ? withSpark(
            Number.isFinite(rate) ? `${number(Math.round(rate!))}/min` : UNKNOWN,
            sparks.map(({ received }) => received),
            "Packages received a minute",
            4,
          )
        : UNKNOWN;
    },
  },
  {
    name: "Uptime",
    title: "Since the last start",
    sort: (node) => node.telemetry?.uptime ?? -1,
    cell: (node) => (node.telemetry ? span(node.telemetry.uptime) : UNKNOWN),
  },
  {
    name: "Version",
    title: "As the node reports it",
    sort: (node) => node.version,
    cell: (node) => h("span", { class: "mono" }, node.version || UNKNOWN),
  },
  {
    name: "Parent",
    title: "The next node on the way to the root",
    sort: (node) => node.hops,
    cell: (node) =>
      node.parent
        ? h(
            "span",
            { class: "node-cell" },
            nodeName(node.parent),
            h("span", { class: "muted small" }, count(node.hops, "hop")),
          )
        : node.role === "root"
          ? "root"
          : UNKNOWN,
  },
  {
    name: "Heard",
    title: "When its last telemetry came",
    sort: (node) => -node.heardAt,
    cell: (node) => since(node.heardAt),
  },
];

const view = { search: "", sort: 0, down: false };

export function nodesPage(): VNode {
  const text = view.search.trim().toLowerCase();
  const column = COLUMNS[view.sort]!;
  const all = sortedNodes();
  const rows = all.filter((node) =>
    [node.name, hex(node.id), node.version, node.role, node.hardware, node.presence].some((value) =>
      value.toLowerCase().includes(text),
    ),
  );
  if (view.sort > 0 || view.down) {
    rows.sort((a, b) => {
      const [x, y] = [column.sort(a), column.sort(b)];
      const order =
        typeof x === "number" && typeof y === "number"
          ? x - y
          : String(x).localeCompare(String(y), undefined, { numeric: true });
      return view.down ? -order : order;
    });
  }
  const tools = h(
    "label",
    { class: "search" },
    icon("search"),
    h("span", { class: "hidden" }, "Filter nodes"),
    h("input", {
      type: "search",
      placeholder: "Name, id, version, state",
      value: view.search,
      oninput: (event: Event) => {
        view.search = (event.target as HTMLInputElement).value;
        changed();
      },
    }),
  );
  const sortBy = (index: number): void => {
    view.down = view.sort === index ? !view.down : false;
    view.sort = index;
    changed();
  };
  return h(
    "div",
    { class: "stack" },
    h("h1", null, "Nodes"),
    panel(
      text ? `${count(rows.length, "node")} of ${all.length}` : count(all.length, "node"),
      tools,
      !state.ready
        ? skeleton(8)
        : all.length === 0
          ? empty(
              "nodes",
              "No node was heard yet",
              "A node appears with its first telemetry, within a minute of joining.",
            )
          : rows.length === 0
            ? empty("search", "Nothing matches", `No node's name, id, version or state contains “${view.search}”.`)
            : h(
                "div",
                { class: "table-wrap", tabindex: 0, role: "region", "aria-label": "Table of nodes" },
                h(
                  "table",
                  { class: "cards" },
                  h(
                    "thead",
                    null,
                    h(
                      "tr",
                      null,
                      COLUMNS.map((one, index) =>
                        h(
                          "th",
                          {
                            scope: "col",
                            "aria-sort": view.sort === index ? (view.down ? "descending" : "ascending") : null,
                          },
                          h(
                            "button",
                            { type: "button", class: "sort", title: one.title, onclick: () => sortBy(index) },
                            one.name,
                            h(
                              "span",
                              { class: "arrow", "aria-hidden": "true" },
                              view.sort === index ? (view.down ? "↓" : "↑") : "",
                            ),
                          ),
                        ),
                      ),
                    ),
                  ),
                  h(
                    "tbody",
                    null,
                    rows.map((node) =>
                      h(
                        "tr",
                        { key: node.id },
                        COLUMNS.map((one) =>
                          h("td", { "data-label": one.name }, one.cell(node, state.sparks.get(node.id) ?? [])),
                        ),
                      ),
                    ),
                  ),
                ),
              ),
    ),
  );
}
