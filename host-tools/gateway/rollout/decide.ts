/**
 * What a rollout does next, from its record and the time alone: the next event to write down, or null to wait. And what
 * nodes are to be told while the record stands as it does. Whoever carries this out writes the event down first.
 */
import { findings, isFresh, urgentFindings } from "./health";
import { allowedErrors, neededSuccesses } from "./policy";
import {
  anotherWave,
  ERROR_NO_ANSWER,
  ERROR_SILENT,
  ERROR_TIMEOUT,
  ERROR_UNHEALTHY,
  ERROR_UNREACHABLE,
  isActive,
  isOver,
  type NodeRecord,
  nodesOf,
  type RolloutEvent,
  type RolloutRecord,
  type WaveRecord,
} from "./record";
import { isNewImage } from "./plan";

type Decision = RolloutEvent | null;

/** A node that says nothing about an offer for so long did not take it. */
const ANSWER_MS = 180_000;
/** Nodes that are told to drop the image or to go back have so long to show that they did. */
const UNDO_MS = 600_000;

/** What nodes are to be told, again and again, until the record changes. */
export interface Orders {
  offer: number[];
  /** It is the whole image that is offered, in place of its delta. */
  whole: boolean;
  activate: number[];
  drop: boolean;
  rollBack: number[];
}

export const NO_ORDERS: Readonly<Orders> = { offer: [], whole: false, activate: [], drop: false, rollBack: [] };

export function orders(record: RolloutRecord): Orders {
  if (isOver(record) || record.state === "preview") return NO_ORDERS;
  const nodes = nodesOf(record);
  const ids = (...phases: string[]): number[] =>
    nodes.filter((node) => phases.includes(node.phase)).map(({ node }) => node);
  if (record.undo) {
    const unsure = nodes.some(
      (node) => node.phase === "dropping" || (node.phase === "rolling-back" && !node.runningAt),
    );
    return { ...NO_ORDERS, drop: unsure, rollBack: ids("rolling-back") };
  }
  // An offer repeated keeps a node that holds the image from starting it by itself.
  const whole = (record.waves[record.wave]?.wholeAt ?? 0) > 0;
  return { ...NO_ORDERS, offer: ids("offered", "verified"), whole, activate: ids("activating") };
}

/** Ids of nodes that can no longer be stopped: they restart into the image, or did so unseen. */
export function tooLate(record: RolloutRecord): number[] {
  return nodesOf(record)
    .filter(({ phase, error }) => phase === "activating" || (phase === "failed" && error === ERROR_SILENT))
    .map(({ node }) => node);
}

function membersOf(record: RolloutRecord, index: number): NodeRecord[] {
  return nodesOf(record).filter((node) => node.wave === index);
}

/** Nodes that have failed since the wave began, in it or in one before. */
function failedSince(record: RolloutRecord, wave: WaveRecord): NodeRecord[] {
  return nodesOf(record).filter((node) => node.phase === "failed" && node.since >= wave.startedAt);
}

function describe(nodes: readonly NodeRecord[]): string {
  const shown = nodes.slice(0, 4).map(({ name, error, health }) => `${name}: ${health || error}`);
  return shown.join("; ") + (nodes.length > 4 ? `; and ${nodes.length - 4} more` : "");
}

function waited(record: RolloutRecord, since: number, now: number): number {
  return now - Math.max(since, record.patienceFrom);
}

/** The next event, or null. To be asked again after each, with the record that follows from it. */
export function decide(record: RolloutRecord, now: number): Decision {
  if (isOver(record) || record.state === "preview" || !record.linked) return null;
  if (record.undo) return undoing(record, now);
  if (record.failing >= 0) {
    const { name, verdict } = record.waves[record.failing]!;
    const rollback = record.policy.onFailure === "rollback";
    return { at: now, kind: "undoing", rollback, by: "gate", reason: `${name}: ${verdict}` };
  }
  const wave = record.waves[record.wave];
  if (isActive(wave)) return inWave(record, wave, record.wave, now);
  if (record.state === "paused") return null;
  return between(record, now);
}

function undoing(record: RolloutRecord, now: number): Decision {
  const open = nodesOf(record).filter(({ phase }) => ["dropping", "rolling-back", "activating"].includes(phase));
  const late = open.find((node) => waited(record, node.since, now) > Math.max(UNDO_MS, record.policy.activationMs));
  if (late) return { at: now, kind: "stuck", node: late.node, error: ERROR_UNREACHABLE };
  if (open.length > 0) return null;
  const nodes = nodesOf(record);
  const stuck = nodes.filter(({ phase }) => phase === "stuck").length;
  const still = nodes.filter(({ phase, image }) => phase !== "stuck" && isNewImage(record.image, image)).length;
  const back = nodes.filter(({ phase }) => phase === "rolled-back").length;
  const parts = [
    record.reason,
    back ? `${back} went back` : "",
    still ? `${still} run the new version` : "",
    stuck ? `${stuck} not undone` : "",
  ];
  return { at: now, kind: "ended", state: "aborted", reason: parts.filter(Boolean).join("; ") };
}

/** No wave is under way: begin the next, wait, or end. */
function between(record: RolloutRecord, now: number): Decision {
  const next = record.waves.findIndex((wave) => wave.state === "waiting");
  const back = nodesOf(record).filter(({ phase, online }) => phase === "queued" && online);
  const backIds = back.map(({ node }) => node);
  if (next >= 0) {
    const wave = record.waves[next]!;
    const offline = membersOf(record, next).find(({ phase, online }) => phase === "waiting" && !online);
    if (offline) return { at: now, kind: "queued", node: offline.node };
    if (next === record.waves.length - 1 && next > 0 && backIds.length > 0)
      return { at: now, kind: "joined", wave: next, nodes: backIds };
    if (wave.approve && record.approved < next)
      return record.state === "waiting-approval" ? null : { at: now, kind: "asking", wave: next };
    if (record.wave < 0 && waited(record, record.startedAt, now) < record.policy.baselineMs) return null;
    return { at: now, kind: "wave-begun", wave: next };
  }
  if (backIds.length > 0) {
    return { at: now, kind: "wave-added", wave: anotherWave(record, "returned", backIds) };
  }
  const queued = nodesOf(record).filter(({ phase }) => phase === "queued");
  const since = Math.max(record.startedAt, ...record.waves.map(({ soakUntil, startedAt }) => soakUntil || startedAt));
  if (queued.length > 0 && waited(record, since, now) < record.policy.queueMs) return null;
  return end(record, now, queued.length);
}

function end(record: RolloutRecord, now: number, offline: number): Decision {
  const nodes = nodesOf(record);
  const running = nodes.filter(({ image, phase }) => isNewImage(record.image, image) || phase === "running").length;
  const failed = nodes.filter(({ phase }) => phase === "failed");
  const parts = [
    `${running} of ${nodes.length} run ${record.image.version}`,
    failed.length ? `${failed.length} failed (${describe(failed)})` : "",
    offline ? `${offline} offline` : "",
  ];
  const bad = record.waves.some(({ state }) => state === "failed") || (running === 0 && nodes.length > 0);
  return { at: now, kind: "ended", state: bad ? "failed" : "done", reason: parts.filter(Boolean).join("; ") };
}

function inWave(record: RolloutRecord, wave: WaveRecord, index: number, now: number): Decision {
  return (
    nodeEvents(record, index, now) ??
    tooManyErrors(record, wave, index, now) ??
    (wave.state === "updating" ? updating(record, index, wave, now) : soaking(record, index, wave, now))
  );
}

/** What the clock says about single nodes. */
function nodeEvents(record: RolloutRecord, index: number, now: number): Decision {
  const { timeoutMs, activationMs } = record.policy;
  const fail = (node: NodeRecord, error: string, health = ""): Decision => {
    return { at: now, kind: "failed", node: node.node, error, health };
  };
  const { startedAt, wholeAt } = record.waves[index]!;
  const began = wholeAt || startedAt;
  for (const node of nodesOf(record)) {
    const { phase } = node;
    if (phase === "deferred" && !node.online) return { at: now, kind: "queued", node: node.node };
    if (phase === "offered" || phase === "verified") {
      if (!node.online) return { at: now, kind: "queued", node: node.node };
      if (phase === "offered" && waited(record, began, now) > timeoutMs) return fail(node, ERROR_TIMEOUT);
      if (!node.reported && waited(record, began, now) > ANSWER_MS) return fail(node, ERROR_NO_ANSWER);
    }
    if (phase === "activating" && waited(record, node.since, now) > activationMs) return fail(node, ERROR_SILENT);
    // Of a wave that was passed, and of the one under observation.
    if (phase === "running" && record.waves[node.wave]?.soakMs) {
      const found = urgentFindings(record, node, now);
      if (found.length > 0) return fail(node, ERROR_UNHEALTHY, found.map(({ text }) => text).join(", "));
    }
  }
  return null;
}

function tooManyErrors(record: RolloutRecord, wave: WaveRecord, index: number, now: number): Decision {
  const members = membersOf(record, index);
  const failed = failedSince(record, wave);
  const allowed = allowedErrors(wave.errors, members.length);
  if (failed.length <= allowed) return null;
  // Where a failure stops nobody, the wave is judged when all of its nodes have come to an end.
  if (record.policy.onFailure === "continue") return null;
  return failWave(record, index, now, `${failed.length} failed, ${allowed} allowed: ${describe(failed)}`);
}

/** The gate says no, unless a person has said yes to it. */
function failWave(record: RolloutRecord, index: number, now: number, verdict: string): Decision {
  const wave = record.waves[index]!;
  if (wave.forgiven) return null;
  if (record.policy.onFailure !== "pause") return { at: now, kind: "wave-failed", wave: index, verdict };
  return record.state === "paused" ? null : { at: now, kind: "paused", by: "gate", reason: `${wave.name}: ${verdict}` };
}

function updating(record: RolloutRecord, index: number, wave: WaveRecord, now: number): Decision {
  const members = membersOf(record, index);
  const at = (...phases: string[]): number[] =>
    members.filter(({ phase }) => phases.includes(phase)).map(({ node }) => node);
  if (at("offered", "waiting").length > 0) return null;
  const ready = at("verified");
  if (ready.length > 0) return record.state === "paused" ? null : { at: now, kind: "activating", nodes: ready };
  if (at("activating").length > 0) return null;
  // Not before: who holds a verified image passes no other one on.
  const deferred = at("deferred");
  if (deferred.length > 0)
    return record.state === "paused" ? null : { at: now, kind: "whole", wave: index, nodes: deferred };
  return { at: now, kind: "soaking", wave: index, until: now + (members.length > 0 ? wave.soakMs : 0) };
}

function soaking(record: RolloutRecord, index: number, wave: WaveRecord, now: number): Decision {
  if (now < wave.soakUntil) return null;
  const members = membersOf(record, index);
  const running = members.filter(({ phase }) => phase === "running");
  if (wave.soakMs > 0) {
    // A verdict needs a recent word from the node itself: one that restarts may be silent just now.
    if (running.some((node) => !isFresh(record, node, now))) return null;
    for (const node of running) {
      const found = findings(record, node, now);
      if (found.length > 0) {
        const health = found.map(({ text }) => text).join(", ");
        return { at: now, kind: "failed", node: node.node, error: ERROR_UNHEALTHY, health };
      }
    }
  }
  const needed = neededSuccesses(wave.success, members.length);
  const verdict = members.length ? `${running.length} of ${members.length} in good health` : "no node was online";
  const failed = failedSince(record, wave).length > allowedErrors(wave.errors, members.length);
  if (failed || running.length < needed) {
    const no = failWave(record, index, now, `${verdict}, ${needed} needed`);
    if (no || !wave.forgiven) return no;
  }
  return { at: now, kind: "wave-passed", wave: index, verdict: wave.forgiven ? `${verdict}, accepted` : verdict };
}
