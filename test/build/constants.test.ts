import * as fc from "fast-check";
import { inlineConstants } from "../../host-tools/build/constants";
import { randomProgram } from "./random-program";
import { coldProgram, runBundle, wrapped } from "./rewrites";

const inlined = (body: string): string => inlineConstants(wrapped(body)).slice("(function(){".length, -"})();".length);

test.each([
  ["numbers", "var x=5;f(x+x)", ";f(5+5)"],
  ["negative numbers", "var x=-5;f(3-x,-x)", ";f(3-(-5),-(-5))"],
  ["negations", "var x=!0,y=~7;f(x,y)", ";f((!0),(~7))"],
  ["booleans", "var x=true;f(x)", ";f(true)"],
  ["short texts", 'var x="abc";f(x)', ';f("abc")'],
  [
    "in functions, at any depth",
    "var x=5;function g(){return function(){return x}}",
    "function g(){return function(){return 5}}",
  ],
  ["some of several in one statement", "var a=g(),x=5,b=g(),y=6;f(a,x,b,y)", "var a=g(),b=g();f(a,5,b,6)"],
  ["the first of several", "var x=5,a=g();f(a,x)", "var a=g();f(a,5)"],
])("%s are put in place", (_what, body, expected) => {
  expect(inlined(body).replace(/^;/, "")).toBe(expected.replace(/^;/, ""));
});

test.each([
  ["assigned", "var x=5;f(x);x=6"],
  ["counted up", "var x=5;x++;f(x)"],
  ["added to in a function", "var x=5;function g(){x+=1}g();f(x)"],
  ["a loop's", "var x=5;for(x in o)f(x)"],
  ["a loop's, declared again", "var x=5;for(var x=0;x<3;x++)f(x)"],
  ["declared twice", "var x=5;var x=6;f(x)"],
  ["declared again in a branch", "var x=5;if(f(x)){var x=6}f(x)"],
  ["read before it has its value", "f(x);var x=5;f(x)"],
  ["read by a function that runs before", "g();var x=5;function g(){f(x)}"],
  ["also a function", "f(x);var x=5;function x(){}"],
  ["a long text that is used often", 'var x="longer than eight";f(x,x,x)'],
  ["a very long text", `var x="${"long ".repeat(9)}";f(x)`],
  ["an object", "var x={};f(x)"],
])("a name stays a variable that is %s", (_what, body) => expect(inlined(body)).toBe(body));

test("a long text goes to its places when there are two of them", () => {
  expect(inlined('var x="longer than eight";f(x,x)')).toBe('f("longer than eight","longer than eight")');
});

test.each([
  ["a parameter", "var x=5;function g(x){return x}f(x,g(1))"],
  ["a variable", "var x=5;function g(){var x=2;return x}f(x,g())"],
  ["a function", "var x=5;function g(){function x(){}return typeof x}f(x,g())"],
  ["a function's own name", "var x=5;var g=function x(){return typeof x};f(x,g())"],
  ["a caught error", "var x=5;try{throw 1}catch(x){f(x)}f(x)"],
  ["a caught error, seen from a function", "var x=5,h;try{throw 1}catch(x){h=function(){return x}}f(x,h())"],
  ["a property and a key", "var x=5,o={x:1};f(o.x,o[x],x,{x:x}.x)"],
])("%s of the same name is another", (_what, body) => {
  const program = (text: string): string => wrapped(`var f=print;${text}`);
  const result = inlineConstants(program(body));
  expect(runBundle(result)).toEqual(runBundle(program(body)));
  expect(result).not.toContain("var x=5");
});

test("a point behind a number does not become part of it", () => {
  const script = wrapped("var x=5,y=-2;print(x.toFixed(2),x .toFixed(1),x.toString(2),y.toFixed(1))");
  expect(runBundle(inlineConstants(script))).toEqual(["5.00 5.0 101 -2.0"]);
});

test("property: programs mean what they meant", () => {
  for (const program of [randomProgram, coldProgram]) {
    fc.assert(
      fc.property(program, (script) => {
        const result = inlineConstants(script);
        expect(runBundle(result)).toEqual(runBundle(script));
        expect(inlineConstants(script)).toBe(result);
      }),
      { numRuns: 300 },
    );
  }
});

test("property: constants declared and hidden anywhere in the outermost function", () => {
  const x = fc.constantFrom("p", "q", "r");
  const statement = fc.oneof(
    fc.tuple(x, fc.nat(9)).map(([v, n]) => `var ${v}=${n};`),
    x.map((v) => `print(${v});`),
    fc.tuple(x, fc.nat(9)).map(([v, n]) => `if(p){var ${v}=${n}}`),
    x.map((v) => `${v}+=1;`),
    fc.tuple(x, x).map(([v, w]) => `print((function(${v}){return ${v}+"/"+${w}})(7));`),
    fc.tuple(x, x).map(([v, w]) => `try{throw 3}catch(${v}){print(${v},[0].map(function(){return ${v}+${w}}))}`),
    x.map((v) => `(function(){print(${v})})();`),
  );
  fc.assert(
    fc.property(fc.array(statement, { minLength: 1, maxLength: 7 }), (statements) => {
      // Names that the function does not declare exist outside of it.
      const outside = 'var p="P",q="Q",r="R";';
      const script = wrapped(statements.join(""));
      expect(runBundle(outside + inlineConstants(script))).toEqual(runBundle(outside + script));
    }),
    { numRuns: 500 },
  );
});
