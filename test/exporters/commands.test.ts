import { createHmac } from "node:crypto";
import {
  createVerifier,
  installPayload,
  signCommand,
  verifyInstall,
  WINDOW_SECONDS,
} from "../../host-tools/exporters/command-envelope";
import type { CommandHost } from "../../host-tools/exporters/command-desk";
import { DISCOVERY_PREFIX } from "../../host-tools/exporters/home-assistant";
import { createUpdateDesk, type UpdateDesk } from "../../host-tools/exporters/updates";
import type { Rollout, RolloutView } from "../../host-tools/gateway/fleet-view";
import { startBridge, type TestBridge } from "./support/bridge";
import { HandFed, nodeView, ROOT } from "./support/fleet";
import { type Listener, Mosquitto } from "./support/mosquitto";
import { complaints } from "./support/schemas";
import { until } from "./support/service";
import { describeWith } from "./support/tools";

const KEY = Buffer.from("a key of the command desk, 32 B.");
const TOPIC = "mesh/command/message";
const NOW = 1_700_000_000_000;

describe("the envelope", () => {
  const body = { to: 0, text: "hello" };
  const sealed = (now = NOW, key = KEY, topic = TOPIC) => signCommand(key, topic, body, now);
  const bytes = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  const verifier = (now = () => NOW) => createVerifier(KEY, now);

  it("is what docs/bridges.md describes for other senders", () => {
    const { t, n, b, tag } = sealed();
    expect(tag).toBe(createHmac("sha256", KEY).update(`${TOPIC}\n${t}\n${n}\n${b}\n`).digest("hex"));
    expect(complaints("command", sealed())).toBe("");
  });

  it("is accepted once", () => {
    const one = verifier();
    const message = bytes(sealed());
    expect(one.verify(TOPIC, message, false)).toMatchObject({ body });
    expect(one.verify(TOPIC, message, false)).toBe("replayed");
    expect(one.verify(TOPIC, bytes(sealed()), false)).toMatchObject({ body });
  });

  it("is refused with another key, for another topic, or with any part changed", () => {
    const good = sealed();
    expect(verifier().verify(TOPIC, bytes(sealed(NOW, Buffer.alloc(32, 1))), false)).toBe("unauthorised");
    expect(verifier().verify("mesh/command/update/abort", bytes(good), false)).toBe("unauthorised");
    for (const change of [
      { t: good.t + 1 },
      { n: `${good.n.slice(0, -1)}${good.n.endsWith("0") ? "1" : "0"}` },
      { b: '{"to":1}' },
    ])
      expect(verifier().verify(TOPIC, bytes({ ...good, ...change }), false)).toBe("unauthorised");
  });

  it("is refused when it is old, from the future, from before the bridge's start, or retained", () => {
    let now = NOW;
    const one = verifier(() => now);
    now += 2 * WINDOW_SECONDS * 1000;
    for (const offset of [-WINDOW_SECONDS - 1, WINDOW_SECONDS + 1])
      expect(one.verify(TOPIC, bytes(sealed(now + offset * 1000)), false)).toBe("stale");
    expect(one.verify(TOPIC, bytes(sealed(now)), true)).toBe("retained");
    // Its nonce may have been used before the restart.
    expect(verifier().verify(TOPIC, bytes(sealed(NOW - 2000)), false)).toBe("stale");
  });

  it("does not forget a nonce while its time is valid, however late it came", () => {
    let now = NOW;
    const one = verifier(() => now);
    const ahead = bytes(sealed(NOW + WINDOW_SECONDS * 1000));
    expect(one.verify(TOPIC, ahead, false)).toMatchObject({ body });
    for (let i = 0; i <= 2 * WINDOW_SECONDS; i += 10) {
      now = NOW + i * 1000;
      expect(one.verify(TOPIC, ahead, false)).toBe("replayed");
    }
    now += 1000;
    expect(one.verify(TOPIC, ahead, false)).toBe("stale");
  });

  it.each([
    "",
    "{",
    "null",
    "[]",
    "x".repeat(10000),
    JSON.stringify({ ...sealed(), n: "short" }),
    JSON.stringify({ ...sealed(), tag: "0" }),
    JSON.stringify({ ...sealed(), t: "1" }),
    JSON.stringify({ ...sealed(), b: {} }),
  ])("is refused as malformed: %.40s", (text) => {
    expect(verifier().verify(TOPIC, bytes(text), false)).toBe("malformed");
  });

  it("holds an object", () => {
    for (const b of ["[]", "null", "1", "nothing"]) {
      const { t, n } = sealed();
      const tag = createHmac("sha256", KEY).update(`${TOPIC}\n${t}\n${n}\n${b}\n`).digest("hex");
      expect(verifier().verify(TOPIC, bytes({ t, n, b, tag }), false)).toBe("malformed");
    }
  });

  it("lets nobody fill the memory", () => {
    const one = verifier();
    const verdicts = Array.from({ length: 5000 }, () => one.verify(TOPIC, bytes(sealed()), false));
    expect(verdicts.filter((verdict) => verdict === "busy")).toHaveLength(5000 - 4096);
  });
});

describe("the capability to install", () => {
  it("is good for one image on one node", () => {
    const topic = "mesh/command/install/1";
    const payload = installPayload(KEY, topic, "ab".repeat(16));
    expect(verifyInstall(KEY, topic, Buffer.from(payload))).toBe("ab".repeat(16));
    expect(verifyInstall(KEY, "mesh/command/install/2", Buffer.from(payload))).toBeNull();
    expect(verifyInstall(KEY, topic, Buffer.from(payload.replace("ab", "ba")))).toBeNull();
    expect(verifyInstall(Buffer.alloc(32), topic, Buffer.from(payload))).toBeNull();
    for (const text of ["", "install", "INSTALL", `${payload} `])
      expect(verifyInstall(KEY, topic, Buffer.from(text))).toBeNull();
  });
});

const IMAGE = { id: "c0ffee00".repeat(4), version: "3.0.0", hardware: "ESP32", role: "node" };

/** A rollout whose nodes a test moves on. */
class FakeRollout {
  state: RolloutView["state"] = "preview";
  readonly progress = new Map<number, { state: string; percent: number }>();
  private listener: ((view: RolloutView) => void) | null = null;

  constructor(nodes: readonly number[]) {
    for (const node of nodes) this.progress.set(node, { state: "idle", percent: 0 });
  }

  view(): RolloutView {
    const nodes = [...this.progress].map(([node, { state, percent }]) => ({ node, state, percent }));
    return { id: "r1", state: this.state, nodes } as unknown as RolloutView;
  }

  move(node: number, state: string, percent: number): void {
    this.progress.set(node, { state, percent });
    this.listener?.(this.view());
  }

  asRollout(): Rollout {
    return {
      view: () => this.view(),
      start: () => (this.state = "running"),
      abort: () => {
        this.state = "aborted";
        return [ROOT + 2];
      },
      onChange: (listener: (view: RolloutView) => void) => {
        this.listener = listener;
        return () => {};
      },
    } as unknown as Rollout;
  }
}

describeWith(["mosquitto", "mosquitto_passwd"], "commands through Mosquitto", () => {
  let mosquitto: Mosquitto;
  let bridge: TestBridge;
  let heard: Listener;
  let fleet: HandFed;
  let rollouts: FakeRollout[];
  let updates: UpdateDesk;
  const sent: [number, string][] = [];

  beforeAll(async () => {
    mosquitto = await Mosquitto.start();
  });
  afterAll(() => mosquitto.service.remove());

  beforeEach(async () => {
    sent.length = 0;
    rollouts = [];
    fleet = new HandFed([nodeView(0), nodeView(1), nodeView(2)]);
    updates = createUpdateDesk({
      images: [IMAGE],
      begin(_, nodes) {
        rollouts.push(new FakeRollout(nodes));
        return rollouts.at(-1)!.asRollout();
      },
    });
    const host: CommandHost = {
      nodes: () => fleet.nodes(),
      updates,
      async send(to, text) {
        if (text === "lost") throw new Error("timeout");
        sent.push([to, text]);
      },
    };
    bridge = startBridge(fleet, mosquitto.url, {
      commands: { key: KEY, host, now: () => Date.now() },
      updates,
      homeAssistant: { discoveryPrefix: DISCOVERY_PREFIX, bridge: "mesh", version: "1.0.0" },
    });
    heard = await mosquitto.listen("mesh/#", "homeassistant/#");
    await until("the bridge", () => bridge.state().published > 5);
  });
  afterEach(async () => {
    await bridge.close();
    await heard.close();
  });

  const results = () => heard.all("mesh/command/result");
  async function command(name: string, body: object, key = KEY): Promise<Record<string, unknown>> {
    const topic = `mesh/command/${name}`;
    const before = results().length;
    await heard.client.publishAsync(topic, JSON.stringify(signCommand(key, topic, body, Date.now())), { qos: 1 });
    await until(`an answer to ${name}`, () => results().length > before);
    const result = results().at(-1)!;
    expect(complaints("command-result", result)).toBe("");
    return result;
  }

  it("send messages, and say when they did not arrive", async () => {
    expect(await command("message", { to: ROOT + 1, text: "hello" })).toMatchObject({ ok: true });
    expect(await command("message", { to: 0, text: "all" })).toMatchObject({ ok: true });
    expect(sent).toEqual([
      [ROOT + 1, "hello"],
      [0, "all"],
    ]);
    expect(await command("message", { to: ROOT + 1, text: "lost" })).toMatchObject({ ok: false });
    expect(await command("message", { to: 5, text: "x" })).toMatchObject({
      ok: false,
      error: { code: "UNKNOWN_NODE" },
    });
    expect(await command("message", { to: ROOT, text: "" })).toMatchObject({ error: { code: "COMMAND_ARGUMENTS" } });
    expect(await command("message", { to: ROOT, text: "x", more: 1 })).toMatchObject({
      error: { code: "COMMAND_ARGUMENTS" },
    });
  });

  it("ask for status", async () => {
    const one = (await command("status", { node: ROOT + 1 })).result as { nodes: unknown[] };
    expect(one.nodes).toHaveLength(1);
    expect(complaints("node", one.nodes[0])).toBe("");
    expect(((await command("status", {})).result as { nodes: unknown[] }).nodes).toHaveLength(3);
  });

  it("start and abort an update, whose progress shows", async () => {
    const started = await command("update/start", { image: IMAGE.id.slice(0, 8) });
    // The root has another role, for which the image is not.
    expect(started).toMatchObject({ ok: true, result: { rollout: "r1", nodes: [ROOT + 1, ROOT + 2] } });
    expect(await command("update/start", { image: IMAGE.id })).toMatchObject({ error: { code: "UPDATE_RUNNING" } });
    rollouts[0]!.move(ROOT + 1, "receiving", 40);
    const update = () => heard.last(`mesh/status/node/${ROOT + 1}`)?.update;
    await until("progress", () => (update() as { in_progress: boolean }).in_progress);
    expect(update()).toEqual({
      installed_version: "2.1.0",
      latest_version: "3.0.0",
      in_progress: true,
      update_percentage: 40,
    });
    expect(await command("update/abort", {})).toMatchObject({ ok: true, result: { unstoppable: [ROOT + 2] } });
    expect(await command("update/abort", {})).toMatchObject({ ok: false, error: { code: "UPDATE_NONE" } });
    expect(await command("update/start", { image: "deadbeef", nodes: [ROOT] })).toMatchObject({
      error: { code: "IMAGE_UNKNOWN" },
    });
  });

  it("are not obeyed without the key, and counted", async () => {
    const topic = "mesh/command/message";
    const forged = JSON.stringify(signCommand(Buffer.alloc(32), topic, { to: 0, text: "forged" }, Date.now()));
    await heard.client.publishAsync(topic, forged, { qos: 1 });
    const right = JSON.stringify(signCommand(KEY, topic, { to: 0, text: "right" }, Date.now()));
    for (let i = 0; i < 3; i++) await heard.client.publishAsync(topic, right, { qos: 1 });
    await until("the refusals", () => bridge.state().commandsRefused === 3);
    expect(sent).toEqual([[0, "right"]]);
    expect(bridge.log.join("\n")).toMatch(/unauthorised[^]*replayed/);
    await until(
      "metrics",
      () => (heard.last("mesh/status/metrics")?.bridge as Record<string, number>).commands_refused === 3,
    );
  });

  it("let Home Assistant install what it was offered, once", async () => {
    const config = `homeassistant/device/espalier_${(ROOT + 1).toString(16)}/config`;
    await until("discovery", () => heard.last(config) !== null);
    const { components } = heard.last(config) as { components: { update: Record<string, string> } };
    const { command_topic: topic, payload_install: payload } = components.update;
    expect(topic).toBe(`mesh/command/install/${ROOT + 1}`);
    await heard.client.publishAsync(`mesh/command/install/${ROOT + 2}`, payload!, { qos: 1 });
    await heard.client.publishAsync(topic!, "INSTALL", { qos: 1 });
    await until("refusals", () => bridge.state().commandsRefused === 2);
    expect(rollouts).toHaveLength(0);
    await heard.client.publishAsync(topic!, payload!, { qos: 1 });
    await until("the rollout", () => rollouts.length === 1);
    expect([...rollouts[0]!.progress.keys()]).toEqual([ROOT + 1]);
    // The node has it: the same press of the button does nothing any more, and the button goes.
    rollouts[0]!.state = "done";
    fleet.feed(nodeView(1, { version: "3.0.0" }));
    await heard.client.publishAsync(topic!, payload!, { qos: 1 });
    await until("refusal", () => bridge.state().commandsRefused === 3);
    const update = () => (heard.last(config) as unknown as { components: { update: object } }).components.update;
    await until("no button", () => !Object.keys(update()).includes("command_topic"));
  });

  it("do not exist without a key", async () => {
    const plain = startBridge(fleet, mosquitto.url, { prefix: "plain", updates });
    await until("the bridge", () => plain.state().published > 3);
    const topic = "plain/command/message";
    await heard.client.publishAsync(
      topic,
      JSON.stringify(signCommand(Buffer.alloc(0), topic, { to: 0, text: "x" }, Date.now())),
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sent).toEqual([]);
    expect(plain.state().commandsRefused).toBe(0);
    await plain.close();
  });
});
