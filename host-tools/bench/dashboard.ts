/**
 * The dashboard under load: size of the page and time until it can be used in Chromium, then 200 nodes that report every
 * half minute and 20 browsers that listen, with the delay of the server's event loop.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fork } from "node:child_process";
import { loadBoard } from "../build/board";
import { bundle } from "../build/bundle";
import { buildPage, PAGE_BUDGET } from "../dashboard/page-bundle";
import { Browser, until } from "../../test/dashboard/api-suite";
import { launchChromium } from "../../test/dashboard/chromium";
import { openScene, TOKEN } from "../../test/dashboard/scene";

const NODES = 200;
const BROWSERS = 20;
const INTERVAL_MS = 30_000;
const SECONDS = 20;

async function load(print: (text: string) => void): Promise<void> {
  const scene = await openScene(NODES, { quiet: true, gatherMs: 250 });
  // The browsers live in another process, so that only the server's own work is measured.
  const child = fork(__filename, ["browsers", scene.dashboard.url], { execArgv: ["-r", "tsx/cjs"] });
  await new Promise((resolve) => child.once("message", resolve));
  const ids = [...scene.fleet.views.keys()];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const cpu = process.cpuUsage();
  delay.enable();
  let next = 0;
  const reporting = setInterval(() => scene.fleet.report(ids[next++ % ids.length]!), INTERVAL_MS / NODES);
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  clearInterval(reporting);
  delay.disable();
  const used = process.cpuUsage(cpu);
  const told = new Promise<{ messages: number }>((resolve) =>
    child.once("message", (value) => resolve(value as { messages: number })),
  );
  child.send("end");
  const { messages } = await told;
  const ms = (ns: number): string => `${(ns / 1e6).toFixed(1)} ms`;
  print(
    `${NODES} nodes every ${INTERVAL_MS / 1000} s, ${BROWSERS} browsers, ${SECONDS} s: event loop delay ` +
      `${ms(delay.percentile(50))} median, ${ms(delay.percentile(99))} 99 %, ${ms(delay.max)} at most ` +
      `(the timer itself has 1 ms); ${(((used.user + used.system) / (SECONDS * 1e6)) * 100).toFixed(1)} % of a core; ` +
      `${messages} messages received, ${scene.dashboard.live.dropped} browsers dropped`,
  );
  await scene.stop();
}

/** The other process: browsers that read everything. */
async function browsers(url: string): Promise<void> {
  const all = Array.from({ length: BROWSERS }, () => new Browser(url));
  await until("all browsers know everything", () => all.every((browser) => browser.has("ready")), 60);
  process.send!("ready");
  process.once("message", () => {
    process.send!({ messages: all.reduce((sum, { messages }) => sum + messages.length, 0) });
    for (const browser of all) browser.end();
    process.disconnect();
  });
}

async function interactive(print: (text: string) => void): Promise<void> {
  const chromium = await launchChromium();
  if (!chromium) return;
  const scene = await openScene(100, { quiet: true });
  const times: number[] = [];
  let first = 0;
  for (let i = 0; i < 5; i++) {
    // What waits from outside is evaluated, which the page's own policy forbids.
    const page = await chromium.newPage({ bypassCSP: true });
    await page.goto(`${scene.dashboard.url}/#token=${TOKEN}`);
    await page.waitForFunction("performance.getEntriesByName('espalier-ready').length > 0");
    times.push((await page.evaluate("performance.getEntriesByName('espalier-ready')[0].startTime")) as number);
    first = (await page.evaluate(
      "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0",
    )) as number;
    await page.close();
  }
  times.sort((a, b) => a - b);
  print(
    `100 nodes in Chromium: first paint after ${first.toFixed(0)} ms, all nodes drawn and usable after ` +
      `${times[2]!.toFixed(0)} ms (median of 5, ${times[4]!.toFixed(0)} ms at most)`,
  );
  await chromium.close();
  await scene.stop();
}

export async function benchDashboard(print: (text: string) => void): Promise<void> {
  const { gzip, html } = await buildPage();
  print(
    `page: ${gzip.length} bytes compressed (${html.length} plain), ${((gzip.length / PAGE_BUDGET) * 100).toFixed(0)} % of its budget of ${PAGE_BUDGET}`,
  );
  const board = loadBoard("esp32-devkitc");
  const [node, dashboard] = await Promise.all(
    ["node", "dashboard"].map((role) => bundle({ app: null, role, board: board.name, version: "1.0.0" })),
  );
  const [, pages] = board.regions.history!;
  print(
    `ESP32: bundle ${dashboard!.bytes} bytes (a node without a page ${node!.bytes}), page in ${Math.ceil(gzip.length / 4096)} ` +
      `flash pages, history in ${pages}; variables with 20 nodes and 3 browsers: ` +
      "ESPRUINO=... npx jest --config jest.engine.config.js test/engine/dashboard.test.ts",
  );
  await interactive(print);
  await load(print);
}

if (process.argv[2] === "browsers") void browsers(process.argv[3]!);
