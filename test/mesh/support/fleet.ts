/** Meshes on the nodes of a test world. */
import { createMesh } from "../../../firmware/mesh/mesh";
import type { Mesh, MeshConfig } from "../../../firmware/mesh/mesh";
import { RawPeer, World } from "./world";
import type { Node, NodeOptions } from "./world";

export interface Member {
  mesh: Mesh;
  node: Node;
  received: string[];
  events: string[];
}

export const PORT = 5555;

export function join(world: World, options: NodeOptions, config: Partial<MeshConfig> = {}): Member {
  const node = world.node(options);
  const received: string[] = [];
  const events: string[] = [];
  const mesh = createMesh(
    node.engine,
    { meshName: "grove", password: "secret-word", port: PORT, channel: 6, ...config },
    {
      receive: (from, message) => received.push(from + ":" + message),
      newConnection: (id) => events.push("new " + id),
      droppedConnection: (id) => events.push("dropped " + id),
      changedConnections: () => events.push("changed"),
      nodeTimeAdjusted: (offset) => events.push("time " + offset),
      nodeDelayReceived: (from, delay) => events.push("delay " + from + " " + delay),
    },
  );
  mesh.start();
  return { mesh, node, received, events };
}

/** Wired nodes with ids 1.., each of which dials the one at `parents[i]` (an index, -1 for none). */
export function tree(world: World, parents: number[], config: Partial<MeshConfig> = {}): Member[] {
  return parents.map((parent, i) =>
    join(
      world,
      { name: "n" + (i + 1) },
      { nodeId: i + 1, ...(parent < 0 ? {} : { uplink: { host: "n" + (parent + 1), port: PORT } }), ...config },
    ),
  );
}

export const line = (count: number): number[] => Array.from({ length: count }, (_, i) => i - 1);
export const star = (count: number): number[] => Array.from({ length: count }, (_, i) => (i ? 0 : -1));

/** Whether every node sees all others. */
export function whole(members: Member[]): boolean {
  return members.every((m) => m.mesh.getNodeList().length === members.length - 1);
}

/** Raw peer that has dialled a node. */
export function rawClient(world: World, host: string, name = "raw"): RawPeer {
  const peer = new RawPeer(world);
  const node = world.nodes.find((n) => n.options.name === name) ?? world.node({ name });
  peer.wire = node.dial(host, PORT, peer);
  return peer;
}

/** Raw peer that waits to be dialled. */
export function rawServer(world: World, name: string): RawPeer {
  const peer = new RawPeer(world);
  world.node({ name }).engine.listen(PORT, (socket) => {
    peer.wire = socket as never;
    peer.opened = true;
    return peer;
  });
  return peer;
}
