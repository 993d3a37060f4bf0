import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { bundle } from "../../host-tools/build/bundle";
import { makeImage } from "../../host-tools/build/image";
import { encodeImageFile } from "../../host-tools/build/image-file";
import { COMMANDS } from "../../host-tools/commands";
import { runProgram } from "../../host-tools/program";
import { createRecorder } from "../ui/support";
import { Mosquitto, PASSWORD, USER } from "./support/mosquitto";
import { complaints } from "./support/schemas";
import { until } from "./support/service";
import { describeWith } from "./support/tools";

const KEY = "a command key that is long enough";

describe("espalier bridge refuses", () => {
  const via = ["--via", "sim:none.yaml"];

  it.each([
    ["to tell nobody", [...via], "NOTHING_TO_FEED"],
    ["to tell of no mesh", ["--url", "mqtt://localhost"], "MISSING_OPTION"],
    ["a way it does not know", ["--via", "pigeon:1", "--url", "mqtt://localhost"], "BAD_VIA"],
    ["a password in an address", [...via, "--url", "mqtt://me:word@localhost"], "PASSWORD_IN_URL"],
    ["half a certificate", [...via, "--url", "mqtt://localhost", "--cert", "a.pem"], "MISSING_OPTION"],
    ["a missing authority", [...via, "--url", "mqtts://localhost", "--ca", "/nowhere.pem"], "NO_FILE"],
    ["a prefix with wildcards", [...via, "--url", "mqtt://localhost", "--prefix", "a/+"], "TOPIC_PREFIX"],
    ["a short key", [...via, "--url", "mqtt://localhost"], "WEAK_KEY", { ESPALIER_COMMAND_KEY: "short" }],
    ["an odd address to serve on", [...via, "--prometheus", "here"], "BAD_ADDRESS"],
    ["a mode it does not have", ["pigeon"], "UNKNOWN_MODE"],
    ["to collect into nothing", ["collect", "--url", "mqtt://localhost"], "MISSING_OPTION"],
    [
      "to collect for Prometheus",
      ["collect", "--url", "mqtt://h", "--influx", "http://h", "--prometheus"],
      "NOT_COLLECTED",
    ],
    [
      "two databases at once",
      ["collect", "--url", "mqtt://h", "--influx", "http://h", "--influx-database", "a", "--influx-bucket", "b"],
      "INFLUX_CONFIG",
    ],
    ["a command without a key", ["command", "status", "--url", "mqtt://h"], "NO_KEY"],
    ["an unknown command", ["command", "dance", "--url", "mqtt://h"], "UNKNOWN_COMMAND", { ESPALIER_COMMAND_KEY: KEY }],
    [
      "arguments that are no object",
      ["command", "status", "[]", "--url", "mqtt://h"],
      "BAD_ARGUMENTS",
      { ESPALIER_COMMAND_KEY: KEY },
    ],
    ["an interval of nothing", [...via, "--interval", "0"], "INVALID_ARGUMENT"],
  ] as [string, string[], string, NodeJS.ProcessEnv?][])("%s", async (_, args, code, env = {}) => {
    const stdout = createRecorder(false);
    const stderr = createRecorder(false);
    const before = { ...process.env };
    Object.assign(process.env, env);
    try {
      const exitCode = await runProgram(COMMANDS, ["bridge", ...args, "--json"], "1.0.0", { stdout, stderr, env });
      expect(JSON.parse(stdout.text)).toMatchObject({ error: { code } });
      expect(exitCode).toBe(2);
      expect(stdout.text + stderr.text).not.toContain("word@");
    } finally {
      process.env = before;
    }
  });
});

/** The command as it runs until Ctrl-C. */
class Running {
  readonly out = createRecorder(false);
  readonly err = createRecorder(false);
  readonly ended: Promise<number>;
  private readonly controller = new AbortController();

  constructor(args: readonly string[]) {
    this.ended = runProgram(COMMANDS, ["bridge", ...args], "1.0.0", {
      stdout: this.out,
      stderr: this.err,
      env: {},
      watchInterrupt: () => ({ signal: this.controller.signal, dispose() {} }),
    });
  }

  interrupt(): void {
    this.controller.abort();
  }
}

describeWith(["mosquitto", "mosquitto_passwd"], "espalier bridge", () => {
  it("carries a simulated mesh to a broker, takes a signed command, and ends on Ctrl-C", async () => {
    const before = { ...process.env };
    Object.assign(process.env, { ESPALIER_MQTT_PASSWORD: PASSWORD, ESPALIER_COMMAND_KEY: KEY });
    const mosquitto = await Mosquitto.start();
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-bridge-"));
    const scenario = path.join(directory, "two.yaml");
    fs.writeFileSync(scenario, "name: two\nseed: 3\nnodes: 2\ntopology: { shape: line, spacing: 8 }\nuntil: 100000\n");
    const { code } = await bundle({ app: "apps/sensor.ts", role: "node", board: "esp32-devkitc", version: "2.0.0" });
    const made = { code, product: "espalier", hardware: "ESP32", role: "node", version: "2.0.0" };
    const image = path.join(directory, "new.espalier");
    fs.writeFileSync(image, encodeImageFile(makeImage({ ...made, encoding: "heatshrink" })));
    const broker = ["--url", mosquitto.url, "--user", USER, "--prefix", "site/a"];
    const heard = await mosquitto.listen("site/a/#", "homeassistant/#");
    const bridge = new Running([
      ...["--via", `sim:${scenario}?speed=50`, ...broker, "--home-assistant", "--prometheus", "127.0.0.1:0"],
      ...["--image", image, "--buffer", path.join(directory, "buffer"), "--interval", "30", "--json"],
    ]);
    try {
      const nodes = () => (heard.last("site/a/status/nodes")?.nodes ?? []) as { id: number; uptime: number | null }[];
      await until(
        "two nodes that told their uptime",
        () => nodes().filter((one) => one.uptime !== null).length === 2,
        60,
      );
      for (const kind of ["nodes", "topology", "metrics"])
        expect(complaints(kind, heard.last(`site/a/status/${kind}`))).toBe("");
      for (const { id } of nodes()) expect(complaints("node", heard.last(`site/a/status/node/${id}`))).toBe("");
      const address = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(bridge.err.text)![0];
      expect(await (await fetch(address)).text()).toContain('espalier_nodes{presence="online",mesh="site/a"} 2');

      const status = new Running(["command", "status", `{"node":${nodes()[0]!.id}}`, ...broker, "--json"]);
      expect(await status.ended).toBe(0);
      const answer = JSON.parse(status.out.text) as { nodes: unknown[] };
      expect(complaints("node", answer.nodes[0])).toBe("");
      const message = new Running(["command", "message", `{"to":${nodes()[0]!.id},"text":"grüße"}`, ...broker]);
      expect([await message.ended, message.err.text]).toEqual([0, ""]);

      // A press of the button in Home Assistant.
      const leaf = nodes().at(-1)!.id;
      const config = `homeassistant/device/espalier_${leaf.toString(16)}/config`;
      const entity = () =>
        (heard.last(config) as unknown as { components: { update: Record<string, string> } } | null)?.components.update;
      await until("the button", () => entity()?.payload_install !== undefined);
      await heard.client.publishAsync(entity()!.command_topic!, entity()!.payload_install!, { qos: 1 });
      const update = () => heard.last(`site/a/status/node/${leaf}`)!.update as Record<string, unknown>;
      await until("progress", () => update().in_progress === true, 120);
      expect(update()).toMatchObject({ installed_version: "1.0.0", latest_version: "2.0.0" });
      await until(
        "the new version",
        () => update().installed_version === "2.0.0" && update().in_progress === false,
        150,
      );
      await until("no button", () => entity()?.payload_install === undefined);

      bridge.interrupt();
      expect(await bridge.ended).toBe(130);
      expect(JSON.parse(bridge.out.text)).toMatchObject({ nodes: 2, mqtt: { dropped: 0, fault: "" } });
      await until("goodbye", () =>
        heard.heard.some((one) => one.topic === "site/a/status/bridge" && one.text === "offline"),
      );
      expect(bridge.err.text + bridge.out.text).not.toContain(PASSWORD);
      expect(bridge.err.text + bridge.out.text).not.toContain(KEY);
    } finally {
      bridge.interrupt();
      await bridge.ended;
      process.env = before;
      await heard.close();
      await mosquitto.service.remove();
      fs.rmSync(directory, { recursive: true, force: true });
    }
  }, 300_000);
});
