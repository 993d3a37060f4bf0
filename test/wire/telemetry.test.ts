import { readFileSync } from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { hex, unhex } from "../../firmware/wire/bytes";
import {
  decodeTelemetry,
  encodeTelemetry,
  type Telemetry,
  TELEMETRY_BYTES,
  telemetryFields,
} from "../../firmware/wire/telemetry";

const crc = (bytes: string): number => crc32(Buffer.from(bytes, "latin1"));
const RANGES = { B: [0, 255], H: [0, 65535], I: [0, 4294967295], b: [-128, 127] } as const;
const fields = telemetryFields().map((field) => [field.slice(1), field[0] as keyof typeof RANGES] as const);

const frames = fc
  .tuple(...fields.map(([, type]) => fc.integer({ min: RANGES[type][0], max: RANGES[type][1] })))
  .map((values) => {
    const frame = Object.fromEntries(fields.map(([name], i) => [name, values[i]!]));
    return { ...frame, magic: 0xe1 } as unknown as Telemetry;
  });

test("a key frame is exactly 64 bytes and comes back as it was", () => {
  fc.assert(
    fc.property(frames, (frame) => {
      const bytes = encodeTelemetry(frame, crc);
      expect(bytes).toHaveLength(TELEMETRY_BYTES);
      expect(decodeTelemetry(bytes, crc)).toEqual(frame);
    }),
  );
});

test("values that do not fit are cut to the nearest that does", () => {
  const zero = Object.fromEntries(fields.map(([name]) => [name, 0])) as unknown as Telemetry;
  const decoded = decodeTelemetry(
    encodeTelemetry({ ...zero, magic: 0xe1, rssi: -200, hops: -1, nodes: 70000 }, crc),
    crc,
  );
  expect(decoded).toMatchObject({ rssi: -128, hops: 0, nodes: 65535 });
});

test("a flipped bit, another length or another magic is refused", () => {
  fc.assert(
    fc.property(frames, fc.nat(TELEMETRY_BYTES * 8 - 1), (frame, bit) => {
      const bytes = Buffer.from(encodeTelemetry(frame, crc), "latin1");
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeTelemetry(bytes.toString("latin1"), crc)).toBeNull();
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => decodeTelemetry(text, crc) === null));
});

test("the vectors hold in both directions", () => {
  const lines = readFileSync(path.join(__dirname, "../vectors/telemetry.txt"), "utf8").split("\n");
  const vectors = lines
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.split(" ") as [string, string]);
  expect(vectors.length).toBeGreaterThan(1);
  for (const [bytes, json] of vectors) {
    const frame = JSON.parse(json) as Telemetry;
    expect(hex(encodeTelemetry(frame, crc))).toBe(bytes);
    expect(decodeTelemetry(unhex(bytes)!, crc)).toEqual(frame);
  }
});
