/** Firmware: who runs what, what an update would do, and how it is going. */
import type { RolloutNode, RolloutState, RolloutView, RolloutWave } from "../../gateway/fleet-view";
import type { ImageChoice, PreviewRequest } from "../api";
import { act, ask } from "./actions";
import { type Child, type Children, h, type VNode } from "./dom";
import { bytes, count, number, span, UNKNOWN } from "./format";
import { button, empty, icon, nodeLink, nodeName, panel, progress, skeleton, when } from "./parts";
import { changed, get, now, post, state, toast } from "./store";

const view = {
  images: null as ImageChoice[] | null,
  error: "",
  asked: false,
  image: "",
  policy: "progressive" as PreviewRequest["policy"],
  transport: "broadcast" as PreviewRequest["transport"],
  filter: "",
};

async function loadImages(): Promise<void> {
  view.asked = true;
  try {
    view.images = (await get<{ images: ImageChoice[] }>("/images")).images;
    view.image ||= view.images[0]?.id ?? "";
    view.error = "";
  } catch (error) {
    view.error = error instanceof Error ? error.message : "no answer";
  }
  changed();
}

function call(path: string, body: object = {}, done = ""): void {
  void act(async () => {
    const result = await post<{ rollout: RolloutView; tooLate?: number[] }>(`/rollout/${path}`, body);
    state.rollout = result.rollout;
    const late = result.tooLate ?? [];
    if (late.length > 0) toast(`Too late to stop ${late.map(nodeName).join(", ")}: restarting into the image already.`);
    else if (done) toast(done);
  });
}

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

const OVER: readonly RolloutState[] = ["done", "aborted", "failed", "preview"];

function radio(name: string, value: string, current: string, title: string, text: Children, pick: () => void): VNode {
  return h(
    "label",
    { class: `choice${current === value ? " chosen" : ""}` },
    h("input", { type: "radio", name, value, checked: current === value, onchange: pick }),
    h("span", null, h("strong", null, title), h("span", { class: "muted small block" }, text)),
  );
}

function chooser(): VNode {
  if (state.info && !state.info.rollouts) {
    return panel(
      "Update",
      null,
      empty(
        "chip",
        "Updates start from a computer",
        "This server shows what nodes run and how an update goes. To start one, use “espalier dashboard” or “espalier push”.",
      ),
    );
  }
  if (state.ready && !view.asked) void loadImages();
  const busy = state.rollout !== null && !OVER.includes(state.rollout.state);
  let inside: Children;
  if (view.error)
    inside = [
      empty("warning", "Images could not be listed", `The server said: ${view.error}.`),
      button("Try again", () => void loadImages()),
    ];
  else if (!view.images) inside = skeleton(4);
  else if (view.images.length === 0)
    inside = empty(
      "chip",
      "No image to install",
      "Start the dashboard with --image, or with the application that the nodes shall run.",
    );
  else {
    const set =
      <K extends keyof typeof view>(key: K, value: (typeof view)[K]) =>
      () => {
        view[key] = value;
        changed();
      };
    inside = h(
      "form",
      {
        class: "chooser",
        onsubmit: (event: Event) => {
          event.preventDefault();
          call(
            "preview",
            { image: view.image, policy: view.policy, transport: view.transport },
            "Preview is ready. Nothing has been sent.",
          );
        },
      },
      h(
        "fieldset",
        null,
        h("legend", null, "Image"),
        view.images.map((image) =>
          radio(
            "image",
            image.id,
            view.image,
            `${image.version} for ${image.hardware}, role ${image.role}`,
            [bytes(image.bytes), image.notes ? h("span", { class: "notes" }, image.notes) : null],
            set("image", image.id),
          ),
        ),
      ),
      h(
        "fieldset",
        null,
        h("legend", null, "Policy"),
        radio(
          "policy",
          "progressive",
          view.policy,
          "Progressive",
          "one node, then a few, then all; a health check between",
          set("policy", "progressive"),
        ),
        radio("policy", "all", view.policy, "All at once", "every node that takes the image", set("policy", "all")),
      ),
      h(
        "fieldset",
        null,
        h("legend", null, "Transport"),
        radio(
          "transport",
          "broadcast",
          view.transport,
          "Broadcast",
          "one transmission for all children; what was lost is repaired",
          set("transport", "broadcast"),
        ),
        radio(
          "transport",
          "sequential",
          view.transport,
          "Sequential",
          "each node pulls chunk by chunk",
          set("transport", "sequential"),
        ),
      ),
      h(
        "div",
        { class: "row" },
        h("button", { type: "submit", class: "button primary", disabled: busy || !view.image }, "Preview"),
        busy && h("span", { class: "muted" }, "A rollout is under way."),
      ),
    );
  }
  return panel("Update", null, inside);
}

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

function actions(rollout: RolloutView): Child[] {
  const { state: now } = rollout;
  const version = rollout.image.version;
  const failed = rollout.nodes.filter(({ state: s }) => s === "failed").length;
  const start = button(
    [icon("check"), "Start"],
    () =>
      ask({
        title: `Install ${version} on ${count(rollout.preview.update.length, "node")}?`,
        text: `${rollout.policy === "all" ? "All at once" : "In waves, with a health check between"}, by ${rollout.transport}. Nodes restart into the new image when they have verified it; one that does not come back returns to its old image by itself.`,
        go: "Start the rollout",
        danger: false,
        then: () => call("start"),
      }),
    { class: "button primary", disabled: rollout.preview.update.length === 0 },
  );
  const abort = button(
    "Abort",
    () =>
      ask({
        title: "Abort this rollout?",
        text: "Nodes drop what they have received. Those that restart already go on; they are named afterwards.",
        go: "Abort",
        danger: true,
        then: () => call("abort", {}, "Aborted."),
      }),
    { class: "button danger" },
  );
  const rollback = button(
    "Roll back",
    () =>
      ask({
        title: "Roll back?",
        text: `Nodes that run ${version} get the version again that they ran before.`,
        go: "Roll back",
        danger: true,
        then: () => call("rollback"),
      }),
    { class: "button" },
  );
  const retry = button(`Retry ${count(failed, "failed node")}`, () => call("retry"), { class: "button" });
  const running = now === "running" || now === "rolling-back" || now === "aborting";
  return [
    now === "preview" && start,
    now === "running" && button("Pause", () => call("pause")),
    now === "paused" && button("Resume", () => call("resume"), { class: "button primary" }),
    now === "waiting-approval" &&
      button([icon("check"), "Approve next wave"], () => call("approve"), { class: "button primary" }),
    failed > 0 && !running && now !== "preview" && retry,
    !running && now !== "preview" && rollout.nodes.some(({ state: s }) => s === "running") && rollback,
    !["done", "aborting", "aborted", "failed"].includes(now) && abort,
  ];
}

function waves(rollout: RolloutView): VNode {
  return h(
    "ol",
    { class: "waves", "aria-label": "Waves" },
    rollout.waves.map((wave: RolloutWave) => {
      const rows = rollout.nodes.filter(({ node }) => wave.nodes.includes(node));
      const done = rows.filter(({ state: s }) => s === "running" || s === "current").length;
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

const FINISHED = new Set(["running", "current"]);

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

function rolloutPanel(rollout: RolloutView): VNode {
  const running = rollout.nodes.filter(({ state: s }) => FINISHED.has(s)).length;
  const total = rollout.nodes.length;
  const ratio = rollout.lowerBound > 0 ? rollout.transmissions / rollout.lowerBound : null;
  const end = rollout.endedAt || now();
  const rank: Record<string, number> = { failed: 0 };
  const rows = rollout.nodes
    .filter(({ state: s }) => !view.filter || (view.filter === "failed" ? s === "failed" : !FINISHED.has(s)))
    .sort(
      (a, b) =>
        (rank[a.state] ?? 1) - (rank[b.state] ?? 1) ||
        nodeName(a.node).localeCompare(nodeName(b.node), undefined, { numeric: true }),
    );
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
        rollout.lowerBound > 0
          ? `${number(rollout.transmissions)} sent, ${number(rollout.lowerBound)} at least`
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
    total > 0 && [
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
              value: view.filter,
              onchange: (event: Event) => {
                view.filter = (event.target as HTMLSelectElement).value;
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
    ],
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
    h("div", { class: "columns" }, chooser(), versions()),
  );
}
