import { crc32 } from "node:zlib";
import { createFleet } from "../../firmware/status/fleet";
import { pageBytes, pageCount, readPage } from "../../firmware/status/pages";
import { telemetryFields, type Telemetry } from "../../firmware/wire/telemetry";
import { packageText } from "../../firmware/wire/packages";

const crc = (bytes: string): number => crc32(Buffer.from(bytes, "latin1"));
const zero = Object.fromEntries(telemetryFields().map((field) => [field.slice(1), 0])) as unknown as Telemetry;
const frame = (node: number): Telemetry => ({ ...zero, magic: 0xe1, node, uptime: 100 + node });

function fleetOf(nodes: number, limit = 1000) {
  const fleet = createFleet({ crc32: crc, interval: 60_000, limit, hooks: {} });
  for (let node = 1; node <= nodes; node++) fleet.takeValues(frame(node), node * 1000);
  return fleet;
}

test("200 nodes fit pages that are packages below 528 bytes, each node once, with its age", () => {
  const fleet = fleetOf(200);
  const seen = new Map<number, number>();
  for (let page = 0; page < pageCount(fleet); page++) {
    const bytes = pageBytes(fleet, page, 300_000);
    const d = Buffer.from(bytes, "latin1").toString("base64");
    const p = { type: 723, routing: 1, dest: 4294967295, from: 4294967295, q: 65535, c: page, n: pageCount(fleet), d };
    expect(packageText(p).length + 1).toBeLessThanOrEqual(528);
    readPage(bytes, crc, (t, age) => {
      expect(t).toEqual(frame(t.node));
      expect(seen.has(t.node)).toBe(false);
      seen.set(t.node, age);
    });
  }
  expect(seen.size).toBe(200);
  expect(seen.get(200)).toBe(100);
});

test("a page that is cut or wrong gives what is whole", () => {
  const fleet = fleetOf(4);
  const bytes = pageBytes(fleet, 0, 10_000);
  const read = (page: string): number[] => {
    const nodes: number[] = [];
    readPage(page, crc, ({ node }) => void nodes.push(node));
    return nodes;
  };
  expect(read(bytes)).toEqual([1, 2, 3, 4]);
  expect(read(bytes.slice(0, -1))).toEqual([1, 2, 3]);
  expect(read(bytes.slice(0, 10) + "\xff" + bytes.slice(11))).toEqual([2, 3, 4]);
  expect(read("")).toEqual([]);
});

test("a fleet has a limit: the node that was silent for longest makes way", () => {
  const fleet = fleetOf(5, 3);
  expect(fleet.nodes.map(({ id }) => id)).toEqual([3, 4, 5]);
});
