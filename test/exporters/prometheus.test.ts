import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { createRegistry, type Endpoint, servePrometheus } from "../../host-tools/exporters/prometheus";
import { alertView, HandFed, nodeView, ROOT } from "./support/fleet";
import { freePort, Service, until } from "./support/service";
import { describeWith, toolEnvironment } from "./support/tools";

const bridge = () => ({ published: 5, queued: 1, dropped: 0, reconnects: 2, connected: true });

async function serve(fleet: HandFed, more: { maxNodes?: number } = {}): Promise<Endpoint> {
  const registry = createRegistry({ collector: fleet, mesh: "mesh", version: "1.2.3", bridge, ...more });
  return servePrometheus(registry, "127.0.0.1", 0);
}

async function scrape(endpoint: Endpoint): Promise<string> {
  return (await fetch(`http://${endpoint.address}/metrics`)).text();
}

describe("the Prometheus endpoint", () => {
  let endpoint: Endpoint;
  afterEach(() => endpoint.close());

  it("says what the mesh is like at the time of the scrape", async () => {
    const fleet = new HandFed([nodeView(0), nodeView(1)]);
    endpoint = await serve(fleet);
    fleet.alert(alertView({ severity: "critical" }));
    fleet.alert(alertView({ rule: "muted", inhibitedBy: "node-lost:1" }));
    const text = await scrape(endpoint);
    expect(text).toContain(`espalier_node_memory_free_bytes{node="${ROOT}",name="node-0",mesh="mesh"} 28000`);
    expect(text).toContain(`espalier_node_received_packages_total{node="${ROOT + 1}",name="node-1",mesh="mesh"} 1000`);
    expect(text).toContain('espalier_alerts_firing{severity="critical",mesh="mesh"} 1');
    expect(text).toContain('espalier_alerts_firing{severity="warning",mesh="mesh"} 0');
    fleet.feed(nodeView(1, {}, { received: 5 }));
    expect(await scrape(endpoint)).toContain(
      `espalier_node_received_packages_total{node="${ROOT + 1}",name="node-1",mesh="mesh"} 5`,
    );
  });

  it("says nothing old of a lost node, but that it is lost", async () => {
    const fleet = new HandFed([nodeView(0), nodeView(1, { presence: "lost" })]);
    endpoint = await serve(fleet);
    const text = await scrape(endpoint);
    expect(text).toContain(`espalier_node_up{node="${ROOT + 1}",name="node-1",mesh="mesh"} 0`);
    expect(text).not.toContain(`espalier_node_uptime_seconds{node="${ROOT + 1}"`);
    expect(text).toContain('espalier_nodes{presence="lost",mesh="mesh"} 1');
  });

  it("bounds its series, and survives names that hold anything", async () => {
    const fleet = new HandFed(Array.from({ length: 30 }, (_, i) => nodeView(i, { name: '"\\\n{}' })));
    endpoint = await serve(fleet, { maxNodes: 10 });
    const text = await scrape(endpoint);
    expect(text.match(/^espalier_node_up\{/gm)).toHaveLength(10);
    expect(text).toContain('espalier_nodes_omitted{mesh="mesh"} 20');
    expect(text).toContain('espalier_nodes{presence="online",mesh="mesh"} 30');
  });

  it("serves nothing else", async () => {
    endpoint = await serve(new HandFed());
    const at = (way: string, method = "GET") => fetch(`http://${endpoint.address}${way}`, { method });
    expect((await at("/")).status).toBe(404);
    expect((await at("/metrics", "POST")).status).toBe(405);
    expect((await at("/metrics?x=1")).headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  });

  it("says when its port is taken", async () => {
    endpoint = await serve(new HandFed());
    const port = Number(endpoint.address.split(":")[1]);
    const registry = createRegistry({ collector: new HandFed(), mesh: "m", version: "1" });
    await expect(servePrometheus(registry, "127.0.0.1", port)).rejects.toMatchObject({ code: "PORT_IN_USE" });
  });
});

describeWith(["promtool", "prometheus"], "Prometheus", () => {
  it("finds nothing to complain of", async () => {
    const fleet = new HandFed([nodeView(0), nodeView(1)]);
    fleet.alert(alertView());
    const endpoint = await serve(fleet);
    const text = await scrape(endpoint);
    await endpoint.close();
    const output = execFileSync("promtool", ["check", "metrics"], { input: text, env: toolEnvironment, stdio: "pipe" });
    expect(output.toString()).toBe("");
  });

  it("scrapes without a warning, and answers with the values", async () => {
    const fleet = new HandFed([nodeView(0), nodeView(1)]);
    const endpoint = await serve(fleet);
    const port = await freePort();
    const service = new Service(
      "prometheus",
      [
        "--config.file=prometheus.yml",
        `--web.listen-address=127.0.0.1:${port}`,
        "--storage.tsdb.path=data",
        "--log.level=warn",
      ],
      port,
    );
    fs.writeFileSync(
      path.join(service.directory, "prometheus.yml"),
      `global: { scrape_interval: 200ms, scrape_timeout: 200ms }
scrape_configs:
  - job_name: mesh
    static_configs: [{ targets: ["${endpoint.address}"] }]
`,
    );
    try {
      await service.start();
      const ask = async (query: string): Promise<[Record<string, string>, string][]> => {
        const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
        if (!response.ok) return [];
        const { data } = (await response.json()) as {
          data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
        };
        return (data?.result ?? []).map((one) => [one.metric, one.value[1]]);
      };
      await until("a scrape", async () => (await ask("espalier_node_uptime_seconds")).length === 2);
      expect(await ask('up{job="mesh"}')).toMatchObject([[{}, "1"]]);
      expect((await ask(`espalier_node_rssi_dbm{node="${ROOT + 1}"}`))[0]![1]).toBe("-65");
      expect((await ask("sum(espalier_node_received_packages_total)"))[0]![1]).toBe("2000");
      expect(service.output.split("\n").filter((one) => /level=(warn|error)/.test(one))).toEqual([]);
    } finally {
      await service.remove();
      await endpoint.close();
    }
  });
});
