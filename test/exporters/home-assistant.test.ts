import {
  bridgeDiscovery,
  DISCOVERY_PREFIX,
  inTreeOrder,
  nodeDiscovery,
  nodeIdentifier,
} from "../../host-tools/exporters/home-assistant";
import { topicsFor } from "../../host-tools/exporters/topics";
import { startBridge } from "./support/bridge";
import { HandFed, nodeView, ROOT } from "./support/fleet";
import { Mosquitto } from "./support/mosquitto";
import { complaints } from "./support/schemas";
import { until } from "./support/service";
import { describeWith } from "./support/tools";

const options = { discoveryPrefix: DISCOVERY_PREFIX, bridge: "mesh", version: "1.2.3", topics: topicsFor("mesh") };

interface Config {
  device: { identifiers: string[]; via_device?: string; sw_version?: string };
  availability: { topic: string; value_template?: string }[];
  availability_mode: string;
  state_topic?: string;
  components: Record<string, Record<string, unknown>>;
}

const parse = (payload: string): Config => JSON.parse(payload) as Config;

describe("Home Assistant's discovery", () => {
  it.each([
    ["a node", () => nodeDiscovery(options, nodeView(1), { via: ROOT, install: null })],
    ["a node to update", () => nodeDiscovery(options, nodeView(1), { via: null, install: "install x" })],
    [
      "a node not heard yet",
      () =>
        nodeDiscovery(options, nodeView(1, { telemetry: null, version: "", hardware: "" }), {
          via: null,
          install: null,
        }),
    ],
    ["the bridge", () => bridgeDiscovery(options)],
  ])("has the documented keys and values for %s", (_, make) => {
    const { topic, payload } = make();
    expect(complaints("home-assistant-device", JSON.parse(payload))).toBe("");
    expect(topic).toMatch(/^homeassistant\/device\/[a-zA-Z0-9_-]+\/config$/);
  });

  it("would notice a key that Home Assistant does not know, and a unit that does not fit", () => {
    const config = parse(bridgeDiscovery(options).payload);
    config.components.alerts!.unit_of_measurment = "1";
    expect(complaints("home-assistant-device", config)).not.toBe("");
    const node = parse(nodeDiscovery(options, nodeView(1), { via: null, install: null }).payload);
    node.components.rssi!.unit_of_measurement = "s";
    expect(complaints("home-assistant-device", node)).not.toBe("");
  });

  it("reads fields that the node's message has", () => {
    const { components, state_topic } = parse(
      nodeDiscovery(options, nodeView(1), { via: null, install: null }).payload,
    );
    expect(state_topic).toBe(`mesh/status/node/${ROOT + 1}`);
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const schema = require("../../host-tools/exporters/schemas/node.schema.json") as { properties: object };
    const fields = Object.values(components).flatMap((one) =>
      [...String(one.value_template).matchAll(/value_json\.(\w+)/g)].map((match) => match[1]!),
    );
    expect(fields.length).toBeGreaterThan(15);
    for (const field of fields) expect(Object.keys(schema.properties)).toContain(field);
  });

  it("needs bridge and node to be there", () => {
    const { availability, availability_mode } = parse(
      nodeDiscovery(options, nodeView(1), { via: null, install: null }).payload,
    );
    expect(availability_mode).toBe("all");
    expect(availability.map((one) => one.topic)).toEqual(["mesh/status/bridge", `mesh/status/node/${ROOT + 1}`]);
  });

  it("gives every entity an id of its own", () => {
    const ids = [
      bridgeDiscovery(options),
      ...[0, 1, 2].map((i) => nodeDiscovery(options, nodeView(i), { via: null, install: null })),
    ]
      .flatMap(({ payload }) => Object.values(parse(payload).components))
      .map((one) => one.unique_id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("names parents before children, and forgets nobody in a loop", () => {
    const views = [5, 2, 1, 0, 3, 21].map((i) => nodeView(i));
    const order = inTreeOrder(views).map((view) => view.id - ROOT);
    expect(order.indexOf(0)).toBe(0);
    expect(order.indexOf(1)).toBeLessThan(order.indexOf(5));
    expect(order.indexOf(5)).toBeLessThan(order.indexOf(21));
    const loop = [nodeView(1, { parent: ROOT + 2 }), nodeView(2, { parent: ROOT + 1 })];
    expect(inTreeOrder(loop)).toHaveLength(2);
  });
});

describeWith(["mosquitto", "mosquitto_passwd"], "discovery through Mosquitto", () => {
  it("is retained, forms a tree, follows a move, and is said again when Home Assistant starts", async () => {
    const mosquitto = await Mosquitto.start();
    const fleet = new HandFed([nodeView(1), nodeView(0), nodeView(5)]);
    const bridge = startBridge(fleet, mosquitto.url, {
      homeAssistant: { discoveryPrefix: DISCOVERY_PREFIX, bridge: "mesh", version: "1.2.3" },
    });
    const topicOf = (i: number): string => `homeassistant/device/${nodeIdentifier(ROOT + i)}/config`;
    try {
      await until("discovery", () => bridge.state().published > 8 && bridge.state().queued === 0);
      const late = await mosquitto.listen("homeassistant/#");
      await until("retained discovery", () => late.heard.length === 4);
      expect(late.heard.every((one) => one.retained)).toBe(true);
      for (const { topic, text } of late.heard)
        expect(`${topic} ${complaints("home-assistant-device", JSON.parse(text))}`).toBe(`${topic} `);
      const via = (i: number) => (late.last(topicOf(i)) as unknown as Config).device.via_device;
      expect(via(0)).toBe("espalier_bridge_mesh");
      expect(via(1)).toBe(nodeIdentifier(ROOT));
      expect(via(5)).toBe(nodeIdentifier(ROOT + 1));

      fleet.feed(nodeView(5, { parent: ROOT }));
      await until("the move", () => via(5) === nodeIdentifier(ROOT));
      expect(late.all(topicOf(1))).toHaveLength(1);

      const nodes = await mosquitto.listen(`mesh/status/node/${ROOT}`);
      await until("node state", () => nodes.heard.length === 1);
      await late.client.publishAsync("homeassistant/status", "online", { qos: 1 });
      await until("said again", () => late.all(topicOf(1)).length === 2 && nodes.heard.length === 2);
      await nodes.close();
      await late.close();
    } finally {
      await bridge.close();
      await mosquitto.service.remove();
    }
  });
});
