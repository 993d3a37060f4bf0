/** The page: navigation around the views, connection, dialogs, theme. */
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { closeDialog, dialog } from "./actions";
import { alertsPage, eventsPage } from "./alerts";
import { repaintCharts } from "./charts";
import { h, render, type VNode } from "./dom";
import { firmwarePage } from "./firmware";
import { count } from "./format";
import { nodePage } from "./node";
import { nodesPage } from "./nodes";
import { overview } from "./overview";
import { activeAlerts, button, icon, type IconName } from "./parts";
import { changed, connect, loadSparks, onChanged, setToken, state, takeToken } from "./store";

const THEME_KEY = "espalier-theme";

const PLACES: { path: string; label: string; symbol: IconName }[] = [
  { path: "", label: "Overview", symbol: "map" },
  { path: "nodes", label: "Nodes", symbol: "nodes" },
  { path: "alerts", label: "Alerts", symbol: "bell" },
  { path: "events", label: "Events", symbol: "list" },
  { path: "firmware", label: "Firmware", symbol: "chip" },
];

function path(): string[] {
  return location.hash.replace(/^#\/?/, "").split("/");
}

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function dark(): boolean {
  return document.documentElement.dataset.theme === "dark";
}

/** What was chosen here before, or what the system has. */
function applyTheme(): void {
  const chosen = localStorage.getItem(THEME_KEY);
  const usable = chosen === "dark" || chosen === "light";
  document.documentElement.dataset.theme = usable ? chosen : prefersDark.matches ? "dark" : "light";
}

function switchTheme(): void {
  localStorage.setItem(THEME_KEY, dark() ? "light" : "dark");
  repaint();
}

function repaint(): void {
  applyTheme();
  repaintCharts();
  changed();
}

function connection(): VNode {
  const [kind, text] =
    state.connection === "live"
      ? ["is-online", "live"]
      : state.connection === "lost"
        ? ["is-lost", "connection lost"]
        : ["is-stale", "connecting"];
  return h("span", { class: `badge ${kind}`, role: "status" }, h("i", { class: "dot" }), text);
}

function nav(current: string): VNode {
  const open = activeAlerts().filter(
    (alert) => !alert.acknowledged && !alert.inhibitedBy && alert.state !== "pending",
  ).length;
  const where = current === "node" ? "nodes" : current;
  return h(
    "nav",
    { class: "nav", "aria-label": "Main" },
    PLACES.map(({ path: to, label, symbol }) =>
      h(
        "a",
        { href: `#/${to}`, class: "nav-item", "aria-current": where === to ? "page" : null },
        icon(symbol),
        h("span", null, label),
        to === "alerts" &&
          open > 0 &&
          h("span", { class: "nav-count", "aria-label": `${open} not acknowledged` }, open > 99 ? "99+" : open),
      ),
    ),
  );
}

let returnTo: HTMLElement | null = null;

function modal(): VNode | null {
  const { open } = dialog;
  if (!open) return null;
  return h(
    "dialog",
    {
      class: "dialog",
      key: open.title,
      "aria-labelledby": "dialog-title",
      "aria-describedby": "dialog-text",
      hook: {
        mount(element) {
          returnTo = document.activeElement as HTMLElement | null;
          queueMicrotask(() => element.isConnected && (element as HTMLDialogElement).showModal());
        },
        unmount: () => returnTo?.focus(),
      },
      oncancel: (event: Event) => {
        event.preventDefault();
        closeDialog();
      },
    },
    h(
      "form",
      {
        method: "dialog",
        onsubmit: (event: Event) => {
          event.preventDefault();
          if (open.wantsToken) {
            const input = (event.target as HTMLFormElement).elements.namedItem("token") as HTMLInputElement;
            setToken(input.value.trim().replace(/^.*token=/, ""));
          }
          closeDialog();
          open.then();
        },
      },
      h("h2", { id: "dialog-title" }, open.title),
      h("p", { id: "dialog-text" }, open.text),
      open.wantsToken &&
        h(
          "label",
          { class: "field" },
          "Token",
          h("input", { name: "token", type: "password", autocomplete: "off", required: true }),
        ),
      h(
        "div",
        { class: "row end" },
        button("Cancel", closeDialog),
        h("button", { type: "submit", class: `button ${open.danger ? "danger" : "primary"}` }, open.go),
      ),
    ),
  );
}

function banner(): VNode | null {
  if (state.connection === "live") return null;
  const seconds = Math.max(1, Math.ceil((state.retryAt - performance.now()) / 1000));
  if (state.connection === "lost") {
    return h(
      "div",
      { class: "banner", role: "alert" },
      icon("warning"),
      `The connection to the server is lost. What you see is from before; next try in ${seconds} s.`,
    );
  }
  return state.retryAt > 0
    ? h(
        "div",
        { class: "banner", role: "alert" },
        icon("warning"),
        `The server does not answer; next try in ${seconds} s.`,
      )
    : null;
}

function app(): VNode {
  const [current = "", id = ""] = path();
  const views: Record<string, () => VNode> = {
    "": overview,
    nodes: nodesPage,
    node: () => nodePage(Number(id)),
    alerts: alertsPage,
    events: eventsPage,
    firmware: firmwarePage,
  };
  const known = views[current] ? current : "";
  const title = PLACES.find((place) => place.path === known)?.label ?? state.nodes.get(Number(id))?.name ?? "Node";
  document.title = `${title} · ${state.info?.mesh || "Espalier"}`;
  return h(
    "div",
    { class: "shell" },
    h(
      "a",
      {
        class: "skip",
        href: "#main",
        onclick: (event: Event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        },
      },
      "Skip to content",
    ),
    h(
      "header",
      { class: "top" },
      h(
        "a",
        { class: "brand", href: "#/" },
        h(
          "svg",
          { class: "logo", viewBox: "0 0 32 32", "aria-hidden": "true" },
          h("rect", { width: 32, height: 32, rx: 7 }),
          h("path", { d: "M16 26V8M16 20H8v-6M16 20h8v-6M16 13h-5V8M16 13h5V8" }),
        ),
        h("span", null, "Espalier"),
        state.info && h("span", { class: "mesh-name" }, state.info.mesh),
      ),
      h(
        "div",
        { class: "top-end" },
        connection(),
        button(icon(dark() ? "sun" : "moon"), switchTheme, {
          class: "button square",
          "aria-label": dark() ? "Light colours" : "Dark colours",
        }),
      ),
    ),
    nav(known),
    h(
      "main",
      { id: "main", tabindex: -1 },
      banner(),
      h("div", { key: `${known}/${id}`, class: "view" }, views[known]!()),
    ),
    h(
      "div",
      { class: `toast ${state.toastKind}${state.toast ? " shown" : ""}`, role: "status", "aria-live": "polite" },
      state.toast,
    ),
    modal(),
  );
}

applyTheme();
takeToken();
const root = document.getElementById("app")!;
let seeded = false;
onChanged(() => {
  if (state.ready && !seeded) {
    seeded = true;
    void loadSparks();
    performance.mark("espalier-ready");
  }
  render(root, app());
});
addEventListener("hashchange", () => {
  takeToken();
  scrollTo(0, 0);
  changed();
});
prefersDark.addEventListener("change", repaint);
// Spans such as "12 s ago" grow by themselves.
setInterval(changed, 1000);
connect();
changed();

// For those who look from outside (tests, the console of a browser).
Object.assign(window, { espalier: { state, count } });
