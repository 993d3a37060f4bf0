/** Pieces that several views are made of. */
import type { AlertView, NodeView } from "../../gateway/fleet-view";
import { type Children, h, type VNode } from "./dom";
import { ago, hex, number, signal, time, UNKNOWN } from "./format";
import { local, now, state } from "./store";

/** Outlines on a grid of 24. */
const ICONS = {
  map: "M12 4v6M12 10H6v4M12 10h6v4M12 2.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM6 14a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM18 14a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  nodes: "M4 5h16v5H4zM4 14h16v5H4zM8 7.5h.01M8 16.5h.01",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l1.5 2h-15zM10 20.5h4",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  chip: "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.8 1.8M17.2 17.2 19 19M19 5l-1.8 1.8M6.8 17.2 5 19",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20 20",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  down: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  back: "M15 5l-7 7 7 7",
  check: "M5 12.5l4.5 4.5L19 7.5",
  warning: "M12 4 2.5 20h19zM12 10v4.5M12 17.3h.01",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8h.01",
  off: "M5 5l14 14M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  close: "M6 6l12 12M18 6L6 18",
} as const;

export type IconName = keyof typeof ICONS;

export function icon(name: IconName): VNode {
  return h("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", { d: ICONS[name] }));
}

export function button(label: Children, onclick: () => void, props: Record<string, unknown> = {}): VNode {
  return h("button", { type: "button", class: "button", onclick, ...props }, label);
}

export function panel(title: string, tools: Children, ...children: Children[]): VNode {
  return h(
    "section",
    { class: "panel", "aria-label": title },
    h("div", { class: "panel-head" }, h("h2", null, title), h("div", { class: "tools" }, tools)),
    ...children,
  );
}

export function empty(name: IconName, title: string, text: string): VNode {
  return h("div", { class: "empty" }, icon(name), h("p", { class: "empty-title" }, title), h("p", null, text));
}

/** Grey bars where something will be. */
export function skeleton(rows: number): VNode {
  return h(
    "div",
    { class: "skeleton", "aria-hidden": "true" },
    Array.from({ length: rows }, () => h("div", { class: "bone" })),
  );
}

const PRESENCE_WORDS = { online: "online", stale: "late", lost: "lost" } as const;

export function presenceBadge(view: NodeView): VNode {
  return h("span", { class: `badge is-${view.presence}` }, h("i", { class: "dot" }), PRESENCE_WORDS[view.presence]);
}

export function nodeName(id: number): string {
  return state.nodes.get(id)?.name ?? hex(id);
}

export function nodeLink(id: number): VNode {
  return h("a", { href: `#/node/${id}`, class: "node-link" }, nodeName(id));
}

/** A moment in local time, with how long ago it was as its title. */
export function when(at: number): VNode | string {
  if (!at) return UNKNOWN;
  const here = local(at);
  return h("time", { datetime: new Date(here).toISOString(), title: ago(now() - at) }, time(here, Date.now()));
}

export function since(at: number): string {
  return at ? ago(now() - at) : "never";
}

/** Strength of the link to the parent, as bars and in decibel-milliwatts. */
export function signalBars(rssi: number): VNode {
  const band = signal(rssi);
  if (band === "none") return h("span", { class: "muted" }, UNKNOWN);
  const level = { good: 4, fair: 3, weak: 2, poor: 1 }[band];
  return h(
    "span",
    { class: `signal sig-${band}` },
    h(
      "svg",
      { viewBox: "0 0 18 14", class: "bars", "aria-hidden": "true" },
      [0, 1, 2, 3].map((i) =>
        h("rect", { x: i * 5, y: 10 - i * 3, width: 3, height: 4 + i * 3, rx: 1, class: i < level ? "on" : "" }),
      ),
    ),
    `${number(rssi)} dBm`,
  );
}

export interface SparkOptions {
  /** What it shows, for those who cannot see it. */
  label: string;
  width?: number;
  height?: number;
  /** The least that the scale spans, so that noise does not look like news. */
  least?: number;
}

export function sparkline(values: readonly number[], options: SparkOptions): VNode {
  const { width = 96, height = 26, least = 0 } = options;
  const known = values.filter((value) => Number.isFinite(value));
  if (known.length < 2) return h("span", { class: "spark-none", title: "Not enough values yet" }, "· · ·");
  let low = Math.min(...known);
  let high = Math.max(...known);
  const lack = least - (high - low);
  if (lack > 0) {
    low -= lack / 2;
    high += lack / 2;
  }
  const scale = (value: number): number => height - 3 - ((value - low) / (high - low || 1)) * (height - 6);
  const step = (width - 6) / Math.max(1, values.length - 1);
  let path = "";
  let pen = "M";
  let last = 0;
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    path += `${pen}${(3 + i * step).toFixed(1)} ${scale(value).toFixed(1)}`;
    pen = "L";
    last = i;
  });
  const words = `${options.label}: from ${number(Math.min(...known))} to ${number(Math.max(...known))}, now ${number(values[last])}`;
  return h(
    "svg",
    {
      class: "spark",
      viewBox: `0 0 ${width} ${height}`,
      style: `width:${width}px;height:${height}px`,
      role: "img",
      "aria-label": words,
    },
    h("path", { d: `${path}L${(3 + last * step).toFixed(1)} ${height}L3 ${height}Z`, class: "spark-area" }),
    h("path", { d: path, class: "spark-line" }),
    h("circle", { cx: (3 + last * step).toFixed(1), cy: scale(values[last]!).toFixed(1), r: 2, class: "spark-end" }),
  );
}

export function progress(percent: number, label: string, kind = ""): VNode {
  const value = Math.max(0, Math.min(100, Math.round(percent)));
  return h(
    "div",
    {
      class: `progress ${kind}`,
      role: "progressbar",
      "aria-label": label,
      "aria-valuenow": value,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    h("div", { class: "progress-bar", style: `width:${value}%` }),
  );
}

export function activeAlerts(): AlertView[] {
  const rank = { critical: 0, warning: 1, info: 2 };
  return [...state.alerts.values()]
    .filter((alert) => alert.state !== "resolved")
    .sort((a, b) => rank[a.severity] - rank[b.severity] || b.since - a.since);
}

/** Newest per key; one that fired again is in the map once for each time. */
export function resolvedAlerts(): AlertView[] {
  return [...state.alerts.values()]
    .filter((alert) => alert.state === "resolved")
    .sort((a, b) => (b.resolvedAt || b.since) - (a.resolvedAt || a.since));
}

export function nodeAlerts(id: number): AlertView[] {
  return activeAlerts().filter((alert) => alert.node === id && !alert.inhibitedBy && alert.state !== "pending");
}

export function sortedNodes(): NodeView[] {
  return [...state.nodes.values()].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}
