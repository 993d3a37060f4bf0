/** A collector before a fleet of traces: quiet while all is well, and how soon each fault is told. */
import { createCollector } from "../../host-tools/gateway/collector";
import type { AlertView, MeshEvent, StatusCollector } from "../../host-tools/gateway/fleet-view";
import { type StatusNode, StatusWorld, type StatusWorldOptions } from "../../host-tools/simulator/status-world";

interface Watch {
  world: StatusWorld;
  collector: StatusCollector;
  alerts: AlertView[];
  events: MeshEvent[];
}

function watch(options: StatusWorldOptions): Watch {
  const world = new StatusWorld(options);
  const collector = createCollector(world.session);
  const alerts: AlertView[] = [];
  const events: MeshEvent[] = [];
  collector.on("alert", (alert) => void alerts.push(alert));
  collector.on("event", (event) => void events.push(event));
  return { world, collector, alerts, events };
}

/** Seconds from now until an alert of the rule fires for the node, or Infinity. */
function detect({ world, alerts }: Watch, rule: string, node: StatusNode, limit: number): number {
  const began = world.events.now();
  const from = alerts.length;
  for (let waited = 0; waited < limit; waited++) {
    world.run(1);
    if (alerts.slice(from).some((a) => a.rule === rule && a.node === node.id && a.state === "firing")) {
      return (world.events.now() - began) / 1000;
    }
  }
  return Infinity;
}

const fired = ({ alerts }: Watch): string[] =>
  alerts.filter(({ state }) => state === "firing").map(({ key, inhibitedBy }) => key + (inhibitedBy && " muted"));

test.each([
  { interval: 30, seed: 1 },
  { interval: 60, seed: 2 },
])("24 hours of a healthy mesh, a frame in fifty lost, every $interval s: no alert", ({ interval, seed }) => {
  const w = watch({ nodes: 10, interval, seed, loss: 0.02 });
  w.world.run(24 * 3600);
  expect(fired(w)).toEqual([]);
  expect(w.collector.nodes().map(({ presence }) => presence)).toEqual(Array(10).fill("online"));
  w.collector.close();
});

describe("at an interval of 30 s", () => {
  let w: Watch;
  let node: StatusNode;
  const times: string[] = [];
  beforeEach(() => {
    w = watch({ nodes: 10, interval: 30, seed: 3 });
    // Not at the moment of a question to all.
    w.world.run(3700);
    node = w.world.nodes[5]!;
    expect(fired(w)).toEqual([]);
  });
  afterEach(() => w.collector.close());
  afterAll(() => void process.stdout.write(`${times.join("\n")}\n`));

  /** The worst moment for a fault to begin. */
  const justSpoke = (): void => {
    const heard = w.collector.node(node.id)!.heardAt;
    while (w.collector.node(node.id)!.heardAt === heard) w.world.run(0.1);
  };

  const within = (rule: string, limit: number): number => {
    const seconds = detect(w, rule, node, limit * 2);
    times.push(`  ${rule}: ${seconds.toFixed(0)} s (window ${limit} s)`);
    expect(seconds).toBeLessThanOrEqual(limit);
    return seconds;
  };

  test("a node that loses power is lost within a minute, at the worst moment too", () => {
    justSpoke();
    node.on = false;
    within("node-lost", 60);
    expect(w.collector.node(node.id)).toMatchObject({ presence: "lost" });
    w.world.run(300);
    node.on = true;
    w.world.run(60);
    expect(w.collector.node(node.id)).toMatchObject({ presence: "online" });
    expect(w.collector.alerts()[0]).toMatchObject({ rule: "node-lost", state: "resolved" });
  });

  test("low memory", () => {
    justSpoke();
    node.trace.bias.memory = -1700;
    within("low-memory", 60);
    node.trace.bias.memory = 0;
    w.world.run(100);
    // Kept for two minutes, since memory that was short may be so again.
    expect(w.collector.alerts()[0]).toMatchObject({ rule: "low-memory", state: "firing" });
    w.world.run(120);
    expect(w.collector.alerts()[0]).toMatchObject({ rule: "low-memory", state: "resolved" });
  });

  test("a restart that nobody asked for, and not one that an update asked for", () => {
    node.trace.restart(w.world.events.now() / 1000, true);
    w.world.say(node);
    w.world.run(120);
    expect(fired(w)).toEqual([]);
    w.world.events.after(8000, () => {
      node.trace.restart(w.world.events.now() / 1000);
      w.world.say(node);
    });
    within("reset", 60);
    expect(w.events.filter(({ kind }) => kind === "restart")).toHaveLength(2);
    w.world.run(400);
    expect(w.collector.alerts()[0]).toMatchObject({ rule: "reset", state: "resolved" });
  });

  test("an update that fails", () => {
    justSpoke();
    node.trace.values.updateState = 7;
    node.trace.values.alerts = 16;
    within("update-failed", 60);
  });

  test("a leak of 300 variables an hour", () => {
    const leak = (): void => {
      node.trace.bias.memory -= 5;
      w.world.events.after(60_000, leak);
    };
    leak();
    within("memory-leak", 3600);
    // A step is no leak.
    const other = w.world.nodes[6]!;
    other.trace.bias.memory = -600;
    expect(detect(w, "memory-leak", other, 7200)).toBe(Infinity);
  });

  test("lost frames, weak signal, latency", () => {
    node.trace.bias.loss = 300;
    within("loss", 420);
    node.trace.bias.rssi = -40;
    within("weak-signal", 660);
    node.trace.bias.latency = 900;
    within("latency", 240);
  });

  test("what is no fault by itself, and unusual for this node: a link that got slow", () => {
    node.trace.bias.latency = 400;
    const seconds = within("unusual", 300);
    expect(seconds).toBeGreaterThanOrEqual(240);
    // Nothing else is wrong with it.
    expect(fired(w)).toEqual([`unusual:${node.id}`]);
    node.trace.bias.latency = 0;
    w.world.run(700);
    expect(w.collector.alerts()[0]).toMatchObject({ rule: "unusual", node: node.id, state: "resolved" });
  });

  test("a reboot loop: one restart in four minutes", () => {
    for (let i = 1; i <= 6; i++) {
      w.world.events.after(i * 240_000, () => {
        node.trace.restart(w.world.events.now() / 1000);
        w.world.say(node);
      });
    }
    within("reboot-loop", 780);
  });

  test("isolated, and another version than the others", () => {
    node.trace.values.hops = 255;
    node.trace.values.parent = 0;
    node.trace.values.patch = 1;
    within("isolated", 120);
    within("version-skew", 3700);
  });

  test("a node that answers but sends nothing any more is silent, not lost", () => {
    w.world.onFrame = (frame, from) => {
      // Nobody decodes it.
      if (from === node) frame.node = 0xdead;
    };
    within("silent", 240);
    expect(w.alerts.filter((a) => a.rule === "node-lost" && a.node === node.id && a.state === "firing")).toEqual([]);
  });

  test("silence resolves nothing: an alert without data says so, and goes on when the node is back", () => {
    node.trace.bias.memory = -1700;
    within("low-memory", 60);
    node.on = false;
    w.world.run(300);
    const key = `low-memory:${node.id}`;
    expect(w.collector.alerts().find((a) => a.key === key)).toMatchObject({ state: "nodata", resolvedAt: 0 });
    node.on = true;
    w.world.run(60);
    expect(w.collector.alerts().find((a) => a.key === key)).toMatchObject({ state: "firing" });
  });

  test("a partition: the node nearest to the root is lost, what lies behind it is muted", () => {
    const [, head] = w.world.nodes;
    const behind = w.world.nodes.filter(({ parent }) => parent === head);
    expect(behind.length).toBe(3);
    head!.on = false;
    node = head!;
    within("node-lost", 60);
    w.world.run(60);
    const lost = fired(w).filter((key) => key.startsWith("node-lost"));
    expect(lost.sort()).toEqual([`node-lost:${head!.id}`, ...behind.map(({ id }) => `node-lost:${id} muted`)].sort());
    const alerts = w.collector.alerts();
    expect(alerts.find((a) => a.node === head!.id)).toMatchObject({
      inhibitedBy: "",
      message: expect.stringContaining("alerts of 3 nodes behind it are muted") as string,
    });
    for (const { id } of behind) {
      expect(alerts.find((a) => a.node === id)).toMatchObject({ inhibitedBy: `node-lost:${head!.id}` });
    }
    head!.on = true;
    w.world.run(60);
    expect(w.collector.alerts().every(({ state }) => state === "resolved")).toBe(true);
  });

  test("a link that comes and goes: the parent changes are told, and the alert that swings is flapping", () => {
    const [, a, b] = w.world.nodes;
    let weak = false;
    const swing = (): void => {
      weak = !weak;
      node.parent = weak ? a! : b!;
      node.trace.values.parent = node.parent.id;
      node.trace.bias.memory = weak ? -1700 : 0;
      w.world.events.after(45_000, swing);
    };
    swing();
    within("unstable-link", 600);
    w.world.run(600);
    const low = w.collector.alerts().find((one) => one.rule === "low-memory")!;
    expect(low).toMatchObject({ flapping: true, state: "firing" });
    const said = w.alerts.filter((one) => one.rule === "low-memory" && one.state === "resolved");
    expect(said.length).toBeLessThanOrEqual(1);
  });
});

test("a clock that is five seconds off is told at the next question to all", () => {
  const w = watch({ nodes: 10, interval: 30, seed: 5 });
  w.world.run(60);
  const node = w.world.nodes[4]!;
  node.clock = 5_000_000;
  const seconds = detect(w, "clock-off", node, 700);
  process.stdout.write(`  clock-off: ${seconds.toFixed(0)} s (window 620 s)\n`);
  expect(seconds).toBeLessThanOrEqual(620);
  expect(fired(w)).toEqual([`clock-off:${node.id}`]);
  node.clock = 0;
  w.world.run(700);
  expect(w.collector.alerts()[0]).toMatchObject({ rule: "clock-off", state: "resolved" });
  w.collector.close();
});

describe("questions", () => {
  const ask = async (
    w: Watch,
    ids: number[] | null,
  ): Promise<{ answered: number[]; missing: number[]; ms: number }> => {
    const began = w.world.events.now();
    let ended = Infinity;
    const result = w.collector.query(ids);
    void result.then(() => void (ended = w.world.events.now()));
    for (let i = 0; i < 200 && ended === Infinity; i++) {
      w.world.run(0.1);
      await Promise.resolve();
    }
    return { ...(await result), ms: ended - began };
  };

  test("to all: one broadcast, and whoever is silent is asked once more and then named", async () => {
    const w = watch({ nodes: 10, interval: 600, seed: 5 });
    w.world.nodes[3]!.answers = false;
    const all = await ask(w, null);
    expect(all.answered).toHaveLength(9);
    expect(all.missing).toEqual([w.world.nodes[3]!.id]);
    expect(all.ms).toBeGreaterThan(10_000);
    expect(all.ms).toBeLessThan(14_000);
    expect(w.world.packages).toBe(2);
    expect(w.collector.node(w.world.nodes[5]!.id)!.telemetry!.memoryFree).toBeGreaterThan(1000);
    w.collector.close();
  });

  test("to one that hears the second question only, to none, and too many at once", async () => {
    const w = watch({ nodes: 4, interval: 600, seed: 5 });
    const [, node] = w.world.nodes;
    node!.answers = false;
    w.world.events.after(5000, () => void (node!.answers = true));
    expect(await ask(w, [node!.id])).toMatchObject({ answered: [node!.id], missing: [] });
    expect(await ask(w, [])).toMatchObject({ answered: [], missing: [] });
    const many = [1, 2, 3, 4, 5].map(() => w.collector.query([99]));
    expect(await many[4]).toEqual({ answered: [], missing: [99] });
    w.world.run(20);
    expect(await Promise.all(many)).toHaveLength(5);
    w.collector.close();
  });

  test("reports in another's name, without a question or broken are not taken", async () => {
    const w = watch({ nodes: 2, interval: 600, seed: 5 });
    w.world.run(1);
    const observed: number[] = [];
    w.collector.on("node", ({ id }) => void observed.push(id));
    for (const d of ["", "AAAA", 7, null, "x".repeat(500)]) w.world.receive({ type: 723, from: 5, q: 1, d });
    expect(observed).toEqual([]);
    w.collector.close();
  });
});

describe("nodes of C++ painlessMesh", () => {
  const STATUS = {
    type: 604,
    routing: 2,
    message_type: 604,
    status: 1,
    uptime: 86400,
    mem: 45,
    wifi: 70,
    fw: "v2.1.0",
    fwMD5: "d41d8cd98f00b204e9800998ecf8427e",
    nodes: 12,
    conns: 2,
    msgRx: 5000,
    msgTx: 4000,
    msgDrop: 3,
    latency: 42,
    loss: 1,
    throughput: 300,
    alerts: 0,
    lastErr: "",
  };

  test("are read from status packages 604, 203 and 202, and get alerts like others", () => {
    const w = watch({ nodes: 3, interval: 30, seed: 5 });
    const from = 123456789;
    w.world.receive({ ...STATUS, from });
    expect(w.collector.node(from)).toMatchObject({
      version: "2.1.0",
      presence: "online",
      telemetry: { uptime: 86400, rssi: -65, latency: 42, loss: 10, received: 5000, sent: 4000, dropped: 3, nodes: 12 },
    });
    // 45 KB of C++ heap, in variables of 14 bytes.
    expect(w.collector.node(from)!.telemetry!.memoryFree).toBe(Math.floor((45 * 1024) / 14));
    for (const type of [202, 203]) {
      w.world.run(30);
      w.world.receive({ ...STATUS, type, from, uptime: 86400 + type, mem: 8 });
    }
    expect(fired(w)).toEqual([`low-memory:${from}`]);
    expect(w.collector.node(from)!.telemetry!.uptime).toBe(86603);
    w.world.run(30);
    w.world.receive({ ...STATUS, from, uptime: 5 });
    expect(fired(w)).toContain(`reset:${from}`);
    w.collector.close();
  });

  test("what is no status, or hostile, changes nothing", () => {
    const w = watch({ nodes: 2, interval: 30, seed: 5 });
    w.world.run(31);
    const before = w.collector.nodes().length;
    for (const uptime of [undefined, "1", null, {}]) w.world.receive({ ...STATUS, from: 77, uptime });
    expect(w.collector.nodes()).toHaveLength(before);
    w.world.receive({
      type: 604,
      from: 78,
      uptime: 1e300,
      mem: -5,
      wifi: "x",
      fw: 7,
      nodes: {},
      latency: NaN,
      alerts: [],
    });
    const { telemetry } = w.collector.node(78)!;
    for (const value of Object.values(telemetry!)) expect(Number.isFinite(value)).toBe(true);
    // An Espalier node's telemetry says more than its status package.
    const own = w.world.nodes[1]!.id;
    w.world.receive({ ...STATUS, from: own });
    expect(w.collector.node(own)!.version).toBe("1.2.0");
    w.collector.close();
  });
});

test("acknowledging, names, topology, and the end", () => {
  const world = new StatusWorld({ nodes: 4, interval: 30 });
  const names = new Map([[world.nodes[2]!.id, { name: "greenhouse", hardware: "ESP32" }]]);
  const collector = createCollector(world.session, { names });
  const topologies: number[] = [];
  collector.on("topology", ({ nodes }) => void topologies.push(nodes.length));
  world.run(40);
  expect(topologies.at(-1)).toBe(4);
  expect(collector.topology()).toMatchObject({ root: world.nodes[0]!.id });
  expect(collector.node(world.nodes[2]!.id)).toMatchObject({ name: "greenhouse", hardware: "ESP32", hops: 1 });
  world.nodes[2]!.trace.bias.memory = -1800;
  world.run(40);
  const [alert] = collector.alerts();
  expect(alert).toMatchObject({ message: expect.stringMatching(/^greenhouse: \d+ interpreter variables/) as string });
  expect(collector.acknowledge("low-memory:1")).toBe(false);
  expect(collector.acknowledge(alert!.key)).toBe(true);
  expect(collector.alerts()[0]).toMatchObject({ acknowledged: true });
  const seen = topologies.length;
  collector.close();
  world.nodes[3]!.on = false;
  world.run(300);
  expect(topologies).toHaveLength(seen);
});
