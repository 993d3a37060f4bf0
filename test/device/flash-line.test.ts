import { measureFlashLine } from "../../host-tools/bench/flash-line";
import { throughTime, useVirtualTime } from "./support/time";

useVirtualTime();

it("flashing 1.5 MB and 896 KB of Storage fills at least 85 % of a 921600 line", async () => {
  const usage = await throughTime(measureFlashLine());
  expect(usage.contentBytes).toBeGreaterThan(2.3e6);
  expect(usage.wireBytes).toBeLessThan(usage.contentBytes * 0.6);
  expect(usage.usage).toBeGreaterThan(0.85);
  expect(usage.usage).toBeLessThan(1);
}, 30_000);
