/** The table of a rollout's nodes: each with what it said last. */
import type { RolloutNode } from "../../gateway/fleet-view";
import { type Child, h, type VNode } from "./dom";
import { number, span, UNKNOWN } from "./format";
import { nodeLink, nodeName, progress } from "./parts";
import { changed } from "./store";

/** Which nodes are listed. */
let filter: "" | "open" | "failed" = "";

export const FINISHED = new Set(["running", "current"]);

function nodeRow(row: RolloutNode): VNode {
  const failed = row.state === "failed";
  return h(
    "tr",
    { key: row.node },
    h("td", { "data-label": "Node" }, nodeLink(row.node)),
    h(
      "td",
      { "data-label": "State" },
      h(
        "span",
        { class: `badge ${failed ? "is-critical" : FINISHED.has(row.state) ? "is-online" : ""}` },
        row.state || UNKNOWN,
      ),
      row.error && h("span", { class: "small error-text" }, ` ${row.error}`),
      row.health && h("span", { class: "small error-text block" }, row.health),
    ),
    h(
      "td",
      { "data-label": "Progress", class: "wide" },
      h(
        "span",
        { class: "with-bar" },
        progress(
          row.percent,
          `Progress of ${nodeName(row.node)}`,
          failed ? "is-critical" : FINISHED.has(row.state) ? "is-good" : "",
        ),
        h("span", { class: "nowrap" }, `${number(row.percent)} %`),
      ),
    ),
    h("td", { "data-label": "Chunks" }, row.total ? `${number(row.chunks)} of ${number(row.total)}` : UNKNOWN),
    h("td", { "data-label": "Repaired" }, row.total ? number(row.repaired) : UNKNOWN),
    h(
      "td",
      { "data-label": "Version", class: "mono" },
      row.versionBefore && row.versionBefore !== row.version
        ? `${row.versionBefore} → ${row.version || "?"}`
        : row.version || UNKNOWN,
    ),
    h("td", { "data-label": "Took" }, row.seconds >= 0 ? span(row.seconds) : UNKNOWN),
  );
}

export function nodeTable(nodes: readonly RolloutNode[]): Child[] {
  const rank: Record<string, number> = { failed: 0 };
  const rows = nodes
    .filter(({ state: s }) => !filter || (filter === "failed" ? s === "failed" : !FINISHED.has(s)))
    .sort(
      (a, b) =>
        (rank[a.state] ?? 1) - (rank[b.state] ?? 1) ||
        nodeName(a.node).localeCompare(nodeName(b.node), undefined, { numeric: true }),
    );
  return [
    h(
      "div",
      { class: "row between" },
      h("h3", null, "Nodes"),
      h(
        "label",
        null,
        h("span", { class: "hidden" }, "Which nodes"),
        h(
          "select",
          {
            value: filter,
            onchange: (event: Event) => {
              filter = (event.target as HTMLSelectElement).value as typeof filter;
              changed();
            },
          },
          h("option", { value: "" }, "All nodes"),
          h("option", { value: "open" }, "Not finished"),
          h("option", { value: "failed" }, "Failed"),
        ),
      ),
    ),
    h(
      "div",
      { class: "table-wrap", tabindex: 0, role: "region", "aria-label": "Progress of each node" },
      h(
        "table",
        { class: "cards" },
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["Node", "State", "Progress", "Chunks", "Repaired", "Version", "Took"].map((name) =>
              h("th", { scope: "col" }, name),
            ),
          ),
        ),
        h("tbody", null, rows.map(nodeRow)),
      ),
    ),
    rows.length === 0 && h("p", { class: "calm" }, "No node is in this state."),
  ];
}
