/** Carries a rollout out: writes down what happens and what is decided, and tells the nodes. */
import { INTERVAL_UNIT, type Telemetry } from "../../../firmware/wire/telemetry";
import type { Image } from "../../build/image";
import { asEspalierError, EspalierError, EXIT } from "../../errors";
import type { Distribution, NodeReport } from "../distribution";
import type { AlertView, MeshEvent, Rollout, RolloutView } from "../fleet-view";
import { apply, replay } from "./apply";
import { decide, NO_ORDERS, type Orders, orders, tooLate } from "./decide";
import type { Journal } from "./journal";
import { type ImageFacts, isNewImage, makePlan, type NodeFacts } from "./plan";
import type { Policy } from "./policy";
import { type EventOf, isOver, nodesOf, type RolloutEvent, type RolloutRecord } from "./record";
import { alertsOf, meshEvent, viewOf } from "./view";

export interface RolloutPorts {
  /** Unix time, milliseconds. */
  now(): number;
  /** Calls `run` again and again. @returns what ends it */
  every(milliseconds: number, run: () => void): () => void;
  distribution: Distribution;
  /** Where the image is a delta: that of the whole image, for nodes that do not run what the delta changes. */
  whole?: Distribution;
  /** @returns what ends it */
  onTelemetry(listener: (frame: Telemetry) => void): () => void;
  journal: Journal;
  /** The journal cannot be written: the rollout stands still from here on. Thrown unless given. */
  failed?(error: EspalierError): void;
}

export interface RunningRollout extends Rollout {
  record(): RolloutRecord;
}

const STEP_MS = 500;
const OFFER_EVERY_MS = 60_000;
/** A node that joined is made an offer after so long, so that several that join together share one. */
const OFFER_AGAIN_MS = 3_000;
const ORDER_EVERY_MS = 5_000;
/** A laptop without a neighbour for so long has lost the mesh. */
const UNLINKED_MS = 10_000;
const MAX_NOTES = 2000;

/** @param whole the same bundle, where `image` is a delta */
export function imageFacts(image: Image, whole: Image | null = null): ImageFacts {
  const { manifest, blob, chunks } = image;
  return {
    id: image.id,
    also: whole ? [whole.id] : [],
    version: manifest.version,
    hardware: manifest.hardware,
    role: manifest.role,
    bytes: manifest.resultBytes,
    chunks: chunks.length + Math.ceil(blob.length / manifest.chunkBytes),
    notes: (manifest.notes ?? "").slice(0, MAX_NOTES),
  };
}

/** "20261125-1834-1.2.0": sorts by time, says what it is about. `now` in Unix milliseconds. */
export function rolloutId(now: number, version: string): string {
  const stamp = new Date(now).toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 13);
  return `${stamp}-${version}`;
}

/** The plan of a new rollout, which nothing has been done for yet. @throws EspalierError UNKNOWN_NODE, NO_TARGETS */
export function planRollout(
  id: string,
  fleet: readonly NodeFacts[],
  image: ImageFacts,
  policy: Policy,
  now: number,
): EventOf<"planned"> {
  const { waves, queue, preview } = makePlan(fleet, image, policy);
  const inIt = new Set([...waves.flatMap((wave) => wave.nodes), ...queue]);
  const nodes = fleet
    .filter((node) => inIt.has(node.id))
    .map(({ id: node, name, version, online }) => ({ node, name: name || node.toString(16), version, online }));
  return { at: now, kind: "planned", id, image, policy, preview, waves, nodes };
}

/** Nobody was left out on purpose. */
function isForAll({ targets }: Policy): boolean {
  const { roles, hardware, versions, nodes, except } = targets;
  return !roles && !hardware && !versions && !nodes && except.length === 0;
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Begins with a plan, or takes up what the journal holds; `start()` lets a new one run. */
export function createRollout(planned: EventOf<"planned"> | null, ports: RolloutPorts): RunningRollout {
  const { journal, distribution, whole } = ports;
  const both = whole ? [distribution, whole] : [distribution];
  /** The one whose image the computer's node has for others; unknown at first, where there are two. */
  let serving = whole ? null : distribution;
  /** Chunk frames sent while something else was served. */
  let sentBefore = 0;
  const ownFrames = (): number => sentBefore + (serving?.sent() ?? 0);
  const listeners = {
    change: new Set<(view: RolloutView) => void>(),
    event: new Set<(event: MeshEvent) => void>(),
    alert: new Set<(alert: AlertView) => void>(),
  };
  /** Progress that is worth no entry in the journal. */
  const live = new Map<number, NodeReport>();
  const sequences = new Map<number, number>();
  const missingSince = new Map<number, number>();
  let unlinkedSince = 0;
  let sent: Orders = NO_ORDERS;
  let offeredAt = -Infinity;
  let orderedAt = -Infinity;
  let membersBefore = 0;
  let stopped = false;
  let telling = false;
  let alerting = "";
  let ends: (() => void)[] = [];
  let record: RolloutRecord;

  if (journal.events.length > 0) {
    record = replay(journal.events);
    if (!isOver(record) && record.state !== "preview") commit({ at: ports.now(), kind: "reopened" });
  } else {
    if (!planned) throw new EspalierError("NO_PLAN", "the journal is empty", { exitCode: EXIT.usage });
    journal.append(planned);
    record = replay([planned]);
  }
  alerting = JSON.stringify(alertsOf(record));

  /** Written down before it counts. */
  function commit(event: RolloutEvent): boolean {
    if (stopped) return false;
    try {
      journal.append(event);
    } catch (error) {
      close();
      if (!ports.failed) throw error;
      ports.failed(asEspalierError(error));
      return false;
    }
    record = apply(record, event);
    const news = meshEvent(record, event);
    if (news) for (const listener of [...listeners.event]) listener(news);
    const alerts = alertsOf(record);
    const text = JSON.stringify(alerts);
    if (text !== alerting) {
      alerting = text;
      for (const alert of alerts) for (const listener of [...listeners.alert]) listener(alert);
    }
    return true;
  }

  function changed(): void {
    if (listeners.change.size === 0) return;
    const view = viewOf(record, live, ownFrames());
    for (const listener of [...listeners.change]) listener(view);
  }

  function watchMembers(now: number): void {
    if (isOver(record)) return;
    if (distribution.linked()) {
      unlinkedSince = 0;
      if (!record.linked) commit({ at: now, kind: "linked", linked: true });
    } else {
      unlinkedSince ||= now;
      missingSince.clear();
      if (record.linked && now - unlinkedSince > UNLINKED_MS) commit({ at: now, kind: "linked", linked: false });
      return;
    }
    const members = new Set(distribution.members());
    for (const { node, online } of nodesOf(record)) {
      if (members.has(node)) {
        missingSince.delete(node);
        if (!online) commit({ at: now, kind: "presence", node, online: true });
      } else if (online) {
        const since = missingSince.get(node) ?? now;
        missingSince.set(node, since);
        if (now - since > record.policy.offlineAfterMs) commit({ at: now, kind: "presence", node, online: false });
      }
    }
  }

  function offer(nodes: readonly number[] | null, from: Distribution): void {
    if (serving !== from) {
      sentBefore = ownFrames();
      from.serve();
    }
    serving = from;
    from.offer(nodes);
  }

  /** Tells the nodes, at once where something is new and now and then for those who did not hear it. */
  function tell(now: number): void {
    const wanted = orders(record);
    const members = distribution.members().length;
    // What was said of the delta says nothing of the whole image.
    if (wanted.whole !== sent.whole) offeredAt = -Infinity;
    if (wanted.offer.length > 0) {
      const joined = members > membersBefore && now - offeredAt > OFFER_AGAIN_MS;
      if (!wanted.offer.every((node) => sent.offer.includes(node)) || now - offeredAt >= OFFER_EVERY_MS || joined) {
        offeredAt = now;
        offer(wanted.offer, wanted.whole && whole ? whole : distribution);
      }
    }
    membersBefore = members;
    const fresh =
      !same(wanted.activate, sent.activate) || wanted.drop !== sent.drop || !same(wanted.rollBack, sent.rollBack);
    if (fresh || now - orderedAt >= ORDER_EVERY_MS) {
      orderedAt = now;
      for (const one of both) {
        if (wanted.activate.length > 0) one.activate(wanted.activate);
        if (wanted.drop) one.drop();
        if (wanted.rollBack.length > 0) one.rollBack(wanted.rollBack);
      }
    }
    sent = wanted;
  }

  function step(): void {
    if (stopped) return;
    const now = ports.now();
    watchMembers(now);
    for (let event = decide(record, now); event; event = decide(record, now)) {
      if (!commit(event)) return;
      // From now on nodes hand it on by themselves, to those who come later.
      if (event.kind === "ended" && event.state === "done" && isForAll(record.policy))
        for (const one of both) offer(null, one);
    }
    // An answer that comes while the nodes are being told is acted upon after that.
    if (telling) return;
    telling = true;
    tell(now);
    telling = false;
    changed();
  }

  /** What a person asks for takes effect at once. */
  function act(event: RolloutEvent): void {
    if (commit(event)) step();
  }

  ends = [
    ports.every(STEP_MS, step),
    ...both.map((one) =>
      one.onReport((report) => {
        const node = record.nodes[report.node];
        if (stopped || !node || isOver(record) || record.state === "preview") return;
        // A node that takes the whole image may still say that it refused the delta.
        if (whole && node.phase === "offered" && (one === whole) !== orders(record).whole) return;
        live.set(report.node, report);
        const event: RolloutEvent = { at: ports.now(), kind: "report", ...report };
        const next = apply(record, event).nodes[report.node]!;
        // What only counts chunks fills no journal.
        if (next.phase !== node.phase || next.reported !== node.reported || next.error !== node.error) act(event);
      }),
    ),
    ports.onTelemetry((frame) => {
      if (stopped || !record.nodes[frame.node] || isOver(record)) return;
      // A frame may come both from the root and by a way of its own.
      const mark = frame.sequence * 2 ** 32 + frame.uptime;
      if (sequences.get(frame.node) === mark) return;
      sequences.set(frame.node, mark);
      const at = ports.now();
      act({
        at,
        kind: "sample",
        node: frame.node,
        sample: {
          at,
          image: frame.image,
          version: `${frame.major}.${frame.minor}.${frame.patch}`,
          uptime: frame.uptime,
          starts: frame.starts,
          free: frame.memoryFree,
          loss: frame.loss,
          latency: frame.latency,
          interval: frame.interval * INTERVAL_UNIT,
          update: frame.updateState,
        },
      });
    }),
  ];

  function close(): void {
    stopped = true;
    for (const end of ends) end();
    journal.close();
  }

  function refuse(what: string): never {
    throw new EspalierError("ROLLOUT_STATE", `rollout ${record.id} is ${record.state}: ${what}`, {
      context: { rollout: record.id, state: record.state },
    });
  }

  return {
    record: () => record,
    view: () => viewOf(record, live, ownFrames()),
    start() {
      if (record.state === "preview") act({ at: ports.now(), kind: "started" });
    },
    pause() {
      if (record.state !== "running" && record.state !== "waiting-approval") refuse("there is nothing to pause");
      act({ at: ports.now(), kind: "paused", by: "person", reason: "" });
    },
    resume() {
      if (record.state !== "paused") refuse("only a paused one resumes");
      act({ at: ports.now(), kind: "resumed" });
    },
    approve() {
      const wave = record.waves.findIndex(({ state }) => state === "waiting");
      if (record.state !== "waiting-approval") refuse("nothing waits for approval");
      act({ at: ports.now(), kind: "approved", wave });
    },
    abort() {
      const late = tooLate(record);
      if (record.state === "preview")
        act({ at: ports.now(), kind: "ended", state: "aborted", reason: "never started" });
      else if (!isOver(record) && !record.undo)
        act({ at: ports.now(), kind: "undoing", rollback: false, by: "person", reason: "aborted by a person" });
      return late;
    },
    retryFailed() {
      if (!isOver(record)) refuse("failed nodes get another try when it is over");
      const again = nodesOf(record).filter(
        ({ phase, image }) =>
          phase === "queued" || (["failed", "stuck"].includes(phase) && !isNewImage(record.image, image)),
      );
      if (again.length === 0) refuse("no node failed that does not run the new version");
      act({ at: ports.now(), kind: "retried", nodes: again.map(({ node }) => node) });
    },
    rollback() {
      if (record.state === "preview") refuse("nothing was updated");
      if (record.undo?.rollback && !isOver(record)) return;
      act({ at: ports.now(), kind: "undoing", rollback: true, by: "person", reason: "rolled back by a person" });
    },
    onChange(listener) {
      listeners.change.add(listener);
      return () => void listeners.change.delete(listener);
    },
    onEvent(listener) {
      listeners.event.add(listener);
      return () => void listeners.event.delete(listener);
    },
    alerts: () => alertsOf(record),
    onAlert(listener) {
      listeners.alert.add(listener);
      return () => void listeners.alert.delete(listener);
    },
    close,
  };
}
