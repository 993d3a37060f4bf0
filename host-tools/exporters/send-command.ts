/** Sends one authorised command over MQTT and waits for the answer. */
import { EspalierError } from "../errors";
import type { Broker, BrokerHandlers } from "./broker";
import { signCommand } from "./command-envelope";
import { type CommandName, topicsFor } from "./topics";

export interface SendOptions {
  open(handlers: BrokerHandlers): Broker;
  prefix: string;
  key: Buffer;
  command: CommandName;
  body: object;
  /** Milliseconds for all of it. */
  timeoutMs: number;
  now(): number;
}

export interface CommandAnswer {
  ok: boolean;
  error: { code: string; message: string } | null;
  result: object | null;
}

/** A bridge on an ESP32 tells a challenge, retained; it comes with the subscription or not at all. Milliseconds. */
const CHALLENGE_WAIT = 500;

/** @throws EspalierError NO_ANSWER, and what the broker's refusal was */
export async function sendCommand(options: SendOptions): Promise<CommandAnswer> {
  const topics = topicsFor(options.prefix);
  const challengeTopic = `${topics.commands}/challenge`;
  let nonce = "";
  let challenge: string | undefined;
  let refusal = "the broker cannot be reached";
  let answered: (answer: CommandAnswer) => void = () => {};
  let connected: () => void = () => {};
  const answer = new Promise<CommandAnswer>((resolve) => (answered = resolve));
  const up = new Promise<void>((resolve) => (connected = resolve));

  const broker = options.open({
    up: () => connected(),
    down: (reason) => (refusal = reason),
    message(topic, payload) {
      const text = payload.toString("utf8");
      if (topic === challengeTopic && /^[0-9a-f]{16,64}$/.test(text)) challenge = text;
      if (topic !== topics.results) return;
      try {
        const value = JSON.parse(text) as CommandAnswer & { n: string };
        if (nonce !== "" && value.n === nonce) answered(value);
      } catch {
        // Somebody else's.
      }
    },
  });
  broker.subscribe(challengeTopic, 1);
  broker.subscribe(topics.results, 1);
  let timer: NodeJS.Timeout | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const seconds = options.timeoutMs / 1000;
      reject(
        new EspalierError("NO_ANSWER", broker.connected ? `no bridge answered within ${seconds} s` : refusal, {
          hint: "A bridge answers only who has its command key, and whose clock agrees with its own to the minute.",
        }),
      );
    }, options.timeoutMs);
  });
  try {
    await Promise.race([up, late]);
    await new Promise((resolve) => setTimeout(resolve, CHALLENGE_WAIT));
    const topic = `${topics.commands}/${options.command}`;
    const envelope = signCommand(options.key, topic, options.body, options.now(), challenge);
    nonce = envelope.n;
    await Promise.race([broker.publish(topic, JSON.stringify(envelope), { qos: 1, retain: false }), late]);
    return await Promise.race([answer, late]);
  } finally {
    if (timer) clearTimeout(timer);
    await broker.close();
  }
}
