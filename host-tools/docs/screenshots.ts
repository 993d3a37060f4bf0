/** `npm run screenshots`: the pictures of docs/images, taken anew from a fleet that looks the same each time. */
import * as fs from "node:fs";
import * as path from "node:path";
import { launchChromium } from "../../test/dashboard/chromium";
import { idOf } from "../../test/dashboard/fake-fleet";
import { halfWay, openScene, TOKEN } from "../../test/dashboard/scene";

const FOLDER = path.resolve(__dirname, "../../docs/images");
const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

async function main(): Promise<void> {
  const chromium = await launchChromium();
  if (!chromium) {
    process.exitCode = 1;
    return;
  }
  fs.mkdirSync(FOLDER, { recursive: true });
  const small = await openScene(20);
  const large = await openScene(100);
  async function take(name: string, url: string, place: string, viewport: typeof DESK, dark: boolean): Promise<void> {
    const page = await chromium!.newPage({ viewport, colorScheme: dark ? "dark" : "light", bypassCSP: true });
    await page.goto(`${url}/#token=${TOKEN}`);
    await page.waitForFunction("performance.getEntriesByName('espalier-ready').length > 0");
    await page.goto(`${url}/#/${place}`);
    await page.waitForTimeout(1500);
    await page.screenshot({ path: path.join(FOLDER, `${name}.png`) });
    await page.close();
    console.log(`${name}.png: ${fs.statSync(path.join(FOLDER, `${name}.png`)).size} bytes`);
  }
  const { url } = small.dashboard;
  await take("dashboard-overview", url, "", DESK, false);
  await take("dashboard-node", url, `node/${idOf(3)}`, DESK, true);
  await take("dashboard-phone", url, "", PHONE, false);
  await take("dashboard-hundred", large.dashboard.url, "", DESK, true);
  const answer = await fetch(`${url}/api/v1/rollout/preview`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ image: "a1b2c3d4e5f60718", policy: "progressive", transport: "broadcast" }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  halfWay(small.rollout()!);
  await take("dashboard-firmware", url, "firmware", DESK, false);
  await chromium.close();
  await small.stop();
  await large.stop();
}

void main();
