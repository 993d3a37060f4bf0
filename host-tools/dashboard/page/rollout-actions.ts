/** Buttons of a rollout: what can be done with it in its state, and a second thought before. */
import type { RolloutView } from "../../gateway/fleet-view";
import { act, ask } from "./actions";
import type { Child } from "./dom";
import { count } from "./format";
import { button, icon, nodeName } from "./parts";
import { post, state, toast } from "./store";

/** What the server is asked to do with the rollout; its answer is shown at once. */
export function call(path: string, body: object = {}, done = ""): void {
  void act(async () => {
    const result = await post<{ rollout: RolloutView; tooLate?: number[] }>(`/rollout/${path}`, body);
    state.rollout = result.rollout;
    const late = result.tooLate ?? [];
    if (late.length > 0) toast(`Too late to stop ${late.map(nodeName).join(", ")}: restarting into the image already.`);
    else if (done) toast(done);
  });
}

export function actions(rollout: RolloutView): Child[] {
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
