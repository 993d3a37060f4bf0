/**
 * Takes what bridges publish from a broker into InfluxDB. Started several times with one group it shares the work: the
 * broker hands each message to one of them (a shared subscription), and a message that is handed out twice all the same
 * gives the same point.
 */
import type { Broker, BrokerHandlers } from "./broker";
import { alertLine, nodeLine } from "./influx-line";
import type { InfluxWriter } from "./influx";
import { parseMessage } from "./messages";
import { EspalierError, EXIT } from "../errors";

export interface CollectOptions {
  open(handlers: BrokerHandlers): Broker;
  influx: InfluxWriter;
  /** In front of /status/...; may hold +, as in "site/+". */
  prefix: string;
  /** Name of the shared subscription, or null to take everything. */
  group: string | null;
  now(): number;
  log(text: string): void;
}

export interface CollectState {
  connected: boolean;
  messages: number;
  refused: number;
}

export interface Collecting {
  state(): CollectState;
  close(): Promise<void>;
}

/** @throws EspalierError SHARED_GROUP */
export function filtersFor(prefix: string, group: string | null): string[] {
  if (group !== null && !/^[^+#/\s]{1,64}$/u.test(group))
    throw new EspalierError("SHARED_GROUP", `"${group}" cannot be a group's name`, {
      hint: "Letters, digits and hyphens.",
      exitCode: EXIT.usage,
    });
  const share = group === null ? "" : `$share/${group}/`;
  return [`${share}${prefix}/status/node/+`, `${share}${prefix}/status/alerts/events`];
}

export function startCollecting(options: CollectOptions): Collecting {
  const { influx, log } = options;
  const filters = filtersFor(options.prefix, options.group);
  const state = { messages: 0, refused: 0 };
  const broker = options.open({
    up: () => log("connected to the broker"),
    down: (reason) => log(`no broker: ${reason}`),
    message(topic, payload) {
      const message = parseMessage(topic, payload);
      if (!message) {
        state.refused++;
        if (state.refused <= 10) log(`refused a message on ${topic.slice(0, 100)}`);
        return;
      }
      state.messages++;
      if (message.kind === "node") influx.write(nodeLine(message.node, message));
      else influx.write(alertLine(message.alert, message, options.now()));
    },
  });
  for (const filter of filters) broker.subscribe(filter, 1);
  return {
    state: () => ({ connected: broker.connected, ...state }),
    async close() {
      await broker.close();
      await influx.close();
    },
  };
}
