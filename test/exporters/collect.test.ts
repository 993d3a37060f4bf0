import { openBroker } from "../../host-tools/exporters/broker";
import { type Collecting, filtersFor, startCollecting } from "../../host-tools/exporters/collect";
import { createInfluxWriter } from "../../host-tools/exporters/influx";
import { parseMessage } from "../../host-tools/exporters/messages";
import { startBridge, type TestBridge } from "./support/bridge";
import { alertView, HandFed, nodeView, ROOT } from "./support/fleet";
import { ADMIN, ADMIN_PASSWORD, Influx } from "./support/influx";
import { Mosquitto, PASSWORD, USER } from "./support/mosquitto";
import { until } from "./support/service";
import { describeWith } from "./support/tools";

describe("messages of bridges", () => {
  const good = { ...JSON.parse(JSON.stringify(message())), id: 5 } as Record<string, unknown>;

  function message(): object {
    return {
      timestamp: 1,
      id: 5,
      name: "n",
      hardware: "ESP32",
      role: "node",
      version: "1.0.0",
      presence: "online",
      parent: null,
      hops: 1,
      uptime: 1,
      memory: 1,
      memory_total: 1,
      rssi: -1,
      children: 0,
      received: 0,
      sent: 0,
      dropped: 0,
      refused: 0,
      loss: 0,
      latency: null,
      starts: 0,
      reset: null,
      battery: null,
      temperature: null,
      trial: null,
      update_state: null,
      update: { update_percentage: null },
    };
  }

  it.each([
    ["another topic", "mesh/status/nodes", good],
    ["no mesh", "/status/node/5", good],
    ["a node that is not its topic's", "mesh/status/node/6", good],
    ["an id of a wrong kind", "mesh/status/node/5", { ...good, id: "5" }],
    ["a number out of bounds", "mesh/status/node/5", { ...good, memory: 1e300 }],
    ["a missing field", "mesh/status/node/5", { ...good, presence: undefined }],
    ["a long name", "mesh/status/node/5", { ...good, name: "x".repeat(101) }],
    ["no object", "mesh/status/node/5", [1]],
    ["an alert of no known state", "mesh/status/alerts/events", { rule: "x", state: "burning" }],
  ])("are refused with %s", (_, topic, value) => {
    expect(parseMessage("mesh/status/node/5", Buffer.from(JSON.stringify(good)))).not.toBeNull();
    expect(parseMessage(topic, Buffer.from(JSON.stringify(value)))).toBeNull();
  });

  it("are refused when they are no JSON, or too long", () => {
    expect(parseMessage("mesh/status/node/5", Buffer.from("{"))).toBeNull();
    expect(
      parseMessage("mesh/status/node/5", Buffer.from(JSON.stringify({ ...good, more: "x".repeat(20000) }))),
    ).toBeNull();
  });

  it("come through a shared subscription or not", () => {
    expect(filtersFor("site/+", "pool")).toEqual([
      "$share/pool/site/+/status/node/+",
      "$share/pool/site/+/status/alerts/events",
    ]);
    expect(filtersFor("mesh", null)[0]).toBe("mesh/status/node/+");
    expect(() => filtersFor("mesh", "a/b")).toThrow(expect.objectContaining({ code: "SHARED_GROUP" }));
  });
});

describeWith(["mosquitto", "mosquitto_passwd", "influxd"], "many bridges, one broker, several collectors", () => {
  it("count every report once, and go on when one collector ends", async () => {
    const [mosquitto, influx] = await Promise.all([Mosquitto.start(), Influx.start()]);
    // A site's own broker passes on to the central one, as docs/bridges.md has it.
    const edge = await Mosquitto.start({
      more: [
        "connection central",
        `address 127.0.0.1:${mosquitto.port}`,
        `remote_username ${USER}`,
        `remote_password ${PASSWORD}`,
        "topic site/# out 1",
      ],
    });
    const collectors: Collecting[] = [];
    const bridges: TestBridge[] = [];
    const log: string[] = [];
    try {
      for (let i = 0; i < 3; i++)
        collectors.push(
          startCollecting({
            prefix: "site/+",
            group: "pool",
            now: () => Date.now(),
            log: (text) => log.push(text),
            influx: createInfluxWriter({
              url: influx.url,
              database: "espalier",
              username: ADMIN,
              password: ADMIN_PASSWORD,
              batchMs: 50,
              log: (text) => log.push(text),
            }),
            open: (handlers) =>
              openBroker(
                { url: mosquitto.url, clientId: `collector-${i}`, username: USER, password: PASSWORD },
                handlers,
              ),
          }),
        );
      await until("the collectors", () => collectors.every((one) => one.state().connected));
      // A subscription has no answer here; what is published before it stands would be nobody's.
      await new Promise((resolve) => setTimeout(resolve, 500));
      const fleets = Array.from({ length: 4 }, () => new HandFed([nodeView(0), nodeView(1), nodeView(2)]));
      for (const [i, fleet] of fleets.entries()) {
        const { url } = i < 2 ? edge : mosquitto;
        bridges.push(startBridge(fleet, url, { prefix: `site/${i}`, intervalMs: 60000 }));
        fleet.alert(alertView());
      }
      const messages = (): number => collectors.reduce((sum, one) => sum + one.state().messages, 0);
      await until("first reports", () => messages() === 16);
      expect(collectors.filter((one) => one.state().messages > 0).length).toBeGreaterThan(1);
      await collectors[0]!.close();
      for (let minute = 1; minute <= 5; minute++) {
        for (const fleet of fleets)
          for (let i = 0; i < 3; i++)
            fleet.feed(nodeView(i, { heardAt: 1638360000000 + minute * 60000 }, { uptime: 86400 + minute * 60 }));
        await until("a minute's reports", () => messages() === 16 + minute * 12);
      }
      await Promise.all(collectors.slice(1).map((one) => one.close()));
      const count = await influx.query("SELECT count(uptime) FROM espalier_node");
      expect(count).toMatchObject([{ count: 4 * 3 * 6 }]);
      const one = await influx.query(
        `SELECT uptime FROM espalier_node WHERE mesh='site/2' AND node='${ROOT + 1}' ORDER BY time`,
      );
      expect(one.map((row) => row.uptime)).toEqual([86401, 86460, 86520, 86580, 86640, 86700]);
      expect(await influx.query("SELECT count(message) FROM espalier_alert")).toMatchObject([{ count: 4 }]);
      expect(log.filter((text) => text !== "connected to the broker")).toEqual([]);
    } finally {
      for (const bridge of bridges) await bridge.close();
      for (const one of collectors) await one.close();
      await edge.service.remove();
      await mosquitto.service.remove();
      await influx.service.remove();
    }
  });
});
