/** First page: how the mesh is doing at a glance, and the map. */
import { h, type VNode } from "./dom";
import { count, number, span } from "./format";
import { mapPanel } from "./map";
import { activeAlerts, icon, type IconName, nodeLink, panel, since, skeleton } from "./parts";
import { alertItem } from "./alerts";
import { state } from "./store";

function tile(name: string, value: string, note: string, kind: string, symbol: IconName, href: string): VNode {
  return h(
    "a",
    { class: `tile ${kind}`, href },
    h("span", { class: "tile-name" }, icon(symbol), name),
    h("span", { class: "tile-value" }, value),
    h("span", { class: "tile-note" }, note),
  );
}

function median(values: number[]): number | null {
  if (values.length === 0) return null;
  const sorted = values.sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

function tiles(): VNode {
  const nodes = [...state.nodes.values()];
  if (!state.ready)
    return h(
      "div",
      { class: "tiles" },
      [0, 1, 2, 3].map(() => h("div", { class: "tile" }, skeleton(2))),
    );
  const online = nodes.filter(({ presence }) => presence === "online").length;
  const late = nodes.filter(({ presence }) => presence === "stale").length;
  const lost = nodes.length - online - late;
  const alerts = activeAlerts().filter((alert) => alert.state !== "pending" && !alert.inhibitedBy);
  const open = alerts.filter(({ acknowledged }) => !acknowledged).length;
  const critical = alerts.filter(({ severity }) => severity === "critical").length;
  const frames = nodes.flatMap(({ telemetry }) => (telemetry ? [telemetry] : []));
  const loss = median(frames.map((t) => t.loss / 10));
  const memory = Math.min(...frames.map((t) => (t.memoryFree / (t.memoryTotal || 1)) * 100));
  const versions = new Set(nodes.map(({ version }) => version).filter(Boolean));
  const newest = [...versions].sort((a, b) => b.localeCompare(a, undefined, { numeric: true }))[0];
  const hops = Math.max(0, ...nodes.map((node) => node.hops));
  const away = [late && `${late} late`, lost && `${lost} lost`].filter(Boolean).join(", ");
  return h(
    "div",
    { class: "tiles" },
    tile(
      "Nodes online",
      `${online} of ${nodes.length}`,
      away || `${count(hops, "hop")} deep at most`,
      lost ? "is-critical" : late ? "is-warning" : "is-good",
      "nodes",
      "#/nodes",
    ),
    tile(
      "Alerts",
      String(alerts.length),
      alerts.length === 0 ? "nothing to do" : `${critical} critical, ${open} not acknowledged`,
      critical ? "is-critical" : alerts.length ? "is-warning" : "is-good",
      "bell",
      "#/alerts",
    ),
    tile(
      "Chunk loss",
      loss === null ? "–" : `${number(loss)} %`,
      frames.length > 0 ? `median; least memory free ${number(memory)} %` : "no telemetry yet",
      "",
      "map",
      "#/nodes",
    ),
    tile(
      "Firmware",
      newest ?? "–",
      versions.size > 1
        ? `${versions.size} versions in the mesh`
        : versions.size === 1
          ? "on all nodes"
          : "not known yet",
      versions.size > 1 ? "is-warning" : "",
      "chip",
      "#/firmware",
    ),
  );
}

export function overview(): VNode {
  const alerts = activeAlerts()
    .filter((alert) => alert.state !== "pending")
    .slice(0, 4);
  const events = [...state.events].sort((a, b) => b.at - a.at).slice(0, 6);
  return h(
    "div",
    { class: "stack" },
    h("h1", { class: "hidden" }, "Overview"),
    tiles(),
    mapPanel(),
    h(
      "div",
      { class: "columns" },
      panel(
        "Alerts",
        h("a", { href: "#/alerts" }, "All alerts"),
        !state.ready
          ? skeleton(3)
          : alerts.length === 0
            ? h("p", { class: "calm" }, icon("check"), "No alert is active.")
            : h(
                "ul",
                { class: "alerts" },
                alerts.map((alert) => alertItem(alert)),
              ),
      ),
      panel(
        "Latest events",
        h("a", { href: "#/events" }, "All events"),
        !state.ready
          ? skeleton(3)
          : events.length === 0
            ? h("p", { class: "calm" }, "Nothing happened since the dashboard began to listen.")
            : h(
                "ul",
                { class: "plain" },
                events.map((event) =>
                  h(
                    "li",
                    { class: "event" },
                    h("span", null, event.node ? [nodeLink(event.node), " "] : null, event.text),
                    h("span", { class: "muted nowrap" }, since(event.at)),
                  ),
                ),
              ),
      ),
    ),
    state.info &&
      h(
        "p",
        { class: "footnote" },
        `${state.info.mesh}, ${state.info.server === "laptop" ? `reached by ${state.info.via || "this computer"}` : "served by a node of the mesh"}. `,
        `History of ${span(state.info.history.hours * 3600)}. ${count(state.info.clients, "browser")} connected when this one was opened, ${state.info.maxClients} at most.`,
      ),
  );
}
