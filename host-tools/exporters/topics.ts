/** Names of the bridge's MQTT topics, below a prefix. */
import { EspalierError, EXIT } from "../errors";

export interface Topics {
  /** "online" or, by last will, "offline"; retained */
  bridge: string;
  nodes: string;
  topology: string;
  metrics: string;
  alerts: string;
  /** One message for each change of an alert; not retained. */
  alertEvents: string;
  node(id: number): string;
  /** Everything below is a command. */
  commands: string;
  /** Answers to commands. */
  results: string;
  /** Commands of a Home Assistant `update` entity. */
  install(id: number): string;
}

export const COMMANDS = ["message", "status", "update/start", "update/abort"] as const;
export type CommandName = (typeof COMMANDS)[number];

export function topicsFor(prefix: string): Topics {
  return {
    bridge: `${prefix}/status/bridge`,
    nodes: `${prefix}/status/nodes`,
    topology: `${prefix}/status/topology`,
    metrics: `${prefix}/status/metrics`,
    alerts: `${prefix}/status/alerts`,
    alertEvents: `${prefix}/status/alerts/events`,
    node: (id) => `${prefix}/status/node/${id}`,
    commands: `${prefix}/command`,
    results: `${prefix}/command/result`,
    install: (id) => `${prefix}/command/install/${id}`,
  };
}

/** Topic levels without wildcards, spaces at the ends, "$" in front, or empty levels. @throws EspalierError TOPIC_PREFIX */
export function checkPrefix(prefix: string): string {
  if (/^[^+#$/\s\0][^+#\0]*$/u.test(prefix) && prefix.length <= 100 && prefix.split("/").every((level) => level !== ""))
    return prefix;
  throw new EspalierError("TOPIC_PREFIX", `"${prefix}" cannot stand in front of topics`, {
    hint: 'Words joined by single slashes, such as "mesh" or "site/berlin"; no +, # or leading $.',
    exitCode: EXIT.usage,
  });
}
