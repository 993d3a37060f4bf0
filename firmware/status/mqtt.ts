/**
 * A small client for MQTT 3.1.1 (https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html): last will, publish
 * with QoS 0 and 1, subscribe with QoS 0, keep-alive, and a wait between tries. Strings are bytes; one message with QoS 1
 * is under way at a time, and is sent again over the next connection until the broker has it.
 */
import type { Bytes, Engine, Socket } from "../engine/engine";

export interface MqttOptions {
  host: string;
  /** 1883 unless given */
  port?: number;
  clientId: string;
  user?: string;
  password?: string;
  /** seconds between signs of life, 60 unless given; after half as much more of silence the broker ends the connection */
  keepAlive?: number;
  /** Published, retained, by the broker when the connection breaks. */
  willTopic: string;
  willText: string;
}

export interface MqttHandlers {
  /** The broker has accepted the client, which has to subscribe anew. */
  up(): void;
  down(): void;
  message(topic: string, text: Bytes, retained: boolean): void;
}

export interface Mqtt {
  dialBroker(): void;
  /** Says goodbye, so that the will is not published. */
  stop(): void;
  /** With QoS 0. False, and nothing is sent, without a connection or while much waits to leave. */
  publish(topic: string, text: Bytes, retain: boolean): boolean;
  /** With QoS 1: kept until the broker has it. Pushes out the oldest that waits when there are too many. */
  deliver(topic: string, text: Bytes): void;
  followTopic(filter: string): void;
  /** Live. */
  readonly stats: MqttStats;
}

export interface MqttStats {
  connected: boolean;
  published: number;
  /** Messages with QoS 1 that wait, and that were given up. */
  waiting: number;
  dropped: number;
  reconnects: number;
  /** Code with which the broker refused the last try (section 3.2.2.3), 0 for none. */
  refusal: number;
}

/** Packet types, in the upper half of the first byte. */
const CONNECT = 0x10;
const CONNACK = 0x20;
const PUBLISH = 0x30;
const PUBACK = 0x40;
/** With the flags that the standard wants. */
const SUBSCRIBE = 0x82;
const PINGREQ = 0xc0;
const DISCONNECT = 0xe0;

/** Bytes of a packet that is taken in; longer ones are skipped. */
const MAX_PACKET = 2048;
/** Bytes handed to the engine before it says that they have left. */
const WINDOW = 2048;
const MAX_WAITING = 8;
const ANSWER_MS = 15000;
/** A dial to a dead address blocks the interpreter for many seconds, so it becomes seldom. */
const FIRST_WAIT = 2000;
const MAX_WAIT = 300000;

function text16(text: string): Bytes {
  "cold";
  return String.fromCharCode(text.length >> 8, text.length & 255) + text;
}

function packet(first: number, body: Bytes): Bytes {
  "cold";
  let length = body.length;
  let head = String.fromCharCode(first);
  do {
    head += String.fromCharCode((length & 127) | (length > 127 ? 128 : 0));
    length >>= 7;
  } while (length);
  return head + body;
}

export function createMqtt(
  engine: Pick<Engine, "now" | "random" | "every" | "cancel" | "connect">,
  options: MqttOptions,
  handlers: MqttHandlers,
): Mqtt {
  const keepAlive = (options.keepAlive || 60) * 1000;
  const stats: MqttStats = { connected: false, published: 0, waiting: 0, dropped: 0, reconnects: 0, refusal: 0 };
  const waiting: { topic: string; text: Bytes; sent: boolean }[] = [];
  let socket: Socket | null = null;
  /** Events of an earlier connection are recognised by its number. */
  let turn = 0;
  let timer = 0;
  let tries = 0;
  let dialAt = 0;
  let input = "";
  let skip = 0;
  /** Bytes that wait in the engine. */
  let queued = 0;
  let identifier = 0;
  /** Identifier of the message under way, 0 for none, and since when. */
  let under = 0;
  let sentAt = 0;
  let heardAt = 0;
  let writtenAt = 0;
  let everUp = false;

  function write(bytes: Bytes): void {
    "cold";
    if (!socket) return;
    queued += bytes.length;
    writtenAt = engine.now();
    socket.write(bytes);
  }

  function lost(): void {
    "cold";
    const old = socket;
    const wasUp = stats.connected;
    turn++;
    socket = null;
    stats.connected = false;
    input = "";
    skip = queued = under = 0;
    if (old) old.close();
    const wait = Math.min(MAX_WAIT, FIRST_WAIT << Math.min(tries++, 8));
    dialAt = engine.now() + wait / 2 + (engine.random() % (wait / 2));
    if (wasUp) handlers.down();
  }

  function hello(): Bytes {
    "cold";
    const user = options.user;
    const password = options.password;
    // Clean session, will with QoS 1 and retained.
    const flags = 0x2e | (user ? 0x80 : 0) | (user && password ? 0x40 : 0);
    const seconds = keepAlive / 1000;
    return packet(
      CONNECT,
      "\0\x04MQTT\x04" +
        String.fromCharCode(flags, seconds >> 8, seconds & 255) +
        text16(options.clientId) +
        text16(options.willTopic) +
        text16(options.willText) +
        (user ? text16(user) : "") +
        (user && password ? text16(password) : ""),
    );
  }

  function dial(): void {
    "cold";
    const mine = ++turn;
    heardAt = engine.now();
    socket = engine.connect(options.host, options.port || 1883, {
      open: function () {
        if (mine === turn) write(hello());
      },
      data: function (bytes) {
        if (mine === turn) take(bytes);
      },
      drain: function () {
        if (mine !== turn) return;
        queued = 0;
        next();
      },
      close: function () {
        if (mine === turn) lost();
      },
    });
  }

  /** Sends the oldest message that waits, unless one is under way. */
  function next(): void {
    "cold";
    if (!stats.connected || under || !waiting.length || queued > WINDOW) return;
    const first = waiting[0];
    identifier = (identifier & 65535) + 1 > 65535 ? 1 : identifier + 1;
    under = identifier;
    sentAt = engine.now();
    const id = String.fromCharCode(under >> 8, under & 255);
    // QoS 1; a second time with the mark of a duplicate.
    write(packet(PUBLISH | 2 | (first.sent ? 8 : 0), text16(first.topic) + id + first.text));
    first.sent = true;
  }

  function onConnack(code: number): void {
    "cold";
    stats.refusal = code;
    if (code) {
      // Wrong password or the like: no use to try often.
      tries = Math.max(tries, 4);
      lost();
      return;
    }
    stats.connected = true;
    tries = 0;
    if (everUp) stats.reconnects++;
    everUp = true;
    handlers.up();
    next();
  }

  function handle(first: number, body: Bytes): void {
    "cold";
    const type = first & 0xf0;
    if (type === CONNACK && !stats.connected) onConnack(body.length === 2 ? body.charCodeAt(1) : 255);
    else if (type === PUBACK && body.length === 2) {
      if ((body.charCodeAt(0) << 8) + body.charCodeAt(1) !== under) return;
      under = 0;
      waiting.shift();
      stats.waiting = waiting.length;
      stats.published++;
      next();
    } else if (type === PUBLISH && stats.connected) {
      const length = (body.charCodeAt(0) << 8) + body.charCodeAt(1);
      // More than QoS 0 was not asked for.
      if (first & 6 || !(body.length >= 2 + length)) return;
      handlers.message(body.substr(2, length), body.substr(2 + length), (first & 1) > 0);
    }
  }

  function take(bytes: Bytes): void {
    "cold";
    heardAt = engine.now();
    if (skip) {
      const over = Math.min(skip, bytes.length);
      skip -= over;
      bytes = bytes.substr(over);
    }
    input += bytes;
    while (input.length > 1 && socket) {
      let length = 0;
      let at = 1;
      let byte = 128;
      for (; byte & 128 && at < 5; at++) {
        if (at >= input.length) return;
        byte = input.charCodeAt(at);
        length += (byte & 127) << (7 * (at - 1));
      }
      // The length is not one.
      if (byte & 128) return lost();
      if (length > MAX_PACKET) {
        skip = Math.max(0, at + length - input.length);
        input = input.substr(at + length);
        continue;
      }
      if (input.length < at + length) return;
      const first = input.charCodeAt(0);
      const body = input.substr(at, length);
      input = input.substr(at + length);
      handle(first, body);
    }
  }

  function tick(): void {
    "cold";
    const now = engine.now();
    if (!socket) {
      if (now >= dialAt) dial();
      return;
    }
    const silent = now - heardAt;
    // Not accepted, a message without an answer, or a half-open connection.
    if ((!stats.connected && silent > ANSWER_MS) || (under && now - sentAt > ANSWER_MS) || silent > keepAlive * 1.5)
      lost();
    else if (stats.connected && (now - writtenAt >= keepAlive / 2 || silent >= keepAlive) && !queued)
      write(String.fromCharCode(PINGREQ, 0));
  }

  return {
    dialBroker: function () {
      "cold";
      if (timer) return;
      dialAt = engine.now();
      timer = engine.every(1000, function () {
        tick();
      });
    },
    stop: function () {
      "cold";
      engine.cancel(timer);
      timer = 0;
      if (stats.connected) write(String.fromCharCode(DISCONNECT, 0));
      lost();
    },
    publish: function (topic: string, text: Bytes, retain: boolean) {
      "cold";
      if (!stats.connected || queued > WINDOW) return false;
      write(packet(PUBLISH | (retain ? 1 : 0), text16(topic) + text));
      stats.published++;
      return true;
    },
    deliver: function (topic: string, text: Bytes) {
      "cold";
      if (waiting.length >= MAX_WAITING) {
        // The first may be under way.
        waiting.splice(under ? 1 : 0, 1);
        stats.dropped++;
      }
      waiting.push({ topic: topic, text: text, sent: false });
      stats.waiting = waiting.length;
      next();
    },
    followTopic: function (filter: string) {
      "cold";
      identifier = (identifier & 65535) + 1 > 65535 ? 1 : identifier + 1;
      write(packet(SUBSCRIBE, String.fromCharCode(identifier >> 8, identifier & 255) + text16(filter) + "\0"));
    },
    stats: stats,
  };
}
