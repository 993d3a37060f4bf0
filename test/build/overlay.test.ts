import * as fc from "fast-check";
import { hoist } from "../../host-tools/build/hoist";
import { coldLeft, overlay } from "../../host-tools/build/overlay";
import { bundle } from "../../host-tools/build/bundle";
import { randomProgram } from "./random-program";
import { allPasses, coldProgram, runBundle, wrapped } from "./rewrites";

/** Two cold functions beside each other, so that a helper is worth it. */
const PAIR = 'function f(x){"cold";return x+1}function g(x){"cold";return f(x)*2}';

function same(body: string): string {
  const script = wrapped(body);
  const moved = overlay(script);
  expect(runBundle(script).length).toBeGreaterThan(0);
  expect(runBundle(moved)).toEqual(runBundle(script));
  expect(runBundle(allPasses(script))).toEqual(runBundle(script));
  return moved;
}

/** What runs when the bundle is evaluated: the script without the comment that holds the moved texts. */
const resident = (code: string): string => code.slice(0, code.lastIndexOf("/*"));

describe("moved, with the same meaning:", () => {
  test.each([
    ["functions that call each other", `${PAIR}print(f(1),g(2));`],
    ["recursion", 'function f(n){"cold";return n?n*f(n-1):1}function g(){"cold";return f(5)}print(g());'],
    [
      "mutual recursion",
      'function f(n){"cold";return n?g(n-1)+"f":""}function g(n){"cold";return n?f(n-1)+"g":""}print(f(7));',
    ],
    [
      "closures over variables that change",
      'var n=1;function f(){"cold";n++}function g(){"cold";return n}f();f();n+=5;print(g(),n);',
    ],
    [
      "closures that outlive the call",
      'function f(k){"cold";var i=k;return function(){return i++}}function g(){"cold";return f(7)}var h=g();h();print(h());',
    ],
    [
      "cold in cold",
      'function f(x){"cold";function p(y){"cold";return y+x}function q(y){"cold";return p(y)*x}return q(3)}' +
        'function g(){"cold";return f(2)}print(g(),f(10));',
    ],
    ["names as values", `${PAIR}var h=[f,g].map(function(k){return k(5)});print(h,typeof f,(0,g)(1));`],
    [
      "parameters and arguments of their own",
      'function f(){"cold";return arguments.length}function g(f){"cold";return f}print(f(1,2),g(9));',
    ],
    ["inner functions of a function", `function outer(k){${PAIR}return g(k)}print(outer(1),outer(2));`],
    [
      "exceptions",
      'function f(){"cold";throw new TypeError("x")}function g(){"cold";f()}try{g()}catch(e){print(e.name,e.message)}',
    ],
    [
      "text with quotes and escapes",
      'function f(){"cold";return "\\"\\\\n\\n(<1>)"}function g(){"cold";return f()}print(g());',
    ],
    [
      "methods, first, in the middle and last",
      'var o={a1:function(){"cold";return 1},k:2,b1:function(){"cold";return o.a1()+o.k},l:3,c1:function(x){"cold";return o.b1()+x}};print(o.c1(4),o.l);',
    ],
    [
      "methods next to each other",
      'var o={k:2,a1:function(){"cold";return 1},b1:function(){"cold";return o.a1()+o.k},c1:function(x){"cold";return o.b1()+x}};print(o.c1(4));',
    ],
    [
      "a method that calls itself by its name",
      'var o={a1:function me(n){"cold";return n?n+me(n-1):0},b1:function(){"cold";return o.a1(4)}};print(o.b1());',
    ],
    [
      "methods of many objects made by one function",
      'function make(n){return{a1:function(){"cold";return n},b1:function(x){"cold";return n+x}}}var p=make(1),q=make(2);print(p.a1(),q.a1(),q.b1(5));',
    ],
    [
      "methods handed to a call",
      'var o={a1:function(x){"cold";return x*2},b1:function(){"cold";return[1,2].map(o.a1)}};print(o.b1());',
    ],
    [
      "two functions of one name in different scopes",
      `function x(){${PAIR}return g(1)}function y(){function f(){return "own"}return f()}print(x(),y());`,
    ],
  ])("%s", (_what, body) => {
    const moved = same(body);
    expect(moved).toMatch(/\*\/$/);
    expect(resident(moved)).not.toContain('"cold"');
    expect(coldLeft(wrapped(body))).toEqual([]);
  });
});

describe("left where they are, with the same meaning:", () => {
  test.each([
    ["constructed", 'function F(){"cold";this.x=1}function g(){"cold";return new F().x}print(g());', ["F"]],
    ["with a prototype", `${PAIR}f.prototype.z=1;print(f.prototype.z);`, ["f"]],
    ["assigned", `${PAIR}print(f(1));f=function(){return "new"};print(f(1));`, ["f"]],
    ["with a property", `${PAIR}f.count=3;print(f.count,f(1));`, ["f"]],
    ["called through call", `${PAIR}print(f.call(null,4));`, ["f"]],
    ["also a variable", 'function f(x){"cold";return x}function g(){"cold";return 1}var f;print(f(3),g());', ["f"]],
    [
      "declared twice",
      'function f(){"cold";return 1}function f(){"cold";return 2}function g(){"cold";return f()}print(g());',
      ["f"],
    ],
    [
      "text that would end the comment",
      'function f(x){"cold";return "*/"+x}function g(){"cold";return f(1)}print(g());',
      ["f"],
    ],
    [
      "a pattern that would end the comment",
      'function f(x){"cold";return/a*/.test(x)}function g(){"cold";return f("a")}print(g());',
      ["f"],
    ],
    [
      "methods of a name that is defined twice",
      'var o={a1:function(){"cold";return 1}},p={a1:function(){"cold";return 2}};print(o.a1(),p.a1());',
      ["a1", "a1"],
    ],
    [
      "methods of a name that is also a text",
      'var o={a1:function(){"cold";return 1},b1:function(){"cold";return o["a1"]()}};print(o.b1());',
      ["a1"],
    ],
    [
      "methods of a name that is assigned",
      'var o={a1:function(){"cold";return 1},b1:function(){"cold";return 2}};o.a1=function(){return 3};print(o.a1(),o.b1());',
      ["a1"],
    ],
    [
      "methods with a name of the engine's",
      'var o={write:function(){"cold";return 1},b1:function(){"cold";return o.write()}};print(o.b1());',
      ["write"],
    ],
    [
      "methods that use this",
      'var o={k:4,a1:function(){"cold";return this.k},b1:function(){"cold";return o.a1()}};print(o.b1());',
      ["a1"],
    ],
    [
      "methods that are optional elsewhere",
      'var o={a1:function(){"cold";return 1},b1:function(){"cold";return 2}},p={};if(p.a1)p.a1();print(p.a1?1:0,o.a1(),o.b1());',
      ["a1"],
    ],
    [
      "functions that see a caught error",
      'var h=[];try{throw 5}catch(e){h.push({a1:function(){"cold";return e},b1:function(){"cold";return e+1}})}print(h[0].a1(),h[0].b1());',
      ["a1", "b1"],
    ],
  ])("%s", (_what, body, left) => {
    same(body);
    expect(coldLeft(wrapped(body))).toEqual(left);
  });

  test("one alone: its helper would cost as much", () => {
    expect(same('function f(){"cold";return 1}print(f());')).toBe(wrapped("function f(){return 1}print(f());"));
  });
});

test("names that hide a cold function are not its uses", () => {
  same(`${PAIR}print((function(f){return f})(5),(function(){var g=6;return g})());`);
  same(`${PAIR}print((function f(n){return n?f(n-1):"inner"})(2),g(1));`);
  same(`${PAIR}try{throw 8}catch(f){print(f,[1].map(function(){return f}))}`);
});

test("offsets are right wherever they gain a digit", () => {
  for (const near of [100, 1000, 10000]) {
    for (let length = near - 130; length < near + 10; length += 3) {
      const filler = `var s="${"x".repeat(Math.max(0, length - 60))}";`;
      const body = `${filler}${PAIR}print(f(1),g(2),s.length);`;
      expect(runBundle(overlay(wrapped(body)))).toEqual(runBundle(wrapped(body)));
    }
  }
  const many = Array.from(
    { length: 120 },
    (_, i) => `function f${i}(x){"cold";return x<${i}?x:f${(i * 7) % 120}(x-1)}`,
  );
  same(`${many.join("")}print(f119(50),f60(99),f7(3));`);
});

test("property: cold functions and methods anywhere mean what they meant, after this pass and after all", () => {
  fc.assert(
    fc.property(coldProgram, (script) => {
      const expected = runBundle(script);
      expect(runBundle(overlay(hoist(script)))).toEqual(expected);
      const all = allPasses(script);
      expect(runBundle(all)).toEqual(expected);
      expect(allPasses(script)).toBe(all);
      expect(all).not.toMatch(/\u2039|\u203a/);
    }),
    { numRuns: 400 },
  );
});

test("property: programs without cold functions too", () => {
  fc.assert(
    fc.property(randomProgram, (script) => expect(runBundle(allPasses(script))).toEqual(runBundle(script))),
    { numRuns: 200 },
  );
});

test.each([true, false])(
  "the firmware's cold functions all move (minified: %s)",
  async (minify) => {
    const made = await bundle({
      app: "apps/sensor.ts",
      board: "esp32-devkitc",
      role: "node",
      version: "1.0.0",
      minify,
    });
    expect(made.coldLeft).toEqual([]);
    expect(made.code.slice(made.code.lastIndexOf("/*")).match(/=>|\(function/g)!.length).toBeGreaterThan(200);
  },
  30_000,
);
