/** `npm start` as a visitor sees it: the address it prints, and an update followed on the page to its end. */
import { spawn } from "node:child_process";
import * as path from "node:path";
import { launchChromium } from "./chromium";

const ROOT = path.resolve(__dirname, "../..");
const LIMIT = 300_000;

test(
  "a browser follows the demo's update from preview to 20 of 20",
  async () => {
    const chromium = await launchChromium();
    if (!chromium) return;
    const demo = spawn(process.execPath, ["bin/espalier.js", "demo"], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: "1" },
    });
    let text = "";
    const ended = new Promise<number | null>((resolve) => demo.on("close", resolve));
    const address = new Promise<string>((resolve, reject) => {
      const look = (data: Buffer): void => {
        text += data.toString("utf8");
        const found = /Dashboard: (http:\S+)/.exec(text);
        if (found) resolve(found[1]!);
      };
      demo.stderr.on("data", look);
      demo.stdout.on("data", look);
      demo.on("close", () => reject(new Error(text)));
    });
    try {
      const page = await chromium.newPage({ viewport: { width: 1440, height: 900 } });
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("console", (message) => void (message.type() === "error" && faults.push(message.text())));
      const url = new URL(await address);
      await page.goto(url.href);
      await page.goto(`${url.origin}/#/firmware`);
      await page.getByText("20 of 20").waitFor({ timeout: LIMIT });
      expect(await page.getByText("Would update").count()).toBe(1);
      await page.getByText("Run the new version").waitFor({ timeout: LIMIT });
      await page.locator(".badge.state-running").waitFor({ timeout: LIMIT });
      const rollout = page.locator("section", { hasText: "Run the new version" }).first();
      await rollout.getByText("20 of 20", { exact: true }).waitFor({ timeout: LIMIT });
      await page.locator(".badge.state-done").waitFor({ timeout: LIMIT });
      expect(await rollout.locator("tbody tr").count()).toBe(20);
      expect(await rollout.getByText("1.0.0 → 2.0.0").count()).toBe(20);
      expect(await rollout.getByText(/^\d+(\.\d+)? ×$/).count()).toBe(1);
      expect(faults).toEqual([]);
      expect(await ended).toBe(0);
      expect(text).toContain("20");
    } finally {
      demo.kill("SIGKILL");
      await chromium.close();
    }
  },
  LIMIT,
);
