/** Which nodes an image is for, and in which waves they get it. */
import { EspalierError, EXIT } from "../../errors";
import type { Policy, WaveSpec } from "./policy";

/** What is known of a node before a rollout. Texts are "" and numbers 0 while they are not. */
export interface NodeFacts {
  id: number;
  name: string;
  hardware: string;
  role: string;
  version: string;
  /** First four bytes of the running image's id, as telemetry carries them. */
  image: number;
  online: boolean;
  root: boolean;
  children: number;
  hops: number;
}

export interface ImageFacts {
  id: string;
  /** Where it is a delta: the id under which the same bundle travels as a whole, for nodes that do not run its base. */
  also: string[];
  version: string;
  hardware: string;
  role: string;
  /** Of the bundle. */
  bytes: number;
  /** Chunks that travel, those of the blob included. */
  chunks: number;
  notes: string;
}

export interface PlannedWave extends Omit<WaveSpec, "nodes"> {
  nodes: number[];
}

export interface Plan {
  waves: PlannedWave[];
  /** Offline nodes among the targets. */
  queue: number[];
  preview: { update: number[]; current: number[]; offline: number[]; incompatible: number[] };
}

/** First four bytes of an image's id as a number, as telemetry carries them. */
export function imageWord(id: string): number {
  return Buffer.from(id, "hex").readUInt32LE(0);
}

/** Telemetry with this image word shows the new version. */
export function isNewImage(image: ImageFacts, word: number): boolean {
  return word === imageWord(image.id) || image.also.some((id) => word === imageWord(id));
}

function numbersOf(version: string): number[] | null {
  const found = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  return found ? found.slice(1, 4).map(Number) : null;
}

function compare(a: number[], b: number[]): number {
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1;
  return 0;
}

/** "1.2.3" lies in "1.2.*", "<1.4.0", ">=1.0.0" or "1.2.3"; an unknown version lies in nothing. */
export function versionIn(version: string, range: string): boolean {
  const own = numbersOf(version);
  if (!own) return false;
  if (range.endsWith(".*")) {
    return range
      .slice(0, -2)
      .split(".")
      .every((part, i) => Number(part) === own[i]);
  }
  const [, operator, wanted] = /^([<>]=?)?(.*)$/.exec(range)!;
  const order = compare(own, numbersOf(wanted!) ?? [0, 0, 0]);
  if (!operator) return order === 0;
  if (order === 0) return operator.endsWith("=");
  return operator.startsWith("<") ? order < 0 : order > 0;
}

/** The node that a file or command line calls `name`. @throws EspalierError UNKNOWN_NODE */
export function findNode(nodes: readonly NodeFacts[], name: string | number): NodeFacts {
  const text = String(name);
  const found =
    nodes.find((node) => node.name === text) ??
    nodes.find((node) => node.id.toString(16).padStart(8, "0") === text.toLowerCase()) ??
    nodes.find((node) => String(node.id) === text);
  if (found) return found;
  const near = nodes.slice(0, 8).map((node) => node.name || node.id.toString(16).padStart(8, "0"));
  throw new EspalierError("UNKNOWN_NODE", `there is no node "${text}"`, {
    hint: near.length ? `Known: ${near.join(", ")}${nodes.length > 8 ? " and more" : ""}.` : "No node is known yet.",
    context: { node: text },
    exitCode: EXIT.usage,
  });
}

/** A canary that fails shall take nobody else off the mesh: leaves first, near ones before far ones, the root last. */
function byRisk(a: NodeFacts, b: NodeFacts): number {
  return (
    Number(a.root) - Number(b.root) || Number(a.children > 0) - Number(b.children > 0) || a.hops - b.hops || a.id - b.id
  );
}

function waveSize(spec: WaveSpec, fleet: number, left: number): number {
  const { nodes } = spec;
  if (!nodes) return Math.min(left, fleet < 5 ? 1 : 2);
  if (Array.isArray(nodes)) return 0;
  return Math.min(left, nodes.percent ? Math.ceil((nodes.value / 100) * left - 1e-9) : nodes.value);
}

/**
 * Sorts a fleet into what gets the image, runs it already, is offline, or cannot take it; then the first into waves. Nodes
 * for which no wave is meant come into a last one, so that the waves together are the targets.
 * @throws EspalierError UNKNOWN_NODE, NO_TARGETS
 */
export function makePlan(fleet: readonly NodeFacts[], image: ImageFacts, policy: Policy): Plan {
  const { roles, hardware, versions, nodes: named, except } = policy.targets;
  const wanted = named && new Set(named.map((name) => findNode(fleet, name).id));
  const excluded = new Set(except.map((name) => findNode(fleet, name).id));
  const preview: Plan["preview"] = { update: [], current: [], offline: [], incompatible: [] };
  const targets: NodeFacts[] = [];
  for (const node of fleet) {
    const meant =
      (!wanted || wanted.has(node.id)) &&
      !excluded.has(node.id) &&
      (!roles || roles.includes(node.role)) &&
      (!hardware || hardware.includes(node.hardware)) &&
      (!versions || versions.some((range) => versionIn(node.version, range)));
    if (!meant) continue;
    // What is unknown is for the node to judge; it refuses what is not meant for it.
    const fits = (!node.hardware || node.hardware === image.hardware) && (!node.role || node.role === image.role);
    if (!fits) preview.incompatible.push(node.id);
    else if (isNewImage(image, node.image)) preview.current.push(node.id);
    else if (!node.online) preview.offline.push(node.id);
    else {
      preview.update.push(node.id);
      targets.push(node);
    }
  }
  if (targets.length + preview.offline.length + preview.current.length === 0) {
    throw new EspalierError("NO_TARGETS", "the image fits none of the nodes that were asked for", {
      hint: preview.incompatible.length
        ? `${preview.incompatible.length} of them need another hardware or role than ${image.hardware}, ${image.role}.`
        : "Look at the targets of the rollout; espalier status lists the nodes.",
      context: { incompatible: preview.incompatible },
    });
  }
  return { waves: cutIntoWaves(fleet, targets, policy), queue: preview.offline, preview };
}

function cutIntoWaves(fleet: readonly NodeFacts[], targets: NodeFacts[], policy: Policy): PlannedWave[] {
  const reserved = new Map<number, number>();
  policy.waves.forEach((spec, index) => {
    for (const name of Array.isArray(spec.nodes) ? spec.nodes : []) reserved.set(findNode(fleet, name).id, index);
  });
  let left = targets.filter((node) => !reserved.has(node.id)).sort(byRisk);
  const waves = policy.waves.map((spec, index): PlannedWave => {
    const listed = targets.filter((node) => reserved.get(node.id) === index).map((node) => node.id);
    const size = waveSize(spec, targets.length, left.length);
    const taken = left.slice(0, size).map((node) => node.id);
    left = left.slice(size);
    return { ...spec, nodes: [...listed, ...taken] };
  });
  const last = policy.waves.at(-1)!;
  if (left.length > 0) waves.push({ ...last, name: "rest", nodes: left.map((node) => node.id), approve: false });
  return waves;
}
