/** A rollout as people read it: while it waits, and at its end. */
import type { Colors } from "../../ui/color";
import { formatTable } from "../../ui/table";
import type { RolloutView } from "../fleet-view";
import type { RolloutRecord } from "./record";

function date(ms: number): string {
  return ms ? new Date(ms).toISOString().slice(0, 19).replace("T", " ") : "-";
}

function minutes(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function paintState(state: string, colors: Colors): string {
  if (["running", "passed", "done"].includes(state)) return colors.green(state);
  return ["failed", "stuck", "aborted"].includes(state) ? colors.red(state) : state;
}

export function nameIn(record: RolloutRecord): (node: number) => string {
  return (node) => record.nodes[node]?.name ?? node.toString(16).padStart(8, "0");
}

/** What a rollout would do, before it does anything. */
export function previewText(record: RolloutRecord): string {
  const { preview, waves, image, policy } = record;
  const name = nameIn(record);
  const names = (ids: readonly number[]): string =>
    ids.length > 12 ? `${ids.slice(0, 12).map(name).join(", ")} and ${ids.length - 12} more` : ids.map(name).join(", ");
  const lines = [
    `${image.version} for ${image.hardware}, ${image.role}: ${image.bytes} bytes in ${image.chunks} chunks`,
    ...(image.notes ? [image.notes.trim()] : []),
    `to update:    ${preview.update.length}`,
    `current:      ${preview.current.length}`,
    `offline:      ${preview.offline.length}${preview.offline.length ? ` (${names(preview.offline)})` : ""}`,
    `incompatible: ${preview.incompatible.length}${preview.incompatible.length ? ` (${names(preview.incompatible)})` : ""}`,
    ...waves.map((wave) => {
      const soak = wave.soakMs ? `, watched for ${minutes(wave.soakMs)}` : "";
      return `${wave.name}: ${wave.nodes.length ? names(wave.nodes) : "nobody"}${soak}${wave.approve ? ", waits for approval" : ""}`;
    }),
    `when a wave fails: ${policy.onFailure}`,
  ];
  return lines.join("\n");
}

/** `name` gives a node's name. */
export function reportText(view: RolloutView, name: (node: number) => string, colors: Colors): string {
  const nodeRows = view.nodes.map((node) => [
    name(node.node),
    view.waves[node.wave]?.name ?? "-",
    node.versionBefore || "?",
    node.version || "?",
    paintState(node.state, colors),
    node.seconds < 0 ? "" : `${node.seconds.toFixed(0)} s`,
    node.repaired ? String(node.repaired) : "",
    node.health || node.error,
  ]);
  const waveRows = view.waves.map((wave) => [
    wave.name,
    String(wave.nodes.length),
    paintState(wave.state, colors),
    date(wave.startedAt),
    wave.verdict,
  ]);
  const title = (names: string[]): { title: string }[] => names.map((one) => ({ title: one }));
  return [
    `rollout ${view.id}: ${view.image.version} (image ${view.image.id}), ${view.policy}, ${view.transport}`,
    ...(view.image.notes ? [view.image.notes.trim()] : []),
    "",
    formatTable(title(["wave", "nodes", "state", "began (UTC)", "verdict"]), waveRows, colors.bold),
    "",
    formatTable(title(["node", "wave", "before", "now", "state", "after", "repaired", "why"]), nodeRows, colors.bold),
    "",
    `${paintState(view.state, colors)}${view.reason ? `: ${view.reason}` : ""}`,
  ].join("\n");
}
