/**
 * A node of role "dashboard" in a real interpreter, with nineteen nodes that report to it over a link, a day of history in
 * its flash, and a browser in front of it.
 */
import * as net from "node:net";
import type { Browser as Chromium } from "playwright-core";
import { PACKAGE_TELEMETRY } from "../../firmware/status/stream";
import { createRing } from "../../firmware/status/ring";
import { le16, le32 } from "../../firmware/wire/bytes";
import { encodeTelemetry, type Telemetry } from "../../firmware/wire/telemetry";
import { bundle } from "../../host-tools/build/bundle";
import { buildLoader } from "../../host-tools/build/loader";
import { buildPage, storedPage } from "../../host-tools/dashboard/page-bundle";
import { memoryRegion } from "../../host-tools/device/memory-region";
import { provision } from "../../host-tools/device/provision";
import type { MeshSession } from "../../host-tools/gateway/mesh-session";
import { openTcp } from "../../host-tools/gateway/tcp-session";
import { crc32 } from "node:zlib";
import { apiSuite, Browser } from "../dashboard/api-suite";
import { launchChromium } from "../dashboard/chromium";
import { FakeFleet, idOf } from "../dashboard/fake-fleet";
import { freePort } from "../exporters/support/service";
import { imageOf, interpreter, NodeProcess, PRODUCT, until, wifiShim } from "./nodes";
import { describeEngine } from "./support";

const SELF = 0xc4a0ffe1;
const TOKEN = "token-of-the-engine-test";
const HISTORY_PAGES = 24;
const STEPS = 288;

/** A day of all nodes, as the node itself would have written it. */
function seedHistory(flash: Buffer, from: number, pages: number): void {
  const region = memoryRegion(pages);
  const ring = createRing(region, 0, HISTORY_PAGES);
  for (let step = 0; step < STEPS; step++) {
    for (let i = 1; i < 20; i++) {
      ring.append(
        le32(idOf(i)) +
          le16(step) +
          String.fromCharCode((256 - 50 - i) & 255, 2) +
          le16(2000 - step) +
          le16(30) +
          le16(65535) +
          le16(100),
      );
    }
  }
  region.data.copy(flash, from);
}

const crc = (bytes: string): number => crc32(Buffer.from(bytes, "latin1"));

class Dashboard {
  node!: NodeProcess;
  session!: MeshSession;
  url = "";
  private readonly fleet = new FakeFleet(20, Date.now);
  private readonly frames = new Map<number, Telemetry>();

  async start(): Promise<void> {
    const real = interpreter();
    const { code } = await bundle({
      app: null,
      role: "dashboard",
      board: "esp32-devkitc",
      version: "1.0.0",
    });
    const image = imageOf(code, "1.0.0", "raw", undefined, "dashboard");
    const meshPort = await freePort();
    const webPort = await freePort();
    const mac = `24:0a:${SELF.toString(16).match(/../g)!.join(":")}`;
    const flash = provision({
      board: real.board,
      loader: real.prelude + wifiShim({ mac }, 100) + (await buildLoader(real.board)),
      settings: {
        role: "dashboard",
        telemetrySeconds: 30,
        dashboard: { token: TOKEN, port: webPort },
        mesh: { meshName: PRODUCT, password: "", port: meshPort, channel: 1, root: true },
      },
      code,
      image,
      page: storedPage(await buildPage()),
    });
    const area = flash.indexOf(Buffer.from("espalier\0", "latin1")) - 4 + 32;
    const [first, pages] = real.board.regions.history!;
    seedHistory(flash, area + first * 4096, pages);
    this.node = new NodeProcess(flash);
    this.node.start();
    this.url = `http://127.0.0.1:${webPort}`;
    this.session = openTcp("127.0.0.1", meshPort, "tcp:test", { address: "127.0.0.1" });
    await this.session.joined(60_000);
    this.fleet.on("node", ({ id, telemetry }) => void (telemetry && this.frames.set(id, telemetry)));
    for (let i = 1; i < 20; i++) {
      this.report(i, i === 3 ? { alerts: 1 } : {});
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    await until("all nodes are known", 60, () => this.node.starts > 0);
  }

  /** Frames of one node over the link, as the root sends them to who subscribed. */
  report(i: number, changes: Partial<Telemetry> = {}): void {
    this.fleet.report(idOf(i), changes);
    const frame = encodeTelemetry(this.frames.get(idOf(i))!, crc);
    const { mesh } = this.session.node;
    mesh.sendPackage({
      type: PACKAGE_TELEMETRY,
      routing: 1,
      dest: SELF,
      from: mesh.getNodeId(),
      d: Buffer.from(String.fromCharCode(64) + frame, "latin1").toString("base64"),
    });
  }

  async stop(): Promise<void> {
    await this.session?.close();
    await this.node?.remove();
  }
}

describeEngine("a dashboard inside the interpreter", () => {
  const dashboard = new Dashboard();
  apiSuite("answers as docs/openapi.json says", async () => {
    await dashboard.start();
    const info = async (): Promise<boolean> => {
      try {
        const { nodes } = (await (await fetch(`${dashboard.url}/api/v1/nodes`)).json()) as { nodes: unknown[] };
        return nodes.length >= 20;
      } catch {
        return false;
      }
    };
    for (let i = 0; i < 100 && !(await info()); i++) await new Promise((resolve) => setTimeout(resolve, 200));
    return {
      url: dashboard.url,
      token: TOKEN,
      node: idOf(2),
      alert: `low-memory:${idOf(3)}`,
      report: () => dashboard.report(2),
      // The tests below go on with it.
      stop: () => Promise.resolve(),
    };
  });

  afterAll(() => dashboard.stop());

  it("drops who never finishes a request, and goes on serving", async () => {
    const socket = net.connect(Number(new URL(dashboard.url).port), "127.0.0.1");
    let ended = false;
    socket.on("error", () => {});
    socket.on("close", () => (ended = true));
    await new Promise((resolve) => socket.on("connect", resolve));
    socket.write("GET / HTTP/1.1\r\n");
    await until("the connection is closed", 40, () => ended);
    expect((await fetch(`${dashboard.url}/api/v1/info`)).status).toBe(200);
  }, 60_000);

  it("has the history of a day, from flash", async () => {
    const answer = await fetch(`${dashboard.url}/api/v1/history/${idOf(5)}`);
    const { points } = (await answer.json()) as { points: number[][] };
    expect(points.length).toBeGreaterThanOrEqual(STEPS - 2);
    expect(points.at(-1)!.slice(1, 4)).toEqual([2000 - (STEPS - 1), -55, 30]);
  }, 30_000);

  it("stays within the board's memory with twenty nodes and three browsers", async () => {
    const browsers = [1, 2, 3].map(() => new Browser(dashboard.url));
    const served = (): boolean => browsers.every((browser) => browser.has("ready"));
    await until("all are served", 30, served).catch((error: Error) => {
      const states = browsers.map(({ messages, closed, status }) => [messages.length, messages.at(-1), closed, status]);
      throw new Error(`${error.message}: ${JSON.stringify(states)}, ${dashboard.node.text.slice(-5).join(" | ")}`);
    });
    const before = dashboard.node.all("variables").length;
    for (let round = 0; round < 3; round++) {
      for (let i = 1; i < 20; i++) dashboard.report(i);
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    const rest = dashboard.node.all("variables").at(-1)![0] as number;
    const peak = dashboard.node.peak(before);
    console.log(`dashboard node: ${rest} variables with 20 nodes and 3 browsers, ${peak} at most`);
    expect(dashboard.node.errors).toEqual([]);
    expect(peak).toBeLessThan(3400);
    for (const browser of browsers) browser.end();
  }, 60_000);

  it("shows its page in a browser, live", async () => {
    const chromium: Chromium | null = await launchChromium();
    if (!chromium) return;
    try {
      const page = await chromium.newPage({ viewport: { width: 1280, height: 800 } });
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      await page.goto(`${dashboard.url}/#token=${TOKEN}`);
      await page.getByText(/^\d+ of 20$/).waitFor({ timeout: 30_000 });
      await page.goto(`${dashboard.url}/#/node/${idOf(5)}`);
      await page.locator(".plot canvas").first().waitFor({ timeout: 30_000 });
      await page.goto(`${dashboard.url}/#/nodes`);
      dashboard.report(7, { memoryFree: 1111, memoryTotal: 4000 });
      await page.getByText("28 %").first().waitFor({ timeout: 30_000 });
      expect(faults).toEqual([]);
    } finally {
      await chromium.close();
    }
  }, 120_000);
});
