import * as fc from "fast-check";
import { hoist } from "../../host-tools/build/hoist";
import { CORPUS } from "../build/corpus";
import { randomProgram } from "../build/random-program";
import { asNodeScript, bundleFiles, runInNode } from "../build/support";
import { describeEngine, runScript } from "./support";

/** What a script prints in the interpreter when it runs from Storage, as a bundle does on a board. */
function runFromStorage(code: string): string {
  const store = `require("Storage").write("code", ${JSON.stringify(code)});`;
  return runScript(`${store}eval(require("Storage").read("code"));`).stdout;
}

describeEngine("accepted programs print the same in the interpreter as in Node", () => {
  test.each(CORPUS)("$name", async ({ source }) => {
    const text = `export {};\ndeclare const print: any;\n${source}`;
    const { code } = await bundleFiles({ "firmware/main.ts": text });
    expect(runFromStorage(code).split("\n")).toEqual([...runInNode(asNodeScript(source)), ""]);
  });

  test("random programs of functions and vars, hoisted", () => {
    let lost = 0;
    // A few at a time, since a script that does not lie in Storage takes the board's few variables.
    for (let seed = 0; seed < 20; seed++) {
      const programs = fc.sample(randomProgram, { numRuns: 10, seed });
      const expected = programs.flatMap(runInNode).join("\n");
      expect(runScript(programs.map(hoist).join("\n")).stdout.trimEnd()).toEqual(expected);
      if (runScript(programs.join("\n")).stdout.trimEnd() !== expected) lost++;
    }
    expect(lost).toBe(20);
  });
});
