/** The mesh as a Prometheus endpoint. Values are read when somebody scrapes; names and units follow Prometheus' practice. */
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, Gauge, Registry } from "prom-client";
import { EspalierError } from "../errors";
import type { Collector, NodeView } from "../gateway/fleet-view";
import { type Readings, readingsOf } from "./readings";

export interface PrometheusOptions {
  collector: Pick<Collector, "nodes" | "alerts">;
  mesh: string;
  /** Espalier's version. */
  version: string;
  /** Nodes with series of their own; the rest is counted in espalier_nodes_omitted. 1000 unless given. */
  maxNodes?: number;
  /** Of the bridge itself, where there is one. */
  bridge?: () => { published: number; queued: number; dropped: number; reconnects: number; connected: boolean };
}

type Reader = (r: Readings, view: NodeView) => number | null;

const NODE_GAUGES: readonly [name: string, help: string, pick: Reader][] = [
  ["uptime_seconds", "Time since the node started", (r) => r.uptime],
  ["memory_free_bytes", "Interpreter memory not in use", (r) => r.memory],
  ["memory_size_bytes", "Interpreter memory in all", (r) => r.memoryTotal],
  ["rssi_dbm", "Signal of the link to the parent, decibel-milliwatts", (r) => r.rssi],
  ["hops", "Links between node and root", (_, view) => (view.hops < 0 ? null : view.hops)],
  ["children", "Nodes directly below", (r) => r.children],
  ["loss_ratio", "Share of broadcast frames not heard at first", (r) => r.loss],
  ["latency_seconds", "Round trip to the parent", (r) => r.latency],
  ["battery_volts", "Battery voltage", (r) => r.battery],
  ["temperature_celsius", "Temperature", (r) => r.temperature],
  ["update_ratio", "Progress of an update", (r) => (r.updatePercent === null ? null : r.updatePercent / 100)],
  ["last_heard_timestamp_seconds", "Unix time of the last telemetry", (_, view) => view.heardAt / 1000],
];

/** Counters in a node start again with it, as Prometheus expects; some wrap, which looks the same. */
const NODE_COUNTERS: readonly [name: string, help: string, pick: Reader][] = [
  ["received_packages_total", "Packages received", (r) => r.received],
  ["sent_packages_total", "Packages sent", (r) => r.sent],
  ["dropped_packages_total", "Packages dropped for want of room", (r) => r.dropped],
  ["refused_packages_total", "Packages and frames that a parser refused", (r) => r.refused],
  ["starts_total", "Starts of the node", (r) => r.starts],
];

const PRESENCES = ["online", "stale", "lost"] as const;
const SEVERITIES = ["info", "warning", "critical"] as const;

const BRIDGE_COUNTERS = [
  ["published_messages", "Messages that the broker acknowledged", "published"],
  ["dropped_events", "Events given up because the buffer was full", "dropped"],
  ["reconnects", "Connections after the first", "reconnects"],
] as const;

export function createRegistry(options: PrometheusOptions): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ mesh: options.mesh });
  const registers = [registry];
  const maxNodes = options.maxNodes ?? 1000;
  const prefix = "espalier_";
  /** Read once for one scrape. */
  let nodes: NodeView[] = [];

  const shown = (): NodeView[] => nodes.slice(0, maxNodes);
  const labels = (view: NodeView): Record<string, string> => ({ node: String(view.id), name: view.name });

  new Gauge({
    name: `${prefix}nodes`,
    help: "Nodes by presence",
    labelNames: ["presence"],
    registers,
    // The first metric of a scrape, which the others follow.
    collect() {
      nodes = options.collector.nodes().sort((a, b) => a.id - b.id);
      for (const presence of PRESENCES)
        this.set({ presence }, nodes.filter((view) => view.presence === presence).length);
    },
  });
  new Gauge({
    name: `${prefix}nodes_omitted`,
    help: "Nodes beyond the limit, which have no series of their own",
    registers,
    collect() {
      this.set(Math.max(0, nodes.length - maxNodes));
    },
  });
  new Gauge({
    name: `${prefix}node_up`,
    help: "1 while the node is heard, 0 when it is lost",
    labelNames: ["node", "name"],
    registers,
    collect() {
      this.reset();
      for (const view of shown()) this.set(labels(view), view.presence === "lost" ? 0 : 1);
    },
  });
  new Gauge({
    name: `${prefix}node_info`,
    help: "What a node is; always 1",
    labelNames: ["node", "name", "hardware", "role", "version", "parent"],
    registers,
    collect() {
      this.reset();
      for (const view of shown()) {
        const { hardware, role, version, parent } = view;
        this.set({ ...labels(view), hardware, role, version, parent: parent ? String(parent) : "" }, 1);
      }
    },
  });

  // Values of a lost node are those of another time: no series says more than an old one.
  const fill = (metric: Gauge | Counter, pick: Reader): void => {
    metric.reset();
    for (const view of shown()) {
      const r = view.presence === "lost" ? null : readingsOf(view);
      const value = r && pick(r, view);
      if (value !== null) metric.inc(labels(view), value);
    }
  };
  const perNode = { labelNames: ["node", "name"], registers };
  for (const [name, help, pick] of NODE_GAUGES) {
    const collect = (): void => fill(gauge, pick);
    const gauge: Gauge = new Gauge({ ...perNode, name: `${prefix}node_${name}`, help, collect });
  }
  for (const [name, help, pick] of NODE_COUNTERS) {
    const collect = (): void => fill(counter, pick);
    const counter: Counter = new Counter({ ...perNode, name: `${prefix}node_${name}`, help, collect });
  }

  new Gauge({
    name: `${prefix}alerts_firing`,
    help: "Alerts that fire and are not muted by another",
    labelNames: ["severity"],
    registers,
    collect() {
      const firing = options.collector.alerts().filter((one) => one.state === "firing" && one.inhibitedBy === "");
      for (const severity of SEVERITIES)
        this.set({ severity }, firing.filter((one) => one.severity === severity).length);
    },
  });
  new Gauge({
    name: `${prefix}build_info`,
    help: "Version of the bridge; always 1",
    labelNames: ["version"],
    registers,
  }).set({ version: options.version }, 1);
  if (options.bridge) addBridge(options.bridge, registers);
  return registry;
}

function addBridge(read: NonNullable<PrometheusOptions["bridge"]>, registers: Registry[]): void {
  new Gauge({
    name: "espalier_bridge_connected",
    help: "1 while the broker is reached",
    registers,
    collect() {
      this.set(read().connected ? 1 : 0);
    },
  });
  new Gauge({
    name: "espalier_bridge_queued_events",
    help: "Events that wait for the broker",
    registers,
    collect() {
      this.set(read().queued);
    },
  });
  for (const [name, help, key] of BRIDGE_COUNTERS)
    new Counter({
      name: `espalier_bridge_${name}_total`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read()[key]);
      },
    });
}

export interface Endpoint {
  /** "127.0.0.1:9469" */
  address: string;
  close(): Promise<void>;
}

/** Serves /metrics. @throws EspalierError PORT_IN_USE, PORT_FAILED */
export function servePrometheus(registry: Registry, host: string, port: number): Promise<Endpoint> {
  const server = http.createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
    } else if (path !== "/metrics") {
      response.writeHead(404, { "content-type": "text/plain" }).end("Metrics are at /metrics.\n");
    } else
      registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
  });
  server.requestTimeout = 10000;
  server.maxConnections = 64;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const inUse = error.code === "EADDRINUSE";
      reject(
        new EspalierError(inUse ? "PORT_IN_USE" : "PORT_FAILED", `cannot serve on ${host}:${port}: ${error.message}`, {
          hint: "Name another address: --prometheus 127.0.0.1:9470",
          cause: error,
        }),
      );
    });
    server.listen(port, host, () => {
      const { port: bound } = server.address() as AddressInfo;
      resolve({
        address: `${host}:${bound}`,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
