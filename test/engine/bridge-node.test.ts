import { bundle } from "../../host-tools/build/bundle";
import { type Listener, Mosquitto, PASSWORD, USER } from "../exporters/support/mosquitto";
import { complaints } from "../exporters/support/schemas";
import { freePort } from "../exporters/support/service";
import { describeWith } from "../exporters/support/tools";
import { flashFor, imageOf, interpreter, NodeProcess, PRODUCT, until, wifiShim } from "./nodes";
import { describeEngine } from "./support";

const MAC = "b2:00:b2:d0:5e:01";
const ID = 0xb2d05e01;
const ROUTER = { ssid: "home", mac: "c8:00:00:00:00:01", rssi: -50, channel: "11" };

describeEngine("a whole node with the role bridge, behind a router", () => {
  describeWith(["mosquitto", "mosquitto_passwd"], "with Mosquitto", () => {
    let mosquitto: Mosquitto;
    let heard: Listener;
    let node: NodeProcess;
    let like = false;

    beforeAll(async () => {
      mosquitto = await Mosquitto.start();
      heard = await mosquitto.listen("mesh/#");
      const kind = interpreter();
      like = kind.like;
      const { code } = await bundle({ app: null, role: "bridge", board: "esp32-devkitc", version: "1.4.2" });
      const image = imageOf(code, "1.4.2", "raw", undefined, "bridge");
      const shim = wifiShim({ mac: MAC, seen: [ROUTER], ip: "192.168.1.20", gw: "192.168.1.1" }, 250);
      const settings = {
        role: "bridge",
        telemetrySeconds: 10,
        mesh: {
          meshName: PRODUCT,
          password: "",
          port: await freePort(),
          channel: 0,
          root: true,
          station: { ssid: "home", password: "12345678" },
        },
        bridge: { host: "127.0.0.1", port: mosquitto.port, user: USER, password: PASSWORD, interval: 5 },
      };
      node = new NodeProcess(await flashFor(kind, shim, settings, { code, image }));
      node.start();
    });
    afterAll(async () => {
      await node.remove();
      await heard.close();
      await mosquitto.service.remove();
    });

    it("joins, reaches the broker, and tells of itself", async () => {
      const topic = `mesh/status/node/${ID}`;
      await until("its own telemetry at the broker", 60, () => heard.last(topic) !== null);
      expect(complaints("node", heard.last(topic))).toBe("");
      expect(heard.last(topic)).toMatchObject({ id: ID, role: "bridge", version: "1.4.2", hops: 0, parent: null });
      await until("reports", 30, () => (heard.last("mesh/status/topology")?.root ?? 0) === ID);
      for (const kind of ["nodes", "topology", "metrics", "alerts"])
        expect(complaints(kind, heard.last(`mesh/status/${kind}`))).toBe("");
      expect(node.errors).toEqual([]);
    });

    it("leaves a board room to work", () => {
      if (!like) return;
      expect(node.peak()).toBeLessThan(3400);
    });
  });
});
