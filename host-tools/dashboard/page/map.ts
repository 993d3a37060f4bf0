/** The mesh as a map: tree or forces, links by quality, search, collapse, zoom; usable without a mouse. */
import type { NodeView } from "../../gateway/fleet-view";
import { h, type VNode } from "./dom";
import { count, hex, number, signal } from "./format";
import { descendants, forceLayout, type Layout, type Tree, treeLayout, treeOf } from "./layout";
import {
  button,
  empty,
  icon,
  nodeAlerts,
  nodeName,
  panel,
  presenceBadge,
  signalBars,
  since,
  skeleton,
  sparkline,
} from "./parts";
import { changed, state } from "./store";

const view = {
  kind: "tree" as "tree" | "force",
  collapsed: new Set<number>(),
  search: "",
  selected: 0,
  hover: 0,
  /** Zoom over the fitted size, and the middle in map units away from the fitted middle. */
  zoom: 1,
  panX: 0,
  panY: 0,
  width: 900,
  height: 560,
};

let cached: { key: string; tree: Tree; layout: Layout } | null = null;

function place(nodes: { id: number; parent: number }[]): { tree: Tree; layout: Layout } {
  const key = `${view.kind}|${view.width}|${nodes.map(({ id, parent }) => `${id}<${parent}`).join()}|${[...view.collapsed].join()}`;
  if (cached?.key !== key) {
    const tree = treeOf(nodes, view.collapsed);
    cached = { key, tree, layout: view.kind === "tree" ? treeLayout(tree, view.width) : forceLayout(tree) };
  }
  return cached;
}

function matches(node: NodeView): boolean {
  const text = view.search.trim().toLowerCase();
  return (
    text !== "" &&
    [node.name, hex(node.id), String(node.id), node.version, node.role, node.presence].some((value) =>
      value.toLowerCase().includes(text),
    )
  );
}

function scaleOf(layout: Layout): number {
  return Math.min(1.25, view.width / layout.width, view.height / layout.height) * view.zoom;
}

function zoomBy(factor: number): void {
  view.zoom = Math.max(0.5, Math.min(8, view.zoom * factor));
  changed();
}

function fit(): void {
  view.zoom = 1;
  view.panX = view.panY = 0;
  changed();
}

const pointers = new Map<number, { x: number; y: number }>();
let moved = 0;

function pointerDown(event: PointerEvent): void {
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  moved = 0;
}

function pointerMove(event: PointerEvent): void {
  const from = pointers.get(event.pointerId);
  if (!from || !cached) return;
  const before = [...pointers.values()].map(({ x, y }) => ({ x, y }));
  const dx = event.clientX - from.x;
  const dy = event.clientY - from.y;
  moved += Math.abs(dx) + Math.abs(dy);
  if (moved < 5) return;
  (event.currentTarget as Element).setPointerCapture(event.pointerId);
  from.x = event.clientX;
  from.y = event.clientY;
  if (pointers.size === 2) {
    const [a, b] = [...pointers.values()] as [{ x: number; y: number }, { x: number; y: number }];
    const [c, d] = before as [{ x: number; y: number }, { x: number; y: number }];
    zoomBy(Math.hypot(a.x - b.x, a.y - b.y) / (Math.hypot(c.x - d.x, c.y - d.y) || 1));
    return;
  }
  const scale = scaleOf(cached.layout);
  view.panX -= dx / scale;
  view.panY -= dy / scale;
  changed();
}

function pointerUp(event: PointerEvent): void {
  pointers.delete(event.pointerId);
}

function wheel(event: WheelEvent): void {
  // The page scrolls past the map; Ctrl and a trackpad's pinch zoom.
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 300));
}

/** The nearest node in the direction of an arrow key. */
function neighbour(id: number, key: string): number {
  if (!cached) return id;
  const { places } = cached.layout;
  const from = places.get(id);
  if (!from) return id;
  const [ux, uy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] as [
    number,
    number,
  ];
  let best = id;
  let least = Infinity;
  for (const [other, { x, y }] of places) {
    const along = (x - from.x) * ux + (y - from.y) * uy;
    const across = Math.abs((x - from.x) * uy) + Math.abs((y - from.y) * ux);
    if (other === id || along <= 0.5) continue;
    const cost = along + across * 2.5;
    if (cost < least) {
      least = cost;
      best = other;
    }
  }
  return best;
}

function focusNode(id: number): void {
  view.selected = id;
  changed();
  requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById(`map-${id}`)?.focus()));
}

function toggle(id: number): void {
  if (!view.collapsed.delete(id)) view.collapsed.add(id);
  changed();
}

function keyOnNode(id: number, event: KeyboardEvent): void {
  if (event.key.startsWith("Arrow")) {
    event.preventDefault();
    focusNode(neighbour(id, event.key));
  } else if (event.key === "Enter") {
    location.hash = `#/node/${id}`;
  } else if (event.key === " ") {
    event.preventDefault();
    toggle(id);
  } else if (event.key === "+" || event.key === "-") zoomBy(event.key === "+" ? 1.3 : 1 / 1.3);
}

const UPDATING = new Set([1, 2, 3, 4]);

function nodeClass(node: NodeView): string {
  const alerts = nodeAlerts(node.id);
  const worst = alerts.some(({ severity }) => severity === "critical")
    ? "critical"
    : alerts.length > 0
      ? "warning"
      : "";
  return node.presence !== "online" ? `is-${node.presence}` : worst ? `is-${worst}` : "is-online";
}

function describe(node: NodeView, below: number): string {
  const t = node.telemetry;
  const parts = [
    node.name,
    node.presence === "stale" ? "late" : node.presence,
    node.hops >= 0 ? count(node.hops, "hop") : "",
    t && t.rssi ? `signal ${t.rssi} dBm, ${signal(t.rssi)}` : "",
    node.version && `version ${node.version}`,
    below > 0 ? `${count(below, "node")} below${view.collapsed.has(node.id) ? ", collapsed" : ""}` : "",
    ...nodeAlerts(node.id).map(({ message }) => message),
  ];
  return parts.filter(Boolean).join(", ");
}

function drawLink(tree: Tree, layout: Layout, id: number, child: number): VNode {
  const a = layout.places.get(id)!;
  const b = layout.places.get(child)!;
  const node = state.nodes.get(child);
  const band = node?.presence === "lost" ? "lost" : signal(node?.telemetry?.rssi ?? 0);
  const level = view.kind === "tree" && b.angle === null;
  const middle = (a.x + b.x) / 2;
  const path = level
    ? `M${a.x} ${a.y}C${middle} ${a.y} ${middle} ${b.y} ${b.x} ${b.y}`
    : `M${a.x.toFixed(1)} ${a.y.toFixed(1)}L${b.x.toFixed(1)} ${b.y.toFixed(1)}`;
  const near = view.hover === id || view.hover === child || view.selected === child || view.selected === id;
  return h("path", { key: `l${child}`, d: path, class: `link sig-${band}${near ? " near" : ""}` });
}

function drawNode(node: NodeView, tree: Tree, layout: Layout, below: number, scale: number, first: number): VNode {
  const { x, y, angle } = layout.places.get(node.id)!;
  const root = state.topology?.root === node.id || node.role === "root";
  const grow = Math.min(2.2, Math.max(1, 0.75 / scale));
  const radius = grow * (root ? 11 : (tree.children.get(node.id)?.length ?? 0) > 0 ? 9 : 7);
  const found = matches(node);
  const dim = view.search.trim() !== "" && !found;
  const chosen = view.selected === node.id;
  const leaf = (tree.children.get(node.id)?.length ?? 0) === 0;
  const labelled =
    scale > 0.62 ||
    (angle !== null && leaf && scale > 0.35) ||
    root ||
    chosen ||
    found ||
    view.hover === node.id ||
    node.presence !== "online";
  const t = node.telemetry;
  const updating = t && UPDATING.has(t.updateState);
  const turned = angle !== null && Math.cos(angle) < 0;
  const degrees = angle === null ? 0 : (angle * 180) / Math.PI + (turned ? 180 : 0);
  const gap = radius + 6 * grow;
  const beside = angle !== null || view.kind === "tree";
  // Where there are links to the right, the label stands above them.
  const open = angle === null && (tree.children.get(node.id)?.length ?? 0) > 0;
  const size = Math.max(11, Math.min(20, 11 / scale));
  const circle = 2 * Math.PI * (radius + 4);
  return h(
    "g",
    {
      key: node.id,
      id: `map-${node.id}`,
      class: `map-node ${nodeClass(node)}${chosen ? " chosen" : ""}${dim ? " dim" : ""}${found ? " found" : ""}`,
      style: `transform:translate(${x.toFixed(1)}px,${y.toFixed(1)}px)`,
      role: "button",
      tabindex: (view.selected || first) === node.id ? 0 : -1,
      "aria-label": describe(node, below),
      "aria-pressed": chosen ? "true" : "false",
      onclick: () => {
        if (moved >= 5) return;
        view.selected = chosen ? 0 : node.id;
        changed();
      },
      ondblclick: () => (location.hash = `#/node/${node.id}`),
      onkeydown: (event: KeyboardEvent) => keyOnNode(node.id, event),
      onmouseenter: () => {
        view.hover = node.id;
        changed();
      },
      onmouseleave: () => {
        view.hover = 0;
        changed();
      },
    },
    h("circle", { r: 16, class: "map-touch" }),
    updating &&
      h("circle", {
        r: radius + 4,
        class: "map-progress",
        "stroke-dasharray": `${((circle * t.updatePercent) / 100).toFixed(1)} ${circle.toFixed(1)}`,
        transform: "rotate(-90)",
      }),
    root
      ? h("rect", { x: -radius, y: -radius, width: radius * 2, height: radius * 2, rx: 5, class: "map-dot" })
      : h("circle", { r: radius, class: "map-dot" }),
    node.presence === "lost" && h("path", { d: "M-3 -3L3 3M3 -3L-3 3", class: "map-cross" }),
    view.collapsed.has(node.id) &&
      below > 0 &&
      h(
        "g",
        null,
        h("rect", { x: radius + 2, y: -8, width: 26, height: 16, rx: 8, class: "map-more" }),
        h("text", { x: radius + 15, y: 4, class: "map-count" }, `+${below}`),
      ),
    labelled &&
      h(
        "text",
        {
          class: "map-label",
          "font-size": size.toFixed(1),
          transform: degrees ? `rotate(${degrees.toFixed(1)})` : null,
          x: !beside || open ? 0 : view.collapsed.has(node.id) && below > 0 ? gap + 28 : turned ? -gap : gap,
          y: open ? -gap : beside ? size * 0.35 : gap + size * 0.8,
          "text-anchor": !beside || open ? "middle" : turned ? "end" : "start",
        },
        node.name,
      ),
  );
}

function card(id: number, below: number): VNode | null {
  const node = state.nodes.get(id);
  if (!node) return null;
  const t = node.telemetry;
  const row = (name: string, value: VNode | string) => [h("dt", null, name), h("dd", null, value)];
  const sparks = state.sparks.get(id) ?? [];
  return h(
    "aside",
    { class: "map-card", "aria-label": `About ${node.name}` },
    h("div", { class: "map-card-head" }, h("strong", null, node.name), presenceBadge(node)),
    h(
      "dl",
      { class: "facts" },
      row("Parent", node.parent ? nodeName(node.parent) : "none"),
      row("Signal", signalBars(t?.rssi ?? 0)),
      row("Memory free", t ? `${number((t.memoryFree / (t.memoryTotal || 1)) * 100)} %` : "not known"),
      row("Version", node.version || "not known"),
      row("Heard", since(node.heardAt)),
    ),
    sparkline(
      sparks.map(({ memory }) => memory),
      { label: "Memory free, variables", width: 196, height: 30, least: 100 },
    ),
    ...nodeAlerts(id).map(({ message, severity }) =>
      h("p", { class: `map-alert is-${severity}` }, icon("warning"), message),
    ),
    view.selected === id &&
      h(
        "div",
        { class: "row" },
        h("a", { class: "button primary", href: `#/node/${id}` }, "Open"),
        below > 0 && button(view.collapsed.has(id) ? `Show ${below} below` : `Hide ${below} below`, () => toggle(id)),
      ),
  );
}

function measure(element: HTMLElement): void {
  const { clientWidth, clientHeight } = element;
  if (clientWidth === 0 || (clientWidth === view.width && clientHeight === view.height)) return;
  view.width = clientWidth;
  view.height = clientHeight;
  changed();
}

const observers = new WeakMap<HTMLElement, ResizeObserver>();

export function mapPanel(): VNode {
  const nodes = [...state.nodes.values()];
  const tools = [
    h(
      "label",
      { class: "search" },
      icon("search"),
      h("span", { class: "hidden" }, "Find on the map"),
      h("input", {
        type: "search",
        placeholder: "Find a node",
        value: view.search,
        oninput: (event: Event) => {
          view.search = (event.target as HTMLInputElement).value;
          changed();
        },
      }),
    ),
    h(
      "div",
      { class: "segments", role: "group", "aria-label": "Layout" },
      (["tree", "force"] as const).map((kind) =>
        h(
          "button",
          {
            type: "button",
            "aria-pressed": view.kind === kind ? "true" : "false",
            onclick: () => {
              view.kind = kind;
              fit();
            },
          },
          kind === "tree" ? "Tree" : "Forces",
        ),
      ),
    ),
  ];
  if (nodes.length === 0) {
    const inside = state.ready
      ? empty(
          "map",
          "No node was heard yet",
          "Nodes appear here with their first telemetry, within a minute of joining.",
        )
      : skeleton(6);
    return panel("Mesh map", tools, inside);
  }
  const { tree, layout } = place(nodes.map(({ id, parent }) => ({ id, parent })));
  const below = descendants(nodes);
  const scale = scaleOf(layout);
  const width = view.width / scale;
  const height = view.height / scale;
  const left = layout.left + layout.width / 2 - width / 2 + view.panX;
  const top = layout.top + layout.height / 2 - height / 2 + view.panY;
  const shown = new Set(tree.order);
  const found = nodes.filter(matches);
  const hidden = found.filter(({ id }) => !shown.has(id));
  const about = view.hover || view.selected;
  return panel(
    "Mesh map",
    tools,
    h(
      "div",
      {
        key: "map",
        class: `map${nodes.length > 40 ? " tall" : ""}`,
        hook: {
          mount(element) {
            const observer = new ResizeObserver(() => measure(element));
            observer.observe(element);
            observers.set(element, observer);
            element.addEventListener("wheel", wheel, { passive: false });
          },
          unmount: (element) => observers.get(element)?.disconnect(),
        },
      },
      h(
        "svg",
        {
          viewBox: `${left.toFixed(1)} ${top.toFixed(1)} ${width.toFixed(1)} ${height.toFixed(1)}`,
          role: "group",
          "aria-label": `Map of ${count(nodes.length, "node")}. Arrow keys move between nodes, Enter opens one, Space hides what is below it.`,
          onpointerdown: pointerDown,
          onpointermove: pointerMove,
          onpointerup: pointerUp,
          onpointercancel: pointerUp,
          onpointerleave: pointerUp,
        },
        h(
          "g",
          null,
          [...tree.children].flatMap(([id, children]) => children.map((child) => drawLink(tree, layout, id, child))),
        ),
        h(
          "g",
          null,
          tree.order.map((id) =>
            drawNode(state.nodes.get(id)!, tree, layout, below.get(id) ?? 0, scale, tree.order[0]!),
          ),
        ),
      ),
      h(
        "div",
        { class: "map-zoom", role: "group", "aria-label": "Zoom" },
        button(icon("plus"), () => zoomBy(1.4), { "aria-label": "Zoom in", class: "button square" }),
        button(icon("minus"), () => zoomBy(1 / 1.4), { "aria-label": "Zoom out", class: "button square" }),
        button(icon("fit"), fit, { "aria-label": "Show all", class: "button square" }),
      ),
      about ? card(about, below.get(about) ?? 0) : null,
    ),
    h(
      "div",
      { class: "legend" },
      h("span", null, h("i", { class: "line sig-good" }), "good, −60 dBm or more"),
      h("span", null, h("i", { class: "line sig-fair" }), "fair"),
      h("span", null, h("i", { class: "line sig-weak" }), "weak, under −70 dBm"),
      h("span", null, h("i", { class: "line sig-poor" }), "poor, under −80 dBm"),
      view.search.trim() !== "" &&
        h(
          "span",
          { role: "status" },
          `${count(found.length, "match", "matches")}${hidden.length > 0 ? `, ${hidden.length} hidden` : ""}`,
        ),
      view.collapsed.size > 0 &&
        button(
          `Show all ${nodes.length} nodes`,
          () => {
            view.collapsed.clear();
            changed();
          },
          { class: "button small" },
        ),
    ),
  );
}
