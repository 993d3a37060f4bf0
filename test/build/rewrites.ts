/** Runs scripts as the loader does, so that what a pass of the build made of them can be compared with what they were. */
import * as vm from "node:vm";
import * as fc from "fast-check";
import { aliasBuiltIns } from "../../host-tools/build/aliases";
import { inlineConstants } from "../../host-tools/build/constants";
import { hoist } from "../../host-tools/build/hoist";
import { engineNames, overlay } from "../../host-tools/build/overlay";
import { inlineSingleUse } from "../../host-tools/build/single-use";
import { unwrap } from "../../host-tools/build/unwrap";

/** Lines that a script prints when it is the running bundle; an exception is the last line. */
export function runBundle(code: string): string[] {
  const lines: string[] = [];
  const print = (...values: unknown[]): void => void lines.push(values.map(String).join(" "));
  const context = vm.createContext({ print, espalierBoot: { code } });
  vm.runInContext("var global = this", context);
  try {
    vm.runInContext("(0, eval)(espalierBoot.code)", context);
  } catch (error) {
    // What the engine says in its message is its own affair.
    lines.push(`throws ${(error as Error).name}`);
  }
  return lines;
}

/** With the functions that are called once at the start as statements; constants are declared as the minifier leaves them. */
export const flattened = (script: string): string => inlineSingleUse(script).text.replace(/\bconst /g, "var ");

/** What the build does to a linked script, as in bundle.ts. */
export function allPasses(script: string): string {
  return overlay(unwrap(aliasBuiltIns(hoist(inlineConstants(flattened(script)))), engineNames()));
}

export const wrapped = (body: string): string => `(function(){${body}})();`;

const name = fc.constantFrom("f0", "f1", "f2", "f3");
const variable = fc.constantFrom("a", "b", "c");
const directive = fc.constantFrom('"cold";', '"cold";', "");

const leaf = fc.oneof(
  fc.tuple(variable, fc.nat(99)).map(([x, n]) => `${x}=${n};`),
  variable.map((x) => `print("${x}",${x});`),
  fc
    .tuple(name, variable)
    .map(([f, x]) => `if(typeof ${f}=="function"&&depth<3){depth++;print("${f}",${f}(${x}));depth--}`),
  fc.tuple(name, variable).map(([f, x]) => `[${x}].forEach(function(v){depth<3&&(depth++,print(v,${f}(v)),depth--)});`),
  fc.tuple(name).map(([f]) => `try{throw 7}catch(a){print(a,typeof ${f});later.push(function(){return a})}`),
  fc.tuple(variable, name).map(([x, f]) => `var t={m:${x},n:function(${f}){return ${f}}};print(t.m,t.n(${x}));`),
  fc.constant("print(o.one(1),o.two(2),o.three(3));"),
  fc.nat(9).map((n) => `later.push(function(){return ${n}+a});`),
);

const inner = fc
  .tuple(name, directive, fc.array(leaf, { maxLength: 3 }), variable)
  .map(([f, cold, body, x]) => `function ${f}(p){${cold}${body.join("")}return p+":"+${x}}`);

const declaration = fc
  .tuple(name, directive, fc.array(fc.oneof(leaf, inner), { maxLength: 4 }), variable)
  .map(([f, cold, body, x]) => `function ${f}(p){${cold}var ${x}=p;${body.join("")}return ${x}}`);

const methods = fc
  .tuple(directive, directive, directive)
  .map(
    ([one, two, three]) =>
      `var o={one:function(x){${one}return x+a},k:5,two:function(x){${two}return depth<3?(depth++,o.one(x)+(depth--,0)):x},` +
      `three:function me(x){${three}return x>0?me(x-1)+1:0}};`,
  );

/** Linked scripts with cold functions and methods anywhere, whose every effect is printed. */
export const coldProgram: fc.Arbitrary<string> = fc
  .tuple(methods, fc.array(fc.oneof(declaration, leaf), { minLength: 1, maxLength: 8 }))
  .map(([object, parts]) =>
    wrapped(
      `var depth=0,later=[],a=1,b=2,c=3;${object}${parts.join("")}` +
        `a+=0;b+=0;c+=0;print(a,b,c);later.forEach(function(g){print(g())});`,
    ),
  );
