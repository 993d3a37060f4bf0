import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { openEventJournal } from "../../host-tools/exporters/event-journal";
import { createMemoryEvents } from "../../host-tools/exporters/event-store";
import { parseMessage } from "../../host-tools/exporters/messages";
import { statusOf } from "../../host-tools/exporters/readings";
import { startBridge, type TestBridge } from "./support/bridge";
import { alertView, HandFed, nodeView, ROOT } from "./support/fleet";
import { type Listener, Mosquitto, PASSWORD } from "./support/mosquitto";
import { complaints } from "./support/schemas";
import { freePort, until } from "./support/service";
import { describeWith } from "./support/tools";

const three = (): HandFed => new HandFed([nodeView(0), nodeView(1), nodeView(2, {}, { rssi: 0, battery: 0 })]);

describeWith(["mosquitto", "mosquitto_passwd", "openssl"], "the bridge and Mosquitto", () => {
  let mosquitto: Mosquitto;
  const bridges: TestBridge[] = [];
  const listeners: Listener[] = [];

  beforeAll(async () => {
    mosquitto = await Mosquitto.start({ tls: true });
  });
  afterEach(async () => {
    for (const one of bridges.splice(0)) await one.close();
    for (const one of listeners.splice(0)) await one.close();
  });
  afterAll(() => mosquitto.service.remove());

  function bridge(...args: Parameters<typeof startBridge>): TestBridge {
    const made = startBridge(...args);
    bridges.push(made);
    return made;
  }
  async function listen(...filters: string[]): Promise<Listener> {
    const listener = await mosquitto.listen(...filters);
    listeners.push(listener);
    return listener;
  }

  it("publishes every topic in its documented form", async () => {
    const fleet = three();
    fleet.feed(nodeView(3, { telemetry: null, version: "", presence: "stale", heardAt: 0, hops: -1 }));
    const heard = await listen("forms/#");
    bridge(fleet, mosquitto.url, { prefix: "forms" });
    fleet.alert(alertView({ node: 0, rule: "version-skew", value: null, threshold: null }));
    const wanted = {
      nodes: "forms/status/nodes",
      topology: "forms/status/topology",
      metrics: "forms/status/metrics",
      alerts: "forms/status/alerts",
      "alert-event": "forms/status/alerts/events",
      node: `forms/status/node/${ROOT + 3}`,
    };
    await until("all topics", () => Object.values(wanted).every((topic) => heard.last(topic) !== null));
    await until("the alert in the list", () => (heard.last(wanted.alerts)?.alerts as unknown[]).length === 1);
    for (const { topic, text } of heard.heard) {
      const kind = Object.entries(wanted).find(([, one]) => one === topic)?.[0];
      if (kind) expect(`${topic} ${complaints(kind, JSON.parse(text))}`).toBe(`${topic} `);
    }
    for (const id of [ROOT, ROOT + 1, ROOT + 2])
      expect(complaints("node", heard.last(`forms/status/node/${id}`))).toBe("");
    const { nodes } = heard.last(wanted.nodes) as { nodes: Record<string, unknown>[] };
    expect(nodes[0]).toEqual({
      id: ROOT,
      uptime: 86400,
      // 2000 variables of 14 bytes
      memory: 28000,
      rssi: -65,
      version: "2.1.0",
      presence: "online",
    });
    expect(nodes[3]).toMatchObject({ uptime: null, memory: null, rssi: null, version: "" });
    expect(heard.last(`forms/status/node/${ROOT + 2}`)).toMatchObject({ rssi: null, battery: null, loss: 0.031 });
    expect(heard.last(wanted.topology)).toMatchObject({ root: ROOT });
    expect(heard.last(wanted.metrics)).toMatchObject({
      nodes: { total: 4, online: 3, stale: 1, lost: 0 },
      messages: { received: 3000, sent: 2700 },
    });
  });

  it("retains state, so that who comes late knows; alerts' changes are not state", async () => {
    const fleet = three();
    const made = bridge(fleet, mosquitto.url, { prefix: "late" });
    fleet.alert(alertView());
    await until("the alert delivered", () => made.state().published > 6 && made.state().queued === 0);
    const heard = await listen("late/#");
    await until(
      "state",
      () => heard.last(`late/status/node/${ROOT}`) !== null && heard.last("late/status/alerts") !== null,
    );
    expect(heard.heard.find((one) => one.topic === "late/status/bridge")).toMatchObject({
      text: "online",
      retained: true,
    });
    expect(heard.heard.filter((one) => one.topic === "late/status/alerts/events" && one.retained)).toEqual([]);
  });

  it("says a node's news once, and the same news not again", async () => {
    const fleet = three();
    const heard = await listen("quiet/#");
    // Seconds that pass ten times as fast, since messages tell no smaller time.
    bridge(fleet, mosquitto.url, { prefix: "quiet", intervalMs: 100, now: () => Date.now() * 10 });
    await until("several intervals", () => heard.all("quiet/status/nodes").length >= 4);
    expect(heard.all(`quiet/status/node/${ROOT + 1}`)).toHaveLength(1);
    fleet.feed(nodeView(1, { heardAt: 1638360060000 }, { uptime: 86460 }));
    await until("news", () => heard.all(`quiet/status/node/${ROOT + 1}`).length === 2);
    expect(heard.last(`quiet/status/node/${ROOT + 1}`)).toMatchObject({ timestamp: 1638360060, uptime: 86460 });
  });

  it("leaves its last will when it is cut off, and says goodbye when it ends", async () => {
    const heard = await listen("will/status/bridge");
    const texts = (): string[] => heard.heard.map((one) => one.text);
    const proxy = await Proxy.start(mosquitto.port);
    const cut = bridge(three(), proxy.url, { prefix: "will", broker: { backoff: { first: 60000, most: 60000 } } });
    await until("online", () => texts().includes("online"));
    proxy.cut();
    await until("the will", () => texts().at(-1) === "offline");
    expect(cut.state().connected).toBe(false);
    await proxy.close();
    const ended = startBridge(three(), mosquitto.url, { prefix: "will" });
    await until("online again", () => texts().at(-1) === "online");
    await ended.close();
    await until("goodbye", () => texts().at(-1) === "offline");
  });

  it("refuses a broker it cannot trust, and takes the one whose authority it knows, with its own certificate", async () => {
    const { certificates } = mosquitto;
    const ca = fs.readFileSync(certificates!.ca);
    const url = `mqtts://127.0.0.1:${mosquitto.tlsPort}`;
    const suspicious = bridge(three(), url, { prefix: "tls" });
    await until("refusal", () => suspicious.log.some((text) => text.includes("certificate")));
    expect(suspicious.state().connected).toBe(false);
    const trusting = bridge(three(), url, { prefix: "tls", broker: { ca } });
    await until("TLS", () => trusting.state().published > 3);
    const mutualUrl = `mqtts://127.0.0.1:${mosquitto.mutualPort}`;
    const anonymous = bridge(three(), mutualUrl, { prefix: "tls", broker: { ca } });
    const cert = fs.readFileSync(certificates!.clientCert);
    const key = fs.readFileSync(certificates!.clientKey);
    const known = bridge(three(), mutualUrl, { prefix: "tls", broker: { ca, cert, key } });
    await until("TLS with a client certificate", () => known.state().published > 3);
    expect(anonymous.state().published).toBe(0);
  });

  it("says when the password is wrong, without telling any", async () => {
    const wrong = bridge(three(), mosquitto.url, { broker: { password: `${PASSWORD}x` } });
    await until("refusal", () => wrong.log.length > 1);
    expect(wrong.log.join()).toMatch(/not authorised|wrong user name or password/i);
    expect(wrong.log.join()).not.toContain(PASSWORD);
  });

  it("gives up a half-open connection and delivers over the next", async () => {
    const proxy = await Proxy.start(mosquitto.port);
    const heard = await listen("half/status/alerts/events");
    const fleet = three();
    const made = bridge(fleet, proxy.url, { prefix: "half", broker: { answerMs: 300 } });
    await until("connection", () => made.state().published > 4);
    proxy.stall();
    fleet.alert(alertView());
    await until("noticed", () => made.log.some((text) => text.includes("no answer within")));
    proxy.flow();
    await until("delivery", () => heard.heard.length > 0);
    expect(made.state().reconnects).toBeGreaterThan(0);
    await proxy.close();
  });

  it("takes a thousand nodes' frames in seconds, each of them", async () => {
    const nodes = Array.from({ length: 1000 }, (_, i) => nodeView(i));
    const fleet = new HandFed(nodes);
    const heard = await listen("many/status/node/+");
    const made = bridge(fleet, mosquitto.url, { prefix: "many", intervalMs: 60000 });
    await until("first state", () => heard.heard.length === 1000, 20);
    const begin = performance.now();
    nodes.forEach((_, i) => fleet.feed(nodeView(i, { heardAt: 1638360060000 }, { uptime: 90000 + i })));
    await until("a minute's frames", () => heard.heard.length >= 2000, 20);
    expect(performance.now() - begin).toBeLessThan(10_000);
    for (let i = 0; i < 1000; i += 97)
      expect(heard.last(`many/status/node/${ROOT + i}`)).toMatchObject({ uptime: 90000 + i });
    expect(made.state().dropped).toBe(0);
  });

  it("is read back by a collector as it was meant", async () => {
    const fleet = three();
    const heard = await listen("site/a/status/node/+");
    bridge(fleet, mosquitto.url, { prefix: "site/a" });
    await until("nodes", () => heard.heard.length >= 3);
    for (const { topic, text } of heard.heard) {
      const message = parseMessage(topic, Buffer.from(text));
      expect(message).toMatchObject({ kind: "node", mesh: "site/a" });
      if (message?.kind !== "node") throw new Error("no node");
      const view = fleet.node(message.node.id)!;
      const status = statusOf(view);
      expect(message.node).toEqual({ ...status, readings: { ...status.readings, updatePercent: null } });
    }
  });
});

describeWith(["mosquitto", "mosquitto_passwd"], "a broker that is killed and started again", () => {
  it.each(["memory", "disk"])("loses no alert with a buffer in %s, and gets the newest state", async (kind) => {
    const mosquitto = await Mosquitto.start();
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-buffer-"));
    const events =
      kind === "memory"
        ? createMemoryEvents(1024 * 1024)
        : openEventJournal({ directory, quotaBytes: 1024 * 1024, memoryBytes: 1024 });
    // What the dying broker acknowledged it owed to its subscribers, and took with it.
    const acknowledged = new Set<string>();
    const { remove } = events;
    events.remove = (number) => {
      const { payload } = events.read(number)!;
      acknowledged.add((JSON.parse(payload) as { rule: string }).rule);
      remove(number);
    };
    const proxy = await Proxy.start(mosquitto.port);
    const fleet = three();
    const made = startBridge(fleet, proxy.url, { events });
    const before = await mosquitto.listen("mesh/#");
    const rules = Array.from({ length: 250 }, (_, i) => `rule-${i}`);
    const raise = (from: number, to: number): void => {
      for (const rule of rules.slice(from, to)) fleet.alert(alertView({ rule, node: ROOT + 1 }));
    };
    const arrived = (listener: Listener): string[] =>
      listener.all("mesh/status/alerts/events").map((one) => one.rule as string);
    try {
      await until("connection", () => made.state().connected);
      raise(0, 50);
      await until("some arrived", () => arrived(before).length > 0);
      // In mid-stream: more is under way than the broker has answered.
      const killed = mosquitto.service.kill();
      raise(50, 200);
      await killed;
      await until("the bridge noticed", () => !made.state().connected);
      const gone = new Set(acknowledged);
      raise(200, 250);
      fleet.feed(nodeView(1, { heardAt: 1638360090000 }, { uptime: 86490 }));
      fleet.feed(nodeView(1, { heardAt: 1638360120000 }, { uptime: 86520 }));
      expect(made.state().queued).toBe(250 - gone.size);
      proxy.refuse(true);
      await mosquitto.service.start();
      const after = await mosquitto.listen("mesh/#");
      proxy.refuse(false);
      const owed = rules.filter((rule) => !gone.has(rule));
      await until("every alert", () => owed.every((rule) => arrived(after).includes(rule)));
      // In the order in which they happened.
      expect(arrived(after).filter((rule, i, all) => all.indexOf(rule) === i)).toEqual(owed);
      await until("the newest state", () => after.last(`mesh/status/node/${ROOT + 1}`)?.uptime === 86520);
      await until("every answer", () => made.state().queued === 0);
      expect(made.state()).toMatchObject({ dropped: 0, connected: true });
      expect(after.all(`mesh/status/node/${ROOT + 1}`)).toHaveLength(1);
      await after.close();
    } finally {
      await made.close();
      await before.close();
      await proxy.close();
      await mosquitto.service.remove();
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });

  it("comes back after the bridge's own end, from the disk", async () => {
    const mosquitto = await Mosquitto.start();
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-buffer-"));
    const open = () => openEventJournal({ directory, quotaBytes: 1024 * 1024, memoryBytes: 1024 });
    try {
      const port = await freePort();
      const fleet = three();
      const lonely = startBridge(fleet, `mqtt://127.0.0.1:${port}`, { events: open() });
      fleet.alert(alertView({ rule: "node-lost" }));
      await lonely.close();
      const listener = await mosquitto.listen("mesh/status/alerts/events");
      const next = startBridge(three(), mosquitto.url, { events: open() });
      await until("the alert", () => listener.all("mesh/status/alerts/events").some((one) => one.rule === "node-lost"));
      await next.close();
      await listener.close();
    } finally {
      await mosquitto.service.remove();
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });
});

/** A wire to the broker that can be cut, or fall silent without being cut. */
class Proxy {
  private readonly pairs = new Set<[net.Socket, net.Socket]>();
  private stalled = false;
  private refusing = false;

  private constructor(
    private readonly server: net.Server,
    readonly url: string,
  ) {}

  static async start(target: number): Promise<Proxy> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const proxy = new Proxy(server, `mqtt://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
    server.on("connection", (near) => {
      const far = net.connect(target, "127.0.0.1");
      const pair: [net.Socket, net.Socket] = [near, far];
      proxy.pairs.add(pair);
      if (proxy.refusing) near.destroy();
      near.on("data", (data) => !proxy.stalled && far.write(data));
      far.on("data", (data) => !proxy.stalled && near.write(data));
      for (const one of pair) {
        one.on("error", () => {});
        one.on("close", () => {
          near.destroy();
          far.destroy();
          proxy.pairs.delete(pair);
        });
      }
    });
    return proxy;
  }

  stall(): void {
    this.stalled = true;
  }

  flow(): void {
    this.stalled = false;
  }

  refuse(on: boolean): void {
    this.refusing = on;
  }

  cut(): void {
    for (const pair of this.pairs) for (const one of pair) one.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
