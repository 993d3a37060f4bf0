/** What an event makes of a rollout's record. Pure: neither clock nor chance, and nothing is changed in place. */
import { WRONG_BASE } from "../../../firmware/ota/policy";
import { isNewImage } from "./plan";
import {
  anotherWave,
  ERROR_NO_ANSWER,
  ERROR_REVERTED,
  ERROR_SILENT,
  ERROR_TIMEOUT,
  ERROR_WENT_BACK,
  type EventOf,
  isOver,
  MAX_SAMPLES,
  type NodeRecord,
  nodesOf,
  type Phase,
  type RolloutEvent,
  type RolloutRecord,
  type Sample,
  type WaveRecord,
} from "./record";

/** Uptime counts whole seconds, and a frame takes its time: so much may a start seem to lie in the past. */
const START_TOLERANCE_MS = 3000;
/** A frame may have been on its way for so long when an order went out. */
const IN_FLIGHT_MS = 5000;
/** Values of `Sample.update` that say: no image is being taken. */
const TAKES_NOTHING = [0, 6, 7];

/** As the firmware says it: the other slot holds nothing good. */
const ERROR_NO_ROLLBACK = "no-rollback";

const HOST_VERDICTS = [ERROR_TIMEOUT, ERROR_NO_ANSWER, ERROR_SILENT];

/** Begins a record. */
export function plan(event: EventOf<"planned">): RolloutRecord {
  const { id, image, policy, preview, at } = event;
  const waveOf = new Map(event.waves.flatMap((wave, index) => wave.nodes.map((node) => [node, index] as const)));
  const nodes = event.nodes.map(({ node, name, version, online }): [string, NodeRecord] => [
    String(node),
    {
      node,
      name,
      wave: waveOf.get(node) ?? -1,
      phase: waveOf.has(node) ? "waiting" : "queued",
      since: at,
      reported: "",
      percent: 0,
      chunks: 0,
      total: 0,
      repaired: 0,
      sent: 0,
      error: "",
      health: "",
      versionBefore: version,
      version,
      image: 0,
      online,
      heardAt: 0,
      activatedAt: 0,
      runningAt: 0,
      before: [],
      after: [],
    },
  ]);
  return {
    id,
    image,
    policy,
    preview,
    state: "preview",
    reason: "",
    wave: -1,
    approved: -1,
    waves: event.waves.map(newWave),
    nodes: Object.fromEntries(nodes),
    plannedAt: at,
    startedAt: 0,
    endedAt: 0,
    patienceFrom: at,
    pausedBy: null,
    linked: true,
    failing: -1,
    undo: null,
  };
}

function newWave(wave: EventOf<"planned">["waves"][number]): WaveRecord {
  return { ...wave, state: "waiting", startedAt: 0, wholeAt: 0, soakUntil: 0, verdict: "", forgiven: false };
}

function enter(node: NodeRecord, phase: Phase, at: number, more: Partial<NodeRecord> = {}): NodeRecord {
  return { ...node, phase, since: node.phase === phase ? node.since : at, ...more };
}

function withNode(record: RolloutRecord, id: number, change: (node: NodeRecord) => NodeRecord): RolloutRecord {
  const node = record.nodes[id];
  return node ? { ...record, nodes: { ...record.nodes, [id]: change(node) } } : record;
}

function withNodes(
  record: RolloutRecord,
  ids: readonly number[],
  change: (node: NodeRecord) => NodeRecord,
): RolloutRecord {
  return ids.reduce((so, id) => withNode(so, id, change), record);
}

function withWave(record: RolloutRecord, index: number, change: Partial<WaveRecord>): RolloutRecord {
  return { ...record, waves: record.waves.map((wave, i) => (i === index ? { ...wave, ...change } : wave)) };
}

/** The new image was seen on a node, in telemetry or in the node's own word. */
function seenNew(record: RolloutRecord, node: NodeRecord, at: number): NodeRecord {
  const here = { error: "", percent: 100, runningAt: node.runningAt || at };
  switch (node.phase) {
    case "running":
    case "rolling-back":
      return node;
    case "failed":
      return HOST_VERDICTS.includes(node.error) || !node.runningAt ? enter(node, "running", at, here) : node;
    case "dropping":
    case "kept":
    case "rolled-back":
    case "stuck":
      if (isOver(record)) return node;
      return enter(node, record.undo?.rollback ? "rolling-back" : "running", at, here);
    default:
      return enter(node, record.undo?.rollback ? "rolling-back" : "running", at, here);
  }
}

/** A node that was told to drop the image takes nothing any more. */
function dropped(record: RolloutRecord, node: NodeRecord, sample: Sample): NodeRecord {
  const told = record.undo ? record.undo.at + IN_FLIGHT_MS : Infinity;
  return sample.at > told && TAKES_NOTHING.includes(sample.update)
    ? enter(node, "kept", sample.at, { error: "" })
    : node;
}

/** Telemetry shows another image than the new one. */
function seenOld(record: RolloutRecord, node: NodeRecord, sample: Sample): NodeRecord {
  const startedAt = sample.at - sample.uptime * 1000;
  const startedAfter = (time: number): boolean => startedAt > time - START_TOLERANCE_MS;
  switch (node.phase) {
    case "activating":
      // Half a second at the least passes before a node obeys.
      return startedAfter(node.activatedAt + START_TOLERANCE_MS)
        ? enter(node, "failed", sample.at, { error: ERROR_REVERTED })
        : node;
    case "running":
      return startedAfter(node.runningAt) ? enter(node, "failed", sample.at, { error: ERROR_WENT_BACK }) : node;
    case "failed":
      if (node.error === ERROR_SILENT && startedAfter(node.activatedAt + START_TOLERANCE_MS))
        return { ...node, error: ERROR_REVERTED };
      return node;
    case "rolling-back":
    case "stuck": {
      const last = node.runningAt || (node.activatedAt && node.activatedAt + START_TOLERANCE_MS);
      if (last && startedAfter(last)) return enter(node, "rolled-back", sample.at, { error: "" });
      return node.runningAt ? node : dropped(record, node, sample);
    }
    case "dropping":
      return dropped(record, node, sample);
    default:
      return node;
  }
}

function onSample(record: RolloutRecord, event: EventOf<"sample">): RolloutRecord {
  const { sample, at } = event;
  const isNew = isNewImage(record.image, sample.image);
  return withNode(record, event.node, (known) => {
    const list = isNew ? "after" : "before";
    const node: NodeRecord = {
      ...known,
      version: sample.version,
      versionBefore: isNew ? known.versionBefore : known.versionBefore || sample.version,
      image: sample.image,
      heardAt: at,
      online: true,
      [list]: [...known[list], sample].slice(-MAX_SAMPLES),
    };
    return isNew ? seenNew(record, node, at) : seenOld(record, node, sample);
  });
}

function onReport(record: RolloutRecord, event: EventOf<"report">): RolloutRecord {
  const { at, state, percent, chunks, total, repaired, sent, error, version } = event;
  return withNode(record, event.node, (known) => {
    if (known.phase === "waiting" || known.phase === "queued" || known.phase === "kept") return known;
    const node = {
      ...known,
      reported: state,
      percent,
      chunks: chunks || known.chunks,
      total: total || known.total,
      repaired: Math.max(repaired, known.repaired),
      sent: Math.max(sent, known.sent),
      versionBefore: known.versionBefore || version,
    };
    if (state === "current") return seenNew(record, node, at);
    const failed = state === "failed";
    switch (known.phase) {
      case "deferred":
        return known;
      case "offered":
      case "verified":
        if (failed && error === WRONG_BASE && record.image.also.length > 0 && !record.waves[known.wave]?.wholeAt)
          return enter(node, "deferred", at, { error: "" });
        if (failed) return enter(node, "failed", at, { error: error || "failed" });
        return enter(node, state === "verified" ? "verified" : "offered", at);
      case "activating":
        if (failed && record.undo) return enter(node, "kept", at);
        // The loader marks what it went back from.
        if (failed) return enter(node, "failed", at, { error: error === "bad-image" ? ERROR_REVERTED : error });
        return node;
      case "running":
        if (failed && error === "bad-image") return enter(node, "failed", at, { error: ERROR_WENT_BACK });
        return known;
      case "dropping":
        return failed ? enter(node, "kept", at) : node;
      case "rolling-back":
        if (failed && error === "aborted") return known.runningAt ? known : enter(node, "kept", at);
        return failed && error === ERROR_NO_ROLLBACK ? enter(node, "stuck", at, { error }) : known;
      default:
        return known;
    }
  });
}

function undo(record: RolloutRecord, event: EventOf<"undoing">): RolloutRecord {
  const { at, rollback, by, reason } = event;
  const changed = withNodes(
    record,
    nodesOf(record).map(({ node }) => node),
    (node) => {
      switch (node.phase) {
        case "waiting":
        case "queued":
        case "deferred":
          return enter(node, "kept", at);
        case "offered":
        case "verified":
          return enter(node, "dropping", at);
        case "activating":
        case "running":
          return rollback ? enter(node, "rolling-back", at) : node;
        case "stuck":
          return rollback && isNewImage(record.image, node.image) ? enter(node, "rolling-back", at) : node;
        case "failed":
          if (isNewImage(record.image, node.image) || node.error === ERROR_SILENT)
            return rollback ? enter(node, "rolling-back", at) : node;
          return HOST_VERDICTS.includes(node.error) ? enter(node, "dropping", at) : node;
        default:
          return node;
      }
    },
  );
  return {
    ...changed,
    state: rollback ? "rolling-back" : "aborting",
    undo: { rollback, by, at },
    failing: -1,
    pausedBy: null,
    reason,
    endedAt: 0,
    patienceFrom: at,
  };
}

function retry(record: RolloutRecord, event: EventOf<"retried">): RolloutRecord {
  const { at, nodes } = event;
  const wave = newWave(anotherWave(record, "retry", nodes));
  // Waves that an abort kept from beginning do not begin any more.
  const begun = record.waves.filter(({ state }) => state !== "waiting");
  const changed = withNodes(record, nodes, (node) =>
    enter(node, "waiting", at, {
      wave: begun.length,
      since: at,
      error: "",
      health: "",
      reported: "",
      percent: 0,
      activatedAt: 0,
      runningAt: 0,
      after: [],
    }),
  );
  const left = nodesOf(changed).filter((node) => node.wave >= begun.length && node.phase !== "waiting");
  const loose = withNodes(
    changed,
    left.map(({ node }) => node),
    (node) => ({ ...node, wave: -1 }),
  );
  return {
    ...loose,
    waves: [...begun, wave],
    wave: Math.min(record.wave, begun.length - 1),
    state: "running",
    reason: "",
    endedAt: 0,
    failing: -1,
    undo: null,
    patienceFrom: at,
  };
}

/** The record after an event. Events about nodes that are no part of the rollout change nothing. */
export function apply(record: RolloutRecord, event: RolloutEvent): RolloutRecord {
  const { at } = event;
  switch (event.kind) {
    case "planned":
      return plan(event);
    case "started":
      return { ...record, state: "running", startedAt: at, patienceFrom: at };
    case "reopened":
      return { ...record, linked: true, patienceFrom: at };
    case "linked":
      return { ...record, linked: event.linked, patienceFrom: at };
    case "presence":
      return withNode(record, event.node, (node) => ({ ...node, online: event.online }));
    case "report":
      return onReport(record, event);
    case "sample":
      return onSample(record, event);
    case "paused":
      return { ...record, state: "paused", pausedBy: event.by, reason: event.reason };
    case "resumed": {
      const going: RolloutRecord = { ...record, state: "running", pausedBy: null, reason: "", patienceFrom: at };
      return record.pausedBy === "gate" ? withWave(going, record.wave, { forgiven: true }) : going;
    }
    case "asking":
      return {
        ...record,
        state: "waiting-approval",
        reason: `${record.waves[event.wave]!.name} waits for approval`,
      };
    case "approved":
      return { ...record, state: "running", approved: event.wave, reason: "" };
    case "wave-added": {
      const index = record.waves.length;
      const added = { ...record, waves: [...record.waves, newWave(event.wave)] };
      return withNodes(added, event.wave.nodes, (node) => enter(node, "waiting", at, { wave: index }));
    }
    case "joined": {
      const wave = record.waves[event.wave]!;
      const joined = withWave(record, event.wave, { nodes: [...wave.nodes, ...event.nodes] });
      return withNodes(joined, event.nodes, (node) => enter(node, "waiting", at, { wave: event.wave }));
    }
    case "wave-begun": {
      const begun = withWave({ ...record, wave: event.wave }, event.wave, { state: "updating", startedAt: at });
      return withNodes(begun, begun.waves[event.wave]!.nodes, (node) =>
        node.phase === "waiting" ? enter(node, "offered", at) : node,
      );
    }
    case "activating":
      return withNodes(record, event.nodes, (node) => enter(node, "activating", at, { activatedAt: at }));
    case "whole":
      return withNodes(withWave(record, event.wave, { wholeAt: at }), event.nodes, (node) =>
        enter(node, "offered", at, { reported: "", percent: 0, chunks: 0, total: 0 }),
      );
    case "soaking":
      return withWave(record, event.wave, { state: "soaking", soakUntil: event.until });
    case "queued":
      return withNode(record, event.node, (node) => enter(node, "queued", at, { wave: -1 }));
    case "failed":
      return withNode(record, event.node, (node) =>
        enter(node, "failed", at, { error: event.error, health: event.health }),
      );
    case "wave-passed":
      return withWave(record, event.wave, { state: "passed", verdict: event.verdict });
    case "wave-failed":
      return withWave({ ...record, failing: record.policy.onFailure === "continue" ? -1 : event.wave }, event.wave, {
        state: "failed",
        verdict: event.verdict,
      });
    case "undoing":
      return undo(record, event);
    case "stuck":
      return withNode(record, event.node, (node) => enter(node, "stuck", at, { error: event.error }));
    case "retried":
      return retry(record, event);
    case "ended":
      return { ...record, state: event.state, reason: event.reason, endedAt: at };
  }
}

/** The record of a journal. @throws Error when the first event is none that plans */
export function replay(events: readonly RolloutEvent[]): RolloutRecord {
  const [first, ...rest] = events;
  if (first?.kind !== "planned") throw new Error("a journal begins with the plan");
  return rest.reduce(apply, plan(first));
}
