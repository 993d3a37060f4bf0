import { createHash } from "node:crypto";
import { encodeDelta } from "../../host-tools/build/delta-encoder";
import { flashWithParts, START } from "./ota-parts";
import { describeEngine, runScript } from "./support";

describeEngine("delta on the interpreter", () => {
  it("rebuilds a changed text out of the one in flash, last chunk first", async () => {
    const line = (i: number, text: string): string => `function f${i}(a){return a*${(i * 7919) % 997}${text}}\n`;
    const lines = Array.from({ length: 300 }, (_, i) => i);
    const base = Buffer.from(lines.map((i) => line(i, "")).join(""));
    const result = Buffer.from(lines.map((i) => line(i, i % 9 === 4 ? `+${i * i}` : "")).join(""));
    const chunks = encodeDelta(base, result, 200).reverse();
    expect(chunks.length).toBeGreaterThan(1);
    const list = chunks.map((chunk) => `atob("${chunk.toString("base64")}")`).join();
    const script = `${START}var n=applyDelta([${list}],S("base"),${result.length},function(o,b){require("Storage").write("out",b,o+1)});
      print(n,btoa(require("crypto").SHA256(require("Storage").read("out",1,${result.length}))));`;
    // A byte in front, since a write at offset 0 creates the file.
    const flash = await flashWithParts({ base, out: Buffer.from("-") });
    const create = `require("Storage").erase("out");require("Storage").write("out","-",0,${result.length + 1});`;
    const { stdout } = runScript(create + script, { flash, env: { ESPR_VARS: "12000" } });
    const hash = createHash("sha256").update(result).digest("base64");
    expect(stdout).toBe(`${result.length} ${hash}\n`);
  }, 60_000);
});

describeEngine("coded repair on the interpreter", () => {
  it("recovers a chunk out of a combination of four", async () => {
    const flash = await flashWithParts({});
    const script = `${START}function read(i){var s="";for(var k=0;k<101;k++)s+=String.fromCharCode(i*37+k*k&255);return s+s+s+s;}
      var got=repairOne(9,[2,5,30],read,404);print(got===read(9),got.length);`;
    expect(runScript(script, { flash }).stdout).toBe("true 404\n");
  }, 60_000);

  it("combines strings of different lengths", async () => {
    const flash = await flashWithParts({});
    const script = `${START}var x=createXor(32);x("abcdefgh","12345678");print(JSON.stringify([x("abc","\\x01"),x("\\x10","aaaa"),x("ab","ab")]));`;
    const expected = [
      ["abc", "\x01"],
      ["\x10", "aaaa"],
      ["ab", "ab"],
    ].map(([a, b]) =>
      Array.from({ length: Math.max(a!.length, b!.length) }, (_, i) =>
        String.fromCharCode((a!.charCodeAt(i) || 0) ^ (b!.charCodeAt(i) || 0)),
      ).join(""),
    );
    expect(JSON.parse(runScript(script, { flash }).stdout.replaceAll("\\x", "\\u00"))).toEqual(expected);
  }, 60_000);
});
