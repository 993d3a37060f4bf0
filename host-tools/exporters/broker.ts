/**
 * A connection to an MQTT broker that comes back by itself: mqtt.js for the protocol, and of our own the wait between
 * tries, the limit on an unanswered message, and that whoever publishes learns whether the broker has it.
 */
import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { EspalierError } from "../errors";

export interface BrokerOptions {
  /** mqtt://host:1883, mqtts://host:8883, ws:// or wss:// */
  url: string;
  clientId: string;
  username?: string;
  password?: string;
  /** PEM */
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
  /** Published by the broker, retained, when the connection breaks. */
  will?: { topic: string; payload: string };
  /** seconds; a peer that is silent for one and a half times as long is gone. 30 unless given. */
  keepalive?: number;
  /** Milliseconds that the broker has to acknowledge a message; 15000 unless given. */
  answerMs?: number;
  /** Milliseconds before the first and at most before any further try; 1000 and 60000 unless given. */
  backoff?: { first: number; most: number };
  /** 0..1 */
  random?: () => number;
}

export interface BrokerHandlers {
  up(): void;
  /** `reason` holds no secret. */
  down(reason: string): void;
  message(topic: string, payload: Buffer, retained: boolean): void;
}

export interface Broker {
  readonly connected: boolean;
  /** Connections after the first. */
  readonly reconnects: number;
  /** Resolves when the broker has the message (QoS 1) or it was sent (QoS 0); rejects when the connection broke. */
  publish(topic: string, payload: string, options: { qos: 0 | 1; retain: boolean }): Promise<void>;
  /** Kept across reconnections. */
  subscribe(filter: string, qos: 0 | 1): void;
  /** After what is under way, without the will. */
  close(): Promise<void>;
}

export function backoffMs(tries: number, { first, most }: { first: number; most: number }, random: number): number {
  const full = Math.min(most, first * 2 ** Math.min(tries, 20));
  // Half fixed, half chance: bridges that lost one broker together shall not come back together.
  return full / 2 + (full / 2) * random;
}

/** Reason codes with which a broker says that trying again is of no use until somebody changes something. */
const REFUSALS: Record<number, string> = {
  1: "the broker does not speak MQTT 3.1.1",
  2: "the broker refuses the client id",
  4: "wrong user name or password",
  5: "not authorised",
};

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code === "number" && REFUSALS[code]) return REFUSALS[code];
  return message || String(error);
}

/** @throws EspalierError BROKER_URL */
export function openBroker(options: BrokerOptions, handlers: BrokerHandlers): Broker {
  const { url } = options;
  if (!/^(mqtts?|wss?):\/\/[^/@\s]+/.test(url))
    throw new EspalierError("BROKER_URL", "that is no address of a broker", {
      hint: "mqtt://host:1883 or mqtts://host:8883; a user name goes into --user, a password into ESPALIER_MQTT_PASSWORD.",
      exitCode: 2,
    });
  const backoff = options.backoff ?? { first: 1000, most: 60000 };
  const random = options.random ?? Math.random;
  const answerMs = options.answerMs ?? 15000;
  const filters = new Map<string, 0 | 1>();
  const failing = new Set<(error: Error) => void>();
  let client: MqttClient | null = null;
  let connected = false;
  let ended = false;
  let tries = 0;
  let connections = 0;
  let timer: NodeJS.Timeout | null = null;

  const settings: IClientOptions = {
    clientId: options.clientId,
    protocolVersion: 4,
    clean: true,
    // A client for each connection: what was under way is the outbox's business, not that of a store inside mqtt.js.
    reconnectPeriod: 0,
    connectTimeout: 10000,
    keepalive: options.keepalive ?? 30,
    queueQoSZero: false,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.ca ? { ca: options.ca } : {}),
    ...(options.cert ? { cert: options.cert } : {}),
    ...(options.key ? { key: options.key } : {}),
    ...(options.will
      ? {
          will: {
            topic: options.will.topic,
            payload: Buffer.from(options.will.payload),
            qos: 1 as const,
            retain: true,
          },
        }
      : {}),
  };

  function dial(): void {
    timer = null;
    let reason = "";
    const mine = connect(url, settings);
    client = mine;
    mine.on("connect", () => {
      if (mine !== client) return;
      connected = true;
      tries = 0;
      connections++;
      for (const [filter, qos] of filters) mine.subscribe(filter, { qos });
      handlers.up();
    });
    mine.on("message", (topic, payload, packet) => {
      if (mine === client) handlers.message(topic, payload, packet.retain);
    });
    mine.on("error", (error) => {
      reason = reasonOf(error);
    });
    mine.on("close", () => {
      if (mine !== client) return;
      lost(reason || "the connection was closed");
    });
  }

  function lost(reason: string): void {
    const old = client;
    client = null;
    connected = false;
    old?.end(true);
    for (const fail of [...failing]) fail(new EspalierError("BROKER_LOST", reason));
    failing.clear();
    if (ended) return;
    timer = setTimeout(dial, backoffMs(tries++, backoff, random()));
    handlers.down(reason);
  }

  dial();
  return {
    get connected() {
      return connected;
    },
    get reconnects() {
      return Math.max(0, connections - 1);
    },
    publish(topic, payload, { qos, retain }) {
      return new Promise((resolve, reject) => {
        const using = client;
        if (!using || !connected) {
          reject(new EspalierError("BROKER_LOST", "there is no connection"));
          return;
        }
        const settle = (then: () => void): void => {
          clearTimeout(limit);
          failing.delete(fail);
          then();
        };
        const fail = (error: Error): void => settle(() => reject(error));
        // A half-open connection takes messages for as long as its buffers last.
        const limit = setTimeout(() => {
          if (using === client) lost(`no answer within ${answerMs / 1000} s`);
        }, answerMs);
        failing.add(fail);
        using.publish(topic, payload, { qos, retain }, (error) => {
          if (error) fail(error);
          else settle(resolve);
        });
      });
    },
    subscribe(filter, qos) {
      filters.set(filter, qos);
      if (connected) client?.subscribe(filter, { qos });
    },
    async close() {
      ended = true;
      if (timer) clearTimeout(timer);
      const old = client;
      client = null;
      connected = false;
      for (const fail of [...failing]) fail(new EspalierError("BROKER_LOST", "the bridge ends"));
      failing.clear();
      if (!old) return;
      await new Promise<void>((resolve) => {
        const force = setTimeout(() => {
          old.end(true);
          resolve();
        }, 2000);
        old.end(!old.connected, {}, () => {
          clearTimeout(force);
          resolve();
        });
      });
    },
  };
}
