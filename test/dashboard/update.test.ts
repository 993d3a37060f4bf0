/** A browser in front of a live mesh of twenty simulated nodes: preview, start, and every node's own word on its version. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { encodeImageFile } from "../../host-tools/build/image-file";
import type { NodeView } from "../../host-tools/gateway/fleet-view";
import { buildFor } from "../../host-tools/simulator/firmware-builds";
import { launchChromium } from "./chromium";
import { serve } from "./served";

const LIMIT = 300_000;

test(
  "a person starts an update and follows it to 20 of 20",
  async () => {
    const chromium = await launchChromium();
    if (!chromium) return;
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-twenty-"));
    const scenario = path.join(folder, "twenty.yaml");
    fs.writeFileSync(scenario, "name: twenty\nnodes: 20\ntelemetry: 20\nradio: { loss: 0.05 }\n");
    const made = { app: "apps/sensor.ts", board: "esp32-devkitc", version: "1.1.0", encoding: "heatshrink" } as const;
    const file = path.join(folder, "update.espalier");
    fs.writeFileSync(file, encodeImageFile((await buildFor(made)).image));
    const { child, url, get } = await serve([
      ...["--via", `sim:${scenario}?speed=20`, "--image", file],
      ...["--history", path.join(folder, "history.db")],
    ]);
    try {
      const page = await chromium.newPage({ viewport: { width: 1440, height: 900 } });
      page.setDefaultTimeout(LIMIT);
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      await page.goto(url);
      await page.goto(`${new URL(url).origin}/#/firmware`);
      await page.locator(".versions li", { hasText: "1.0.0" }).getByText("20 nodes").waitFor();

      await page.getByText("All at once").click();
      await page.getByRole("button", { name: "Preview" }).click();
      const rollout = page.locator("section", { hasText: "Rollout of 1.1.0" }).first();
      await rollout.locator(".badge.state-preview").waitFor();
      expect(await rollout.locator(".fact", { hasText: "Would update" }).innerText()).toMatch(/20 of 20/);
      expect(await rollout.getByText("1.0.0 → 1.1.0").count()).toBe(0);

      await page.getByRole("button", { name: "Start" }).click();
      await page.getByText("Install 1.1.0 on 20 nodes?").waitFor();
      await page.getByRole("button", { name: "Start the rollout" }).click();
      await rollout.locator(".badge.state-running").waitFor();
      await rollout.getByText("receiving", { exact: true }).first().waitFor();
      const running = rollout.locator(".fact", { hasText: "Run the new version" });
      await running.getByText("20 of 20", { exact: true }).waitFor();
      await rollout.locator(".badge.state-done").waitFor();
      const ratio = await rollout.getByText(/^\d+(\.\d+)? ×$/).innerText();
      expect(parseFloat(ratio)).toBeGreaterThanOrEqual(1);
      expect(await rollout.locator("tbody tr").count()).toBe(20);
      expect(await rollout.getByText("1.0.0 → 1.1.0").count()).toBe(20);
      await page.locator(".versions li", { hasText: "1.1.0" }).getByText("20 nodes").waitFor();
      const { nodes } = await get<{ nodes: NodeView[] }>("nodes");
      const told = nodes.map(({ telemetry: t }) => t && `${t.major}.${t.minor}.${t.patch}`);
      expect(told).toEqual(Array(20).fill("1.1.0"));
      expect(faults).toEqual([]);
    } finally {
      child.kill("SIGKILL");
      await chromium.close();
      fs.rmSync(folder, { recursive: true, force: true });
    }
  },
  LIMIT,
);
