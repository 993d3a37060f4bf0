import * as fs from "node:fs";
import * as path from "node:path";
import * as vm from "node:vm";
import { tokenizer } from "acorn";
import * as esbuild from "esbuild";
import fc from "fast-check";
import ts from "typescript";
import { type Binding, bindingsOf } from "../../host-tools/build/bindings";
import { encodeDelta } from "../../host-tools/build/delta-encoder";
import { stabilizeNames } from "../../host-tools/build/stable-names";
import { randomProgram } from "./random-program";

const minify = (code: string): string =>
  esbuild.transformSync(code, { minify: true, target: "es5", supported: { "const-and-let": true } }).code;

/** Whether two scripts are the same but for the names of their bindings. */
function sameButNames(one: string, other: string): boolean {
  const tokens = [one, other].map((code) => [...tokenizer(code, { ecmaVersion: 5 })]);
  const bindings = [bindingsOf(one), bindingsOf(other)];
  const partner = new Map<Binding, Binding>();
  const taken = new Set<Binding>();
  if (tokens[0]!.length !== tokens[1]!.length) return false;
  return tokens[0]!.every((token, i) => {
    const twin = tokens[1]![i]!;
    const a = bindings[0]!.at.get(token.start);
    const b = bindings[1]!.at.get(twin.start);
    if (!a || !b) return a === b && one.slice(token.start, token.end) === other.slice(twin.start, twin.end);
    if (!partner.has(a)) {
      if (taken.has(b)) return false;
      partner.set(a, b);
      taken.add(b);
    }
    return partner.get(a) === b;
  });
}

function output(code: string): string[] {
  const lines: string[] = [];
  const print = (...values: unknown[]): void => void lines.push(values.join(" "));
  try {
    vm.runInNewContext(code, { print }, { timeout: 1000 });
  } catch (error) {
    lines.push(String(error));
  }
  return lines;
}

/** A module of the firmware as the bundler hands it to the minifier, after `edit`. */
function firmware(edit: (source: string) => string): string {
  const source = fs.readFileSync(path.join(__dirname, "../../firmware/ota/repair.ts"), "utf8");
  const { outputText } = ts.transpileModule(edit(source), {
    compilerOptions: { target: ts.ScriptTarget.ES5, module: ts.ModuleKind.ESNext, removeComments: true },
  });
  return minify(`(function(){${outputText.replace(/^import .*$/gm, "").replace(/^export /gm, "")}
    global.a=createRepairPlan;global.b=createRepairReceiver;global.c=encodeCombination;})();`);
}

describe("bindings", () => {
  it("tell apart what has one name, and keep together what is one", () => {
    const code = "var a=1;function b(a){try{a()}catch(a){a.a=a}var c={a:a};return function a(){return a+c}}b(a,d);";
    const { all, globals } = bindingsOf(code);
    expect([...globals]).toEqual(["d"]);
    expect(all.map(({ name, places }) => `${name}${places.length}`).sort()).toEqual([
      "a2",
      "a2",
      "a3",
      "a3",
      "b2",
      "c2",
    ]);
  });
});

describe("stable names", () => {
  it("change nothing but names, and not what a program does", () => {
    fc.assert(
      fc.property(randomProgram, randomProgram, (one, other) => {
        const [before, after] = [minify(one), minify(other)];
        const stable = stabilizeNames(after, before);
        expect(sameButNames(after, stable)).toBe(true);
        expect(output(stable)).toEqual(output(after));
      }),
      { numRuns: 200 },
    );
  });

  it("leave a bundle alone that did not change", () => {
    const bundle = firmware((source) => source);
    expect(stabilizeNames(bundle, bundle)).toBe(bundle);
  });

  it("give a changed bundle the old names, so that its delta holds little but the change", () => {
    const before = firmware((source) => source);
    const after = firmware((source) =>
      source
        .replace("let waits = false;", "let waits = false; let visits = 0; let last = -1;")
        .replace("if (!waits) return;", "visits++; last = visits; ports.has(last); if (!waits) return;"),
    );
    const stable = stabilizeNames(after, before);
    expect(sameButNames(after, stable)).toBe(true);
    const size = (code: string): number => encodeDelta(Buffer.from(before), Buffer.from(code), 1016)[0]!.length;
    expect(size(stable)).toBeLessThan(110);
    expect(size(stable)).toBeLessThan(size(after));
  });

  it("never take the name of a global that is used, or mix up names that meet", () => {
    const before = "function f(x){return x+1}function g(y){return f(y)}";
    const after = "function f(q){return q+x}function g(y){return f(y)}";
    const stable = stabilizeNames(after, before);
    expect(sameButNames(after, stable)).toBe(true);
    expect(stable).toContain("+x}");
    expect(stabilizeNames("function h(a,b){return a*b}", "function h(b,a){return b*a}")).toBe(
      "function h(b,a){return b*a}",
    );
  });

  it("keep the program's own names among those that the program had", () => {
    const before = "function f(q,E){return q(E)}f(1,2);";
    const after = "var z=1;function f(q,e){return q(e,z)}f(z,2);";
    expect(bindingsOf(stabilizeNames(after, before)).program.names.has("E")).toBe(false);
  });
});
