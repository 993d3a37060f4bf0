/** State of a fleet on a computer: telemetry, the mesh's tree, and alerts, as plain views and events. */
import { type Alert, createAlerts } from "../../firmware/status/alerts";
import { createFleet, FLAG_FOREIGN, type FleetNews, type FleetNode } from "../../firmware/status/fleet";
import { type AlertRule, NODE_LOST, ruleSet } from "../../firmware/status/rules";
import { createStatusService } from "../../firmware/status/service";
import { OLD_ENHANCED_STATUS, telemetryOfStatus } from "../../firmware/status/status-package";
import { ENHANCED_STATUS, type Package, STATUS } from "../../firmware/wire/packages";
import type { Telemetry } from "../../firmware/wire/telemetry";
import { alertRules } from "../config/alert-rules";
import { alertMessage } from "./alert-words";
import type {
  AlertView,
  CollectorEvents,
  MeshEvent,
  NodeView,
  Severity,
  StatusCollector,
  TopologyView,
} from "./fleet-view";
import type { MeshSession } from "./mesh-session";

export interface CollectorOptions {
  /** What the site calls a node, and what it is made of. */
  names?: ReadonlyMap<number, { name?: string; hardware?: string }>;
  /** The defaults unless given; see host-tools/config/alert-rules.ts. */
  rules?: readonly AlertRule[];
  /** Seconds between frames of nodes that do not say; 60 unless given. */
  interval?: number;
  /** Nodes kept at most; 2000 unless given. */
  limit?: number;
  /** Resolved alerts kept; 200 unless given. */
  history?: number;
  /** Seconds between questions to all nodes, which also compare clocks; 600 unless given, 0 for never. */
  poll?: number;
}

const SEVERITIES: Severity[] = ["info", "warning", "critical"];
const ROLES = ["node", "root", "dashboard", "bridge"];
/** Milliseconds between two looks at all nodes. */
const SWEEP_MS = 2000;
/** A node that told nothing and is in no tree any more is forgotten after so long. */
const FORGET_MS = 600_000;
/** Intervals of silence after which a node is called stale. */
const STALE_INTERVALS = 2;
const HOPS_UNKNOWN = 255;
const FLAG_LOST_AFTER_MS = 60_000;

interface TreeNode {
  nodeId: number;
  subs?: TreeNode[];
}

type Listeners = { [K in keyof CollectorEvents]: Set<CollectorEvents[K]> };

export function createCollector(session: MeshSession, options: CollectorOptions = {}): StatusCollector {
  const { mesh, engine } = session.node;
  const rules = options.rules ? [...options.rules] : alertRules();
  const historyLimit = options.history ?? 200;
  const listeners: Listeners = { node: new Set(), alert: new Set(), topology: new Set(), event: new Set() };
  const history: AlertView[] = [];
  let lastTopology = "";
  let lastTree = "";
  let closed = false;

  function emit<K extends keyof CollectorEvents>(name: K, value: Parameters<CollectorEvents[K]>[0]): void {
    for (const listener of [...listeners[name]]) (listener as (v: typeof value) => void)(value);
  }

  function tell(kind: MeshEvent["kind"], node: number, text: string): void {
    emit("event", { at: session.now(), kind, node, text });
  }

  const fleet = createFleet({
    crc32: engine.crc32,
    interval: (options.interval ?? 60) * 1000,
    limit: options.limit ?? 2000,
    hooks: {
      news,
      // painlessMesh's own measurement of delay: C++ nodes answer it too.
      probe: (id) => void mesh.startDelayMeas(id),
    },
  });

  const alerts = createAlerts({
    fleet,
    rules: ruleSet(rules, (index) => rules[index]!.id),
    changed: alertChanged,
    limit: 4 * (options.limit ?? 2000),
  });

  function nameOf(id: number): string {
    return options.names?.get(id)?.name ?? id.toString(16).padStart(8, "0");
  }

  function versionOf(node: FleetNode): string {
    if (!node.frame) return "";
    return `${Math.floor(node.version / 16777216)}.${(node.version >>> 16) & 255}.${node.version & 65535}`;
  }

  function news(kind: FleetNews, node: FleetNode): void {
    const name = nameOf(node.id);
    if (kind === "joined") tell("node-joined", node.id, `${name} joined`);
    else if (kind === "restarted") tell("restart", node.id, `${name} restarted`);
    else if (kind === "version") tell("version", node.id, `${name} runs ${versionOf(node)}`);
    else if (kind === "moved") tell("topology", node.id, `${name} is below ${nameOf(node.parent)} now`);
    else {
      alerts.forget(node.id);
      tell("node-left", node.id, `${name} is gone`);
    }
  }

  function alertView(alert: Alert): AlertView {
    const muted = alert.rule === NODE_LOST && alert.state === "firing" ? fleet.below(alert.node).length : 0;
    return {
      key: `${alert.rule}:${alert.node}`,
      rule: alert.rule,
      node: alert.node,
      severity: SEVERITIES[alert.severity]!,
      state: alert.state,
      message: alertMessage(alert, nameOf(alert.node), muted),
      value: Number.isFinite(alert.value) ? alert.value : null,
      threshold: alert.threshold,
      since: alert.since || alert.at,
      resolvedAt: alert.state === "resolved" ? alert.at : 0,
      inhibitedBy: alert.inhibitedBy ? `${NODE_LOST}:${alert.inhibitedBy}` : "",
      flapping: alert.flapping,
      acknowledged: alert.acknowledged,
    };
  }

  function alertChanged(alert: Alert): void {
    // What was only pending is no news: it never fired.
    if (alert.state === "resolved" && !alert.since) return;
    const view = alertView(alert);
    emit("alert", view);
    if (alert.state === "pending") return;
    if (alert.state === "resolved" && alert.at === session.now()) {
      history.push(view);
      if (history.length > historyLimit) history.shift();
    }
    const said = { firing: "", nodata: "no data: ", resolved: "resolved: " }[alert.state];
    const muted = view.inhibitedBy ? " (muted)" : "";
    if (alert.at === session.now()) tell("alert", alert.node, `${said}${view.message}${muted}`);
    const node = fleet.find(alert.node);
    if (node && alert.rule === NODE_LOST) emit("node", viewOf(node));
  }

  function presenceOf(node: FleetNode): NodeView["presence"] {
    const now = session.now();
    const alert = alerts.find(NODE_LOST, node.id);
    if (alert && alert.state === "firing") return "lost";
    if (!node.heardAt) return now - node.aliveAt > FLAG_LOST_AFTER_MS ? "lost" : "online";
    return now - node.heardAt > STALE_INTERVALS * node.interval ? "stale" : "online";
  }

  function viewOf(node: FleetNode): NodeView {
    const telemetry = fleet.values(node);
    const inTree = mesh.getHopCount(node.id);
    return {
      id: node.id,
      name: nameOf(node.id),
      hardware: options.names?.get(node.id)?.hardware ?? "",
      role: telemetry ? (ROLES[telemetry.role] ?? "other") : "",
      version: versionOf(node),
      presence: presenceOf(node),
      heardAt: node.heardAt,
      parent: node.parent,
      hops: telemetry && telemetry.hops !== HOPS_UNKNOWN ? telemetry.hops : node.root ? 0 : inTree > 0 ? inTree : -1,
      telemetry,
    };
  }

  function take(frame: Telemetry): void {
    const node = fleet.takeValues(frame, session.now());
    alerts.look(node, session.now());
    emit("node", viewOf(node));
    topologyChanged();
  }

  function topology(): TopologyView {
    const root = mesh.rootId();
    return {
      root,
      nodes: fleet.nodes
        .filter((node) => presenceOf(node) !== "lost")
        .map((node) => {
          const { parent, hops, telemetry } = viewOf(node);
          return { id: node.id, parent, hops, rssi: telemetry?.rssi ?? 0 };
        }),
    };
  }

  function topologyChanged(): void {
    // The signal of a link changes all the time, the tree does not.
    let shape = String(mesh.rootId());
    for (const node of fleet.nodes) if (presenceOf(node) !== "lost") shape += `,${node.id}:${node.parent}`;
    if (shape === lastTopology) return;
    lastTopology = shape;
    emit("topology", topology());
  }

  /** Parents from the tree as this computer sees it, for nodes that do not say theirs. */
  function readTree(json: string): void {
    const now = session.now();
    const visit = (tree: TreeNode, above: number): void => {
      for (const sub of tree.subs ?? []) {
        const node = fleet.present(sub.nodeId, now);
        if (!node.frame && sub.nodeId !== mesh.rootId()) node.parent = above === mesh.getNodeId() ? 0 : above;
        visit(sub, sub.nodeId);
      }
    };
    visit(JSON.parse(json) as TreeNode, mesh.getNodeId());
  }

  function sweep(): void {
    const now = session.now();
    const json = mesh.subConnectionJson();
    if (json !== lastTree) readTree(json);
    lastTree = json;
    for (const node of fleet.nodes) if (!node.heardAt && mesh.isConnected(node.id)) node.aliveAt = now;
    fleet.compareVersions();
    for (const node of [...fleet.nodes]) {
      if (!node.heardAt && now - node.aliveAt > FORGET_MS) {
        fleet.forgetNode(node.id);
        continue;
      }
      fleet.timePasses(node, now);
      alerts.look(node, now);
    }
    topologyChanged();
  }

  /** C++ nodes broadcast status packages instead of telemetry. */
  function takeStatus(p: Package): void {
    if (closed) return;
    const node = fleet.find(p.from);
    const previous = node ? fleet.values(node) : null;
    if (previous && !(previous.flags & FLAG_FOREIGN)) return;
    const telemetry = telemetryOfStatus(p, previous);
    if (telemetry) take({ ...telemetry, parent: node?.parent ?? 0 });
  }

  const service = createStatusService({
    engine,
    mesh,
    reported(frame, offset) {
      if (closed) return;
      take(frame);
      if (Number.isFinite(offset)) fleet.setClock(frame.node, offset);
    },
  });

  function query(ids: number[] | null): Promise<{ answered: number[]; missing: number[] }> {
    return new Promise((resolve) => {
      if (!service.query(ids, resolve)) resolve({ answered: [], missing: ids ?? mesh.getNodeList(false) });
    });
  }

  const endTelemetry = session.onTelemetry(take);
  for (const type of [ENHANCED_STATUS, STATUS, OLD_ENHANCED_STATUS]) mesh.onPackage(type, takeStatus);
  mesh.onNodeDelayReceived((id) => {
    if (!closed) fleet.alive(id, session.now());
  });
  const timer = engine.every(SWEEP_MS, sweep);
  const poll = options.poll ?? 600;
  const pollTimer = poll ? engine.every(poll * 1000, () => void query(null)) : 0;

  return {
    nodes: () => fleet.nodes.map(viewOf),
    node(id) {
      const node = fleet.find(id);
      return node ? viewOf(node) : null;
    },
    topology,
    alerts() {
      const active = alerts.list.filter(({ state }) => state !== "resolved").map(alertView);
      active.sort((a, b) => b.since - a.since);
      return [...active, ...[...history].reverse()];
    },
    acknowledge(key) {
      const at = key.indexOf(":");
      return alerts.acknowledge(key.slice(0, at), Number(key.slice(at + 1)));
    },
    query,
    on(name, listener) {
      listeners[name].add(listener);
      return () => void listeners[name].delete(listener);
    },
    close() {
      if (closed) return;
      closed = true;
      engine.cancel(timer);
      engine.cancel(pollTimer);
      endTelemetry();
      for (const set of Object.values(listeners)) set.clear();
    },
  };
}
