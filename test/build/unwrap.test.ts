import * as fc from "fast-check";
import { engineNames } from "../../host-tools/build/overlay";
import { unwrap } from "../../host-tools/build/unwrap";
import { randomProgram } from "./random-program";
import { coldProgram, runBundle, wrapped } from "./rewrites";

const RESERVED = new Set(["load", "E"]);
const taken = (body: string): string => unwrap(wrapped(body), RESERVED);

test("the function goes, what it held stays", () => {
  expect(taken("var x=1;function f(){return x}f()")).toBe("var x=1;function f(){return x}f()");
});

test.each([
  ["a function", "function load(){return 1}print(load())", "function load_(){return 1}print(load_())"],
  ["a variable", "var load=1;load++;print(load)", "var load_=1;load_++;print(load_)"],
  ["what looks like a pin", "var A0=1,D12=A0;print(D12)", "var A0_=1,D12_=A0_;print(D12_)"],
  ["a loop's variable", "for(var load=0;load<2;load++)print(load)", "for(var load_=0;load_<2;load_++)print(load_)"],
  ["a for-in's", "for(var load in o)print(load)", "for(var load_ in o)print(load_)"],
  ["one declared twice", "var load=1;if(x){var load=2}print(load)", "var load_=1;if(x){var load_=2}print(load_)"],
  [
    "inside functions",
    "var load=1;function g(){return function(){load=2}}",
    "var load_=1;function g(){return function(){load_=2}}",
  ],
  ["where the new name is taken", "var load=1,load_=2;print(load,load_)", "var load__=1,load_=2;print(load__,load_)"],
  ["one that the engine's name begins", "var loads=1;print(loads)", "var loads=1;print(loads)"],
])("reserved names are changed everywhere: %s", (_what, body, expected) => expect(taken(body)).toBe(expected));

test.each([
  ["a parameter", "var load=1;function g(load){return load}", "var load_=1;function g(load){return load}"],
  [
    "a variable of a function",
    "var load=1;function g(){var load=2;return load}",
    "var load_=1;function g(){var load=2;return load}",
  ],
  [
    "a function's own name",
    "var load=1;var g=function load(){return load}",
    "var load_=1;var g=function load(){return load}",
  ],
  ["a caught error", "var E=1;try{}catch(E){f(E)}f(E)", "var E_=1;try{}catch(E){f(E)}f(E_)"],
  [
    "a caught error seen from a function",
    "var E=1;try{}catch(E){f(function(){return E})}f(E)",
    "var E_=1;try{}catch(E){f(function(){return E})}f(E_)",
  ],
  ["a property", "var load=1;f(o.load,{load:load},o[load])", "var load_=1;f(o.load,{load:load_},o[load_])"],
  ["a text", 'var load=1;f("load",load)', 'var load_=1;f("load",load_)'],
])("%s is another name", (_what, body, expected) => expect(taken(body)).toBe(expected));

test("names of the engine that the script only uses stay", () => {
  const body = "E.on(1);load();A0.write(1)";
  expect(taken(body)).toBe(body);
});

test("the engine's own names are known, and words of its comments are not among them", () => {
  const names = engineNames();
  for (const name of ["E", "setTimeout", "require", "print", "Storage", "digitalWrite", "global"])
    expect([name, names.has(name)]).toEqual([name, true]);
  for (const name of ["undefined_", "Throws", "handle"]) expect([name, names.has(name)]).toEqual([name, false]);
});

test("property: programs mean what they meant, whichever of their names are reserved", () => {
  const names = fc.uniqueArray(fc.constantFrom("a", "b", "f0", "f1", "o", "t", "v", "later", "depth", "me"));
  for (const program of [randomProgram, coldProgram]) {
    fc.assert(
      fc.property(program, names, (script, reserved) => {
        const result = unwrap(script, new Set(reserved));
        expect(runBundle(result)).toEqual(runBundle(script));
        expect(unwrap(script, new Set(reserved))).toBe(result);
      }),
      { numRuns: 200 },
    );
  }
});
