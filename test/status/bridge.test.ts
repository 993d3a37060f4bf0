import type { Mesh } from "../../firmware/mesh/mesh";
import { createBridge, type Bridge } from "../../firmware/status/bridge";
import { parseMessage } from "../../host-tools/exporters/messages";
import { openBroker } from "../../host-tools/exporters/broker";
import { sendCommand } from "../../host-tools/exporters/send-command";
import type { CommandName } from "../../host-tools/exporters/topics";
import { createNodeEngine, type NodeEngine } from "../../host-tools/gateway/node-engine";
import { ROOT, telemetry } from "../exporters/support/fleet";
import { type Listener, Mosquitto, PASSWORD, USER } from "../exporters/support/mosquitto";
import { complaints } from "../exporters/support/schemas";
import { until } from "../exporters/support/service";
import { describeWith } from "../exporters/support/tools";

const KEY = "sixteen bytes or more";

describeWith(["mosquitto", "mosquitto_passwd"], "a node as a bridge to Mosquitto", () => {
  let mosquitto: Mosquitto;
  let engine: NodeEngine;
  let bridge: Bridge;
  let heard: Listener;
  /** Runs faster than the world, where silence is waited for. */
  let ahead = 0;
  const sent: [number, string][] = [];

  beforeEach(async () => {
    mosquitto = await Mosquitto.start();
    ahead = 0;
    sent.length = 0;
    const real = createNodeEngine({
      directory: "/nonexistent",
      regions: {},
      settings: {},
      log: () => {},
      restart: () => {},
    });
    engine = {
      ...real,
      now: () => real.now() + ahead,
      every: (ms, run) => real.every(ms / 20, run),
      close: real.close,
    };
    const mesh = {
      getNodeId: () => ROOT,
      sendSingle: (to: number, text: string) => sent.push([to, text]) > 0,
      sendBroadcast: (text: string) => sent.push([0, text]) > 0,
    } as unknown as Mesh;
    const { port } = mosquitto;
    const settings = {
      host: "127.0.0.1",
      port,
      user: USER,
      password: PASSWORD,
      prefix: "m",
      interval: 5,
      commandKey: KEY,
    };
    bridge = createBridge(engine, mesh, settings, () => Math.floor(Date.now() / 1000));
    heard = await mosquitto.listen("m/#");
    bridge.beginBridge();
    await until("the broker", () => bridge.stats.connected);
  });
  afterEach(async () => {
    engine.close();
    await heard.close();
    await mosquitto.service.remove();
  });

  const node = (i: number, fields = {}) => bridge.observe(telemetry({ node: ROOT + i, ...fields }));

  it("publishes what a computer's bridge would, in the same form", async () => {
    node(0, { flags: 4, hops: 0 });
    node(1, { alerts: 1 | 64, rssi: -85, updateState: 2, updatePercent: 40 });
    node(2, { rssi: 0, temperature: -128, latency: 65535, hops: 255 });
    await until("all topics", () =>
      ["nodes", "topology", "metrics", "alerts", `node/${ROOT + 2}`, "alerts/events"].every((one) =>
        heard.last(`m/status/${one}`),
      ),
    );
    await until("alerts in the list", () => (heard.last("m/status/alerts")!.alerts as unknown[]).length === 2);
    for (const kind of ["nodes", "topology", "metrics", "alerts"])
      for (const one of heard.all(`m/status/${kind}`)) expect(complaints(kind, one)).toBe("");
    for (const one of heard.all("m/status/alerts/events")) expect(complaints("alert-event", one)).toBe("");
    for (let i = 0; i < 3; i++) {
      const topic = `m/status/node/${ROOT + i}`;
      expect(complaints("node", heard.last(topic))).toBe("");
      expect(parseMessage(topic, Buffer.from(JSON.stringify(heard.last(topic))))).toMatchObject({
        kind: "node",
        mesh: "m",
      });
    }
    expect(heard.last(`m/status/node/${ROOT + 1}`)).toMatchObject({
      memory: 28000,
      update: { in_progress: true, update_percentage: 40 },
    });
    expect(heard.last("m/status/topology")).toMatchObject({ root: ROOT });
    const late = await mosquitto.listen("m/status/bridge", "m/status/nodes");
    await until("retained", () => late.heard.length >= 2);
    expect(late.heard.find((one) => one.topic === "m/status/bridge")).toMatchObject({ text: "online", retained: true });
    await late.close();
  });

  it("tells what began, what is over, and who fell silent", async () => {
    node(1, { alerts: 1 });
    node(1, { alerts: 1 });
    node(1, { alerts: 0 });
    const events = () => heard.all("m/status/alerts/events").map((one) => `${String(one.rule)} ${String(one.state)}`);
    await until("the end", () => events().length === 2);
    expect(events()).toEqual(["low-memory firing", "low-memory resolved"]);
    const [first, second] = heard.all("m/status/alerts/events");
    expect(first!.id).toBe(second!.id);
    ahead = 200_000;
    await until("the loss", () => events().includes("node-lost firing"));
    await until("the presence", () => heard.last(`m/status/node/${ROOT + 1}`)?.presence === "lost");
    node(1);
    await until("the return", () => events().includes("node-lost resolved"));
  });

  it("delivers alerts that came while the broker was dead, and all state after it forgot", async () => {
    node(1);
    await until("state", () => heard.last(`m/status/node/${ROOT + 1}`) !== null);
    await mosquitto.service.kill();
    await until("noticed", () => !bridge.stats.connected);
    node(1, { alerts: 16 });
    node(2, { alerts: 64 });
    await mosquitto.service.start();
    const after = await mosquitto.listen("m/#");
    ahead += 10_000;
    await until("alerts", () => after.all("m/status/alerts/events").length >= 2);
    expect(after.all("m/status/alerts/events").map((one) => one.rule)).toEqual(["update-failed", "weak-signal"]);
    await until(
      "state",
      () => after.last(`m/status/node/${ROOT + 1}`) !== null && after.last("m/status/nodes") !== null,
    );
    await after.close();
  });

  it("obeys who has the key, once for each challenge", async () => {
    node(1);
    const send = (command: CommandName, body: object, key = KEY) =>
      sendCommand({
        open: (handlers) =>
          openBroker({ url: mosquitto.url, clientId: "c", username: USER, password: PASSWORD }, handlers),
        prefix: "m",
        key: Buffer.from(key),
        command,
        body,
        timeoutMs: 3000,
        // A board has no clock: what the sender's says does not matter.
        now: () => 0,
      });
    expect(await send("message", { to: ROOT + 1, text: "hello" })).toMatchObject({
      ok: true,
      result: { to: ROOT + 1 },
    });
    expect(sent).toEqual([[ROOT + 1, "hello"]]);
    const status = await send("status", { node: ROOT + 1 });
    expect(complaints("node", (status.result as { nodes: unknown[] }).nodes[0])).toBe("");
    expect(await send("status", { node: 5 })).toMatchObject({ ok: false, error: { code: "UNKNOWN_NODE" } });
    expect(await send("update/start", { image: "c0ffee00" })).toMatchObject({
      ok: false,
      error: { code: "NOT_ON_A_BOARD" },
    });
    for (const one of heard.all("m/command/result")) expect(complaints("command-result", one)).toBe("");
    // The very same bytes again, and a stranger's.
    const taken = heard.heard.filter((one) => one.topic === "m/command/message");
    await heard.client.publishAsync("m/command/message", taken[0]!.text);
    await heard.client.publishAsync("m/command/message", "{");
    await heard.client.publishAsync("m/command/message", "null");
    await expect(send("message", { to: 0, text: "x" }, "a stranger's key")).rejects.toMatchObject({
      code: "NO_ANSWER",
    });
    expect(sent).toHaveLength(1);
    await until(
      "the count",
      () => (heard.last("m/status/metrics")!.bridge as Record<string, number>).commands_refused === 4,
    );
  });

  it("is bounded by what a board can hold", async () => {
    for (let i = 0; i < 100; i++) node(i);
    await until("nodes", () => (heard.last("m/status/nodes")?.nodes as unknown[] | undefined)?.length === 32);
  });
});
