/**
 * A mesh and an airwave without a world, for tests that start nodes by the thousand: modules to put in the place of
 * firmware/mesh/mesh.ts and airwave.ts. The node is number 2, and has the laptop, number 1, as its parent or nobody.
 */
import type { Package } from "../../../firmware/wire/packages";

export const around = {
  /** Nobody is there. */
  alone: false,
  /** What the node sends. */
  sent: (_: Package): void => {},
  packages: new Map<number, (p: Package, neighbour: number) => void>(),
  frames: new Map<number, (bytes: string, fromParent: boolean) => void>(),
};

const nothing = (): void => {};

const mesh = {
  stats: { rx: 0, tx: 0, forwarded: 0, dropped: 0, queueDrops: 0, malformed: 0, refused: 0, bytes: 0 },
  config: {},
  state: { parentIp: "10.1.1.1", apIp: "10.1.2.1", stability: 1000 },
  joinPhase: () => 0,
  start: nothing,
  getNodeId: () => 2,
  getNodeTime: () => 0,
  getNodeList: () => (around.alone ? [] : [1]),
  getHopCount: () => (around.alone ? -1 : 1),
  isConnected: () => !around.alone,
  isRoot: () => false,
  rootId: () => (around.alone ? 0 : 1),
  routeTo: () => (around.alone ? 0 : 1),
  neighbours: () => (around.alone ? [] : [{ id: 1, up: true, espalier: true, v: "1.0.0", c: 63, nodes: 1 }]),
  sendPackage(p: Package) {
    around.sent(p);
    return true;
  },
  onPackage: (type: number, run: (p: Package, neighbour: number) => void) => void around.packages.set(type, run),
  onReceive: nothing,
  onNewConnection: nothing,
  onDroppedConnection: nothing,
  onChangedConnections: nothing,
  subConnectionJson: () => "{}",
};

const airwave = {
  stats: { sent: 0, received: 0, malformed: 0, dropped: 0 },
  start: nothing,
  shut: nothing,
  sendToChildren: () => true,
  sendToParent: () => true,
  waiting: () => 0,
  onFrame: (type: number, run: (bytes: string, fromParent: boolean) => void) => void around.frames.set(type, run),
};

export const meshModule = { createMesh: () => mesh };
export const airwaveModule = { createAirwave: () => airwave };
