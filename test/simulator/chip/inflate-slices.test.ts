import { createHash } from "node:crypto";
import { constants, deflateRawSync } from "node:zlib";
import { bundle } from "../../../host-tools/build/bundle";
import { encodeStorage } from "../../../host-tools/device/storage-image";
import { ESP32 } from "../../../host-tools/simulator/chip/board";
import { Chip } from "../../../host-tools/simulator/chip/chip";
import { EventQueue } from "../../../host-tools/simulator/events";

/** Milliseconds that the longest step of inflate holds a virtual ESP32. */
async function longestStep(plain: Buffer, stream: Buffer, slice: number): Promise<number> {
  const { code } = await bundle({
    app: null,
    role: "node",
    board: "esp32-devkitc",
    version: "1.0.0",
    entry: "test/engine/fixtures/cost-firmware.ts",
    defines: {
      CHUNKS: "2",
      STAGE_OFFSET: "65536",
      DEFLATED: JSON.stringify(stream.toString("latin1")),
      INFLATED: `${plain.length}`,
    },
  });
  const files = [
    { name: ".boot0", data: ";" },
    { name: "code", data: code },
  ];
  const queue = new EventQueue();
  const flash = encodeStorage(files, { areaBytes: 224 * 4096, pageBytes: 4096 });
  const chip = new Chip({ clock: queue, mac: "24:0a:c4:00:00:10", flash });
  chip.powerOn();
  queue.run(ESP32.bootMs + 1000);
  chip.evaluate(`global.espalierBoot={code:require("Storage").read("code")};eval(global.espalierBoot.code)`);
  chip.evaluate("var f=global.inflater()");
  let longest = 0;
  for (let code = 0; code === 0;) {
    const before = chip.stats.instructions;
    code = chip.evaluate(`f.step(${slice})`) as number;
    expect(code).toBeGreaterThanOrEqual(0);
    longest = Math.max(longest, ((chip.stats.instructions - before) * 1000) / ESP32.instructionsPerSecond);
  }
  return longest;
}

test.each([
  ["text", (text: Buffer) => deflateRawSync(text, { level: 9 })],
  ["runs of literals alone", (text: Buffer) => deflateRawSync(text, { strategy: constants.Z_HUFFMAN_ONLY })],
])("no step holds the interpreter over 100 ms: %s", async (name, deflate) => {
  const letters = Array.from({ length: 40 }, (_, i) => createHash("sha256").update(`${i}`).digest("base64"));
  const text = Buffer.from(name === "text" ? `${bundle}`.repeat(2) : letters.join(""));
  expect(await longestStep(text, deflate(text), 64)).toBeLessThan(100);
});
