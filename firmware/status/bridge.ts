/**
 * A node that tells an MQTT broker about its mesh (role "bridge"): the topics and JSON of a computer's bridge, from the
 * newest telemetry of each node. It has no alert rules: an alert is what a node says of itself, or its silence.
 */
import type { Bytes, Engine } from "../engine/engine";
import type { Mesh } from "../mesh/mesh";
import { hmac, hmacPads } from "../ota/control-auth";
import { bytesOf, hex, le32 } from "../wire/bytes";
import { decodeTelemetry, encodeTelemetry, INTERVAL_UNIT, type Telemetry } from "../wire/telemetry";
import { alertBody, type BridgedNode, nodeText, presenceOf, USUAL_INTERVAL, VARIABLE, versionOf } from "./bridge-texts";
import { createMqtt, type Mqtt, type MqttStats } from "./mqtt";

export interface BridgeSettings {
  /** Address of the broker; a name costs a look-up that blocks. */
  host: string;
  port?: number;
  user?: string;
  password?: string;
  /** "mesh" unless given */
  prefix?: string;
  /** seconds between reports, 5..3600; 30 unless given */
  interval?: number;
  /** Address of a time server of the network; without it times are 0. */
  timeServer?: string;
  /** Commands must be signed with it, at least 16 bytes; without it there are none. */
  commandKey?: string;
}

export interface Bridge {
  beginBridge(): void;
  /** New values of a node. */
  observe(telemetry: Telemetry): void;
  readonly stats: MqttStats;
}

/** Nodes that are told of; further ones are not. Each takes some 25 variables. */
const MAX_NODES = 32;
/** Intervals of silence until a node is lost. */
const LOST = 3;
/** Bits of telemetry's alerts that are told; severity is critical but for the last. */
const TOLD = 1 | 16 | 64;
const LOSS_BIT = 256;
const MIN_KEY = 16;

/** @param unixTime seconds, 0 while the board does not know */
export function createBridge(engine: Engine, mesh: Mesh, settings: BridgeSettings, unixTime: () => number): Bridge {
  const prefix = settings.prefix || "mesh";
  const status = prefix + "/status/";
  const command = prefix + "/command/";
  const interval = (settings.interval || 30) * 1000;
  const nodes: BridgedNode[] = [];
  let reportAt = 0;
  /** What is still to be said of this report: next of nodes, topology, metrics, alerts; 4 is nothing. */
  let part = 4;
  let challenge = "";
  let refused = 0;

  const mqtt: Mqtt = createMqtt(
    engine,
    {
      host: settings.host,
      port: settings.port,
      clientId: "espalier-" + mesh.getNodeId().toString(16),
      user: settings.user,
      password: settings.password,
      willTopic: status + "bridge",
      willText: "offline",
    },
    {
      up: function () {
        up();
      },
      down: function () {},
      message: function (topic, text, retained) {
        message(topic, text, retained);
      },
    },
  );

  function find(id: number): BridgedNode | null {
    "cold";
    for (let i = 0; i < nodes.length; i++) if (nodes[i].id === id) return nodes[i];
    return null;
  }

  function up(): void {
    "cold";
    mqtt.publish(status + "bridge", "online", true);
    if (settings.commandKey && settings.commandKey.length >= MIN_KEY) {
      for (const name of ["message", "status", "update/start", "update/abort"]) mqtt.followTopic(command + name);
      renew();
    }
    // The broker may have forgotten what it retained.
    for (let i = 0; i < nodes.length; i++) nodes[i].fresh = true;
    reportAt = 0;
  }

  /** A board has no clock to tell old commands by, so each is signed for a challenge that holds once. */
  function renew(): void {
    "cold";
    const seed = le32(engine.random()) + le32(engine.random()) + le32((engine.now() * 1000) >>> 0) + challenge;
    challenge = hex(bytesOf(engine.sha256(seed)).substr(0, 16));
    mqtt.publish(command + "challenge", challenge, true);
  }

  function values(node: BridgedNode): Telemetry {
    "cold";
    return decodeTelemetry(node.frame, engine.crc32) as Telemetry;
  }

  /** Text of one of the four reports; nodes are joined one by one, since objects of all of them would not fit. */
  function report(which: number): string {
    "cold";
    let text = "";
    let online = 0;
    let stale = 0;
    let lost = 0;
    let root = 0;
    const sums = [0, 0, 0, 0];
    let firing = 0;
    let critical = 0;
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i];
      const t = values(node);
      const p = presenceOf(node, t, engine.now());
      if (t.flags & 4) root = node.id;
      if (p === "online") online++;
      else if (p === "stale") stale++;
      else lost++;
      if (!node.lost) {
        sums[0] += t.received;
        sums[1] += t.sent;
        sums[2] += t.dropped;
        sums[3] += t.refused;
      }
      for (let bit = 1; bit <= LOSS_BIT; bit <<= 1) {
        if (!(node.alerts & bit)) continue;
        firing++;
        if (bit !== 64) critical++;
        if (which === 3) text += (text ? "," : "") + JSON.stringify(alertBody(node, bit, "firing", unixTime()));
      }
      if (which === 0)
        text +=
          (text ? "," : "") +
          JSON.stringify({
            id: node.id,
            uptime: t.uptime,
            memory: t.memoryFree * VARIABLE,
            rssi: t.rssi || null,
            version: versionOf(t),
            presence: p,
          });
      else if (which === 1 && !node.lost)
        text +=
          (text ? "," : "") +
          JSON.stringify({
            id: node.id,
            parent: t.parent || null,
            hops: t.hops === 255 ? null : t.hops,
            rssi: t.rssi || null,
          });
    }
    const head = '{"timestamp":' + unixTime();
    if (which === 0) return head + ',"nodes":[' + text + "]}";
    if (which === 1) return head + ',"root":' + (root || "null") + ',"nodes":[' + text + "]}";
    if (which === 3) return head + ',"alerts":[' + text + "]}";
    const stats = mqtt.stats;
    const unknown = ':{"least":null,"mean":null},';
    return (
      head +
      ',"nodes":' +
      JSON.stringify({ total: nodes.length, online: online, stale: stale, lost: lost }) +
      ',"messages":' +
      JSON.stringify({ received: sums[0], sent: sums[1], dropped: sums[2], refused: sums[3] }) +
      ',"memory"' +
      unknown +
      '"rssi"' +
      unknown +
      '"latency":{"mean":null,"most":null},"loss":{"mean":null,"most":null},"hops":{"most":null},"alerts":' +
      JSON.stringify({ firing: firing, critical: critical, warning: firing - critical }) +
      ',"bridge":' +
      JSON.stringify({
        uptime: Math.floor(engine.now() / 1000),
        published: stats.published,
        queued: stats.waiting,
        dropped: stats.dropped,
        reconnects: stats.reconnects,
        commands_refused: refused,
      }) +
      "}"
    );
  }

  /** Tells what began and what is over. */
  function compare(node: BridgedNode, alerts: number): void {
    "cold";
    const changed = node.alerts ^ alerts;
    if (!node.alerts) node.since = unixTime();
    node.alerts = alerts;
    for (let bit = 1; bit <= LOSS_BIT; bit <<= 1) {
      if (!(changed & bit)) continue;
      const text = JSON.stringify(alertBody(node, bit, alerts & bit ? "firing" : "resolved", unixTime()));
      mqtt.deliver(status + "alerts/events", '{"timestamp":' + unixTime() + "," + text.substr(1));
      part = Math.min(part, 3);
    }
  }

  function answer(name: string, result: string, error: string): void {
    "cold";
    mqtt.publish(
      command + "result",
      '{"timestamp":' +
        unixTime() +
        ',"command":"' +
        name +
        '","n":"' +
        challenge +
        '","ok":' +
        !error +
        ',"error":' +
        (error ? '{"code":"' + error + '","message":"' + error + '"}' : "null") +
        ',"result":' +
        (error ? "null" : result) +
        "}",
      false,
    );
  }

  function run(name: string, body: { [field: string]: unknown }): void {
    "cold";
    const to = body.to as number;
    if (name === "message" && typeof to === "number" && typeof body.text === "string") {
      const text = body.text;
      const sent = to ? mesh.sendSingle(to, text) : mesh.sendBroadcast(text);
      answer(name, '{"to":' + to + "}", sent ? "" : "UNKNOWN_NODE");
    } else if (name === "status") {
      const node = typeof body.node === "number" ? find(body.node) : null;
      // All of them at once would not fit; they stand in topics of their own.
      answer(
        name,
        '{"nodes":[' + (node ? nodeText(node, values(node), engine.now()) : "") + "]}",
        typeof body.node === "number" && !node ? "UNKNOWN_NODE" : "",
      );
    } else answer(name, "", name.substr(0, 6) === "update" ? "NOT_ON_A_BOARD" : "COMMAND_ARGUMENTS");
  }

  function message(topic: string, text: Bytes, retained: boolean): void {
    "cold";
    const name = topic.substr(command.length);
    const pads = hmacPads(settings.commandKey as string);
    let body: unknown = null;
    try {
      const p = JSON.parse(text);
      const signed = topic + "\n" + p.t + "\n" + p.n + "\n" + p.b + "\n";
      if (!retained && p.n === challenge && p.tag === hex(hmac(engine, pads[0], pads[1], signed)))
        body = JSON.parse(p.b);
    } catch (error) {
      // Counted below.
    }
    if (!body || typeof body !== "object") {
      refused++;
      return;
    }
    run(name, body as { [field: string]: unknown });
    renew();
  }

  /** Looks for silence, and says one thing a second, so that the interpreter is never busy for long. */
  function tick(): void {
    "cold";
    const now = engine.now();
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i];
      if (node.lost || now - node.at < LOST * USUAL_INTERVAL) continue;
      const t = values(node);
      if (now - node.at < LOST * t.interval * INTERVAL_UNIT * 1000) continue;
      node.lost = node.fresh = true;
      compare(node, node.alerts | LOSS_BIT);
    }
    if (!mqtt.stats.connected) return;
    if (now >= reportAt) {
      reportAt = now + interval;
      part = 0;
    }
    if (part < 4) {
      const names = ["nodes", "topology", "metrics", "alerts"];
      if (mqtt.publish(status + names[part], report(part), true)) part++;
      return;
    }
    for (let i = 0; i < nodes.length; i++) {
      if (!nodes[i].fresh) continue;
      if (mqtt.publish(status + "node/" + nodes[i].id, nodeText(nodes[i], values(nodes[i]), now), true))
        nodes[i].fresh = false;
      return;
    }
  }

  return {
    beginBridge: function () {
      "cold";
      mqtt.dialBroker();
      engine.every(1000, function () {
        tick();
      });
    },
    observe: function (t: Telemetry): void {
      "cold";
      let node = find(t.node);
      if (!node) {
        if (nodes.length >= MAX_NODES) return;
        node = { id: t.node, frame: "", at: 0, time: 0, lost: false, alerts: 0, since: 0, fresh: false };
        nodes.push(node);
      }
      node.frame = encodeTelemetry(t, engine.crc32);
      node.at = engine.now();
      node.time = unixTime();
      node.lost = false;
      node.fresh = true;
      compare(node, t.alerts & TOLD);
    },
    stats: mqtt.stats,
  };
}
