/** InfluxDB 1.x with its own password, on loopback. */
import * as fs from "node:fs";
import * as path from "node:path";
import { freePort, Service, until } from "./service";

export const ADMIN = "admin";
export const ADMIN_PASSWORD = "a word for the database";

export class Influx {
  private constructor(
    readonly service: Service,
    readonly url: string,
  ) {}

  static async start(): Promise<Influx> {
    const port = await freePort();
    const rpc = await freePort();
    const service = new Service("influxd", ["run", "-config", "influxdb.conf"], port);
    const { directory } = service;
    fs.writeFileSync(
      path.join(directory, "influxdb.conf"),
      `reporting-disabled = true
bind-address = "127.0.0.1:${rpc}"
[meta]
  dir = "${directory}/meta"
[data]
  dir = "${directory}/data"
  wal-dir = "${directory}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:${port}"
  auth-enabled = true
  log-enabled = false
`,
    );
    const influx = new Influx(service, `http://127.0.0.1:${port}`);
    await influx.start();
    await influx.query(`CREATE USER ${ADMIN} WITH PASSWORD '${ADMIN_PASSWORD}' WITH ALL PRIVILEGES`, false);
    await influx.query("CREATE DATABASE espalier");
    return influx;
  }

  async start(): Promise<void> {
    await this.service.start();
    await until("InfluxDB's answer", () =>
      fetch(`${this.url}/ping`).then(
        (response) => response.ok,
        () => false,
      ),
    );
  }

  /** Rows of the first series, by column. */
  async query(text: string, authorised = true): Promise<Record<string, unknown>[]> {
    const body = new URLSearchParams({ q: text, db: "espalier", epoch: "ms" });
    const pair = Buffer.from(`${ADMIN}:${ADMIN_PASSWORD}`).toString("base64");
    const headers = authorised ? { authorization: `Basic ${pair}` } : undefined;
    const response = await fetch(`${this.url}/query`, { method: "POST", body, headers });
    interface Answer {
      error?: string;
      results?: { error?: string; series?: { columns: string[]; values: unknown[][] }[] }[];
    }
    const answer = (await response.json()) as Answer;
    const error = answer.error ?? answer.results?.[0]?.error;
    if (error !== undefined) throw new Error(error);
    const series = answer.results?.[0]?.series?.[0];
    return (series?.values ?? []).map((row) => Object.fromEntries(series!.columns.map((name, i) => [name, row[i]])));
  }
}
