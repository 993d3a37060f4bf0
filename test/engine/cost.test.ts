import { closeSync, openSync, readSync } from "node:fs";
import { MICRO, NATIVES, REALISTIC } from "../../host-tools/bench/cost-work";
import { EVALUATED, firmwareWork } from "../../host-tools/bench/firmware-work";
import { compareCosts, compareNetwork, formatComparison, hasValgrind } from "../../host-tools/bench/interpreter-cost";
import { describeEngine } from "./support";

const binary = process.env.ESPRUINO ?? "";
/** Instructions differ between builds for 32 and 64 bits; the table was measured on 32, as on an ESP32. */
const measured = hasValgrind() && is32Bit(binary);

function is32Bit(file: string): boolean {
  if (!file) return false;
  const head = Buffer.alloc(5);
  const handle = openSync(file, "r");
  readSync(handle, head, 0, 5, 0);
  closeSync(handle);
  // EI_CLASS of an ELF header: 1 is 32-bit.
  return head[4] === 1;
}

describeEngine("what the virtual chip charges", () => {
  if (!measured) {
    test("is compared on a 32-bit build with valgrind only", () => {
      console.log("skipped the cost comparison: ESPRUINO must be a 32-bit Linux build, and valgrind installed");
      expect(measured).toBe(false);
    });
    return;
  }

  test("agrees within 30 % with the instructions of a real interpreter for a node's work", async () => {
    const results = await compareCosts(binary, [...REALISTIC, ...EVALUATED]);
    console.log(formatComparison(results));
    for (const { name, ratio } of results) expect([name, ratio > 0.7 && ratio < 1.3]).toEqual([name, true]);
  });

  test("agrees within 30 % for the firmware's own chunks, inflating and telemetry", async () => {
    const results = await compareCosts(binary, await firmwareWork());
    console.log(formatComparison(results));
    for (const { name, ratio } of results) expect([name, ratio > 0.7 && ratio < 1.3]).toEqual([name, true]);
  });

  test("agrees within 30 % for datagrams and TCP", async () => {
    const results = await compareNetwork(binary);
    console.log(formatComparison(results));
    for (const { name, ratio } of results) expect([name, ratio > 0.7 && ratio < 1.3]).toEqual([name, true]);
  });

  test("agrees for single constructs and native functions, with few exceptions", async () => {
    const some = [...MICRO, ...NATIVES].filter((_, index) => index % 4 === 0);
    const results = await compareCosts(binary, some);
    console.log(formatComparison(results));
    const off = results.filter(({ ratio }) => ratio < 0.7 || ratio > 1.3);
    expect(off.length).toBeLessThanOrEqual(Math.ceil(results.length * 0.1));
  });
});
