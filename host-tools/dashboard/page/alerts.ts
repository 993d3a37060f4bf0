/** Alerts: what is active, what was, and the word that somebody has seen it. */
import type { AlertView } from "../../gateway/fleet-view";
import { act } from "./actions";
import { h, type VNode } from "./dom";
import { count, number, span } from "./format";
import { activeAlerts, button, empty, icon, nodeLink, panel, resolvedAlerts, since, skeleton, when } from "./parts";
import { changed, now, post, state, toast } from "./store";

const view = { tab: "active" as "active" | "history", severity: "" };

const STATE_WORDS = { pending: "pending", firing: "firing", nodata: "no data", resolved: "resolved" } as const;

function acknowledge(alert: AlertView): void {
  void act(async () => {
    await post("/alerts/acknowledge", { key: alert.key });
    // A node's server tells all browsers, this one included; saying it here as well costs nothing.
    alert.acknowledged = true;
    toast("Acknowledged.");
  });
}

export function alertItem(alert: AlertView): VNode {
  const over = alert.state === "resolved";
  return h(
    "li",
    { key: `${alert.key} ${alert.since}`, class: `alert is-${over ? "resolved" : alert.severity}` },
    h("span", { class: "alert-icon" }, icon(over ? "check" : alert.severity === "info" ? "info" : "warning")),
    h(
      "div",
      { class: "alert-text" },
      h("p", { class: "alert-message" }, alert.node ? [nodeLink(alert.node), ": "] : null, alert.message),
      h(
        "p",
        { class: "muted small" },
        `${alert.severity}, ${STATE_WORDS[alert.state]}`,
        alert.value !== null &&
          alert.threshold !== null &&
          `, ${number(alert.value)} against a limit of ${number(alert.threshold)}`,
        over
          ? [`, lasted ${span((alert.resolvedAt - alert.since) / 1000)}, over `, when(alert.resolvedAt)]
          : [", since ", when(alert.since), ` (${span((now() - alert.since) / 1000)})`],
        alert.flapping && ", flapping",
        alert.inhibitedBy && `, muted by ${alert.inhibitedBy.split(":")[0]}`,
      ),
    ),
    over
      ? alert.acknowledged && h("span", { class: "badge" }, "was acknowledged")
      : alert.acknowledged
        ? h("span", { class: "badge" }, icon("check"), "acknowledged")
        : button("Acknowledge", () => acknowledge(alert), {
            class: "button small",
            "aria-label": `Acknowledge: ${alert.message}`,
          }),
  );
}

export function alertsPage(): VNode {
  const active = activeAlerts();
  const past = resolvedAlerts();
  const list = (view.tab === "active" ? active : past).filter(
    ({ severity }) => !view.severity || severity === view.severity,
  );
  const tab = (name: typeof view.tab, label: string) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": view.tab === name ? "true" : "false",
        onclick: () => {
          view.tab = name;
          changed();
        },
      },
      label,
    );
  const filter = h(
    "label",
    null,
    h("span", { class: "hidden" }, "Severity"),
    h(
      "select",
      {
        value: view.severity,
        onchange: (event: Event) => {
          view.severity = (event.target as HTMLSelectElement).value;
          changed();
        },
      },
      h("option", { value: "" }, "All severities"),
      ["critical", "warning", "info"].map((value) => h("option", { value }, value)),
    ),
  );
  const none =
    view.tab === "active"
      ? empty("check", "No alert is active", "Rules watch memory, signal, loss, restarts and silence of each node.")
      : empty(
          "bell",
          "No alert has ended yet",
          `What is resolved is kept for ${state.info?.server === "esp32" ? "as long as its flash has room" : "a month"}.`,
        );
  return h(
    "div",
    { class: "stack" },
    h("h1", null, "Alerts"),
    panel(
      view.tab === "active" ? count(active.length, "active alert") : "History",
      [
        h(
          "div",
          { class: "segments", role: "group", "aria-label": "Which alerts" },
          tab("active", `Active (${active.length})`),
          tab("history", "History"),
        ),
        filter,
      ],
      !state.ready
        ? skeleton(5)
        : list.length === 0
          ? none
          : h("ul", { class: "alerts" }, list.slice(0, 200).map(alertItem)),
    ),
  );
}

const EVENT_WORDS: Record<string, string> = {
  "node-joined": "joined",
  "node-left": "left",
  restart: "restart",
  version: "version",
  alert: "alert",
  topology: "topology",
  rollout: "rollout",
  note: "note",
};

const log = { kind: "", search: "" };

export function eventsPage(): VNode {
  const text = log.search.trim().toLowerCase();
  const list = [...state.events]
    .reverse()
    .sort((a, b) => b.at - a.at)
    .filter(({ kind }) => !log.kind || kind === log.kind)
    .filter(
      (event) => !text || `${event.text} ${state.nodes.get(event.node)?.name ?? ""}`.toLowerCase().includes(text),
    );
  const tools = [
    h(
      "label",
      { class: "search" },
      icon("search"),
      h("span", { class: "hidden" }, "Filter events"),
      h("input", {
        type: "search",
        placeholder: "Node or text",
        value: log.search,
        oninput: (event: Event) => {
          log.search = (event.target as HTMLInputElement).value;
          changed();
        },
      }),
    ),
    h(
      "label",
      null,
      h("span", { class: "hidden" }, "Kind of event"),
      h(
        "select",
        {
          value: log.kind,
          onchange: (event: Event) => {
            log.kind = (event.target as HTMLSelectElement).value;
            changed();
          },
        },
        h("option", { value: "" }, "All kinds"),
        Object.entries(EVENT_WORDS).map(([value, word]) => h("option", { value }, word)),
      ),
    ),
  ];
  return h(
    "div",
    { class: "stack" },
    h("h1", null, "Events"),
    panel(
      count(list.length, "event"),
      tools,
      !state.ready
        ? skeleton(6)
        : list.length === 0
          ? empty(
              "list",
              "No events",
              state.events.length > 0
                ? "Nothing matches the filter."
                : "Joins, restarts, new versions and alerts are written down here.",
            )
          : h(
              "ol",
              { class: "log", tabindex: 0, "aria-label": "Events, newest first" },
              list
                .slice(0, 300)
                .map((event) =>
                  h(
                    "li",
                    { key: `${event.at} ${event.kind} ${event.node} ${event.text}` },
                    h("span", { class: "mono nowrap" }, when(event.at)),
                    h("span", { class: `tag tag-${event.kind}` }, EVENT_WORDS[event.kind] ?? event.kind),
                    h("span", { class: "log-text" }, event.node ? [nodeLink(event.node), " "] : null, event.text),
                    h("span", { class: "muted nowrap" }, since(event.at)),
                  ),
                ),
            ),
    ),
  );
}
