/** A bridge between a hand-fed fleet and a real broker, in real time. */
import { openBroker, type BrokerOptions } from "../../../host-tools/exporters/broker";
import { createMemoryEvents } from "../../../host-tools/exporters/event-store";
import { type MqttBridge, type MqttBridgeOptions, startMqttBridge } from "../../../host-tools/exporters/mqtt-bridge";
import { topicsFor } from "../../../host-tools/exporters/topics";
import { noUpdates } from "../../../host-tools/exporters/updates";
import type { Collector } from "../../../host-tools/gateway/fleet-view";
import { PASSWORD, USER } from "./mosquitto";

export interface TestBridge extends MqttBridge {
  readonly log: string[];
}

export function startBridge(
  collector: Collector,
  url: string,
  options: Partial<MqttBridgeOptions> & { broker?: Partial<BrokerOptions> } = {},
): TestBridge {
  const log: string[] = [];
  const prefix = options.prefix ?? "mesh";
  const bridge = startMqttBridge({
    collector,
    updates: noUpdates(),
    events: createMemoryEvents(1024 * 1024),
    prefix,
    intervalMs: 200,
    flushMs: 20,
    now: () => Date.now(),
    every(milliseconds, run) {
      const timer = setInterval(run, milliseconds);
      return () => clearInterval(timer);
    },
    open: (handlers) =>
      openBroker(
        {
          url,
          clientId: `bridge-${Math.random().toString(16).slice(2)}`,
          username: USER,
          password: PASSWORD,
          will: { topic: topicsFor(prefix).bridge, payload: "offline" },
          backoff: { first: 50, most: 200 },
          ...options.broker,
        },
        handlers,
      ),
    log: (text) => log.push(text),
    ...options,
  });
  return { ...bridge, log };
}
