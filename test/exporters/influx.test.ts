import * as http from "node:http";
import type { AddressInfo } from "node:net";
import {
  createInfluxWriter,
  type InfluxOptions,
  type InfluxWriter,
  writeAddress,
} from "../../host-tools/exporters/influx";
import { alertLine, line, nodeLine } from "../../host-tools/exporters/influx-line";
import { statusOf } from "../../host-tools/exporters/readings";
import { alertView, nodeView, ROOT } from "./support/fleet";
import { ADMIN, ADMIN_PASSWORD, Influx } from "./support/influx";
import { freePort, Service, until } from "./support/service";
import { describeWith } from "./support/tools";

const log: string[] = [];
const writers: InfluxWriter[] = [];
function writer(options: Partial<InfluxOptions>): InfluxWriter {
  const made = createInfluxWriter({
    url: "http://127.0.0.1:1",
    log: (text) => log.push(text),
    batchMs: 20,
    backoff: { first: 20, most: 100 },
    ...options,
  });
  writers.push(made);
  return made;
}
beforeEach(() => {
  log.length = 0;
});
afterEach(async () => {
  for (const one of writers.splice(0)) await one.close();
});

describe("line protocol", () => {
  it("writes tags and fields in order, each in its type", () => {
    const text = line(
      "m",
      { b: "2", a: "1", none: "" },
      { y: { integer: 3.9 }, x: 0.5, t: true, s: "text", no: null },
      1700000000123.9,
    );
    expect(text).toBe('m,a=1,b=2 s="text",t=true,x=0.5,y=3i 1700000000123');
  });

  it("escapes what would end a part", () => {
    expect(line("a b,c", { "k=y": "v, w=x" }, { "f f": 'say "\\hi"\nthere' }, 1)).toBe(
      'a\\ b\\,c,k\\=y=v\\,\\ w\\=x f\\ f="say \\"\\\\hi\\" there" 1',
    );
    expect(line("m", { t: "ends with\\" }, { x: 1 }, 1)).toBe("m,t=ends\\ with x=1 1");
  });

  it("writes nothing without a value", () => {
    expect(line("m", {}, { a: null, b: Number.NaN, c: Infinity }, 1)).toBe("");
    expect(nodeLine(statusOf(nodeView(1, { telemetry: null })), { mesh: "mesh" })).toBe("");
  });
});

describe("the address to write to", () => {
  it("is v1's or v2's, below whatever path the server has", () => {
    expect(writeAddress({ url: "http://h:8086", database: "d b" }).href).toBe(
      "http://h:8086/write?db=d+b&precision=ms",
    );
    expect(writeAddress({ url: "https://h/influx/", bucket: "b", org: "o" }).href).toBe(
      "https://h/influx/api/v2/write?bucket=b&org=o&precision=ms",
    );
  });

  it.each([
    { url: "nonsense", database: "d" },
    { url: "ftp://h", database: "d" },
    { url: "http://user:word@h", database: "d" },
    { url: "http://h" },
    { url: "http://h", database: "d", bucket: "b" },
  ])("is refused: %j", (options) => {
    expect(() => writeAddress(options)).toThrow(expect.objectContaining({ code: "INFLUX_CONFIG" }));
  });
});

describe("a server that says no", () => {
  let server: http.Server;
  let requests: { path: string; authorization: string; body: string }[];
  let answer: (body: string, response: http.ServerResponse) => void;
  let url: string;

  beforeEach(async () => {
    requests = [];
    answer = (_, response) => response.writeHead(204).end();
    server = http.createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (part: string) => (body += part));
      request.on("end", () => {
        requests.push({ path: request.url!, authorization: request.headers.authorization ?? "", body });
        answer(body, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    for (const one of writers.splice(0)) await one.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it("gets v2's token, organisation and bucket", async () => {
    const made = writer({ url, org: "home", bucket: "mesh", token: "secret" });
    made.write("m x=1 1");
    await until("a request", () => requests.length === 1);
    expect(requests[0]).toEqual({
      path: "/api/v2/write?bucket=mesh&org=home&precision=ms",
      authorization: "Token secret",
      body: "m x=1 1",
    });
  });

  it("is asked again later, for everything, in order, when it is busy or out of order", async () => {
    const codes = [503, 429, 500, 401];
    answer = (_, response) => response.writeHead(codes.shift() ?? 204).end("busy");
    const made = writer({ url, database: "d" });
    for (let i = 0; i < 5; i++) made.write(`m x=${i} ${i}`);
    await until("everything", () => made.state().written === 5);
    expect(requests).toHaveLength(5);
    expect(requests.at(-1)!.body.split("\n")).toEqual([0, 1, 2, 3, 4].map((i) => `m x=${i} ${i}`));
    expect(made.state()).toMatchObject({ retries: 4, dropped: 0, queued: 0 });
  });

  it("loses a bad line without its neighbours", async () => {
    answer = (body, response) => response.writeHead(body.includes("bad") ? 400 : 204).end("unable to parse");
    const made = writer({ url, database: "d" });
    for (let i = 0; i < 20; i++) made.write(i === 7 ? "bad" : `m x=${i} ${i}`);
    await until("the rest", () => made.state().written === 19);
    expect(made.state()).toMatchObject({ dropped: 1, queued: 0 });
    expect(log).toEqual(["InfluxDB refuses a point: 400 unable to parse"]);
  });

  it("gets smaller requests when it wants them", async () => {
    answer = (body, response) => response.writeHead(body.length > 100 ? 413 : 204).end();
    const made = writer({ url, database: "d" });
    for (let i = 0; i < 50; i++) made.write(`m x=${i} ${i}`);
    await until("everything", () => made.state().written === 50);
    expect(made.state().dropped).toBe(0);
  });

  it("that never answers does not make the bridge grow", async () => {
    answer = () => {};
    const made = writer({ url, database: "d", requestMs: 50, bufferBytes: 1000, batchLines: 10 });
    for (let i = 0; i < 1000; i++) made.write(`m x=${i} ${i}`);
    await until("a time-out", () => made.state().retries > 1);
    expect(made.state().queued).toBeLessThan(120);
    expect(made.state().dropped).toBeGreaterThan(850);
    expect(log[0]).toMatch(/does not take points/);
  });
});

describeWith(["influxd"], "InfluxDB", () => {
  let influx: Influx;

  beforeAll(async () => {
    influx = await Influx.start();
  });
  afterAll(() => influx.service.remove());

  const login = () => ({ url: influx.url, database: "espalier", username: ADMIN, password: ADMIN_PASSWORD });

  it("answers a query with the values, and has a point that came twice once", async () => {
    const made = writer(login());
    const odd = nodeView(1, { name: 'a "name", with = signs' }, { loss: 250, latency: 65535 });
    for (const view of [nodeView(0), odd, odd, nodeView(2, { heardAt: 1638360000999 }), nodeView(2)])
      made.write(nodeLine(statusOf(view), { mesh: "mesh" }));
    made.write(alertLine(alertView(), { mesh: "mesh" }, 0));
    await until("writing", () => made.state().written === 6);
    expect(log).toEqual([]);
    const rows = await influx.query("SELECT * FROM espalier_node ORDER BY time");
    expect(rows).toHaveLength(3);
    expect(rows.find((row) => row.node === String(ROOT + 1))).toMatchObject({
      time: 1638360000000,
      name: 'a "name", with = signs',
      mesh: "mesh",
      uptime: 86401,
      memory: 28000,
      rssi: -65,
      loss: 0.25,
      latency: null,
      battery: 3.7,
      version: "2.1.0",
      trial: false,
    });
    const [alert] = await influx.query("SELECT * FROM espalier_alert");
    expect(alert).toMatchObject({ rule: "low-memory", severity: "warning", state: "firing", value: 8192 });
  });

  it("gets what was written while it was down", async () => {
    const made = writer(login());
    await influx.service.kill();
    for (let i = 0; i < 100; i++) made.write(line("gap", {}, { x: { integer: i } }, 1638360000000 + i * 1000));
    await until("a failed try", () => made.state().retries > 0);
    await influx.start();
    await until("writing", () => made.state().written === 100);
    expect(await influx.query("SELECT count(x), sum(x) FROM gap")).toMatchObject([{ count: 100, sum: 4950 }]);
  });

  it("is not written to with a wrong password, which is not told to anybody", async () => {
    const made = writer({ ...login(), password: `${ADMIN_PASSWORD}!` });
    made.write("m x=1 1");
    await until("refusal", () => made.state().retries > 0);
    expect(log.join()).toContain("401");
    expect(log.join()).not.toContain(ADMIN_PASSWORD);
  });
});

/** Debian has no InfluxDB 2, but another server that takes what is written to one. */
describeWith(["victoria-metrics"], "a server of v2's write interface", () => {
  let service: Service;
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const options = [`-httpListenAddr=127.0.0.1:${port}`, "-storageDataPath=data", "-retentionPeriod=100y"];
    service = new Service("victoria-metrics", options, port);
    await service.start();
  });
  afterAll(() => service.remove());

  /** The points of one field, [milliseconds, value]. */
  async function points(name: string): Promise<{ metric: Record<string, string>; list: [number, number][] }[]> {
    await fetch(`${url}/internal/force_flush`);
    const query = new URLSearchParams({ "match[]": name, start: "0" });
    const text = await (await fetch(`${url}/api/v1/export?${query}`)).text();
    const lines = text.split("\n").filter((one) => one !== "");
    return lines.map((one) => {
      const { metric, values, timestamps } = JSON.parse(one) as {
        metric: Record<string, string>;
        values: number[];
        timestamps: number[];
      };
      return { metric, list: timestamps.map((at, i) => [at, values[i]!]) };
    });
  }

  it("has the values, at their times, with their tags", async () => {
    const made = writer({ url, org: "home", bucket: "mesh", token: "secret" });
    const odd = nodeView(1, { name: 'a "name", with = signs' }, { loss: 250, latency: 65535 });
    for (const view of [nodeView(0), odd]) made.write(nodeLine(statusOf(view), { mesh: "mesh" }));
    await until("writing", () => made.state().written === 2);
    expect(log).toEqual([]);
    const loss = await points("espalier_node_loss");
    expect(loss).toHaveLength(2);
    const found = loss.find(({ metric }) => metric.node === String(ROOT + 1))!;
    expect(found.metric).toMatchObject({ mesh: "mesh", name: 'a "name", with = signs' });
    expect(found.list).toEqual([[1638360000000, 0.25]]);
    expect((await points("espalier_node_latency")).map(({ metric }) => metric.node)).toEqual([String(ROOT)]);
  });

  it("gets what was written while it was down", async () => {
    const made = writer({ url, bucket: "mesh" });
    await service.kill();
    for (let i = 0; i < 100; i++) made.write(line("gap", {}, { x: { integer: i } }, 1638360000000 + i * 1000));
    await until("a failed try", () => made.state().retries > 0);
    await service.start();
    await until("writing", () => made.state().written === 100);
    const [gap] = await points("gap_x");
    expect(gap!.list).toHaveLength(100);
    expect(gap!.list.reduce((sum, [, value]) => sum + value, 0)).toBe(4950);
  });
});
