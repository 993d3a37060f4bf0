/** Firmware: who runs what, what an update would do, and how it is going. */
import { h, type VNode } from "./dom";
import { count } from "./format";
import { empty, nodeLink, panel, progress, skeleton } from "./parts";
import { rolloutPanel } from "./rollout-panel";
import { state } from "./store";
import { updateForm } from "./update-form";

function versions(): VNode {
  const groups = new Map<string, number[]>();
  for (const node of state.nodes.values()) {
    const name = node.version || "not known";
    groups.set(name, [...(groups.get(name) ?? []), node.id]);
  }
  const sorted = [...groups].sort(([a], [b]) => b.localeCompare(a, undefined, { numeric: true }));
  const total = state.nodes.size;
  return panel(
    "Versions in the mesh",
    null,
    !state.ready
      ? skeleton(3)
      : total === 0
        ? empty("chip", "No node was heard yet", "Versions come with the first telemetry.")
        : [
            h(
              "div",
              {
                class: "stacked",
                role: "img",
                "aria-label": sorted.map(([name, ids]) => `${name}: ${count(ids.length, "node")}`).join(", "),
              },
              sorted.map(([name, ids], i) =>
                h("div", { key: name, class: `share share-${i % 5}`, style: `width:${(ids.length / total) * 100}%` }),
              ),
            ),
            h(
              "ul",
              { class: "plain versions" },
              sorted.map(([name, ids], i) =>
                h(
                  "li",
                  { key: name },
                  h(
                    "details",
                    null,
                    h(
                      "summary",
                      null,
                      h("i", { class: `swatch share-${i % 5}` }),
                      h("strong", { class: "mono" }, name),
                      h("span", { class: "muted" }, ` ${count(ids.length, "node")}`),
                    ),
                    h(
                      "p",
                      { class: "node-list" },
                      ids.flatMap((id, j) => [j > 0 ? ", " : null, nodeLink(id)]),
                    ),
                  ),
                ),
              ),
            ),
          ],
  );
}

/** What nodes report of updates that somebody else pushes. */
function reported(): VNode | null {
  if (state.rollout) return null;
  const busy = [...state.nodes.values()].filter(
    ({ telemetry }) => telemetry && telemetry.updateState > 0 && telemetry.updateState < 6,
  );
  if (busy.length === 0) return null;
  return panel(
    "Updates that nodes report",
    null,
    h(
      "ul",
      { class: "plain" },
      busy.map(({ id, name, telemetry }) =>
        h("li", { key: id, class: "event" }, nodeLink(id), progress(telemetry!.updatePercent, `Progress of ${name}`)),
      ),
    ),
  );
}

export function firmwarePage(): VNode {
  const { rollout } = state;
  return h(
    "div",
    { class: "stack" },
    h("h1", null, "Firmware"),
    rollout && rolloutPanel(rollout),
    reported(),
    h("div", { class: "columns" }, updateForm(), versions()),
  );
}
