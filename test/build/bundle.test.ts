import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { decodeSourceMap, originOf } from "../../host-tools/build/source-map";
import { lower } from "../../host-tools/build/lower";
import { bundleFiles, refusals, runInNode } from "./support";

const MAIN = "firmware/main.ts";

test("application, firmware and constants come together", async () => {
  const files = {
    "apps/x.ts": 'import { say } from "espalier";\nsay("app");',
    "firmware/app.ts":
      "declare const print: any;\nexport function say(text: string) { print(text, ESPALIER_VERSION); }",
    [MAIN]: 'import { say } from "./app";\nimport { LIMIT } from "./limits";\nsay(`main ${LIMIT}`);',
    "firmware/limits.ts":
      "export const LIMIT = 1 << 9, UNUSED = 77777;\nexport class Unused { method() { return 88888; } }",
  };
  const { code, bytes, modules } = await bundleFiles(files, true, "apps/x.ts");
  expect(runInNode(code)).toEqual(["app 1.2.3", "main 512 1.2.3"]);
  expect(code).not.toMatch(/77777|88888/);
  expect(bytes).toBe(code.length);
  expect(modules.reduce((sum, module) => sum + module.bytes, 0)).toBe(bytes);
  expect(modules.map((module) => module.path).sort()).toEqual(["(glue)", "apps/x.ts", "firmware/app.ts", MAIN].sort());
});

test("modules of the engine stay require", async () => {
  const { code } = await bundleFiles({ [MAIN]: 'declare const require: any;\nrequire("Storage").erase("a");' });
  expect(code).toContain('require("Storage").erase("a")');
});

test.each([
  ["node-module", 'import * as fs from "node:fs";\nfs.readFileSync("a");', 1],
  ["node-module", '\nimport "net";', 2],
  ["floor", 'import "../host-tools/x";', 1],
  ["unresolved", '\n\nimport "./nowhere";', 3],
  ["unknown-global", "print(1);\nprint(elsewhere);\ndeclare const print: any, elsewhere: any;", 2],
  ["missing-global", "export const a = 1;\nprint(new Map());\ndeclare const print: any;", 2],
])("%s is refused at its line: %s", async (code, source, line) => {
  const found = await refusals({ [MAIN]: source, "host-tools/x.ts": "export {};" });
  expect(found).toMatchObject([{ code, file: MAIN, line }]);
});

test("findings of all sources come at once", async () => {
  const found = await refusals({
    [MAIN]: 'import "./a";\nimport "./b";',
    "firmware/a.ts": "f(5n);",
    "firmware/b.ts": "f(6n);",
  });
  expect(found.map(({ code, file }) => `${code} ${file}`).sort()).toEqual([
    "bigint firmware/a.ts",
    "bigint firmware/b.ts",
  ]);
});

test("a missing application is a code", async () => {
  expect(await refusals({ [MAIN]: "" }, "apps/none.ts")).toMatchObject([
    { code: "missing-file", file: "apps/none.ts" },
  ]);
});

test("modules that import each other in a circle and use each other too early are refused", async () => {
  const found = await refusals({
    [MAIN]: 'import "./a";',
    "firmware/a.ts": 'import { b } from "./b";\nexport const a = [b];\nprint(a);\ndeclare const print: any;',
    "firmware/b.ts": 'import { a } from "./a";\nexport const b = [a];',
  });
  expect(found).toMatchObject([{ code: "use-before-definition", file: "firmware/b.ts", line: 2 }]);
});

test("source maps lead back to the line", () => {
  const { code, map } = lower("type A = 1;\n\nexport const later = (a: A) => `x${a}`;", "a.ts");
  const line = code.split("\n").findIndex((text) => text.includes("later"));
  expect(originOf(decodeSourceMap(map), line, code.split("\n")[line]!.indexOf("later"))).toMatchObject({ line: 2 });
});

test("the linter refuses the same, at the same place", () => {
  const root = path.resolve(__dirname, "../..");
  const messagesOf = (file: string): { ruleId: string; line: number; column: number; message: string }[] => {
    const eslint = path.join(root, "node_modules/eslint/bin/eslint.js");
    const run = spawnSync(process.execPath, [eslint, "--stdin", "--stdin-filename", file, "--format", "json"], {
      cwd: root,
      input: "export const a = 1;\nexport const b = new Map();\n",
      encoding: "utf8",
    });
    return JSON.parse(run.stdout)[0].messages;
  };
  const message = expect.stringMatching(/^missing-global: Map/);
  expect(messagesOf("firmware/x.ts")).toMatchObject([{ ruleId: "espruino/subset", line: 2, column: 22, message }]);
  expect(messagesOf("host-tools/x.ts")).toEqual([]);
}, 30_000);
