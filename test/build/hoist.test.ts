import { parse } from "acorn";
import * as fc from "fast-check";
import { aliasBuiltIns } from "../../host-tools/build/aliases";
import { hoist } from "../../host-tools/build/hoist";
import { type AnyNode, statementsOf } from "../../host-tools/build/scopes";
import { randomProgram } from "./random-program";
import { runInNode } from "./support";

const inFunction = (body: string): string => `(function(){${body}})();`;

test("function declarations move to the head of their scope", () => {
  expect(hoist(inFunction("a();function a(){b();function b(){}}"))).toBe(
    inFunction("function a(){function b(){}b();}a();"),
  );
});

test("directives stay first", () => {
  expect(hoist(inFunction('"use strict";a();function a(){}'))).toBe(inFunction('"use strict";function a(){}a();'));
});

test.each([
  ["a use above it", "x=1;var x;", "var x;"],
  ["a branch that may not run", "if(a){var x=1}else x=2;", "var x;"],
  ["a closure above it", "f(function(){x++});var x=1;", "var x;"],
  ["a hoisted function that is called above it", "g();var x=1;function g(){h()}function h(){x++}", "var x;"],
  ["a loop that may not run", "while(a){var x=1}f(x);", "var x;"],
])("a var is declared at the head for %s", (_why, body, head) => {
  expect(hoist(inFunction(body)).startsWith(`(function(){${head}`)).toBe(true);
});

test.each([
  "var x=1;f(x);",
  "var x=1;g();function g(){x++}",
  "for(var i=0;i<3;i++){var y=i;f(y)}f(i);",
  "while(a){var x=1;f(x)}",
])("a var stays where it is: %s", (body) => {
  expect(hoist(inFunction(body))).not.toMatch(/^\(function\(\)\{var \w+;/);
});

/** Only names without values stand above the last function of the inner function. */
function functionsFirst(code: string): boolean {
  const program = parse(code, { ecmaVersion: 5 }) as unknown as AnyNode;
  const outer = (statementsOf(program)[0]!.expression as AnyNode).callee as AnyNode;
  const inner = (statementsOf(outer)[1]!.expression as AnyNode).callee as AnyNode;
  const statements = statementsOf(inner);
  const last = statements.map((statement) => statement.type === "FunctionDeclaration").lastIndexOf(true);
  return statements
    .slice(0, last + 1)
    .every(
      (one) =>
        one.type === "FunctionDeclaration" ||
        (one.declarations as AnyNode[] | undefined)?.every(({ init }) => init === null),
    );
}

test("property: the meaning in JavaScript stays, and functions come first", () => {
  fc.assert(
    fc.property(randomProgram, (source) => {
      const hoisted = hoist(source);
      expect(runInNode(hoisted)).toEqual(runInNode(source));
      expect(functionsFirst(hoisted)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("members of built-ins that stand more than once become variables", () => {
  const code = aliasBuiltIns(inFunction("f(Math.min(1,Math.min(2,3)),Math.max(1))"));
  expect(code).toBe(inFunction("var Math$min=Math.min;f(Math$min(1,Math$min(2,3)),Math.max(1))"));
});

test.each([
  ["a local of that name", "var Math={};Math.min();Math.min()"],
  ["methods that need this", "E.on(1);E.on(2)"],
  ["assignments", "E.x=1;E.x=2"],
])("aliases leave alone %s", (_what, body) => expect(aliasBuiltIns(inFunction(body))).toBe(inFunction(body)));
