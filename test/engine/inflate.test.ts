import { comparisonFile, exampleBundle, inflateOnEngine, is32Bit, TO_BEAT } from "../../host-tools/bench/inflate";
import { hasValgrind } from "../../host-tools/bench/interpreter-cost";
import { deflateSmallest } from "../../host-tools/build/pack";
import * as pako from "pako";
import { describeEngine } from "./support";

const binary = process.env.ESPRUINO ?? "";

describeEngine("inflate in a real interpreter", () => {
  test("a bundle comes out right, in fewer variables than with a window in RAM", async () => {
    const plain = await exampleBundle();
    const stream = deflateSmallest(plain);
    const run = await inflateOnEngine(binary, plain, stream);
    expect(run).toMatchObject({ code: 1, correct: true });
    const { before, peak } = run.variables!;
    console.log(`inflate: ${peak} variables at the peak, ${before} before (${plain.length} B from ${stream.length} B)`);
    // Variables of a 64-bit build are larger, and there are fewer of them for the same bytes.
    if (is32Bit(binary)) expect(peak).toBeLessThan(TO_BEAT.variables);
  }, 180_000);

  test.each([
    ["window bits 9", { level: 9, windowBits: 9 }],
    ["window bits 12, many blocks", { level: 9, windowBits: 12, memLevel: 2 }],
    ["no window at all", { level: 9, strategy: 2 }],
    ["fixed blocks", { level: 9, strategy: 4 }],
    ["stored blocks", { level: 0 }],
    ["runs", { level: 9, strategy: 3 }],
  ] as const)(
    "%s",
    async (_, levers) => {
      const plain = comparisonFile().subarray(0, 9000);
      const run = await inflateOnEngine(binary, plain, pako.deflateRaw(plain, levers), { slice: 500 });
      expect(run).toMatchObject({ code: 1, correct: true });
    },
    120_000,
  );

  test("long runs and short distances, copied over themselves", async () => {
    const plain = Buffer.concat([Buffer.alloc(5000, 7), Buffer.alloc(5000, "ab"), Buffer.alloc(5000, "abcdefg")]);
    const run = await inflateOnEngine(binary, plain, deflateSmallest(plain), { slice: 500 });
    expect(run).toMatchObject({ code: 1, correct: true });
  }, 120_000);

  test("instructions for each byte", async () => {
    if (!hasValgrind() || !is32Bit(binary)) {
      console.log("skipped the count of instructions: ESPRUINO must be a 32-bit build, and valgrind installed");
      return;
    }
    const plain = comparisonFile().subarray(0, 20_000);
    const { instructions } = await inflateOnEngine(binary, plain, deflateSmallest(plain), { count: true });
    const each = instructions! / plain.length / 1000;
    console.log(`inflate: ${each.toFixed(1)} thousand instructions for each byte of the first 20,000`);
    // Builds without optimisation, with assertions and without memory-mapped flash take four times as many.
    expect(each).toBeLessThan(6 * TO_BEAT.kiloInstructions);
  }, 600_000);
});
