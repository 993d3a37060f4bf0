/** InfluxDB line protocol: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/ */
import type { AlertView } from "../gateway/fleet-view";
import type { NodeStatus } from "./readings";

export type FieldValue = number | { integer: number } | boolean | string;

const escapeTag = (text: string): string =>
  // Neither a line feed nor a backslash at the end can be escaped.
  text
    .replace(/[\r\n]+/g, " ")
    .replace(/\\+$/, "")
    .replace(/[,= ]/g, "\\$&");

function field(value: FieldValue): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "string") return `"${value.replace(/[\r\n]+/g, " ").replace(/["\\]/g, "\\$&")}"`;
  return `${Math.trunc(value.integer)}i`;
}

/** One line without an end, or "" when no field has a value. Tags and fields are sorted; empty tags are left out. */
export function line(
  measurement: string,
  tags: Readonly<Record<string, string>>,
  fields: Readonly<Record<string, FieldValue | null>>,
  milliseconds: number,
): string {
  const written = Object.entries(fields)
    .filter((entry): entry is [string, FieldValue] => {
      const [, value] = entry;
      return value !== null && (typeof value !== "number" || Number.isFinite(value));
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${escapeTag(name)}=${field(value)}`);
  if (written.length === 0) return "";
  const tagText = Object.entries(tags)
    .filter(([, value]) => escapeTag(value) !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `,${escapeTag(name)}=${escapeTag(value)}`)
    .join("");
  return `${escapeTag(measurement)}${tagText} ${written.join(",")} ${Math.floor(milliseconds)}`;
}

const integer = (value: number | null): FieldValue | null => (value === null ? null : { integer: value });

export interface LineTags {
  /** Which mesh, so that one database serves many. */
  mesh: string;
}

/**
 * A node's readings at the time it was heard: whoever writes the same frame writes the same point, and InfluxDB keeps
 * one. "" before the first telemetry.
 */
export function nodeLine(view: NodeStatus, { mesh }: LineTags): string {
  const r = view.readings;
  if (!r) return "";
  return line(
    "espalier_node",
    { mesh, node: String(view.id), name: view.name, hardware: view.hardware, role: view.role },
    {
      uptime: integer(r.uptime),
      memory: integer(r.memory),
      memory_total: integer(r.memoryTotal),
      rssi: integer(r.rssi),
      hops: view.hops < 0 ? null : { integer: view.hops },
      parent: view.parent ? { integer: view.parent } : null,
      children: integer(r.children),
      received: integer(r.received),
      sent: integer(r.sent),
      dropped: integer(r.dropped),
      refused: integer(r.refused),
      loss: r.loss,
      latency: r.latency,
      starts: integer(r.starts),
      battery: r.battery,
      temperature: integer(r.temperature),
      version: view.version || null,
      trial: r.trial,
      update_percent: integer(r.updatePercent),
    },
    wholeSecond(view.heardAt),
  );
}

export type AlertStatus = Pick<
  AlertView,
  "rule" | "node" | "severity" | "state" | "message" | "value" | "threshold" | "inhibitedBy" | "since" | "resolvedAt"
>;

/** Messages of a bridge tell times in seconds, and a point that came either way shall be the same. */
const wholeSecond = (milliseconds: number): number => Math.floor(milliseconds / 1000) * 1000;

/** A change of an alert. */
export function alertLine(alert: AlertStatus, { mesh }: LineTags, now: number): string {
  return line(
    "espalier_alert",
    { mesh, rule: alert.rule, node: alert.node ? String(alert.node) : "", severity: alert.severity },
    {
      state: alert.state,
      message: alert.message,
      value: alert.value,
      threshold: alert.threshold,
      inhibited: alert.inhibitedBy !== "",
    },
    wholeSecond(alert.state === "resolved" && alert.resolvedAt ? alert.resolvedAt : alert.since || now),
  );
}
