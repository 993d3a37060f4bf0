/** Puts together what leaves a mesh: one collector, and the bridge and exporters that were asked for. */
import type { EspalierNode } from "../../firmware/node";
import type { Collector, NodeView } from "../gateway/fleet-view";
import type { Image } from "../build/image";
import { type CollectorOptions, createCollector } from "../gateway/collector";
import type { MeshSession } from "../gateway/mesh-session";
import { keepRollouts } from "../gateway/rollout/keeper";
import { RolloutStore } from "../gateway/rollout/store";
import { type BrokerOptions, openBroker } from "./broker";
import type { CommandHost } from "./command-desk";
import type { EventStore } from "./event-store";
import { createInfluxWriter, type InfluxOptions, type InfluxState, type InfluxWriter } from "./influx";
import { alertLine, nodeLine } from "./influx-line";
import { createMeshUpdates } from "./mesh-updates";
import { type BridgeState, type MqttBridge, startMqttBridge } from "./mqtt-bridge";
import { createRegistry, type Endpoint, servePrometheus } from "./prometheus";
import { statusOf } from "./readings";
import { topicsFor } from "./topics";

export interface ExportOptions {
  session: MeshSession;
  /** What the site calls its nodes. */
  names?: CollectorOptions["names"];
  /** What may be installed. */
  images: readonly Image[];
  /** Where rollouts are kept; they end with the process unless given. */
  rollouts?: string;
  /** null: no MQTT. */
  broker: BrokerOptions | null;
  /** Opened when it is needed. */
  events(): EventStore;
  prefix: string;
  intervalMs: number;
  /** null: no commands. */
  key: Buffer | null;
  /** null: not told to Home Assistant. */
  discoveryPrefix: string | null;
  prometheus: { host: string; port: number } | null;
  maxNodes: number;
  influx: InfluxOptions | null;
  version: string;
  log(text: string): void;
}

export interface ExportState {
  mqtt: BridgeState | null;
  influx: InfluxState | null;
  /** Where Prometheus finds its metrics, or null. */
  prometheus: string | null;
  nodes: number;
}

export interface Exports {
  state(): ExportState;
  close(): Promise<void>;
}

/** Milliseconds in which a node has to confirm a message. */
const RECEIPT_MS = 30000;

function sendMessage(node: EspalierNode, to: number, text: string): Promise<void> {
  const bytes = Buffer.from(text, "utf8").toString("latin1");
  if (to === 0)
    return node.mesh.sendBroadcast(bytes) ? Promise.resolve() : Promise.reject(new Error("nobody is in the mesh"));
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error("the node did not confirm the message")), RECEIPT_MS);
    const done = (error: string | null): void => {
      clearTimeout(limit);
      if (error) reject(new Error(`the node did not confirm the message: ${error}`));
      else resolve();
    };
    if (!node.mesh.sendSingle(to, bytes, { ack: true, done })) done("there is no way to it");
  });
}

function feedInflux(collector: Collector, writer: InfluxWriter, mesh: string, now: () => number): (() => void)[] {
  const write = (view: NodeView): void => writer.write(nodeLine(statusOf(view), { mesh }));
  for (const view of collector.nodes()) write(view);
  return [
    collector.on("node", write),
    collector.on("alert", (alert) => {
      if (alert.state !== "pending") writer.write(alertLine(alert, { mesh }, now()));
    }),
  ];
}

/** @throws EspalierError INFLUX_CONFIG, BROKER_URL, BUFFER_IN_USE, BUFFER_UNUSABLE, PORT_IN_USE, PORT_FAILED */
export async function startExports(options: ExportOptions): Promise<Exports> {
  const { session, prefix, log, version } = options;
  const { engine } = session.node;
  const now = (): number => session.now();
  const collector = createCollector(session, { names: options.names });
  const keeper = keepRollouts(session, options.rollouts === undefined ? null : new RolloutStore(options.rollouts), log);
  const updates = createMeshUpdates({ collector, images: options.images, keeper });
  const ends: (() => void)[] = [() => keeper.close()];
  let mqtt: MqttBridge | null = null;
  let writer: InfluxWriter | null = null;
  let endpoint: Endpoint | null = null;

  async function close(): Promise<void> {
    for (const end of ends) end();
    await mqtt?.close();
    await endpoint?.close();
    await writer?.close();
    collector.close();
  }

  try {
    if (options.influx) {
      writer = createInfluxWriter(options.influx);
      ends.push(...feedInflux(collector, writer, prefix, now));
    }
    if (options.broker) {
      const broker = { ...options.broker, will: { topic: topicsFor(prefix).bridge, payload: "offline" } };
      const host: CommandHost = {
        nodes: () => collector.nodes(),
        send: (to, text) => sendMessage(session.node, to, text),
        query: async (nodes) => void (await collector.query(nodes.length > 0 ? [...nodes] : null)),
        updates,
      };
      mqtt = startMqttBridge({
        collector,
        updates,
        events: options.events(),
        prefix,
        intervalMs: options.intervalMs,
        now,
        every(milliseconds, run) {
          const timer = engine.every(milliseconds, run);
          return () => engine.cancel(timer);
        },
        open: (handlers) => openBroker(broker, handlers),
        ...(options.key ? { commands: { key: options.key, host, now: () => Date.now() } } : {}),
        ...(options.discoveryPrefix === null
          ? {}
          : { homeAssistant: { discoveryPrefix: options.discoveryPrefix, bridge: prefix, version } }),
        log,
      });
    }
    if (options.prometheus) {
      const { host, port } = options.prometheus;
      const running = mqtt;
      const registry = createRegistry({
        collector,
        mesh: prefix,
        version,
        maxNodes: options.maxNodes,
        ...(running ? { bridge: () => running.state() } : {}),
      });
      endpoint = await servePrometheus(registry, host, port);
      log(`metrics at http://${endpoint.address}/metrics`);
    }
  } catch (error) {
    await close();
    throw error;
  }

  return {
    state: () => ({
      mqtt: mqtt?.state() ?? null,
      influx: writer?.state() ?? null,
      prometheus: endpoint?.address ?? null,
      nodes: collector.nodes().length,
    }),
    close,
  };
}
