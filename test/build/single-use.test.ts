import { inlineSingleUse } from "../../host-tools/build/single-use";
import { flattened, runBundle, wrapped } from "./rewrites";

/** The script after the pass, which must do what it did before. */
function same(body: string): string {
  const script = wrapped(body);
  const flat = flattened(script);
  expect(runBundle(script).length).toBeGreaterThan(0);
  expect(runBundle(flat)).toEqual(runBundle(script));
  return flat;
}

describe("become statements of the program:", () => {
  test.each([
    ["a factory", "function make(k){var n=k;return{up:function(){return ++n}}}var a=make(4);print(a.up(),a.up());"],
    [
      "factories inside factories",
      "function f(x){var g=h(x+1);return{g:g,x:x}}function h(y){var x=y*2;return function(){return x}}var a=f(3);print(a.x,a.g());",
    ],
    ["one that returns nothing", "var n=0;function f(){n=5}var a=f();print(a,n);"],
    ["one called for its effect", "var n=0;function f(k){n+=k}f(3);print(n);"],
    ["one whose result is assigned", "var o={};function f(k){return k*2}o.a=f(3);print(o.a);"],
    ["one called for an argument", "function f(k){return k.v}function g(){return{v:7}}var a=f(g());print(a);"],
    ["one among other declarations", "function f(k){return k+1}var a=1,b=f(a),c=b*2;print(a,b,c);"],
    ["one in a sequence", "var a,b;function f(k){return k+1}a=1,b=f(a),print(a,b);"],
    ["missing arguments", "function f(a,b){return typeof b+a}var x=f(1);print(x);"],
    ["parameters that change", "var k=1;function f(p){p+=5;return p}var x=f(k);print(x,k);"],
    ["arguments that change later", "var k=1;function f(p){return function(){return p}}var g=f(k);k=2;print(g(),k);"],
    [
      "names that are hidden further in",
      "var x=1;function f(p){return function(x){return p+x}}var g=f(x);print(g(10));",
    ],
    ["names of the caller's", "var n=1;function f(){var n=2;return function(){return n}}var g=f();print(g(),n);"],
    [
      "fields of a literal",
      "function f(p){return function(){return p.a+p.b+typeof p.c}}var g=f({a:1,b:[2].length});print(g());",
    ],
    ["a result in parentheses", "function f(){return(1,{a:3})}var x=f();print(x.a);"],
  ])("%s", (_what, body) => {
    expect(same(body)).not.toMatch(/function [fgh]\(|function make/);
  });
});

describe("stay functions:", () => {
  test.each([
    ["called twice", "function f(k){return k+1}var a=f(1),b=f(2);print(a,b);"],
    ["called in a loop", "function f(k){return k+1}var a;for(var i=0;i<3;i++)a=f(i);print(a);"],
    ["called in a branch", "function f(k){return k+1}var a=0;if(a===1)a=f(1);print(a);"],
    ["called by a function", "function f(k){return k+1}function g(){return f(1)}print(g()+g());"],
    ["with an early return", "function f(k){if(k)return 1;return 2}var a=f(1);print(a);"],
    ["with this", "function f(){return typeof this}var a=f();print(a);"],
    ["with arguments", "function f(){return arguments.length}var a=f(1,2);print(a);"],
    ["used as a value", "function f(){return 1}var a=[f].length;print(a,f());"],
    ["called with more than it takes", "var n=0;function f(){return 1}var a=f(n++);print(a,n);"],
    ["recursive", "function f(k){return k?f(k-1):0}var a=f(3);print(a);"],
    ["constructed", "function f(){this.x=1}var a=new f();print(a.x);"],
  ])("%s", (_what, body) => {
    expect(same(body)).toContain("function f(");
  });
});

test("a field that is called or assigned keeps its object", () => {
  same("function f(p){p.n++;return p.g()}var a=f({n:1,g:function(){return this.n}});print(a);");
});

test("mappings lead to where the text was", () => {
  const script = '(function(){\nfunction f(k){\n  return k.first;\n}\nvar x=f({first:"here"});\nprint(x);\n})();';
  const flat = inlineSingleUse(script);
  const at = (text: string, part: string): [number, number] => {
    const before = text.slice(0, text.indexOf(part)).split("\n");
    return [before.length - 1, before.at(-1)!.length];
  };
  const [line, column] = at(flat.text, '"here"');
  const [oldLine, oldColumn] = at(script, '"here"');
  const original = [{ line: oldLine, column: oldColumn, origin: { source: "a.ts", line: 40, column: 2 } }];
  const generated = [{ line: 0, column: 9, origin: { source: "", line, column } }];
  expect(flat.retrace(generated, original)).toEqual([
    { line: 0, column: 9, origin: { source: "a.ts", line: 40, column: 2 } },
  ]);
});
