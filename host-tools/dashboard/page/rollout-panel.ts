/** How a rollout is going: figures, waves, nodes, and what can be done. */
import type { RolloutState, RolloutView, RolloutWave } from "../../gateway/fleet-view";
import { type Children, h, type VNode } from "./dom";
import { bytes, number, span, UNKNOWN } from "./format";
import { icon, nodeLink, panel, progress, when } from "./parts";
import { actions } from "./rollout-actions";
import { FINISHED, nodeTable } from "./rollout-nodes";
import { now, state } from "./store";

const STATE_WORDS: Record<RolloutState, string> = {
  preview: "preview",
  running: "running",
  paused: "paused",
  "waiting-approval": "waiting for approval",
  aborting: "aborting",
  "rolling-back": "rolling back",
  done: "done",
  aborted: "aborted",
  failed: "failed",
};

function waves(rollout: RolloutView): VNode {
  return h(
    "ol",
    { class: "waves", "aria-label": "Waves" },
    rollout.waves.map((wave: RolloutWave) => {
      const rows = rollout.nodes.filter(({ node }) => wave.nodes.includes(node));
      const done = rows.filter(({ state: s }) => FINISHED.has(s)).length;
      const soaking = wave.state === "soaking" ? `, watched for another ${span((wave.soakUntil - now()) / 1000)}` : "";
      return h(
        "li",
        { key: wave.name, class: `wave is-${wave.state}` },
        h("span", { class: "wave-name" }, wave.name),
        h("span", { class: "muted small" }, `${done} of ${wave.nodes.length}, ${wave.state}${soaking}`),
        progress(rows.length === 0 ? 0 : (done / rows.length) * 100, `Wave ${wave.name}`),
        wave.verdict && h("span", { class: "small" }, wave.verdict),
      );
    }),
  );
}

function previewLists({ preview }: RolloutView): VNode {
  const list = (title: string, ids: number[], text: string) =>
    h(
      "details",
      { class: "preview-list" },
      h("summary", null, h("strong", null, number(ids.length)), ` ${title}`),
      h("p", { class: "muted small" }, text),
      ids.length > 0 &&
        h(
          "p",
          { class: "node-list" },
          ids.flatMap((id, i) => [i > 0 ? ", " : null, nodeLink(id)]),
        ),
    );
  return h(
    "div",
    { class: "preview" },
    list("would be updated", preview.update, "They are online and take this image."),
    list("run it already", preview.current, "Nothing is sent to them."),
    list("offline", preview.offline, "They are skipped, and can be retried later."),
    list("do not fit", preview.incompatible, "Another chip or another role."),
  );
}

export function rolloutPanel(rollout: RolloutView): VNode {
  const running = rollout.nodes.filter(({ state: s }) => FINISHED.has(s)).length;
  const total = rollout.nodes.length;
  const ratio = rollout.lowerBound > 0 && rollout.transmissions > 0 ? rollout.transmissions / rollout.lowerBound : null;
  const end = rollout.endedAt || now();
  const fact = (name: string, value: Children, note = "") =>
    h(
      "div",
      { class: "fact" },
      h("span", { class: "metric-name" }, name),
      h("span", { class: "metric-value" }, value),
      note && h("span", { class: "muted small" }, note),
    );
  return panel(
    `Rollout of ${rollout.image.version}`,
    h("span", { class: `badge state-${rollout.state}`, role: "status" }, STATE_WORDS[rollout.state]),
    h(
      "div",
      { class: "facts-row" },
      fact(
        rollout.state === "preview" ? "Would update" : "Run the new version",
        rollout.state === "preview"
          ? `${rollout.preview.update.length} of ${state.nodes.size}`
          : `${running} of ${total}`,
        "as nodes report",
      ),
      fact(
        "Transmissions to bound",
        ratio === null ? UNKNOWN : `${number(Math.round(ratio * 100) / 100)} ×`,
        rollout.transmissions > 0
          ? `${number(rollout.transmissions)} sent, ${rollout.lowerBound > 0 ? number(rollout.lowerBound) : UNKNOWN} at least`
          : "not counted here",
      ),
      fact(
        "Time",
        rollout.startedAt ? span((end - rollout.startedAt) / 1000) : UNKNOWN,
        rollout.startedAt ? "" : "not started",
      ),
      fact("Image", bytes(rollout.image.bytes), `${rollout.image.hardware}, ${rollout.policy}, ${rollout.transport}`),
    ),
    h(
      "div",
      { class: "total" },
      progress(total ? (running / total) * 100 : 0, "Nodes that run the new version", "big"),
    ),
    rollout.reason && h("p", { class: `note is-${rollout.state}` }, icon("info"), rollout.reason),
    h("div", { class: "row" }, actions(rollout)),
    rollout.state === "preview" && previewLists(rollout),
    rollout.image.notes &&
      h(
        "details",
        { class: "changelog", open: rollout.state === "preview" },
        h("summary", null, "Changelog"),
        h("pre", null, rollout.image.notes),
      ),
    rollout.waves.length > 0 && waves(rollout),
    total > 0 && nodeTable(rollout.nodes),
    rollout.startedAt > 0 &&
      h(
        "p",
        { class: "muted small" },
        "Started ",
        when(rollout.startedAt),
        rollout.endedAt ? [", ended ", when(rollout.endedAt)] : null,
        ".",
      ),
  );
}
