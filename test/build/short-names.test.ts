import * as path from "node:path";
import * as vm from "node:vm";
import { tokenizer } from "acorn";
import fc from "fast-check";
import { deltaShare, FIXES, standardNode } from "../../host-tools/bench/deltas";
import { type Binding, bindingsOf } from "../../host-tools/build/bindings";
import { bundle } from "../../host-tools/build/bundle";
import { FREQUENT_GLOBALS, FREQUENT_MEMBERS } from "../../host-tools/build/frequent-names";
import { engineNames } from "../../host-tools/build/overlay";
import { shortenNames } from "../../host-tools/build/short-names";
import { randomProgram } from "./random-program";

const ROOT = path.resolve(__dirname, "../..");

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

const NODE = { app: "apps/sensor.ts", role: "node", board: "esp32-devkitc" };

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

describe("short names", () => {
  it("change nothing but names, and not what a program does", () => {
    fc.assert(
      fc.property(randomProgram, (program) => {
        const short = shortenNames(program, []);
        expect(sameButNames(program, short)).toBe(true);
        expect(output(short)).toEqual(output(program));
      }),
      { numRuns: 200 },
    );
  });

  it("never take the name of something else that is used there", () => {
    // Each letter is a global, so that none is left.
    const letters = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ$_"].join("+");
    const code = `function first(one,two){var three=one+two;return three+${letters}}function second(one){return first(one)}`;
    const short = shortenNames(code, []);
    expect(sameButNames(code, short)).toBe(true);
    expect(short).toContain(letters);
  });

  it("leave the parameters of a function to arrow functions, and give nothing a pin's name or the engine's", () => {
    const names = Array.from({ length: 600 }, (_, i) => `name${i}`);
    const short = shortenNames(`var ${names.join(",")};function f(${names.slice(0, 60).join(",")}){}`, []);
    const { program, all } = bindingsOf(short);
    expect(program.names.size).toBe(601);
    for (const name of program.names.keys()) expect(engineNames().has(name) || /^[A-Z]\d/.test(name)).toBe(false);
    for (const { name, scope } of all) expect(scope === program || /^[a-z$_].?$/.test(name)).toBe(true);
  });

  it("give a member one name everywhere, and none that another member has", () => {
    const code = "var a={longer:1,kept:2,A:3,payload:4};f(a.longer,a.kept,a.A,a.payload,a[longer]);";
    const short = shortenNames(code, ["longer", "payload", "absent"]);
    // "A" is what payload is called in most bundles.
    const [, longer, payload] = /^var \w+=\{(\w\w):1,kept:2,A:3,(\w\w):4\};/.exec(short)!;
    expect(longer).not.toBe(payload);
    expect(short).toMatch(new RegExp(`\\.${longer},\\w+\\.kept,\\w+\\.A,\\w+\\.${payload},\\w+\\[longer\\]`));
  });

  it("stay when something else comes, goes or is used more often", () => {
    const names = Array.from({ length: 300 }, (_, i) => `name${i}`);
    const shortOf = (all: string[]): Map<string, string> => {
      const list = shortenNames(`var ${all.join(",")};`, [])
        .slice(4, -1)
        .split(",");
      return new Map(all.map((name, i) => [name, list[i]!]));
    };
    const before = shortOf(names);
    const after = shortOf([...names.slice(20).reverse(), ...names.slice(0, 10), "new1", "new2", "new3"]);
    const moved = names.filter((name) => after.has(name) && after.get(name) !== before.get(name));
    expect(moved.length).toBeLessThan(5);
  });

  it("know the names that are used most in the standard node", async () => {
    const { code } = await bundle({ ...NODE, version: "1.0.0", minify: false });
    const left = [...Object.keys(FREQUENT_GLOBALS), ...Object.keys(FREQUENT_MEMBERS)].filter(
      (name) => !new RegExp(`(?<![\\w$])${name.replace("$", "\\$")}(?![\\w$])`).test(code),
    );
    // More than a few that are gone: let others that are frequent have their letters.
    expect(left.length).toBeLessThan(8);
    for (const names of [FREQUENT_GLOBALS, FREQUENT_MEMBERS])
      expect(new Set(Object.values(names)).size).toBe(Object.keys(names).length);
  }, 60000);
});

describe("deltas of the standard node", () => {
  let before: Buffer;
  beforeAll(async () => {
    before = await standardNode(ROOT, { version: "1.0.0" });
  }, 60000);

  it.each(Object.entries(FIXES))(
    "take 2 %% of it for a fix of one line: %s",
    async (_, edit) => {
      const after = await standardNode(ROOT, { version: "1.0.1", edit });
      expect(after.equals(before)).toBe(false);
      expect(deltaShare(before, after)).toBeLessThan(0.02);
    },
    60000,
  );
});
