/** Asks a real interpreter about every difference that the build refuses, so that no rule outlives its reason. */
import * as fs from "node:fs";
import * as path from "node:path";
import * as vm from "node:vm";
import * as ts from "typescript";
import {
  BUILT_IN_CLASSES,
  MISSING_GLOBALS,
  MISSING_MEMBERS,
  MISSING_METHODS,
  type RuleCode,
  RULES,
} from "../../host-tools/build/rules";
import { describeEngine, runScript } from "./support";

const LIBRARY = path.resolve(__dirname, "../../firmware/engine/espruino-lib.d.ts");

/** Expressions whose value in the interpreter is not what Node gives. */
const DIFFERENT: Partial<Record<RuleCode, readonly string[]>> = {
  label: ["(function(){a:for(var i=0;i<3;i++)for(;;){continue a}return i})()"],
  "default-not-last": ["(function(){switch(3){default:return 0;case 3:return 3}})()"],
  async: ["typeof (async function(){})"],
  generator: ["(function*(){yield 4})().next().value"],
  bigint: ["typeof 5n"],
  "new-target": ["(function(){return new.target===undefined})()"],
  "private-name": ["(function(){class A{#x=3;get(){return this.#x}}return new A().get()})()"],
  "tagged-template": ["(function(s){return s.length})`a${1}b`"],
  "reserved-name": [
    "(function(){var of=1;return of})()",
    "(function(){var let=1;return let})()",
    "(function(){var static=1;return static})()",
  ],
  "extends-builtin": ["(function(){class A extends Array{};var a=new A();a.push(5);return a.length})()"],
  "prototype-access": [...BUILT_IN_CLASSES]
    .filter((name) => !/Error$|Array$|^(ArrayBuffer|DataView|Boolean)$/.test(name))
    .map(
      (name) =>
        `typeof ${name}.prototype.${{ Date: "getTime", Function: "call", Number: "toFixed", Promise: "then", RegExp: "exec", String: "trim" }[name]}`,
    ),
  "split-limit": ["'a,b,c'.split(',',2).length"],
  "json-callback": ["JSON.parse('[1]',function(){return 2})", "JSON.stringify({a:1,b:2},['a'])"],
  "array-length": ["(function(){var a=[1,2,3];a.length=1;return a.join()})()"],
  "new-spread": ["(function(){function P(){this.c=arguments.length}return new (P.bind.apply(P,[null,1,2]))().c})()"],
  "delete-value": ["(function(){return delete {}.a})()"],
  "replacement-pattern": ["'abc'.replace('b','$&$&')", "'abc'.replace('b','$$')", "'abc'.replace('b','$`')"],
  "wide-character": ["String.fromCharCode(300).charCodeAt(0)"],
  "regex-quantifier": ["/ab?c/.test('ac')", "/a{2}/.test('aa')", "/a+?b/.test('aab')"],
  "regex-group": [
    "/(?:ab)c/.test('abc')",
    "/a(?=b)/.test('ab')",
    "/(ab)+/.test('abab')",
    "/(a)*b/.test('aab')",
    "/(a(b))c/.exec('abc').join()",
    "'a1b'.split(/(\\d)/).length",
  ],
  "regex-alternation": ["/^a|b$/.test('cb')", "/(a|ab)c/.exec('abc')[0]", "/(a|b)(c|d)/.exec('bd')[0]"],
  "regex-dot": ["/a.b/.test('a\\nb')"],
  "regex-escape": ["/\\bfoo/.test('a foo')", "/(a)\\1/.test('aa')", "/\\u0041/.test('A')", "/\\ca/.test('\\x01')"],
  "regex-flag": ["/^b/m.test('a\\nb')", "/a.b/s.test('a\\nb')", "/\\u{41}/u.test('A')"],
  "regex-slash": ["/[/]/.test('/')"],
};

/** Rules that stand for the build's own order, not for an expression. */
const NOT_EXPRESSIONS: readonly RuleCode[] = [
  "block-function",
  "decorator",
  "dynamic-import",
  "import-meta",
  "missing-global",
  "missing-member",
  "missing-method",
  "node-module",
  "syntax",
  "unknown-global",
  "use-before-definition",
];

/** Expressions that the build accepts although they look as if they could be among the above. */
const SAME: readonly string[] = [
  "({of:1,let:2,static:3}).of",
  "(function(){var get=1,set=2,async=3,yield_=4;return get+set+async+yield_})()",
  "/^[a-z_]+(\\d+)-(x*)$/i.exec('AB_12-xx').join()",
  "/[^\\s\\d]+/.exec('1 ab')[0]",
  "'a.b.c'.split('.').join('-')",
  "[].slice.call([1,2,3],1).join()",
  "Object.prototype.hasOwnProperty.call({a:1},'a')",
  "JSON.stringify({a:[1,null],b:undefined})",
  "(function(){return arguments.length})(1,2)",
  "(function(){switch(3){case 1:return 1;case 3:default:return 4}})()",
  "(function(){try{throw 5}catch(e){return e}finally{}})()",
];

/** Members of the library's interfaces that are read from such a value. */
const SAMPLES: Readonly<Record<string, string>> = {
  Array: "[]",
  ReadonlyArray: "[]",
  String: "''",
  Number: "(5)",
  CallableFunction: "(function(){})",
  RegExp: "/a/",
  Date: "new Date(0)",
  Promise: "Promise.resolve()",
  ArrayBuffer: "new ArrayBuffer(2)",
  TypedArray: "new Uint8Array(2)",
  Uint8Array: "new Uint8Array(2)",
  DataView: "new DataView(new ArrayBuffer(2))",
  Object: "({})",
  Math: "Math",
  JSON: "JSON",
  ObjectConstructor: "Object",
  NumberConstructor: "Number",
  StringConstructor: "String",
  ArrayConstructor: "Array",
  DateConstructor: "Date",
  PromiseConstructor: "Promise",
};

function libraryMembers(): string[] {
  const file = ts.createSourceFile(LIBRARY, fs.readFileSync(LIBRARY, "utf8"), ts.ScriptTarget.ES2022);
  const members = new Set<string>();
  file.forEachChild((node) => {
    if (!ts.isInterfaceDeclaration(node)) return;
    const sample = SAMPLES[node.name.text];
    if (sample === undefined) return;
    for (const { name } of node.members) {
      if (name && ts.isIdentifier(name) && name.text !== "prototype") members.add(`typeof ${sample}.${name.text}`);
    }
  });
  return [...members];
}

/** JSON of each expression's value, or "throws". */
function askInterpreter(expressions: readonly string[]): string[] {
  const script = expressions.map((one) => `ask(${JSON.stringify(one)});`).join("\n");
  const ask = 'function ask(c){var r;try{r=JSON.stringify(eval(c))}catch(e){r="throws"}print("@"+r);}\n';
  return runScript(ask + script)
    .stdout.split("\n")
    .filter((line) => line.startsWith("@"))
    .map((line) => line.slice(1));
}

function askNode(expression: string): string {
  try {
    return String(JSON.stringify(vm.runInNewContext(expression)));
  } catch {
    return "throws";
  }
}

test("every rule has a reason that can be asked for", () => {
  const asked = Object.keys(DIFFERENT);
  expect([...asked, ...NOT_EXPRESSIONS].sort()).toEqual(Object.keys(RULES).sort());
});

describeEngine("the interpreter", () => {
  test("differs from Node where the build refuses", () => {
    const expressions = Object.values(DIFFERENT).flat();
    const answers = askInterpreter(expressions);
    const alike = expressions.filter((expression, index) => answers[index] === askNode(expression));
    expect(answers).toHaveLength(expressions.length);
    expect(alike).toEqual([]);
  });

  test("agrees with Node where the build accepts", () => {
    expect(askInterpreter(SAME)).toEqual(SAME.map(askNode));
  });

  test("lacks what is listed as missing", () => {
    const holders = Object.entries(MISSING_MEMBERS).flatMap(([name, members]) =>
      Object.keys(members).map((member) => `typeof ${name}.${member}`),
    );
    const methods = Object.keys(MISSING_METHODS).map(
      (name) => `["x",[],5,new Uint8Array(1),Promise.resolve()].every(function(v){return v.${name}===undefined})`,
    );
    const globals = Object.keys(MISSING_GLOBALS).map((name) => `typeof ${name}`);
    const typeofs = [...holders, ...globals];
    expect(askInterpreter(typeofs).map((answer, index) => `${typeofs[index]} ${answer}`)).toEqual(
      typeofs.map((expression) => `${expression} "undefined"`),
    );
    expect(askInterpreter(methods).map((answer, index) => `${methods[index]} ${answer}`)).toEqual(
      methods.map((expression) => `${expression} true`),
    );
  });

  test("has what the type library offers", () => {
    const members = libraryMembers();
    expect(members.length).toBeGreaterThan(150);
    const missing = askInterpreter(members).flatMap((answer, index) =>
      answer === '"undefined"' ? members[index] : [],
    );
    expect(missing).toEqual([]);
  });
});
