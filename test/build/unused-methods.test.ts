import * as fc from "fast-check";
import { dropUnusedMethods } from "../../host-tools/build/unused-methods";
import { randomProgram } from "./random-program";
import { runBundle, wrapped } from "./rewrites";

/** The body as it comes out, without the blanks that keep the source map right. */
const left = (body: string): string => {
  const script = wrapped(body);
  const result = dropUnusedMethods(script);
  expect(result.length).toBe(script.length);
  return result.replace(/ {2,}/g, "").slice("(function(){".length, -"})();".length);
};

test.each([
  ["a method, alone", "f({m:function(){}});", "f({});"],
  ["the first", "f({m:function(){},k:1});", "f({k:1});"],
  ["in the middle", "f({j:1,m:function(){},k:1});", "f({j:1,k:1});"],
  ["the last", "f({k:1,m:function(){}});", "f({k:1,});"],
  ["several", "f({m:function(){},n:function(){},k:1});", "f({k:1});"],
  ["with a quoted name", 'f({"m":function(){},k:1});', "f({k:1});"],
  ["of a prototype", "A.prototype.m=function(){};f(A);", "f(A);"],
  ["named only in one that goes", "f({m:function(){return o.n()},n:function(){}});", "f({});"],
  ["functions that only it called", "function g(){}f({m:function(){g()}});", "f({});"],
  ["functions that nobody names", "function g(){return g()}f();", "f();"],
])("%s goes", (_what, body, expected) => expect(left(body)).toBe(expected));

test.each([
  ["called", "f({m:function(){}}.m());"],
  ["called on anything", "f({m:function(){}});x.m();"],
  ["named in a text", 'f({m:function(){}},"m");'],
  ["assigned", "f({m:function(){}});x.m=1;"],
  ["called by the engine", "f({toString:function(){},valueOf:function(){},toJSON:function(){}});"],
  ["an accessor's", 'Object.defineProperty(A.prototype,"x",{get:function(){},set:function(){}});'],
  ["no function", "f({m:1,n:g});"],
  ["of a prototype, and called", "A.prototype.m=function(){};f(A);x.m();"],
])("a method stays that is %s", (_what, body) => expect(left(body)).toBe(body));

test("line ends stay, for the source map", () => {
  const script = wrapped("f({\nm:function(){\n},\nk:1});");
  const result = dropUnusedMethods(script);
  expect(result.split("\n").map((line) => line.length)).toEqual(script.split("\n").map((line) => line.length));
});

test("what is left does what it did", () => {
  const script = wrapped(
    'var o={a:function(){return "a"},b:function(){return o.c()},c:function(){return 1},d:function(){return o.a()}};' +
      "function A(){}A.prototype.x=function(){return 5};A.prototype.y=function(){return this.x()};print(o.d(),new A().y());",
  );
  const result = dropUnusedMethods(script);
  expect(runBundle(result)).toEqual(["a 5"]);
  expect(result).not.toContain("o.c()");
});

test("property: programs mean what they meant; a second time changes nothing", () => {
  fc.assert(
    fc.property(randomProgram, (script) => {
      const result = dropUnusedMethods(script);
      expect(runBundle(result)).toEqual(runBundle(script));
      expect(dropUnusedMethods(result)).toBe(result);
    }),
    { numRuns: 200 },
  );
});

test("property: of methods that call each other exactly those stay that are reached by name", () => {
  const calls = fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 8 });
  fc.assert(
    fc.property(calls, fc.uniqueArray(fc.nat(7)), (edges, roots) => {
      // A method may only call later ones, so that every run ends.
      const body = (i: number): string =>
        edges
          .filter(([a, b]) => a === i && b > i)
          .map(([, b]) => `s+=o.m${b}();`)
          .join("");
      const methods = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => `m${i}:function(){var s="${i}";${body(i)}return s}`);
      const script = wrapped(`var o={${methods.join(",")}};print(${roots.map((i) => `o.m${i}()`).join(",")});`);
      const reached = new Set(roots);
      for (let i = 0; i < 8; i++) if (reached.has(i)) for (const [a, b] of edges) if (a === i && b > i) reached.add(b);
      const result = dropUnusedMethods(script);
      expect(runBundle(result)).toEqual(runBundle(script));
      for (let i = 0; i < 8; i++) expect([i, result.includes(`m${i}:function`)]).toEqual([i, reached.has(i)]);
    }),
    { numRuns: 200 },
  );
});
