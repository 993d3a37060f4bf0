import type { Socket, SocketHandler } from "../../firmware/engine/engine";
import { createMqtt, type Mqtt, type MqttHandlers } from "../../firmware/status/mqtt";

/** A broker's end of a wire that a test plays, and a clock that it moves. */
class Bench {
  now = 0;
  dials = 0;
  readonly heard: string[] = [];
  readonly events: string[] = [];
  handler: SocketHandler | null = null;
  sent = "";
  private timer: (() => void) | null = null;
  readonly mqtt: Mqtt;

  constructor(handlers: Partial<MqttHandlers> = {}) {
    this.mqtt = createMqtt(
      {
        now: () => this.now,
        random: () => 0,
        every: (_, run) => {
          this.timer = run;
          return 1;
        },
        cancel: () => {
          this.timer = null;
        },
        connect: (_host, _port, handler) => {
          this.dials++;
          this.sent = "";
          this.handler = handler;
          const socket: Socket = {
            write: (bytes) => void (this.sent += bytes),
            close: () => {
              this.events.push("closed");
              // As a real socket: once, and later.
              const mine = handler;
              queueMicrotask(() => mine.close());
            },
          };
          return socket;
        },
      },
      { host: "10.0.0.2", clientId: "c", willTopic: "w", willText: "offline", user: "u", password: "p" },
      {
        up: () => void this.events.push("up"),
        down: () => void this.events.push("down"),
        message: (topic, text, retained) => void this.heard.push(`${topic}=${text}${retained ? " retained" : ""}`),
        ...handlers,
      },
    );
  }

  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.now += 1000;
      this.timer?.();
    }
  }

  receive(...bytes: (number | string)[]): void {
    this.handler!.data(bytes.map((one) => (typeof one === "number" ? String.fromCharCode(one) : one)).join(""));
  }

  /** Up to the broker's acceptance. */
  connect(): void {
    this.mqtt.dialBroker();
    this.pass(1);
    this.handler!.open!();
    this.receive(0x20, 2, 0, 0);
    this.handler!.drain();
    this.sent = "";
  }
}

const hexOf = (text: string): string => Buffer.from(text, "latin1").toString("hex");

describe("the client of a board", () => {
  it("introduces itself as the standard writes it", () => {
    const bench = new Bench();
    bench.mqtt.dialBroker();
    bench.pass(1);
    bench.handler!.open!();
    // Section 3.1: protocol "MQTT", level 4, flags user+password+will retain+will QoS 1+will+clean, keep-alive 60.
    expect(hexOf(bench.sent)).toBe("101f00044d51545404ee003c000163000177" + "00076f66666c696e65" + "000175" + "000170");
    expect(bench.mqtt.stats.connected).toBe(false);
    bench.receive(0x20, 2, 0, 0);
    expect(bench.events).toEqual(["up"]);
    expect(bench.mqtt.stats.connected).toBe(true);
  });

  it("says nothing before it was accepted, and not more than leaves", () => {
    const bench = new Bench();
    expect(bench.mqtt.publish("t", "x", false)).toBe(false);
    bench.connect();
    expect(bench.mqtt.publish("t", "x".repeat(3000), true)).toBe(true);
    expect(hexOf(bench.sent.slice(0, 6))).toBe("31bb17000174");
    expect(bench.mqtt.publish("t", "x", false)).toBe(false);
    bench.handler!.drain();
    expect(bench.mqtt.publish("t", "x", false)).toBe(true);
  });

  it("delivers one message at a time, and again over the next connection", async () => {
    const bench = new Bench();
    bench.mqtt.deliver("a", "1");
    bench.mqtt.deliver("a", "2");
    bench.connect();
    bench.mqtt.deliver("a", "3");
    expect(bench.mqtt.stats.waiting).toBe(3);
    // Lost before the broker's word: the same message, marked as a duplicate.
    bench.handler!.close();
    bench.pass(2);
    bench.handler!.open!();
    bench.sent = "";
    bench.receive(0x20, 2, 0, 0);
    expect(hexOf(bench.sent)).toBe("3a06000161000231");
    bench.sent = "";
    bench.receive(0x40, 2, 0, 9);
    expect(bench.sent).toBe("");
    bench.receive(0x40, 2, 0, 2);
    expect(hexOf(bench.sent)).toBe("3206000161000332");
    bench.receive(0x40, 2, 0, 3);
    bench.receive(0x40, 2, 0, 4);
    expect(bench.mqtt.stats).toMatchObject({ waiting: 0, dropped: 0, published: 3, reconnects: 1 });
  });

  it("keeps the newest of too many, and the one under way", () => {
    const bench = new Bench();
    for (let i = 0; i < 20; i++) bench.mqtt.deliver("a", String(i));
    expect(bench.mqtt.stats).toMatchObject({ waiting: 8, dropped: 12 });
    bench.connect();
    bench.receive(0x40, 2, 0, 1);
    expect(bench.sent).toMatch(/13$/);
  });

  it("reads messages cut anywhere, several at once, and with a length of several bytes", () => {
    const bench = new Bench();
    bench.connect();
    const long = "y".repeat(300);
    const stream =
      "\x30\x05\0\x01tab" +
      `\x31${String.fromCharCode(0x80 | (303 & 127), 303 >> 7)}\0\x01u${long}` +
      "\x30\x03\0\x01v";
    for (const byte of stream) bench.receive(byte);
    bench.receive(stream);
    const once = ["t=ab", `u=${long} retained`, "v="];
    expect(bench.heard).toEqual([...once, ...once]);
  });

  it("skips what is too long, wherever it is cut, and reads on", () => {
    for (const cut of [4, 100, 5000]) {
      const bench = new Bench();
      bench.connect();
      const big = `\x30${String.fromCharCode(0x80 | (5000 & 127), 5000 >> 7)}${"z".repeat(5000)}`;
      bench.receive(big.slice(0, cut));
      bench.receive(`${big.slice(cut)}\x30\x04\0\x01tk`);
      expect(bench.heard).toEqual(["t=k"]);
      expect(bench.mqtt.stats.connected).toBe(true);
    }
  });

  it.each([
    ["a length without an end", [0x30, 0xff, 0xff, 0xff, 0xff, 0x01], false],
    ["a topic longer than its message", [0x30, 3, 0, 9, "t"], true],
    ["a message with an unasked QoS", [0x34, 6, 0, 1, "t", 0, 1, "x"], true],
    ["an empty message", [0x30, 0], true],
    ["a short PUBACK", [0x40, 1, 0], true],
    ["a packet of a reserved type", [0xf0, 0], true],
    ["a second CONNACK", [0x20, 2, 0, 5], true],
  ] as [string, (number | string)[], boolean][])("survives %s", (_, bytes, stays) => {
    const bench = new Bench();
    bench.connect();
    bench.receive(...bytes);
    expect(bench.heard).toEqual([]);
    expect(bench.mqtt.stats.connected).toBe(stays);
  });

  it("shows signs of life, and gives up a connection that shows none", () => {
    const bench = new Bench();
    bench.connect();
    bench.pass(30);
    expect(hexOf(bench.sent)).toBe("c000");
    // Nothing leaves and nothing comes: a half-open connection.
    bench.pass(62);
    expect(bench.events).toEqual(["up", "closed", "down"]);
    bench.pass(3);
    expect(bench.dials).toBe(2);
    // Answers keep it.
    const alive = new Bench();
    alive.connect();
    for (let i = 0; i < 10; i++) {
      alive.pass(30);
      expect(hexOf(alive.sent)).toBe("c000");
      alive.handler!.drain();
      alive.receive(0xd0, 0);
      alive.sent = "";
    }
    expect(alive.mqtt.stats.connected).toBe(true);
  });

  it("gives up a connection whose broker takes messages and answers none", () => {
    const bench = new Bench();
    bench.connect();
    bench.mqtt.deliver("a", "1");
    for (let i = 0; i < 17; i++) {
      bench.pass(1);
      if (bench.mqtt.stats.connected) bench.receive(0xd0, 0);
    }
    expect(bench.mqtt.stats).toMatchObject({ connected: false, waiting: 1 });
  });

  it("waits longer after each failure, since a dial blocks a board, and is told why it was refused", async () => {
    const bench = new Bench();
    bench.mqtt.dialBroker();
    const dialledAt: number[] = [];
    for (let i = 0; i < 2000; i++) {
      const before = bench.dials;
      bench.pass(1);
      if (bench.dials > before) {
        dialledAt.push(bench.now / 1000);
        bench.handler!.close();
      }
    }
    const gaps = dialledAt.slice(1).map((at, i) => at - dialledAt[i]!);
    expect(gaps.slice(0, 5)).toEqual([1, 2, 4, 8, 16]);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(300);
    const refused = new Bench();
    refused.mqtt.dialBroker();
    refused.pass(1);
    refused.handler!.open!();
    refused.receive(0x20, 2, 0, 5);
    expect(refused.mqtt.stats).toMatchObject({ connected: false, refusal: 5 });
    refused.pass(10);
    expect(refused.dials).toBe(1);
    refused.pass(10);
    expect(refused.dials).toBe(2);
  });

  it("forgets an old connection's last words", async () => {
    const bench = new Bench();
    bench.connect();
    const old = bench.handler!;
    bench.receive(0x30, 0xff, 0xff, 0xff, 0xff, 0x01);
    bench.pass(2);
    bench.handler!.open!();
    bench.receive(0x20, 2, 0, 0);
    old.data("\x30\x04\0\x01tk");
    old.drain();
    old.close();
    await Promise.resolve();
    expect(bench.heard).toEqual([]);
    expect(bench.mqtt.stats.connected).toBe(true);
  });

  it("says goodbye, so that nobody thinks it was cut off", () => {
    const bench = new Bench();
    bench.connect();
    bench.mqtt.stop();
    expect(hexOf(bench.sent)).toBe("e000");
    bench.pass(100);
    expect(bench.dials).toBe(1);
  });
});
