/** JSON that the bridge publishes; schemas/ describes it. Times are Unix seconds. */
import type { AlertView, NodeView, TopologyView } from "../gateway/fleet-view";
import { EMPTY_READINGS, readingsOf } from "./readings";

const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);
/** Six significant digits: what a float in a telemetry frame can carry, without binary noise in the text. */
const round = (value: number): number => Number(value.toPrecision(6));
const rounded = (value: number | null): number | null => (value === null ? null : round(value));

/** What Home Assistant's `update` entity reads; it refuses an object with any further key. */
export interface UpdatePayload {
  installed_version: string;
  latest_version: string;
  in_progress: boolean;
  update_percentage: number | null;
}

export interface UpdateInfo {
  /** Newest version for this node, "" when none is known. */
  latest: string;
  inProgress: boolean;
  /** 0..100 while in progress */
  percent: number | null;
}

export function updatePayload(view: NodeView, update: UpdateInfo): UpdatePayload {
  return {
    installed_version: view.version,
    latest_version: update.latest || view.version,
    in_progress: update.inProgress,
    update_percentage: update.inProgress ? update.percent : null,
  };
}

export function nodesPayload(now: number, nodes: readonly NodeView[]): object {
  return {
    timestamp: seconds(now),
    nodes: nodes.map((view) => {
      const r = readingsOf(view) ?? EMPTY_READINGS;
      const { id, version, presence } = view;
      return { id, uptime: r.uptime, memory: r.memory, rssi: r.rssi, version, presence };
    }),
  };
}

/** `timestamp` is when the node was heard, so that the same news gives the same bytes whoever publishes it. */
export function nodePayload(view: NodeView, update: UpdateInfo): object {
  const r = readingsOf(view) ?? EMPTY_READINGS;
  return {
    timestamp: seconds(view.heardAt),
    id: view.id,
    name: view.name,
    hardware: view.hardware,
    role: view.role,
    version: view.version,
    presence: view.presence,
    parent: view.parent || null,
    hops: view.hops < 0 ? null : view.hops,
    uptime: r.uptime,
    memory: r.memory,
    memory_total: r.memoryTotal,
    rssi: r.rssi,
    children: r.children,
    received: r.received,
    sent: r.sent,
    dropped: r.dropped,
    refused: r.refused,
    loss: rounded(r.loss),
    latency: rounded(r.latency),
    starts: r.starts,
    reset: r.reset,
    battery: rounded(r.battery),
    temperature: r.temperature,
    trial: r.trial,
    update_state: r.updateState,
    update: updatePayload(view, update),
  };
}

export function topologyPayload(now: number, view: TopologyView): object {
  return {
    timestamp: seconds(now),
    root: view.root || null,
    nodes: view.nodes.map(({ id, parent, hops, rssi }) => ({
      id,
      parent: parent || null,
      hops: hops < 0 ? null : hops,
      rssi: rssi || null,
    })),
  };
}

export interface BridgeFigures {
  /** seconds */
  uptime: number;
  published: number;
  /** Events that wait for the broker. */
  queued: number;
  /** Events given up because the buffer was full. */
  dropped: number;
  reconnects: number;
  commandsRefused: number;
}

export function metricsPayload(
  now: number,
  nodes: readonly NodeView[],
  alerts: readonly AlertView[],
  bridge: BridgeFigures,
): object {
  const readings = nodes.flatMap((view) => (view.presence === "lost" ? [] : (readingsOf(view) ?? [])));
  const list = (pick: (r: (typeof readings)[number]) => number | null): number[] =>
    readings.flatMap((r) => pick(r) ?? []);
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  const least = (values: number[]): number | null => (values.length ? Math.min(...values) : null);
  const most = (values: number[]): number | null => (values.length ? Math.max(...values) : null);
  const mean = (values: number[]): number | null => (values.length ? round(sum(values) / values.length) : null);
  const present = (presence: string): number => nodes.filter((view) => view.presence === presence).length;
  const firing = alerts.filter((alert) => alert.state === "firing" && alert.inhibitedBy === "");
  const hops = nodes.map((view) => view.hops).filter((count) => count >= 0);
  return {
    timestamp: seconds(now),
    nodes: { total: nodes.length, online: present("online"), stale: present("stale"), lost: present("lost") },
    messages: {
      received: sum(list((r) => r.received)),
      sent: sum(list((r) => r.sent)),
      dropped: sum(list((r) => r.dropped)),
      refused: sum(list((r) => r.refused)),
    },
    memory: { least: least(list((r) => r.memory)), mean: mean(list((r) => r.memory)) },
    rssi: { least: least(list((r) => r.rssi)), mean: mean(list((r) => r.rssi)) },
    latency: { mean: mean(list((r) => r.latency)), most: most(list((r) => r.latency)) },
    loss: { mean: mean(list((r) => r.loss)), most: most(list((r) => r.loss)) },
    hops: { most: most(hops) },
    alerts: {
      firing: firing.length,
      critical: firing.filter((alert) => alert.severity === "critical").length,
      warning: firing.filter((alert) => alert.severity === "warning").length,
    },
    bridge: {
      uptime: Math.floor(bridge.uptime),
      published: bridge.published,
      queued: bridge.queued,
      dropped: bridge.dropped,
      reconnects: bridge.reconnects,
      commands_refused: bridge.commandsRefused,
    },
  };
}

function alertBody(alert: AlertView): object {
  return {
    // One occurrence has one id, so that what is delivered twice is recognised.
    id: `${alert.key}@${seconds(alert.since)}`,
    rule: alert.rule,
    node: alert.node || null,
    severity: alert.severity,
    state: alert.state,
    message: alert.message,
    value: alert.value,
    threshold: alert.threshold,
    since: seconds(alert.since),
    resolved: alert.resolvedAt ? seconds(alert.resolvedAt) : null,
    inhibited_by: alert.inhibitedBy || null,
    flapping: alert.flapping,
    acknowledged: alert.acknowledged,
  };
}

/** What is wrong now: firing, or without data. */
export function alertsPayload(now: number, alerts: readonly AlertView[]): object {
  return {
    timestamp: seconds(now),
    alerts: alerts.filter((alert) => alert.state === "firing" || alert.state === "nodata").map(alertBody),
  };
}

/** One change of one alert. */
export function alertEventPayload(now: number, alert: AlertView): object {
  return { timestamp: seconds(now), ...alertBody(alert) };
}
