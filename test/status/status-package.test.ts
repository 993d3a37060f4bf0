import type { Package } from "../../firmware/wire/packages";
import { telemetryFields, type Telemetry } from "../../firmware/wire/telemetry";
import { signalPercent, statusFields, telemetryOfStatus } from "../../firmware/status/status-package";

const telemetry = {
  ...(Object.fromEntries(telemetryFields().map((field) => [field.slice(1), 0])) as unknown as Telemetry),
  ...{ node: 7, uptime: 4000, memoryFree: 2104, rssi: -67, received: 900, sent: 800, latency: 31, loss: 24 },
  ...{ nodes: 12, children: 2, parent: 9, dropped: 4, alerts: 64 },
};

test("the package that this node broadcasts has the C++ nodes' names and units", () => {
  expect(statusFields(telemetry, { version: "1.2.3", image: "0123456789abcdef" }, "bad-image", 310.4)).toEqual({
    ...{ type: 604, routing: 2, message_type: 604, status: 1 },
    ...{ uptime: 4000, mem: 28, wifi: 66, fw: "1.2.3", fwMD5: "0123456789abcdef", nodes: 12, conns: 3 },
    ...{ msgRx: 900, msgTx: 800, msgDrop: 4, latency: 31, loss: 2, throughput: 310, alerts: 64, lastErr: "bad-image" },
  });
});

test.each([
  [-100, 0],
  [-120, 0],
  [-75, 50],
  [-50, 100],
  [-20, 100],
  [0, 0],
])("a signal of %d dBm is %d %%", (rssi, percent) => expect(signalPercent(rssi)).toBe(percent));

test("what was written is read again, as far as the package says it", () => {
  const written = statusFields(telemetry, { version: "1.2.3", image: "" }, "", 0) as unknown as Package;
  expect(telemetryOfStatus({ ...written, from: 7, dest: 0 }, null)).toMatchObject({
    ...{ node: 7, uptime: 4000, rssi: -67, received: 900, sent: 800, latency: 31, loss: 20, nodes: 12, alerts: 64 },
    ...{ major: 1, minor: 2, patch: 3, flags: 32, hops: 255, battery: 0, role: 255 },
  });
});
