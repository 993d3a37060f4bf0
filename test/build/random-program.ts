import * as fc from "fast-check";

const name = fc.constantFrom("a", "b", "c", "d");

/** Statements that use functions and vars above, below and beside their declarations, and print what they see. */
const statement = fc.oneof(
  fc.tuple(name, fc.nat(9)).map(([x, n]) => `var ${x}=${n};`),
  fc.tuple(name, fc.nat(9)).map(([x, n]) => `print("${x}",typeof ${x});${x}=${n};`),
  fc.tuple(name, name).map(([x, y]) => `if(typeof ${x}=="number"){var ${y}=1}else{print("${y}",typeof ${y})}`),
  fc.tuple(fc.nat(3), name).map(([f, x]) => `function f${f}(){print("f${f}",typeof ${x});${x}=7}`),
  fc
    .tuple(fc.nat(3), name)
    .map(([f, x]) => `function f${f}(){inner();var ${x}=2;function inner(){print(typeof ${x})}}`),
  fc.nat(3).map((f) => `typeof f${f}=="function"&&f${f}();`),
  name.map((x) => `for(var ${x}=0;${x}<2;${x}++)print(${x});`),
  name.map((x) => `[5].forEach(function(v){print(v,typeof ${x});${x}=v});`),
);

/** A script in one function, whose names exist in an outer scope too so that a lost declaration shows. */
export const randomProgram: fc.Arbitrary<string> = fc
  .array(statement, { minLength: 1, maxLength: 12 })
  .map(
    (statements) =>
      `(function(){var a="A",b="B",c="C",d="D";(function(){${statements.join("")}})();print(a,b,c,d)})();`,
  );
