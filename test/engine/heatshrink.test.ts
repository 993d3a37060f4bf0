import { comparisonFile } from "../../host-tools/bench/inflate";
import { packHeatshrink } from "../../host-tools/build/heatshrink-encoder";
import { describeEngine, runScript } from "./support";

describeEngine("heatshrink in a real interpreter", () => {
  test.each([
    ["minified code", comparisonFile().subarray(0, 6000)],
    ["runs", Buffer.concat([Buffer.alloc(700, 1), Buffer.alloc(700, "xyz"), Buffer.alloc(300, 0)])],
    ["noise", Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * i * 7 + (i >> 2) * 31) & 255))],
  ])("its native decoder reads what the encoder writes: %s", (_, plain) => {
    for (const chunk of packHeatshrink(plain, 1016)) {
      const start = chunk.readUIntLE(0, 3);
      const expected = plain.subarray(start, start + chunk.readUInt16LE(3));
      // A sender fills chunks up with zeros; they may decode to more.
      const filled = Buffer.concat([chunk.subarray(5), Buffer.alloc(1016 - chunk.length)]).toString("base64");
      const { stdout } = runScript(`print(btoa(E.toString(require("heatshrink").decompress(atob("${filled}")))))`);
      const decoded = Buffer.from(stdout, "base64");
      expect(decoded.length).toBeGreaterThanOrEqual(expected.length);
      expect(decoded.subarray(0, expected.length).equals(expected)).toBe(true);
    }
  });
});
