/**
 * A rollout as data: what happened (events, in the order of the journal) and what follows from it (the record). The
 * record is a function of the events alone, so that a journal read again gives the same record.
 */
import type { NodeReport } from "../distribution";
import type { RolloutState } from "../fleet-view";
import type { ImageFacts, PlannedWave } from "./plan";
import type { Policy } from "./policy";

/** What of a telemetry frame a rollout judges by. */
export interface Sample {
  /** Unix milliseconds of its arrival. */
  at: number;
  /** First four bytes of the running image's id. */
  image: number;
  version: string;
  /** Seconds since the node started. */
  uptime: number;
  /** Starts since the state page was erased, modulo 256. */
  starts: number;
  /** Interpreter variables. */
  free: number;
  /** Per mille of expected chunk frames not heard at first. */
  loss: number;
  /** Milliseconds to the parent and back, 65535 unknown. */
  latency: number;
  /** Seconds between frames, 0 when the node does not say. */
  interval: number;
  /** As in telemetry: 0 idle, 1 preparing, 2 receiving, 3 relaying, 4 decoding, 5 verified, 6 current, 7 failed. */
  update: number;
}

export type Phase =
  /** Its wave has not begun. */
  | "waiting"
  /** Offline: it gets the image when it is back. */
  | "queued"
  /** Takes the image. */
  | "offered"
  /** Does not run what the delta changes: gets the whole image when the others of its wave have restarted. */
  | "deferred"
  /** Holds the image and waits for the word to restart. */
  | "verified"
  /** Was told to restart: too late to abort. */
  | "activating"
  /** Its telemetry shows the new image. */
  | "running"
  | "failed"
  /** Is told to drop the image. */
  | "dropping"
  /** Is told to go back to the image before. */
  | "rolling-back"
  /** Kept what it ran: it dropped the image, or was never offered it. */
  | "kept"
  | "rolled-back"
  /** Could not be undone, or did not answer any more; `error` says which. */
  | "stuck";

export interface NodeRecord {
  node: number;
  name: string;
  /** -1 for none yet. */
  wave: number;
  phase: Phase;
  /** Unix milliseconds at which the phase began. */
  since: number;
  /** As the node reported. */
  reported: string;
  percent: number;
  chunks: number;
  total: number;
  repaired: number;
  /** Chunk frames that it sent to others, as it reported. */
  sent: number;
  error: string;
  health: string;
  versionBefore: string;
  version: string;
  /** Of the last telemetry, 0 before the first. */
  image: number;
  online: boolean;
  heardAt: number;
  /** Unix milliseconds of the order to restart and of the first telemetry with the new image, 0 for never. */
  activatedAt: number;
  runningAt: number;
  /** Newest last, at most MAX_SAMPLES of each: with the image before, and with the new one. */
  before: Sample[];
  after: Sample[];
}

export interface WaveRecord extends PlannedWave {
  state: "waiting" | "updating" | "soaking" | "passed" | "failed";
  startedAt: number;
  /** Unix milliseconds from which on the whole image is offered in place of its delta, 0 for never. */
  wholeAt: number;
  soakUntil: number;
  verdict: string;
  /** A person let the rollout go on although the gate said no. */
  forgiven: boolean;
}

export interface RolloutRecord {
  id: string;
  image: ImageFacts;
  policy: Policy;
  preview: { update: number[]; current: number[]; offline: number[]; incompatible: number[] };
  state: RolloutState;
  reason: string;
  /** Index of the wave under way or decided last, -1 before the first. */
  wave: number;
  /** The last wave that a person has let begin. */
  approved: number;
  waves: WaveRecord[];
  nodes: Record<string, NodeRecord>;
  plannedAt: number;
  startedAt: number;
  endedAt: number;
  /** The wave whose failure is still to be answered, -1 for none. */
  failing: number;
  /** Patience with nodes is measured from here at the earliest: the laptop was away, or the rollout stood still. */
  patienceFrom: number;
  pausedBy: "gate" | "person" | null;
  /** The computer has a neighbour in the mesh. */
  linked: boolean;
  /** Set once the rollout is being undone. */
  undo: { rollback: boolean; by: "gate" | "person"; at: number } | null;
}

export type RolloutEvent = { at: number } & (
  | {
      kind: "planned";
      id: string;
      image: ImageFacts;
      policy: Policy;
      preview: RolloutRecord["preview"];
      waves: PlannedWave[];
      nodes: { node: number; name: string; version: string; online: boolean }[];
    }
  | { kind: "started" }
  /** Another process took the journal up. */
  | { kind: "reopened" }
  | { kind: "linked"; linked: boolean }
  | { kind: "presence"; node: number; online: boolean }
  | ({ kind: "report" } & NodeReport)
  | { kind: "sample"; node: number; sample: Sample }
  | { kind: "paused"; by: "gate" | "person"; reason: string }
  | { kind: "resumed" }
  /** The next wave waits for a person. */
  | { kind: "asking"; wave: number }
  | { kind: "approved"; wave: number }
  | { kind: "wave-added"; wave: PlannedWave }
  /** Nodes that came back come into a wave that has not begun. */
  | { kind: "joined"; wave: number; nodes: number[] }
  | { kind: "wave-begun"; wave: number }
  | { kind: "activating"; nodes: number[] }
  /** The delta has done what it could in this wave: these nodes get the whole image. */
  | { kind: "whole"; wave: number; nodes: number[] }
  | { kind: "soaking"; wave: number; until: number }
  | { kind: "queued"; node: number }
  | { kind: "failed"; node: number; error: string; health: string }
  | { kind: "wave-passed"; wave: number; verdict: string }
  | { kind: "wave-failed"; wave: number; verdict: string }
  | { kind: "undoing"; rollback: boolean; by: "gate" | "person"; reason: string }
  | { kind: "stuck"; node: number; error: string }
  | { kind: "retried"; nodes: number[] }
  | { kind: "ended"; state: "done" | "aborted" | "failed"; reason: string }
);

export type RolloutEventKind = RolloutEvent["kind"];
export type EventOf<K extends RolloutEventKind> = Extract<RolloutEvent, { kind: K }>;

/** Samples kept of each node and image: enough for the slowest soak at a frame a minute. */
export const MAX_SAMPLES = 60;

/** Codes of failures that this side's clock found: the node may still come up with the new image. */
export const ERROR_TIMEOUT = "timeout";
export const ERROR_NO_ANSWER = "no-answer";
export const ERROR_SILENT = "silent";
/** The loader went back, at once or after the new version had been seen. */
export const ERROR_REVERTED = "reverted";
export const ERROR_WENT_BACK = "went-back";
export const ERROR_UNHEALTHY = "unhealthy";
export const ERROR_UNREACHABLE = "unreachable";

export function nodesOf(record: RolloutRecord): NodeRecord[] {
  return Object.values(record.nodes);
}

/** A further wave under the conditions of the last. */
export function anotherWave(record: RolloutRecord, name: string, nodes: number[]): PlannedWave {
  const { soakMs, success, errors } = record.waves.at(-1)!;
  return { name, nodes, soakMs, success, errors, approve: false };
}

export function isOver(record: RolloutRecord): boolean {
  return record.state === "done" || record.state === "aborted" || record.state === "failed";
}

/** A wave takes the image or is under observation. */
export function isActive(wave: WaveRecord | undefined): wave is WaveRecord {
  return wave?.state === "updating" || wave?.state === "soaking";
}
