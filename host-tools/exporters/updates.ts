/** Updates as bridges see them: which image is newer than what a node runs, how far it has come, start and abort. */
import { EspalierError } from "../errors";
import type { NodeView, Rollout, RolloutView } from "../gateway/fleet-view";
import type { UpdateInfo } from "./payloads";

export interface ImageInfo {
  /** Hexadecimal digits. */
  id: string;
  /** "1.2.3" */
  version: string;
  hardware: string;
  role: string;
}

export interface UpdateDesk {
  /** The newest image that fits the node and is newer than what it runs, or null. */
  newerFor(view: NodeView): ImageInfo | null;
  info(view: NodeView): UpdateInfo;
  /** @throws EspalierError IMAGE_UNKNOWN, UPDATE_RUNNING, UPDATE_NODES */
  start(image: string, nodes: readonly number[]): RolloutView;
  /** Ids of nodes that can no longer be stopped. @throws EspalierError UPDATE_NONE */
  abort(): number[];
  current(): RolloutView | null;
  onChange(listener: () => void): () => void;
}

export interface UpdateDeskOptions {
  images: readonly ImageInfo[];
  /** Makes a rollout of the image to these nodes, not yet started. */
  begin(image: ImageInfo, nodes: readonly number[]): Rollout;
  /** One that is under way already. */
  current?: Rollout | null;
}

const OVER: ReadonlySet<string> = new Set(["done", "aborted", "failed"]);
/** What a node reports while chunks come in or are decoded. */
const WORKING: ReadonlySet<string> = new Set(["preparing", "receiving", "relaying", "decoding", "verified"]);
/** The same in telemetry: preparing to verified. */
const FIRST_WORKING = 1;
const LAST_WORKING = 5;

/** Greater than zero when `a` is newer. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] || 0) - (right[i] || 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function createUpdateDesk(options: UpdateDeskOptions): UpdateDesk {
  const listeners = new Set<() => void>();
  let rollout: Rollout | null = null;

  function watch(next: Rollout): Rollout {
    rollout = next;
    next.onChange(() => {
      for (const listener of listeners) listener();
    });
    return next;
  }

  if (options.current) watch(options.current);

  function newerFor(view: NodeView): ImageInfo | null {
    const images = options.images.filter((image) => image.role === view.role);
    // Of a node whose hardware nobody has written down, only what leaves no choice is offered.
    const hardware =
      view.hardware || (new Set(images.map((image) => image.hardware)).size === 1 ? images[0]!.hardware : "");
    let best: ImageInfo | null = null;
    for (const image of images) {
      if (image.hardware !== hardware) continue;
      if (compareVersions(image.version, best ? best.version : view.version || "0.0.0") > 0) best = image;
    }
    return best;
  }

  return {
    newerFor,
    info(view) {
      const current = rollout?.view();
      const node = current && !OVER.has(current.state) ? current.nodes.find((one) => one.node === view.id) : undefined;
      const t = view.telemetry;
      const told = t !== null && t.updateState >= FIRST_WORKING && t.updateState <= LAST_WORKING;
      const inProgress = (node !== undefined && WORKING.has(node.state)) || told;
      return {
        latest: newerFor(view)?.version ?? "",
        inProgress,
        percent: node && WORKING.has(node.state) ? node.percent : told ? t.updatePercent : null,
      };
    },
    start(id, nodes) {
      const image = options.images.find((one) => one.id === id || one.id.startsWith(id));
      if (!image)
        throw new EspalierError("IMAGE_UNKNOWN", `there is no image ${id}`, { hint: "--images names their folder." });
      if (nodes.length === 0) throw new EspalierError("UPDATE_NODES", "no node to update");
      if (rollout && !OVER.has(rollout.view().state))
        throw new EspalierError("UPDATE_RUNNING", `rollout ${rollout.view().id} is under way`, {
          hint: "Abort it first, or wait.",
        });
      const next = watch(options.begin(image, nodes));
      next.start();
      return next.view();
    },
    abort() {
      if (!rollout || OVER.has(rollout.view().state)) throw new EspalierError("UPDATE_NONE", "no rollout is under way");
      return rollout.abort();
    },
    current: () => rollout?.view() ?? null,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Where no images are at hand: nothing is newer, nothing can be started. */
export function noUpdates(): UpdateDesk {
  return createUpdateDesk({
    images: [],
    begin() {
      throw new EspalierError("IMAGE_UNKNOWN", "there are no images");
    },
  });
}
