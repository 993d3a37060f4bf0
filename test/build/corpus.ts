/**
 * Programs that the build accepts. Each prints through `print`; a run in Node of the untouched source and runs of the
 * bundle, in Node and in a real interpreter, must print the same lines.
 */
export interface Program {
  name: string;
  source: string;
}

function program(name: string, source: string): Program {
  return { name, source };
}

export const CORPUS: readonly Program[] = [
  program(
    "closures in loops",
    `const fs: (() => number)[] = [];
     for (let i = 0; i < 3; i++) fs.push(() => i * 10);
     for (const k of [7, 8]) fs.push(() => k);
     let n = 0;
     while (n < 2) { const m = n++; fs.push(() => m); }
     print(fs.map((f) => f()).join());`,
  ),
  program(
    "loop variables that a closure changes, with break and continue",
    `const seen: string[] = [];
     for (let i = 0; i < 10; i++) {
       const bump = () => { i += 2; };
       if (i === 3) { bump(); continue; }
       if (i > 7) break;
       seen.push(String(i));
     }
     print(seen.join());`,
  ),
  program(
    "classes of three levels, super, statics and accessors",
    `class A { static made = 0; protected n: number; constructor(n: number) { this.n = n; A.made++; }
       name() { return "A" + this.n; } get twice() { return this.n * 2; } set twice(v: number) { this.n = v / 2; }
       static make() { return new this(5); } }
     class B extends A { override name() { return "B" + super.name(); } }
     class C extends B { extra = [1]; override name() { return "C" + super.name() + this.extra.length; } }
     const c = new C(3);
     c.extra.push(2);
     c.twice = 20;
     print(c.name(), c.twice, new C(1).extra.length, A.made, c instanceof A, C.make().name());`,
  ),
  program(
    "destructuring",
    `const { a, b: [c, , d = 9], ...rest } = { a: 1, b: [2, 3], e: 4, f: 5 } as any;
     const swap = [1, 2]; [swap[0], swap[1]] = [swap[1]!, swap[0]!];
     const f = ({ x = 1, y }: { x?: number; y: number }, [z] = [7]) => x + y + z;
     let p, q; ({ p, q = 3 } = { p: 1 } as any);
     print(a, c, d, JSON.stringify(rest), swap.join(), f({ y: 2 }), p, q);`,
  ),
  program(
    "spread and rest of arrays, objects and arguments",
    `const sum = (...xs: number[]) => xs.reduce((s, x) => s + x, 0);
     const first = (head: number, ...tail: number[]) => head + ":" + tail.length;
     const xs = [1, 2, 3];
     print(sum(...xs, 4), first(...[5, 6, 7]), [0, ...xs, ...[]].join(), JSON.stringify({ ...{ a: 1 }, b: 2, ...{ a: 3 } }));
     class P { c: number; constructor(...v: number[]) { this.c = v.length; } }
     print(new P(1, 2, 3).c, Math.max(...xs));`,
  ),
  program(
    "template literals",
    `const n: any = 5, u: any = undefined, z: any = null;
     print(\`\${n}\`, \`a\${n}\${n + 1}b\`, \`\${u}-\${z}-\${true}\`, \`\${[1, 2]}\`, \`x\${\`y\${n}\`}\`, \`\${n ? 1 : 2}\` + \`\${n}\${n}\`, typeof \`\${n}\`);`,
  ),
  program(
    "default parameters",
    `function f(a: number, b = a * 2, c = () => b) { b++; return a + b + c(); }
     print(f(1), f(1, 5), f(1, undefined, () => 0));`,
  ),
  program(
    "getters and setters in object literals",
    `const o = { v: 1, get w() { return this.v + 1; }, set w(x: number) { this.v = x; } };
     o.w = 9;
     print(o.w, o.v);`,
  ),
  program(
    "try, catch and finally",
    `const log: string[] = [];
     function f(x: number) { try { if (x === 1) throw new Error("one"); if (x === 2) return "two"; log.push("t" + x); }
       catch (e) { log.push((e as Error).message); return "caught"; } finally { log.push("f" + x); } return "end"; }
     print(f(0), f(1), f(2), log.join());
     try { try { throw 5; } finally { print("inner"); } } catch { print("outer"); }`,
  ),
  program(
    "for-of over arrays and strings, for-in over objects",
    `let s = "";
     for (const c of "abc") s = c + s;
     for (const [k, v] of Object.entries({ x: 1, y: 2 })) s += k + v;
     for (const k in { m: 1, n: 2 }) s += k;
     for (const x of [1, 2, 3]) { if (x === 2) continue; s += x; }
     print(s);`,
  ),
  program(
    "functions above their declaration",
    `print(early(3));
     function early(n: number): string { return n > 0 ? later(n) : "end"; function later(m: number) { return m + early(m - 1); } }
     function pair() { return one() + two(); function one() { return two() * 2; } function two() { return 4; } }
     print(pair(), run());
     function run() { return both; }
     var both = 1;`,
  ),
  program(
    "vars before and across their declaration",
    `var shadow = "outer";
     function f(x: boolean) { const before = typeof shadow; if (x) { var shadow = "in"; } else { shadow = "else"; } return before + shadow; }
     function g() { set(); var kept = kept2(); return kept; function set() { hidden = 5; } function kept2() { return hidden; } var hidden: number; }
     function h() { for (var i = 0; i < 3; i++) { var last = i; } return i + "," + last!; }
     print(f(true), f(false), shadow, g(), h());`,
  ),
  program(
    "block scopes of one name",
    `const x = 1;
     { const x = 2; { let x = 3; x++; print(x); } print(x); }
     const f = (x: number) => { { const x = 9; print(x); } return x; };
     print(x, f(5));
     try { throw 7; } catch (x) { print(x); }
     print(x);`,
  ),
  program(
    "modern operators",
    `const o: any = { a: { b: 0, f() { return this.b + 1; } } };
     let n: any = null; n ??= 4; let z: any = 0; z ||= 6; let t: any = 1; t &&= 8;
     print(o?.a?.b, o.x?.y.z, o.a?.f(), o.g?.(1), o.a.b ?? 5, n, z, t, 2 ** 10, o.a["b"]);`,
  ),
  program(
    "switch with fall-through",
    `function f(x: number | string) { let r = ""; switch (x) { case 1: r += "a"; case 2: r += "b"; break; case "s": return "S"; default: r += "d"; } return r; }
     print(f(1), f(2), f("s"), f(9));`,
  ),
  program(
    "int32 and uint32 arithmetic",
    `let h = 0x811c9dc5;
     for (const c of "mesh") { h ^= c.charCodeAt(0); h = (h + ((h << 1) + (h << 4) + (h << 7) + (h << 8) + (h << 24))) >>> 0; }
     print(h, h | 0, h >> 3, h >>> 3, ~h, -7 % 3, 5 / 2 | 0, 0xffffffff + 1, (1 << 31) >>> 0, 255..toString(16));`,
  ),
  program(
    "bytes in strings, typed arrays and views",
    `const s = String.fromCharCode(0, 127, 128, 255) + "\\xfe\\0";
     const u = new Uint8Array(s.length); for (let i = 0; i < s.length; i++) u[i] = s.charCodeAt(i);
     const v = new DataView(u.buffer); v.setUint16(0, 0xabcd, true);
     print(s.length, u.join(), v.getInt32(0, true), v.getUint16(2), new Uint8Array(u.buffer, 2, 2).join(), u.subarray(1, 3).join(), btoa(s), atob(btoa(s)) === s);`,
  ),
  program(
    "regular expressions of the accepted kind",
    `print("a12-b3".replace(/[0-9]+/g, "#"), /^([a-z]+)=(\\d+)$/.exec("key=42")!.slice(1).join("/"), /A/i.test("cba"), "a, b,c".split(/,\\s*/).join("|"), /[^\\n]*x/.test("aax"));`,
  ),
  program(
    "arrays and objects of the library",
    `const a = [5, 1, 4]; a.sort((p, q) => p - q);
     print(a.join(), a.indexOf(4), a.includes(9), a.find((x) => x > 1), a.findIndex((x) => x > 9), a.filter((x) => x & 1).length, a.slice(-2).join(), a.splice(1, 1).join(), a.concat([7], 8).join(), [3, 2].reverse().join(), a.some((x) => x > 4), a.every((x) => x > 4));
     print(Object.keys({ b: 1, a: 2 }).join(), Object.values({ q: 3 }).join(), JSON.stringify(Object.assign({ a: 1 }, { b: [1, { c: null }] })), "in" in { in: 1 });
     print("5".padStart(3, "0"), " x ".trim(), "abc".substr(1, 1), "a-b".split("-").length, "abcabc".lastIndexOf("b"), "ab".repeat(2), "abc".startsWith("ab"), (3.14159).toFixed(2));`,
  ),
  program(
    "this, call, apply and bind",
    `function who(this: any, a: number, b: number) { return this.n + a + b; }
     const o = { n: 100, m() { return [1].map((x) => x + this.n)[0]; } };
     print(who.call(o, 1, 2), who.apply(o, [3, 4]), who.bind(o, 5)(6), o.m(), (function (...x: number[]) { return x.length; })(1, 2));`,
  ),
  program(
    "names that are keywords on the engine, as keys",
    `const k: any = { of: 1, let: 2, static: 3, default: 4 }; print(k.of + k.let + k.static + k.default);`,
  ),
  program(
    "enums and namespaces of constants",
    `enum Kind { A, B = 5, C } const K = { ON: 1, OFF: 0 } as const; const LIMIT = 1 << 4, NEG = -2;
     print(Kind.C, Kind[5], K.ON, LIMIT, NEG, LIMIT * NEG);`,
  ),
  program(
    "many names in one scope",
    `${Array.from({ length: 40 }, (_, i) => `function f${i}(x: number): number { return x + v${i}; } let v${i} = ${i};`).join("\n")}
     for (let r = 0; r < 2; r++) print(${Array.from({ length: 40 }, (_, i) => `f${i}(r)`).join(" + ")}, Math.floor(v39 / 2), Math.floor(v1 + 0.5));`,
  ),
];
