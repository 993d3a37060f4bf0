/** What docs/openapi.json promises, asked of a server that runs. Both servers have to pass all of it. */
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as path from "node:path";
import { gunzipSync } from "node:zlib";
import Ajv2020 from "ajv/dist/2020";
import { WebSocket } from "ws";
import type { ApiInfo, ServerMessage } from "../../host-tools/dashboard/api";

export interface ServerUnderTest {
  /** "http://127.0.0.1:4180" */
  url: string;
  token: string;
  /** A node that has reported. */
  node: number;
  /** Key of an alert that is active and not acknowledged. */
  alert: string;
  /** Lets a node report, so that there is something to tell. */
  report(): void;
  stop(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
  json(): unknown;
}

const API = "/api/v1";

export function ask(url: string, options: http.RequestOptions & { body?: string | Buffer } = {}): Promise<Answer> {
  const { body, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent: false, timeout: 20_000, ...rest }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        const all = Buffer.concat(parts);
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: all, json: () => JSON.parse(all.toString("utf8")) as unknown });
      });
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", reject);
    request.end(body);
  });
}

/** Checks values against a schema of docs/openapi.json. */
export function schemaCheck(): (name: string, value: unknown) => void {
  const file = path.resolve(__dirname, "../../docs/openapi.json");
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema(JSON.parse(fs.readFileSync(file, "utf8")) as object, "api");
  return (name, value) => {
    const valid = ajv.validate({ $ref: `api#/components/schemas/${name}` }, value);
    if (!valid) throw new Error(`${name}: ${ajv.errorsText()} in ${JSON.stringify(value).slice(0, 600)}`);
  };
}

/** A browser's side of the WebSocket. */
export class Browser {
  readonly messages: ServerMessage[] = [];
  closed: { code: number } | null = null;
  status = 0;
  private readonly socket: WebSocket;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`${url.replace("http", "ws")}${API}/live`, { headers });
    this.socket.on("message", (data: Buffer) => this.messages.push(JSON.parse(data.toString("utf8")) as ServerMessage));
    this.socket.on("close", (code) => (this.closed = { code }));
    this.socket.on("unexpected-response", (_request, response) => (this.status = response.statusCode ?? 0));
    this.socket.on("error", () => {});
  }

  send(data: string | Buffer): void {
    this.socket.send(data);
  }

  has(type: ServerMessage["type"]): boolean {
    return this.messages.some((message) => message.type === type);
  }

  end(): void {
    this.socket.terminate();
  }
}

export async function until(what: string, test: () => boolean, seconds = 20): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!test()) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function apiSuite(name: string, start: () => Promise<ServerUnderTest>, timeout = 60_000): void {
  describe(name, () => {
    let server: ServerUnderTest;
    const check = schemaCheck();
    const get = (at: string, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> =>
      ask(server.url + at, { headers });
    const post = (at: string, body: unknown, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> =>
      ask(server.url + at, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": "application/json", authorization: `Bearer ${server.token}`, ...headers },
      });
    const code = (answer: Answer): unknown => {
      const body = answer.json();
      check("Error", body);
      return [answer.status, (body as { error: { code: string } }).error.code];
    };

    beforeAll(async () => {
      server = await start();
    }, 120_000);
    afterAll(() => server?.stop());

    it("serves the page compressed, with a policy that lets nothing else run", async () => {
      const answer = await get("/", { "accept-encoding": "gzip" });
      expect(answer.status).toBe(200);
      expect(answer.headers["content-encoding"]).toBe("gzip");
      expect(answer.headers["content-type"]).toMatch(/^text\/html/);
      expect(answer.headers["x-content-type-options"]).toBe("nosniff");
      const html = gunzipSync(answer.body).toString("utf8");
      expect(html).toMatch(/^<!doctype html>/i);
      expect(html).toMatch(/Content-Security-Policy" content="default-src 'none'; script-src 'sha256-/);
      expect(html).not.toContain(server.token);
      expect(html).not.toMatch(/(src|href)="https?:/);
      const again = await get("/", { "accept-encoding": "gzip", "if-none-match": answer.headers.etag });
      expect([again.status, again.body.length]).toEqual([304, 0]);
    });

    it("tells who it is, and its nodes", async () => {
      const info = await get(`${API}/info`);
      expect(info.status).toBe(200);
      check("ApiInfo", info.json());
      expect(info.json()).toMatchObject({ writable: true });
      const all = (await get(`${API}/nodes`)).json() as { nodes: { id: number }[] };
      for (const node of all.nodes) check("Node", node);
      expect(all.nodes.map(({ id }) => id)).toContain(server.node);
      const one = (await get(`${API}/nodes/${server.node}`)).json();
      check("Node", one);
      expect(one).toMatchObject({ id: server.node, presence: "online" });
      const topology = (await get(`${API}/topology`)).json() as { nodes: { id: number }[] };
      check("Topology", topology);
      expect(topology.nodes.map(({ id }) => id)).toContain(server.node);
    });

    it("tells alerts, events, images, and that there is no rollout", async () => {
      const { alerts } = (await get(`${API}/alerts`)).json() as { alerts: { key: string }[] };
      for (const alert of alerts) check("Alert", alert);
      expect(alerts.map(({ key }) => key)).toContain(server.alert);
      const { events } = (await get(`${API}/events?limit=5`)).json() as { events: unknown[] };
      expect(events.length).toBeLessThanOrEqual(5);
      for (const event of events) check("Event", event);
      for (const image of ((await get(`${API}/images`)).json() as { images: unknown[] }).images) check("Image", image);
      expect((await get(`${API}/rollout`)).json()).toEqual({ rollout: null });
    });

    it("tells a node's history", async () => {
      const answer = await get(`${API}/history/${server.node}`);
      expect(answer.status).toBe(200);
      const history = answer.json() as { points: unknown[][]; fields: string[]; from: number; to: number };
      check("History", history);
      expect(history.fields.slice(0, 2)).toEqual(["memoryFree", "rssi"]);
      expect(history.points.length).toBeGreaterThan(0);
      for (const point of history.points) {
        expect(point).toHaveLength(history.fields.length + 1);
        expect(point[0]).toBeGreaterThanOrEqual(history.from);
        expect(point[0]).toBeLessThanOrEqual(history.to);
      }
      const none = (await get(`${API}/history/${server.node}?from=1&to=2`)).json() as { points: unknown[] };
      expect(none.points).toEqual([]);
    });

    it("refuses what it does not know", async () => {
      expect(code(await get(`${API}/nodes/1`))).toEqual([404, "NO_SUCH_NODE"]);
      expect(code(await get(`${API}/nodes/${"9".repeat(40)}`))).toEqual([404, "NO_SUCH_NODE"]);
      expect(code(await get(`${API}/history/abc`))).toEqual([404, "NO_SUCH_NODE"]);
      expect(code(await get(`${API}/history/${server.node}?from=x`))).toEqual([400, "BAD_REQUEST"]);
      expect(code(await get(`${API}/events?limit=0`))).toEqual([400, "BAD_REQUEST"]);
      expect(code(await get("/../../etc/passwd"))).toEqual([404, "NOT_FOUND"]);
      expect(code(await get(`${API}/nothing`))).toEqual([404, "NOT_FOUND"]);
    });

    it("changes nothing without the token, nor for another site", async () => {
      const at = `${API}/alerts/acknowledge`;
      const body = { key: server.alert };
      expect(code(await post(at, body, { authorization: "" }))).toEqual([401, "WRONG_TOKEN"]);
      expect(code(await post(at, body, { authorization: `Bearer ${server.token}x` }))).toEqual([401, "WRONG_TOKEN"]);
      expect(code(await post(at, body, { authorization: `Basic ${server.token}` }))).toEqual([401, "WRONG_TOKEN"]);
      expect(code(await post(at, body, { origin: "http://evil.example" }))).toEqual([403, "WRONG_ORIGIN"]);
      expect(code(await post(at, body, { origin: "null" }))).toEqual([403, "WRONG_ORIGIN"]);
      expect(code(await post(at, body, { host: "evil.example" }))).toEqual([403, "WRONG_HOST"]);
      expect(code(await get(`${API}/info`, { host: "evil.example" }))).toEqual([403, "WRONG_HOST"]);
      const { alerts } = (await get(`${API}/alerts`)).json() as { alerts: { key: string; acknowledged: boolean }[] };
      expect(alerts.find(({ key }) => key === server.alert)!.acknowledged).toBe(false);
    });

    it("refuses bodies that it cannot use", async () => {
      const at = `${API}/alerts/acknowledge`;
      expect(code(await post(at, '{"key":'))).toEqual([400, "BAD_REQUEST"]);
      expect(code(await post(at, "[]"))).toEqual([400, "BAD_REQUEST"]);
      expect(code(await post(at, "null"))).toEqual([400, "BAD_REQUEST"]);
      expect(code(await post(at, { key: 5 }))).toEqual([400, "BAD_REQUEST"]);
      expect(code(await post(at, { key: "no-such:1" }))).toEqual([404, "NO_SUCH_ALERT"]);
      expect(code(await post(`${API}/rollout/start`, {}))).toEqual([409, "NO_ROLLOUT"]);
      expect(code(await post(`${API}/rollout/explode`, {}))).toEqual([404, "NOT_FOUND"]);
      expect(code(await post(`${API}/rollout/preview`, { image: 1 }))).toEqual([400, "BAD_REQUEST"]);
      expect(code(await post(at, { key: "x".repeat(5000) }))).toEqual([413, "BODY_TOO_LARGE"]);
    });

    it("acknowledges an alert, and tells browsers", async () => {
      const browser = new Browser(server.url);
      await until("the snapshot", () => browser.has("ready"));
      const answer = await post(`${API}/alerts/acknowledge`, { key: server.alert }, { origin: server.url });
      expect([answer.status, answer.json()]).toEqual([200, { acknowledged: true }]);
      const told = (): boolean =>
        browser.messages.some(
          (message) =>
            message.type === "alerts" &&
            message.alerts.some(({ key, acknowledged }) => key === server.alert && acknowledged),
        );
      await until("the word of it", told);
      browser.end();
    });

    it("sends everything over the WebSocket once, then what changes", async () => {
      const browser = new Browser(server.url, { origin: server.url });
      await until("the snapshot", () => browser.has("ready"));
      expect(browser.messages[0]!.type).toBe("hello");
      const before = browser.messages.findIndex(({ type }) => type === "ready");
      const types = new Set(browser.messages.slice(0, before).map(({ type }) => type));
      expect([...types].sort()).toEqual(expect.arrayContaining(["alerts", "hello", "nodes", "rollout", "topology"]));
      browser.send('{"type":"ping"}');
      await until("pong", () => browser.has("pong"));
      const seen = browser.messages.length;
      server.report();
      await until("a node's new values", () => browser.messages.slice(seen).some(({ type }) => type === "nodes"), 40);
      for (const message of browser.messages) check("ServerMessage", message);
      browser.end();
    });

    it.each([
      ["no JSON", "{"],
      ["another type", '{"type":"reboot"}'],
      ["a list", "[]"],
      ["null", "null"],
      ["binary", Buffer.from('{"type":"ping"}')],
    ])("closes the WebSocket on %s", async (_what, data) => {
      const browser = new Browser(server.url);
      await until("the snapshot", () => browser.has("ready"));
      browser.send(data);
      await until("the end", () => browser.closed !== null);
      expect(browser.closed!.code).toBe(1008);
      const last = browser.messages.at(-1)!;
      check("ServerMessage", last);
      expect(last).toMatchObject({ type: "error", error: { code: "BAD_MESSAGE" } });
    });

    it("closes the WebSocket on a message that is too long, or frames that are none", async () => {
      const browser = new Browser(server.url);
      await until("the snapshot", () => browser.has("ready"));
      browser.send(JSON.stringify({ type: "ping", more: "x".repeat(3000) }));
      await until("the end", () => browser.closed !== null);
      expect(browser.closed!.code).toBe(1009);

      const { hostname, port } = new URL(server.url);
      const raw = net.connect(Number(port), hostname);
      raw.on("error", () => {});
      let ended = false;
      let text = "";
      raw.on("data", (data) => (text += data.toString("latin1")));
      raw.on("close", () => (ended = true));
      raw.write(
        `GET ${API}/live HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      );
      await until("the handshake", () => text.includes("\r\n\r\n"));
      // The key and the answer of RFC 6455, section 1.3.
      expect(text).toMatch(/^HTTP\/1\.1 101 /);
      expect(text.toLowerCase()).toContain("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=");
      // A frame of a client that is not masked.
      raw.write(Buffer.from([0x81, 0x02, 0x7b, 0x7d]));
      await until("the end of a broken peer", () => ended);
    });

    it("lets no other site open the WebSocket", async () => {
      const browser = new Browser(server.url, { origin: "http://evil.example" });
      await until("an answer", () => browser.status !== 0);
      expect(browser.status).toBe(403);
    });

    it(
      "serves as many browsers as it says and turns the next away",
      async () => {
        const info = (await get(`${API}/info`)).json() as ApiInfo;
        const browsers: Browser[] = [];
        for (let i = info.clients; i < info.maxClients; i++) {
          const browser = new Browser(server.url);
          browsers.push(browser);
          await until(`browser ${i}`, () => browser.has("ready"));
        }
        const more = new Browser(server.url);
        await until("the refusal", () => more.closed !== null || more.status !== 0);
        expect(more.has("ready")).toBe(false);
        expect(more.messages.at(-1)).toMatchObject({ type: "error", error: { code: "TOO_MANY_CLIENTS" } });
        for (const browser of browsers) browser.end();
        await new Promise((resolve) => setTimeout(resolve, 200));
        const later = new Browser(server.url);
        await until("room again", () => later.has("ready"));
        later.end();
      },
      timeout,
    );

    it("survives requests that are none", async () => {
      const { hostname, port } = new URL(server.url);
      const ended = (text: string): Promise<string> =>
        new Promise((resolve) => {
          const raw = net.connect(Number(port), hostname);
          let answer = "";
          raw.on("error", () => resolve(answer));
          raw.on("data", (data) => (answer += data.toString("latin1")));
          raw.on("close", () => resolve(answer));
          raw.write(text);
        });
      expect(await ended("nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
      expect(await ended(`GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 4(13|31|00) /);
      expect((await get(`${API}/info`)).status).toBe(200);
    });
  });
}
