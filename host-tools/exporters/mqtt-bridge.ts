/** Publishes a fleet over MQTT and takes commands back; the state machine between a collector and a broker. */
import type { AlertView, Collector } from "../gateway/fleet-view";
import { asEspalierError } from "../errors";
import type { Broker, BrokerHandlers } from "./broker";
import { type CommandHost, execute } from "./command-desk";
import { createVerifier, installPayload, verifyInstall } from "./command-envelope";
import type { EventStore } from "./event-store";
import { bridgeDiscovery, type DiscoveryOptions, inTreeOrder, nodeDiscovery } from "./home-assistant";
import { createOutbox, type Letter } from "./outbox";
import {
  alertEventPayload,
  alertsPayload,
  metricsPayload,
  nodePayload,
  nodesPayload,
  topologyPayload,
} from "./payloads";
import { COMMANDS, type CommandName, topicsFor } from "./topics";
import type { UpdateDesk } from "./updates";

export interface MqttBridgeOptions {
  collector: Collector;
  updates: UpdateDesk;
  /** Opens the connection; the will is for the topic `status/bridge`. */
  open(handlers: BrokerHandlers): Broker;
  events: EventStore;
  prefix: string;
  /** Milliseconds between messages that say how the mesh is; what changed is told within `flushMs`. */
  intervalMs: number;
  /** 1000 unless given */
  flushMs?: number;
  /** Unix milliseconds */
  now(): number;
  every(milliseconds: number, run: () => void): () => void;
  /** Without a key there are no commands. Their time is the world's, even if the mesh is a simulated one. */
  commands?: { key: Buffer; host: CommandHost; now(): number };
  /** Without it nothing is said to Home Assistant. */
  homeAssistant?: Omit<DiscoveryOptions, "topics">;
  log(text: string): void;
}

export interface BridgeState {
  connected: boolean;
  reconnects: number;
  published: number;
  queued: number;
  dropped: number;
  /** Why the disk buffer does not work, "" while it does. */
  fault: string;
  commandsRefused: number;
}

export interface MqttBridge {
  state(): BridgeState;
  close(): Promise<void>;
}

/** Messages without the broker's word at one time. */
const WINDOW = 64;
const BIRTH = "status";

export function startMqttBridge(options: MqttBridgeOptions): MqttBridge {
  const { collector, events, updates, now } = options;
  const topics = topicsFor(options.prefix);
  const outbox = createOutbox(events);
  const verifier = options.commands ? createVerifier(options.commands.key, options.commands.now) : null;
  const started = now();
  const dirty = new Set<number>();
  /** Last that was told of each active alert. */
  const told = new Map<string, string>();
  let topologyDirty = true;
  let alertsDirty = true;
  let underWay = 0;
  let published = 0;
  let commandsRefused = 0;
  let connection = 0;

  const discovery: DiscoveryOptions | null = options.homeAssistant ? { ...options.homeAssistant, topics } : null;
  const birthTopic = discovery ? `${discovery.discoveryPrefix}/${BIRTH}` : "";

  const broker = options.open({
    up() {
      connection++;
      underWay = 0;
      outbox.reconnected();
      options.log(broker.reconnects ? "the broker is back" : "connected to the broker");
      send({ topic: topics.bridge, payload: "online", retain: true, qos: 1, event: 0 });
      pump();
    },
    down(reason) {
      connection++;
      options.log(`no broker: ${reason}`);
    },
    message,
  });

  function send(letter: Letter): void {
    const mine = connection;
    underWay++;
    broker.publish(letter.topic, letter.payload, letter).then(
      () => {
        // The broker has it even if the connection is another one by now.
        outbox.delivered(letter);
        published++;
        if (mine !== connection) return;
        underWay--;
        pump();
      },
      () => {
        if (mine === connection) underWay--;
        outbox.lost(letter);
      },
    );
  }

  function pump(): void {
    while (broker.connected && underWay < WINDOW) {
      const letter = outbox.take();
      if (!letter) return;
      send(letter);
    }
  }

  function discover(): void {
    if (!discovery) return;
    const bridge = bridgeDiscovery(discovery);
    outbox.state(bridge.topic, bridge.payload);
    const known = new Set<number>();
    for (const view of inTreeOrder(collector.nodes())) {
      const newer = options.commands ? updates.newerFor(view) : null;
      const { topic, payload } = nodeDiscovery(discovery, view, {
        via: known.has(view.parent) ? view.parent : null,
        install:
          newer && options.commands ? installPayload(options.commands.key, topics.install(view.id), newer.id) : null,
      });
      outbox.state(topic, payload);
      known.add(view.id);
    }
  }

  function flush(): void {
    for (const id of dirty) {
      const view = collector.node(id);
      if (view) outbox.state(topics.node(id), JSON.stringify(nodePayload(view, updates.info(view))));
    }
    dirty.clear();
    if (topologyDirty) outbox.state(topics.topology, JSON.stringify(topologyPayload(now(), collector.topology())));
    topologyDirty = false;
    if (alertsDirty) outbox.state(topics.alerts, JSON.stringify(alertsPayload(now(), collector.alerts())));
    alertsDirty = false;
    pump();
  }

  function report(): void {
    const nodes = collector.nodes();
    for (const view of nodes) dirty.add(view.id);
    outbox.state(topics.nodes, JSON.stringify(nodesPayload(now(), nodes)));
    const figures = {
      uptime: (now() - started) / 1000,
      published,
      queued: outbox.waiting.events,
      dropped: events.dropped,
      reconnects: broker.reconnects,
      commandsRefused,
    };
    outbox.state(topics.metrics, JSON.stringify(metricsPayload(now(), nodes, collector.alerts(), figures)));
    discover();
    flush();
  }

  function onAlert(alert: AlertView): void {
    alertsDirty = true;
    if (alert.state === "pending") return;
    const { state, since, severity, inhibitedBy, flapping, acknowledged } = alert;
    const news = JSON.stringify([state, since, severity, inhibitedBy, flapping, acknowledged]);
    if (told.get(alert.key) === news) return;
    if (state === "resolved") told.delete(alert.key);
    else told.set(alert.key, news);
    outbox.event(topics.alertEvents, JSON.stringify(alertEventPayload(now(), alert)));
    flush();
  }

  function message(topic: string, payload: Buffer, retained: boolean): void {
    if (topic === birthTopic) {
      // Home Assistant started: it wants to hear everything, whether it was said before or not.
      if (!retained && payload.toString() === "online") {
        outbox.reconnected();
        report();
      }
      return;
    }
    const name = topic.slice(topics.commands.length + 1);
    if (name.startsWith("install/")) install(topic, Number(name.slice(8)), payload, retained);
    else if ((COMMANDS as readonly string[]).includes(name)) command(topic, name as CommandName, payload, retained);
  }

  function refuse(what: string, why: string): void {
    commandsRefused++;
    // Whoever floods the broker shall not flood the log.
    if (commandsRefused <= 10 || commandsRefused % 1000 === 0)
      options.log(`refused ${what}: ${why} (${commandsRefused} so far)`);
  }

  function answer(name: string, nonce: string, ok: boolean, details: object): void {
    const text = {
      timestamp: Math.floor(now() / 1000),
      command: name,
      n: nonce,
      ok,
      error: null,
      result: null,
      ...details,
    };
    broker.publish(topics.results, JSON.stringify(text), { qos: 1, retain: false }).catch(() => {
      // Whoever asked has to ask again.
    });
  }

  function run(name: CommandName, nonce: string, body: object): void {
    execute(options.commands!.host, name, body).then(
      (result) => answer(name, nonce, true, { result }),
      (error: unknown) => {
        const { code, message: text } = asEspalierError(error);
        answer(name, nonce, false, { error: { code, message: text } });
      },
    );
  }

  function command(topic: string, name: CommandName, payload: Buffer, retained: boolean): void {
    const verdict = verifier!.verify(topic, payload, retained);
    if (typeof verdict === "string") refuse(`command ${name}`, verdict);
    else run(name, verdict.nonce, verdict.body);
  }

  function install(topic: string, node: number, payload: Buffer, retained: boolean): void {
    const image = retained ? null : verifyInstall(options.commands!.key, topic, payload);
    const view = collector.node(node);
    if (image === null || !view) return refuse("install", "unauthorised");
    // Said again after it was done: the capability is for what is newer, and nothing else.
    if (updates.newerFor(view)?.id !== image) return refuse("install", "not newer than what the node runs");
    run("update/start", "0".repeat(16), { image, nodes: [node] });
  }

  if (options.commands) {
    for (const name of COMMANDS) broker.subscribe(`${topics.commands}/${name}`, 1);
    if (discovery) broker.subscribe(`${topics.commands}/install/+`, 1);
  }
  if (discovery) broker.subscribe(birthTopic, 1);

  const ends = [
    collector.on("node", (view) => dirty.add(view.id)),
    collector.on("topology", () => {
      topologyDirty = true;
    }),
    collector.on("alert", onAlert),
    updates.onChange(() => {
      for (const view of collector.nodes()) dirty.add(view.id);
    }),
    options.every(options.flushMs ?? 1000, flush),
    options.every(options.intervalMs, report),
  ];
  for (const alert of collector.alerts()) if (alert.state !== "resolved") onAlert(alert);
  report();

  return {
    state: () => ({
      connected: broker.connected,
      reconnects: broker.reconnects,
      published,
      queued: outbox.waiting.events,
      dropped: events.dropped,
      fault: events.fault,
      commandsRefused,
    }),
    async close() {
      for (const end of ends) end();
      if (broker.connected) {
        await Promise.race([
          broker.publish(topics.bridge, "offline", { qos: 1, retain: true }).catch(() => {}),
          new Promise((resolve) => setTimeout(resolve, 1000)),
        ]);
      }
      await broker.close();
      events.close();
    },
  };
}
