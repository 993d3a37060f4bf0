import * as fs from "node:fs";
import * as path from "node:path";
import { nodeLine } from "../../host-tools/exporters/influx-line";
import { createRegistry } from "../../host-tools/exporters/prometheus";
import { statusOf } from "../../host-tools/exporters/readings";
import { HandFed, nodeView } from "../exporters/support/fleet";

interface Dashboard {
  panels: {
    id: number;
    gridPos: { x: number; y: number; w: number; h: number };
    targets: { expr?: string; query?: string }[];
  }[];
}

const FOLDER = path.resolve(__dirname, "../../docs/grafana");
const read = (name: string): Dashboard => JSON.parse(fs.readFileSync(path.join(FOLDER, name), "utf8")) as Dashboard;

it("Prometheus' dashboard asks only for metrics that there are", async () => {
  const bridge = () => ({ published: 0, queued: 0, dropped: 0, reconnects: 0, connected: true });
  const registry = createRegistry({ collector: new HandFed([nodeView(0)]), mesh: "m", version: "1.0.0", bridge });
  const known = new Set((await registry.getMetricsAsJSON()).map((metric) => metric.name));
  const asked = read("espalier-prometheus.json").panels.flatMap(({ targets }) =>
    targets.flatMap(({ expr }) => expr!.match(/espalier_\w+/g)!),
  );
  expect(asked.length).toBeGreaterThan(15);
  expect(asked.filter((name) => !known.has(name))).toEqual([]);
});

it("InfluxDB's dashboard asks only for fields that there are", () => {
  const fields = nodeLine(statusOf(nodeView(1)), { mesh: "m" });
  const asked = read("espalier-influxdb.json").panels.flatMap(({ targets }) =>
    targets.flatMap(({ query }) => [...query!.matchAll(/\b(?:mean|min|last)\("(\w+)"\)/g)].map((match) => match[1]!)),
  );
  expect(asked.length).toBeGreaterThan(3);
  for (const name of asked) expect(fields).toMatch(new RegExp(`[ ,]${name}=`));
});

it.each(["espalier-prometheus.json", "espalier-influxdb.json"])("no two panels of %s overlap", (name) => {
  const taken = new Set<string>();
  for (const { gridPos: at } of read(name).panels) {
    expect(at.x + at.w).toBeLessThanOrEqual(24);
    for (let x = at.x; x < at.x + at.w; x++)
      for (let y = at.y; y < at.y + at.h; y++) {
        expect(taken).not.toContain(`${x},${y}`);
        taken.add(`${x},${y}`);
      }
  }
});
