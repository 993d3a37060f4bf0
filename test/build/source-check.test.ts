import { checkSource } from "../../host-tools/build/source-check";
import { MISSING_GLOBALS, MISSING_MEMBERS, MISSING_METHODS, RULES } from "../../host-tools/build/rules";
import { CORPUS } from "./corpus";

/** Refused snippets: code, source, and the line and column of the finding. */
const REFUSED: readonly [code: keyof typeof RULES, source: string, line: number, column: number][] = [
  ["label", "\nouter: for (;;) break outer;", 2, 1],
  ["default-not-last", "switch (a) {\n  default: b();\n  case 1: c();\n}", 2, 3],
  ["async", "const a = 1;\nasync function f() {}", 2, 1],
  ["async", "const f = async () => 1;", 1, 11],
  ["async", "class A { async m() {} }", 1, 11],
  ["async", "await f();", 1, 1],
  ["generator", "function* f() {}", 1, 1],
  ["generator", "class A {\n  *m() {}\n}", 2, 3],
  ["bigint", "const a = 5n;", 1, 11],
  ["new-target", "function F() { return new.target; }", 1, 23],
  ["private-name", "class A { #x = 1; }", 1, 11],
  ["tagged-template", "f`a`;", 1, 1],
  ["decorator", "@d class A {}", 1, 1],
  ["block-function", "if (a) {\n  function f() {}\n}", 2, 3],
  ["reserved-name", "const of = 1;", 1, 7],
  ["reserved-name", "function f(let) {}", 1, 12],
  ["reserved-name", "import { of } from './a';", 1, 10],
  ["extends-builtin", "class A extends Error {}", 1, 17],
  ["extends-builtin", "class A extends Array<number> {}", 1, 17],
  ["dynamic-import", "import('./a');", 1, 1],
  ["import-meta", "f(import.meta);", 1, 3],
  ["prototype-access", "const slice = Array.prototype.slice;", 1, 15],
  ["split-limit", "a.split(',', 2);", 1, 14],
  ["json-callback", "JSON.parse(a, f);", 1, 15],
  ["json-callback", "JSON.stringify(a, ['b']);", 1, 19],
  ["array-length", "a.length = 0;", 1, 1],
  ["array-length", "a.b.length -= 1;", 1, 1],
  ["new-spread", "new A(...b);", 1, 1],
  ["delete-value", "if (delete a.b) c();", 1, 5],
  ["replacement-pattern", "a.replace('b', '$&');", 1, 16],
  ["wide-character", 'const a = "\u2026";', 1, 11],
  ["wide-character", "const a = `x\u20ac${b}`;", 1, 11],
  ["use-before-definition", "f(a);\nconst a = 1;", 1, 3],
  ["use-before-definition", "{ new A(); class A {} }", 1, 7],
  ["regex-quantifier", "/ab?c/;", 1, 4],
  ["regex-quantifier", "/a{2}/;", 1, 3],
  ["regex-quantifier", "/a+?/;", 1, 4],
  ["regex-group", "/(?:a)/;", 1, 2],
  ["regex-group", "/a(?=b)/;", 1, 3],
  ["regex-group", "/(ab)+/;", 1, 5],
  ["regex-group", "/(a(b))/;", 1, 4],
  ["regex-group", "a.split(/(\\d)/);", 1, 9],
  ["regex-alternation", "/a|b/;", 1, 3],
  ["regex-dot", "/a.b/;", 1, 3],
  ["regex-escape", "/\\bfoo/;", 1, 2],
  ["regex-escape", "/(a)\\1/;", 1, 5],
  ["regex-flag", "/a/m;", 1, 4],
  ["regex-slash", "/[/]/;", 1, 3],
  ["syntax", "const = 5;", 1, 7],
];

const codesOf = (source: string): string[] => checkSource(source, "a.ts").map(({ code }) => code);

test.each(REFUSED)("%s: %s", (code, source, line, column) => {
  const findings = checkSource(source, "firmware/a.ts");
  expect(findings).toContainEqual({ code, message: expect.any(String), file: "firmware/a.ts", line, column });
  expect(findings.filter((finding) => finding.code !== code)).toEqual([]);
});

test.each(Object.keys(MISSING_GLOBALS))("missing global %s", (name) => {
  expect(checkSource(`\n  f(${name});`, "a.ts")).toMatchObject([{ code: "missing-global", line: 2, column: 5 }]);
  expect(codesOf(`import { ${name} } from "./own"; f(${name});`)).toEqual([]);
  expect(codesOf(`let a: ${name}; b.${name}; c({ ${name}: 1 });`)).toEqual([]);
});

const MEMBERS = Object.entries(MISSING_MEMBERS).flatMap(([holder, members]) =>
  Object.keys(members).map((member) => `${holder}.${member}`),
);
test.each(MEMBERS)("missing member %s", (name) => {
  expect(checkSource(`${name}(1);`, "a.ts")).toMatchObject([{ code: "missing-member", line: 1 }]);
});

test.each(Object.keys(MISSING_METHODS))("missing method %s", (name) => {
  expect(checkSource(`a.${name}(1);`, "a.ts")).toMatchObject([{ code: "missing-method", line: 1, column: 3 }]);
  expect(codesOf(`class Own { ${name}() {} } new Own().${name}();`)).toEqual([]);
});

test.each([
  "function f() { return later; } const later = 1;",
  "for (const link of links) f(link); const link = 2;",
  "type A = B; class B {}",
  "interface M extends Map<string, number> {} declare const Set: number;",
  "switch (a) { case 1: default: }",
  "delete a.b; a.length; a.replace('b', '$1'); a.split(',')",
  "f({ of: 1 }.of, a.static); const x = { let: 2 };",
  'f("\\xff\\0", `\u00e9`); // \u2026 in a comment is nobody\'s business',
  "/^[a-z\\d_]+=(\\w*)$/gi; /[.|?{}()+*]/; /\\./; /\\//",
  "JSON.stringify(a, null, 2)",
])("accepts %s", (source) => expect(codesOf(source)).toEqual([]));

test("accepts the corpus", () => {
  expect(CORPUS.flatMap(({ source }) => checkSource(`export {};\n${source}`, "a.ts"))).toEqual([]);
});

test("every rule of sources has a snippet here", () => {
  const elsewhere = ["node-module", "missing-global", "missing-member", "missing-method", "unknown-global"];
  const shown = new Set<string>([...REFUSED.map(([code]) => code), ...elsewhere]);
  expect(Object.keys(RULES).filter((code) => !shown.has(code))).toEqual([]);
});
