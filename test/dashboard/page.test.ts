/** The page in Chromium, at the size of a desk and of a phone: what it shows, what it does, and that everybody can use it. */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Browser, Page } from "playwright-core";
import { buildPage, PAGE_BUDGET } from "../../host-tools/dashboard/page-bundle";
import { launchChromium } from "./chromium";
import { idOf } from "./fake-fleet";
import { halfWay, openScene, type Scene, TOKEN } from "./scene";

const AXE = fs.readFileSync(path.join(path.dirname(require.resolve("axe-core")), "axe.min.js"), "utf8");
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

test("the page fits beside firmware", async () => {
  const { gzip } = await buildPage();
  console.log(`page: ${gzip.length} bytes compressed, of ${PAGE_BUDGET}`);
  expect(gzip.length).toBeLessThanOrEqual(PAGE_BUDGET);
});

describe("in a browser", () => {
  let chromium: Browser | null;
  let scene: Scene;
  const faults: string[] = [];

  beforeAll(async () => {
    chromium = await launchChromium();
    scene = await openScene(20);
  }, 60_000);
  afterAll(async () => {
    await chromium?.close();
    await scene?.stop();
  });

  async function open(viewport: { width: number; height: number }, dark = false, token = TOKEN): Promise<Page> {
    const page = await chromium!.newPage({ viewport, colorScheme: dark ? "dark" : "light", bypassCSP: true });
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (protocol.startsWith("http") && hostname !== "127.0.0.1") faults.push(`asked ${request.url()}`);
    });
    await page.goto(`${scene.dashboard.url}/${token ? `#token=${token}` : ""}`);
    await page.getByText("20 nodes").or(page.getByText(/of 20/)).first().waitFor();
    return page;
  }

  async function go(page: Page, place: string): Promise<void> {
    await page.goto(`${scene.dashboard.url}/#/${place}`);
    await page.waitForTimeout(300);
  }

  it("keeps the token out of the address", async () => {
    if (!chromium) return;
    const page = await open(DESK);
    expect(page.url()).not.toContain(TOKEN);
    await page.close();
  });

  it.each([
    ["desk, light", DESK, false],
    ["phone, dark", PHONE, true],
  ])(
    "is usable by everybody, and not wider than the screen: %s",
    async (_name, size, dark) => {
      if (!chromium) return;
      const page = await open(size, dark);
      await page.addScriptTag({ content: AXE });
      for (const place of ["", "nodes", `node/${idOf(3)}`, "alerts", "events", "firmware"]) {
        await go(page, place);
        if (place.startsWith("node/")) await page.locator(".plot canvas").first().waitFor();
        const found = (await page.evaluate("axe.run({ resultTypes: ['violations'] })")) as {
          violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
        };
        const told = found.violations.map(
          ({ id, nodes }) => `${place}: ${id}: ${nodes[0]!.html} ${nodes[0]!.failureSummary}`,
        );
        expect(told).toEqual([]);
        const wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        expect([place, Math.max(0, wide as number)]).toEqual([place, 0]);
      }
      await page.close();
    },
    120_000,
  );

  it("finds and hides nodes on the map, without a mouse as well", async () => {
    if (!chromium) return;
    const page = await open(DESK);
    const nodes = page.locator(".map-node");
    expect(await nodes.count()).toBe(20);
    await page.getByPlaceholder("Find a node").fill("greenhouse-07");
    await page.getByText("1 match").waitFor();
    expect(await page.locator(".map-node.found").count()).toBe(1);
    await page.getByPlaceholder("Find a node").fill("");
    await page.locator(`#map-${idOf(0)}`).focus();
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(
      "document.activeElement?.id.startsWith('map-') && document.activeElement.id !== 'map-" + idOf(0) + "'",
    );
    await page.keyboard.press(" ");
    await page.waitForFunction("document.querySelectorAll('.map-node').length < 20");
    await page.getByRole("button", { name: "Show all 20 nodes" }).click();
    await page.waitForFunction("document.querySelectorAll('.map-node').length === 20");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Forces" }).click();
    expect(await nodes.count()).toBe(20);
    await page.close();
  }, 60_000);

  it("draws history and exports it", async () => {
    if (!chromium) return;
    const page = await open(DESK);
    await go(page, `node/${idOf(5)}`);
    await page.locator(".plot canvas").first().waitFor();
    expect(await page.locator(".plot canvas").count()).toBeGreaterThanOrEqual(4);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export as CSV" }).click(),
    ]);
    const text = fs.readFileSync((await download.path())!, "utf8");
    const lines = text.trim().split("\r\n");
    expect(lines[0]).toMatch(/^time,memoryFree,rssi,loss/);
    expect(lines.length).toBeGreaterThan(50);
    expect(lines[1]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z,\d+/);
    const box = (await page.locator(".plot .u-over").first().boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await page.getByRole("button", { name: "Reset zoom" }).waitFor();
    await page.close();
  }, 60_000);

  it("asks for the token before it changes something, then acknowledges", async () => {
    if (!chromium) return;
    const page = await open(DESK, false, "");
    await go(page, "alerts");
    await page.getByRole("button", { name: /^Acknowledge: signal/ }).click();
    await page.getByText("A token is needed").waitFor();
    await page.getByRole("textbox", { name: "Token" }).fill("wrong");
    await page.getByRole("button", { name: "Use this token" }).click();
    await page.getByText("This token is not the right one").waitFor();
    await page.getByRole("textbox", { name: "Token" }).fill(TOKEN);
    await page.getByRole("button", { name: "Use this token" }).click();
    await page.getByText("acknowledged", { exact: true }).waitFor();
    expect(scene.fleet.alerts().find(({ rule }) => rule === "weak-signal")!.acknowledged).toBe(true);
    await page.close();
  }, 60_000);

  it("previews, starts, pauses and aborts a rollout", async () => {
    if (!chromium) return;
    const page = await open(DESK);
    await go(page, "firmware");
    await page.getByRole("button", { name: "Preview" }).click();
    await page.getByText("would be updated").waitFor();
    await page.getByText("A lost link costs no memory any more").first().waitFor();
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByRole("button", { name: "Start the rollout" }).click();
    await page.locator(".badge.state-running").waitFor();
    halfWay(scene.rollout()!);
    await page.getByText("7 of 20", { exact: true }).waitFor();
    await page.getByText("1.3 ×").or(page.getByText("1.27 ×")).first().waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    await page.getByRole("button", { name: "Abort" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Abort" }).click();
    await page.locator(".badge.state-aborted").waitFor();
    await page.getByText("Too late to stop").waitFor();
    expect(scene.rollout()!.calls).toEqual(["start", "pause", "abort"]);
    await page.close();
  }, 60_000);

  it("made no mistake, and asked nobody else", () => {
    expect(faults).toEqual([]);
  });
});
