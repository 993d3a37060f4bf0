/**
 * Home Assistant's MQTT discovery, one retained message for each device (since Home Assistant 2024.12):
 * https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
 */
import type { NodeView } from "../gateway/fleet-view";
import type { Topics } from "./topics";

export const DISCOVERY_PREFIX = "homeassistant";

export interface DiscoveryOptions {
  /** Home Assistant's own prefix. */
  discoveryPrefix: string;
  topics: Topics;
  /** Distinguishes bridges in identifiers. */
  bridge: string;
  /** Espalier's version. */
  version: string;
}

export interface Discovery {
  topic: string;
  payload: string;
}

type Component = Record<string, unknown> & { platform: string; unique_id: string; name: string };

interface SensorRow {
  key: string;
  name: string;
  /** Field of status/node/{id}, as an expression of Home Assistant's templates. */
  value: string;
  deviceClass?: string;
  unit?: string;
  stateClass?: "measurement" | "total_increasing";
  options?: readonly string[];
  diagnostic: boolean;
  precision?: number;
}

const SENSORS: readonly SensorRow[] = [
  {
    key: "temperature",
    name: "Temperature",
    value: "temperature",
    deviceClass: "temperature",
    unit: "°C",
    stateClass: "measurement",
    diagnostic: false,
  },
  {
    key: "battery",
    name: "Battery voltage",
    value: "battery",
    deviceClass: "voltage",
    unit: "V",
    stateClass: "measurement",
    diagnostic: false,
    precision: 2,
  },
  {
    key: "rssi",
    name: "Signal",
    value: "rssi",
    deviceClass: "signal_strength",
    unit: "dBm",
    stateClass: "measurement",
    diagnostic: true,
  },
  {
    key: "memory",
    name: "Free memory",
    value: "memory",
    deviceClass: "data_size",
    unit: "B",
    stateClass: "measurement",
    diagnostic: true,
  },
  {
    key: "uptime",
    name: "Uptime",
    value: "uptime",
    deviceClass: "duration",
    unit: "s",
    stateClass: "measurement",
    diagnostic: true,
  },
  {
    key: "latency",
    name: "Latency",
    value: "latency",
    deviceClass: "duration",
    unit: "s",
    stateClass: "measurement",
    diagnostic: true,
    precision: 3,
  },
  {
    key: "loss",
    name: "Loss",
    value: "loss * 100",
    unit: "%",
    stateClass: "measurement",
    diagnostic: true,
    precision: 1,
  },
  { key: "hops", name: "Hops", value: "hops", stateClass: "measurement", diagnostic: true },
  { key: "parent", name: "Parent", value: "parent", diagnostic: true },
  { key: "children", name: "Children", value: "children", stateClass: "measurement", diagnostic: true },
  { key: "received", name: "Messages received", value: "received", stateClass: "total_increasing", diagnostic: true },
  { key: "sent", name: "Messages sent", value: "sent", stateClass: "total_increasing", diagnostic: true },
  { key: "dropped", name: "Messages dropped", value: "dropped", stateClass: "total_increasing", diagnostic: true },
  { key: "starts", name: "Starts", value: "starts", stateClass: "total_increasing", diagnostic: true },
  {
    key: "reset",
    name: "Last restart",
    value: "reset",
    deviceClass: "enum",
    options: ["requested", "other"],
    diagnostic: true,
  },
];

export function nodeIdentifier(id: number): string {
  return `espalier_${id.toString(16).padStart(8, "0")}`;
}

/** The bridge as a device; the mesh hangs below it. */
export function bridgeDiscovery(options: DiscoveryOptions): Discovery {
  const { topics } = options;
  const identifier = bridgeIdentifier(options.bridge);
  const figure = (
    key: string,
    name: string,
    value: string,
    more: Record<string, unknown> = {},
  ): [string, Component] => [
    key,
    {
      platform: "sensor",
      unique_id: `${identifier}_${key}`,
      name,
      state_topic: topics.metrics,
      value_template: `{{ value_json.${value} }}`,
      state_class: "measurement",
      entity_category: "diagnostic",
      ...more,
    },
  ];
  const components: Record<string, Component> = Object.fromEntries([
    figure("online", "Nodes online", "nodes.online"),
    figure("lost", "Nodes lost", "nodes.lost"),
    figure("alerts", "Alerts", "alerts.firing"),
    figure("queued", "Events queued", "bridge.queued"),
    figure("dropped", "Events dropped", "bridge.dropped", { state_class: "total_increasing" }),
  ]);
  components.problem = {
    platform: "binary_sensor",
    unique_id: `${identifier}_problem`,
    name: "Problem",
    device_class: "problem",
    state_topic: topics.metrics,
    value_template: "{{ 'ON' if value_json.alerts.critical > 0 else 'OFF' }}",
    entity_category: "diagnostic",
  };
  return message(options, identifier, {
    device: {
      identifiers: [identifier],
      name: `Mesh ${options.bridge}`,
      manufacturer: "Espalier",
      model: "Bridge",
      sw_version: options.version,
    },
    availability: [{ topic: topics.bridge }],
    components,
  });
}

export interface NodeExtras {
  /** Parent if Home Assistant knows it already, else null: below the bridge. */
  via: number | null;
  /** What installs the newest image, or null where that is not allowed. */
  install: string | null;
}

export function nodeDiscovery(options: DiscoveryOptions, view: NodeView, extras: NodeExtras): Discovery {
  const { topics } = options;
  const identifier = nodeIdentifier(view.id);
  const components: Record<string, Component> = {};
  for (const row of SENSORS) {
    components[row.key] = {
      platform: "sensor",
      unique_id: `${identifier}_${row.key}`,
      name: row.name,
      // An unknown value is none, which Home Assistant shows as "unknown".
      value_template: `{{ None if value_json.${row.key} is none else value_json.${row.value} }}`,
      ...(row.deviceClass === undefined ? {} : { device_class: row.deviceClass }),
      ...(row.unit === undefined ? {} : { unit_of_measurement: row.unit }),
      ...(row.stateClass === undefined ? {} : { state_class: row.stateClass }),
      ...(row.options === undefined ? {} : { options: row.options }),
      ...(row.precision === undefined ? {} : { suggested_display_precision: row.precision }),
      ...(row.diagnostic ? { entity_category: "diagnostic" } : {}),
    };
  }
  components.update = {
    platform: "update",
    unique_id: `${identifier}_update`,
    name: "Firmware",
    title: "Espalier",
    device_class: "firmware",
    value_template: "{{ value_json.update | to_json }}",
    ...(extras.install === null
      ? {}
      : { command_topic: topics.install(view.id), payload_install: extras.install, retain: false, qos: 1 }),
  };
  const bridge = bridgeIdentifier(options.bridge);
  return message(options, identifier, {
    device: {
      identifiers: [identifier],
      name: view.name,
      manufacturer: "Espalier",
      model: view.hardware || "ESP32",
      ...(view.version ? { sw_version: view.version } : {}),
      via_device: extras.via === null ? bridge : nodeIdentifier(extras.via),
    },
    state_topic: topics.node(view.id),
    availability: [
      { topic: topics.bridge },
      {
        topic: topics.node(view.id),
        value_template: "{{ 'offline' if value_json.presence == 'lost' else 'online' }}",
      },
    ],
    components,
  });
}

function bridgeIdentifier(bridge: string): string {
  return `espalier_bridge_${bridge.replace(/[^A-Za-z0-9_-]/g, "_")}`;
}

function message(options: DiscoveryOptions, identifier: string, parts: Record<string, unknown>): Discovery {
  return {
    topic: `${options.discoveryPrefix}/device/${identifier}/config`,
    payload: JSON.stringify({
      ...parts,
      origin: { name: "Espalier", sw_version: options.version },
      availability_mode: "all",
      payload_available: "online",
      payload_not_available: "offline",
      qos: 1,
    }),
  };
}

/** Parents before children, so that a device's `via_device` is there before it. Nodes in a loop come last. */
export function inTreeOrder(nodes: readonly NodeView[]): NodeView[] {
  const known = new Set(nodes.map((view) => view.id));
  const placed = new Set<number>();
  const order: NodeView[] = [];
  let rest = [...nodes];
  while (rest.length > 0) {
    const next = rest.filter((view) => !known.has(view.parent) || placed.has(view.parent));
    if (next.length === 0) break;
    for (const view of next) {
      placed.add(view.id);
      order.push(view);
    }
    rest = rest.filter((view) => !placed.has(view.id));
  }
  return [...order, ...rest];
}
