import { decodeStorage, encodeStorage, layOutStorage } from "../../host-tools/device/storage-image";
import { isSound } from "../../host-tools/device/storage-format";
import { NorFlash } from "../../host-tools/simulator/chip/flash";
import { compress, decompress } from "../../host-tools/simulator/chip/heatshrink";
import { StorageArea, StorageFailure } from "../../host-tools/simulator/chip/storage-area";
import { describeEngine, runScript } from "./support";

/** Pages are 1 KB in the stock Linux build (256 KB in all) and 4 KB in one built like an ESP32 (896 KB). */
function geometryOf(flash: Buffer): { areaBytes: number; pageBytes: number } {
  return { areaBytes: flash.length, pageBytes: flash.length === 256 * 1024 ? 1024 : 4096 };
}

function flashAfter(script: string, flash?: Uint8Array): Buffer {
  const result = runScript(script, flash ? { flash } : {});
  if (!result.flash) throw new Error(`no flash was written: ${result.stdout}`);
  return result.flash;
}

/** A seeded sequence of file operations, as [name, size] to write or [name, 0] to erase. */
function operations(seed: number, count: number, largest: number): [string, number][] {
  let state = seed;
  const next = (limit: number) => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return (state >> 8) % limit;
  };
  return Array.from({ length: count }, () => [`f${next(7)}.js`, next(4) ? 1 + next(largest) : 0]);
}

describeEngine("Storage on a real interpreter", () => {
  test("files come out byte for byte as encodeStorage writes them", () => {
    const flash = flashAfter(`
      var s = require("Storage");
      s.write(".boot0", "print(1)");
      s.write("cfg", {a: 1, b: "two"});
      s.write("big", E.toString(new Uint8Array(5001).fill(7)));
      s.write("part", "head", 0, 1001);
      s.write("exactly-twenty-eight-chars-xx".substr(0, 28), "x");
      var l = s.open("log", "w");
      for (var i = 0; i < 300; i++) l.write("line " + i + "\\n");`);
    const part = Buffer.alloc(1001, 0xff);
    part.write("head");
    const log = Array.from({ length: 300 }, (_, i) => `line ${i}\n`).join("");
    const image = encodeStorage(
      [
        { name: ".boot0", data: "print(1)" },
        { name: "cfg", data: '{"a":1,"b":"two"}' },
        { name: "big", data: Buffer.alloc(5001, 7) },
        { name: "part", data: part },
        { name: "exactly-twenty-eight-chars-xx".slice(0, 28), data: "x" },
        { name: "log", data: log, log: true },
      ],
      geometryOf(flash),
    );
    expect(flash.equals(image)).toBe(true);
  });

  test("reads a laid out area and keeps it", () => {
    const probe = flashAfter(`require("Storage").write("x", "y")`);
    const image = layOutStorage({
      ...geometryOf(probe),
      files: [
        { name: ".boot0", data: "var b = 1" },
        { name: "cfg", data: '{"id":7}' },
      ],
      area: { name: "espalier", pages: 20, data: "state" },
    });
    const result = runScript(
      `var s = require("Storage");
       print(JSON.stringify(s.list()), s.readJSON("cfg").id, s.read("espalier", 0, 5), s.read("espalier").length);
       s.write("espalier", "more", 8192);
       print(s.read("espalier", 8192, 4));`,
      { flash: image },
    );
    const size = 20 * geometryOf(probe).pageBytes;
    expect(result.stdout).toContain(`[".boot0","cfg","pad","espalier"] 7 state ${size}`);
    expect(result.stdout).toContain("more");
  });

  test.each([1, 2, 3])("the same operations leave the same flash, compactions included (seed %d)", (seed) => {
    const list = operations(seed, 120, 30000);
    const script = `
      var s = require("Storage");
      ${JSON.stringify(list)}.forEach(function (o, i) {
        try {
          if (o[1]) s.write(o[0], "data" + i, 0, o[1] + 8);
          else s.erase(o[0]);
        } catch (e) { print(e.message); }
      });`;
    const real = runScript(script);
    const geometry = geometryOf(real.flash!);
    const flash = new NorFlash(geometry.areaBytes, geometry.pageBytes);
    let compactions = 0;
    const area = new StorageArea(flash, {
      disturbs: () => {},
      wrote: () => {},
      erased: () => {},
      compacted: () => void compactions++,
    });
    const failures: string[] = [];
    list.forEach(([name, size], i) => {
      try {
        if (size) area.write(name, Buffer.from(`data${i}`), 0, 0, size + 8);
        else area.erase(name);
      } catch (error) {
        if (!(error instanceof StorageFailure)) throw error;
        failures.push(error.message);
      }
    });
    expect(compactions).toBeGreaterThan(0);
    expect(flash.bytes.equals(real.flash!)).toBe(true);
    for (const failure of failures) expect(real.stdout).toContain(failure);
  });

  test("decodes what the interpreter deleted and replaced", () => {
    const flash = flashAfter(`
      var s = require("Storage");
      s.write("a", "1"); s.write("b", "2"); s.write("a", "33"); s.erase("b");`);
    const decoded = decodeStorage(flash, geometryOf(flash).pageBytes);
    expect(decoded.files.map((f) => [f.name, f.data.toString()])).toEqual([["a", "33"]]);
    expect(decoded.deleted.length).toBe(2);
    expect(decoded.sound).toBe(true);
  });

  test("agrees on which areas are sound: the others are erased at boot", () => {
    const good = flashAfter(`var s = require("Storage"); s.write("a", "1"); s.write("b", "22222222");`);
    const { pageBytes } = geometryOf(good);
    const damage: [number, number][] = [
      [36, 0x00ffff00],
      [80, 0x00ffff00],
      [pageBytes, 0x00ffff00],
      [0, 0],
      [0, 0x00fffff0],
      [4, 0],
    ];
    for (const [at, word] of damage) {
      const flash = Buffer.from(good);
      flash.writeUInt32LE(word, at);
      const sound = isSound({ bytes: flash, pageBytes });
      const after = runScript("print(1)", { flash }).flash!;
      expect([at, word, after.equals(flash)]).toEqual([at, word, sound]);
    }
  });
});

describeEngine("heatshrink on a real interpreter", () => {
  test("decompresses what the interpreter compresses, and compresses to the same bytes", () => {
    const texts = [
      "Hello Hello Hello",
      "a",
      "function(a,b){return a+b}".repeat(20),
      Array.from({ length: 600 }, (_, i) => String.fromCharCode((i * i * 7) & 255)).join(""),
      "\0".repeat(400),
    ];
    for (const text of texts) {
      const result = runScript(
        `var h = require("heatshrink"), c = h.compress(atob("${Buffer.from(text, "latin1").toString("base64")}"));
         print("@" + btoa(c) + "@" + btoa(h.decompress(c)) + "@");`,
      );
      const [, packed, plain] = result.stdout.split("@");
      const bytes = Buffer.from(packed!, "base64");
      expect(decompress(bytes).toString("latin1")).toBe(text);
      expect(Buffer.from(plain!, "base64").toString("latin1")).toBe(text);
      expect(compress(Buffer.from(text, "latin1"))).toEqual(bytes);
    }
  });
});
