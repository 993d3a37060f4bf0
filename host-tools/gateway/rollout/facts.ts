/** What is known of a mesh before a rollout: who is in it, what runs where. */
import type { Telemetry } from "../../../firmware/wire/telemetry";
import type { NodeView } from "../fleet-view";
import type { MeshSession } from "../mesh-session";
import type { NodeFacts } from "./plan";

/** What the site's file says of a node. */
export interface KnownNode {
  name?: string;
  hardware?: string;
  role?: string;
}

const ROLES = ["node", "root", "dashboard", "bridge"];
export const FLAG_ROOT = 4;
/** Telemetry comes once a minute unless a node is told otherwise. */
const HEARD_WITHIN_MS = 70_000;
const LOOK_MS = 250;

/**
 * The nodes of the site and of the mesh. Waits until every node of the mesh has told what it runs, at most a minute, on the
 * clock of the session; `frames` holds the telemetry that came since the session began.
 */
export async function gatherFacts(
  session: MeshSession,
  frames: ReadonlyMap<number, Telemetry>,
  site: ReadonlyMap<number, KnownNode>,
  signal: AbortSignal,
): Promise<NodeFacts[]> {
  const { mesh, engine } = session.node;
  const began = engine.now();
  const heardAll = (): boolean => mesh.getNodeList(false).every((id) => frames.has(id));
  while (!heardAll() && engine.now() - began < HEARD_WITHIN_MS && !signal.aborted)
    await new Promise<void>((resolve) => engine.after(LOOK_MS, resolve));
  const members = new Set(mesh.getNodeList(false));
  return [...new Set([...members, ...site.keys()])].map((id) => {
    const frame = frames.get(id);
    const known = site.get(id);
    return {
      id,
      name: known?.name ?? id.toString(16).padStart(8, "0"),
      hardware: known?.hardware ?? "",
      role: (frame && ROLES[frame.role]) ?? known?.role ?? "",
      version: frame ? `${frame.major}.${frame.minor}.${frame.patch}` : "",
      image: frame?.image ?? 0,
      online: members.has(id),
      root: frame ? (frame.flags & FLAG_ROOT) !== 0 : false,
      children: frame?.children ?? 0,
      hops: members.has(id) ? mesh.getHopCount(id) : 0,
    };
  });
}

/** The same of a node that is watched. Nodes refuse what is for another chip; where nobody wrote theirs down, it is `hardware`. */
export function factsOfView(view: NodeView, hardware: string): NodeFacts {
  return {
    id: view.id,
    name: view.name,
    hardware: view.hardware || hardware,
    role: view.role,
    version: view.version,
    image: view.telemetry?.image ?? 0,
    online: view.presence !== "lost",
    root: view.role === "root",
    children: view.telemetry?.children ?? 0,
    hops: Math.max(0, view.hops),
  };
}
