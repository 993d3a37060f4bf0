/** Reads what bridges publish: hostile until parsed. */
import { z } from "zod";
import type { AlertStatus } from "./influx-line";
import type { NodeStatus } from "./readings";

const id = z.int().min(1).max(0xffffffff);
const seconds = z.int().min(0).max(1e11);
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER).nullable();
const figure = z.number().min(-1e12).max(1e12).nullable();
const word = z.string().max(100);

const nodeMessage = z
  .object({
    timestamp: seconds,
    id,
    name: word,
    hardware: word,
    role: word,
    version: word,
    presence: z.enum(["online", "stale", "lost"]),
    parent: id.nullable(),
    hops: count,
    uptime: count,
    memory: count,
    memory_total: count,
    rssi: figure,
    children: count,
    received: count,
    sent: count,
    dropped: count,
    refused: count,
    loss: figure,
    latency: figure,
    starts: count,
    reset: z.enum(["requested", "other"]).nullable(),
    battery: figure,
    temperature: figure,
    trial: z.boolean().nullable(),
    update_state: word.nullable(),
    update: z.object({ update_percentage: figure }),
  })
  .transform((m): NodeStatus => ({
    id: m.id,
    name: m.name,
    hardware: m.hardware,
    role: m.role,
    version: m.version,
    presence: m.presence,
    heardAt: m.timestamp * 1000,
    parent: m.parent ?? 0,
    hops: m.hops ?? -1,
    readings:
      m.uptime === null
        ? null
        : {
            uptime: m.uptime,
            memory: m.memory,
            memoryTotal: m.memory_total,
            rssi: m.rssi,
            children: m.children,
            received: m.received,
            sent: m.sent,
            dropped: m.dropped,
            refused: m.refused,
            loss: m.loss,
            latency: m.latency,
            starts: m.starts,
            reset: m.reset,
            battery: m.battery,
            temperature: m.temperature,
            trial: m.trial,
            updateState: m.update_state,
            updatePercent: m.update.update_percentage,
          },
  }));

const alertMessage = z
  .object({
    rule: word,
    node: id.nullable(),
    severity: z.enum(["info", "warning", "critical"]),
    state: z.enum(["pending", "firing", "nodata", "resolved"]),
    message: z.string().max(1000),
    value: figure,
    threshold: figure,
    inhibited_by: z.string().max(200).nullable(),
    since: seconds,
    resolved: seconds.nullable(),
  })
  .transform((m): AlertStatus => ({
    rule: m.rule,
    node: m.node ?? 0,
    severity: m.severity,
    state: m.state,
    message: m.message,
    value: m.value,
    threshold: m.threshold,
    inhibitedBy: m.inhibited_by ?? "",
    since: m.since * 1000,
    resolvedAt: (m.resolved ?? 0) * 1000,
  }));

const MAX_BYTES = 16384;

export type FleetMessage =
  { kind: "node"; mesh: string; node: NodeStatus } | { kind: "alert"; mesh: string; alert: AlertStatus };

/** null for what is no message of a bridge. */
export function parseMessage(topic: string, payload: Buffer): FleetMessage | null {
  const match = /^(.{1,100})\/status\/(?:node\/(\d{1,10})|alerts\/events)$/s.exec(topic);
  if (!match || payload.length > MAX_BYTES) return null;
  const mesh = match[1]!;
  let value: unknown;
  try {
    value = JSON.parse(payload.toString("utf8"));
  } catch {
    return null;
  }
  if (match[2] === undefined) {
    const { data } = alertMessage.safeParse(value);
    return data ? { kind: "alert", mesh, alert: data } : null;
  }
  const { data } = nodeMessage.safeParse(value);
  // The topic is what a broker's access list judges by.
  return data && data.id === Number(match[2]) ? { kind: "node", mesh, node: data } : null;
}
