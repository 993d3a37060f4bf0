import fc from "fast-check";
import { decodeStorage, encodeStorage } from "../../../host-tools/device/storage-image";
import { Chip } from "../../../host-tools/simulator/chip/chip";
import { NorFlash, PowerCut } from "../../../host-tools/simulator/chip/flash";
import { StorageArea, StorageFailure } from "../../../host-tools/simulator/chip/storage-area";
import { EventQueue } from "../../../host-tools/simulator/events";

const PAGES = 16;

function areaOf(pages = PAGES): { area: StorageArea; flash: NorFlash; count: { compacted: number; erased: number } } {
  const flash = new NorFlash(pages * 4096);
  const count = { compacted: 0, erased: 0 };
  const area = new StorageArea(flash, {
    disturbs: () => {},
    wrote: () => {},
    erased: () => void count.erased++,
    compacted: () => void count.compacted++,
  });
  return { area, flash, count };
}

const text = (area: StorageArea, name: string) => area.read(name)?.toString("latin1");

describe("StorageArea", () => {
  test("writes what the encoder writes", () => {
    const { area, flash } = areaOf();
    area.write("a", Buffer.from("hello"));
    area.write("b", Buffer.alloc(5000, 7));
    area.write("c", Buffer.from("x"), 64);
    const image = encodeStorage(
      [
        { name: "a", data: "hello" },
        { name: "b", data: Buffer.alloc(5000, 7) },
      ],
      { areaBytes: PAGES * 4096, pageBytes: 4096 },
    );
    const end = decodeStorage(image).end;
    expect(flash.bytes.subarray(0, end)).toEqual(image.subarray(0, end));
    expect(flash.bytes.readUInt32LE(end)).toBe(0x40000001);
  });

  test("a file may be filled piece by piece, but no byte twice", () => {
    const { area } = areaOf();
    area.write("f", Buffer.from("Hello"), 0, 0, 14);
    area.write("f", Buffer.from(" "), 0, 5);
    area.write("f", Buffer.from("World!!!"), 0, 6);
    expect(text(area, "f")).toBe("Hello World!!!");
    expect(() => area.write("f", Buffer.from("W"), 0, 6)).toThrow(StorageFailure);
    expect(() => area.write("f", Buffer.from("xx"), 0, 13)).toThrow(StorageFailure);
    expect(() => area.write("nothing", Buffer.from("xx"), 0, 3)).toThrow(StorageFailure);
    expect(() => area.write("f", Buffer.alloc(0))).toThrow(StorageFailure);
  });

  test("a write at offset 0 creates the file anew, unless it changes nothing", () => {
    const { area } = areaOf();
    area.write("f", Buffer.from("abc"));
    const writes = area.flash.operations;
    area.write("f", Buffer.from("abc"));
    expect(area.flash.operations).toBe(writes);
    area.write("f", Buffer.from("abd"));
    expect(text(area, "f")).toBe("abd");
    expect(area.stats()).toMatchObject({ fileCount: 1, trashCount: 1 });
  });

  test("names are cut at 28 bytes", () => {
    const { area } = areaOf();
    area.write("n".repeat(40), Buffer.from("x"));
    expect(area.list()).toEqual(["n".repeat(28)]);
  });

  test("a create that does not fit compacts, and every live file is still there", () => {
    const { area, count } = areaOf();
    area.write("keep1", Buffer.alloc(3000, 1));
    for (let i = 0; i < 6; i++) area.write("big", Buffer.alloc(9000, 10 + i));
    area.write("keep2", Buffer.alloc(100, 2));
    expect(count.compacted).toBe(0);
    area.write("big", Buffer.alloc(9000, 99));
    expect(count.compacted).toBe(1);
    expect(area.read("keep1")!.equals(Buffer.alloc(3000, 1))).toBe(true);
    expect(area.read("keep2")!.equals(Buffer.alloc(100, 2))).toBe(true);
    expect(area.read("big")!.equals(Buffer.alloc(9000, 99))).toBe(true);
    expect(decodeStorage(area.flash.bytes)).toMatchObject({ sound: true, faults: [] });
  });

  test("a create that could not fit fails without compacting", () => {
    const { area, count } = areaOf();
    area.write("a", Buffer.alloc(100));
    expect(() => area.write("b", Buffer.alloc(PAGES * 4096))).toThrow(StorageFailure);
    expect(count.compacted).toBe(0);
  });

  test("behaves like a map of names to bytes", () => {
    const names = fc.constantFrom("a", "b", "c", ".boot0", "longer-name-than-most");
    const command = fc.oneof(
      fc.record({ name: names, data: fc.uint8Array({ minLength: 1, maxLength: 6000 }) }),
      fc.record({ name: names, data: fc.constant(null) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const { area } = areaOf();
        const model = new Map<string, Buffer>();
        for (const { name, data } of commands) {
          if (data) {
            area.write(name, data);
            model.set(name, Buffer.from(data));
          } else {
            area.erase(name);
            model.delete(name);
          }
        }
        expect(area.list().sort()).toEqual([...model.keys()].sort());
        for (const [name, data] of model) expect(area.read(name)!.equals(data)).toBe(true);
        expect(area.isSound()).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("wherever power fails in a write, every other file survives", () => {
    const start = areaOf();
    start.area.write("keep", Buffer.from("kept"));
    start.area.write("cfg", Buffer.from("old"));
    const snapshot = start.flash.snapshot();
    for (let cut = 1; cut <= 3; cut++)
      for (const tear of [0, 0.1, 0.5, 0.9, 1]) {
        start.flash.restore(snapshot);
        start.flash.cutPowerAt(cut, tear);
        expect(() => start.area.write("cfg", Buffer.from("newer"))).toThrow(PowerCut);
        start.flash.cutPowerAt(0);
        expect(text(start.area, "keep")).toBe("kept");
      }
  });
});

describe("the Storage module in a chip", () => {
  function chip(): { chip: Chip; queue: EventQueue } {
    const queue = new EventQueue();
    const flash = encodeStorage([{ name: ".boot0", data: "var s=require('Storage'),f=require('Flash')" }], {
      areaBytes: 224 * 4096,
      pageBytes: 4096,
    });
    const made = new Chip({ clock: queue, mac: "24:0a:c4:00:00:10", flash });
    made.powerOn();
    queue.run(1500);
    return { chip: made, queue };
  }

  test.each([
    ["s.write('a','abc'); s.read('a',1)", "bc"],
    ["s.write('a','abc'); s.read('a',1,1)", "b"],
    ["s.read('none')", undefined],
    ["s.write('a',[65,66]); s.read('a')", "AB"],
    ["s.write('a',{b:1}); s.read('a')", '{"b":1}'],
    ["s.writeJSON('a',[1]); s.readJSON('a')[0]", 1],
    ["new Uint8Array(s.readArrayBuffer('.boot0'))[0]", 118],
    ["s.write('a','x'); s.erase('a'); s.read('a')", undefined],
    ["s.list().join()", ".boot0"],
    ["s.write('b.js','x'); s.list(/js$/).join()", "b.js"],
    ["s.getStats().fileCount", 1],
    ["s.getFree() === 224*4096 - 32 - 44", true],
    ["var l=s.open('log','w'); l.write('one\\ntwo\\n'); s.open('log','r').readLine()", "one\n"],
    ["var l=s.open('log','a'); l.write('a'); s.open('log','a').write('b'); s.open('log','r').read(9)", "ab"],
    ["s.open('log','w').write('abc'); s.list(undefined,{sf:true}).join()", "log"],
    ["s.open('log','w').write('abc'); s.open('log','r').getLength()", 3],
    ["f.read(4,0x320000).join()", "43,0,0,0"],
    ["f.write('\\x26',0x320000); f.read(1,0x320000)[0]", 34],
    ["f.getPage(0x320010).addr", 0x320000],
  ])("%s", (source, value) => {
    const made = chip().chip;
    expect(made.evaluate(source)).toBe(value);
  });

  test("compaction holds the interpreter for seconds and is counted", () => {
    const { chip: made } = chip();
    made.evaluate("var big = E.toString(new Uint8Array(4000))");
    for (let i = 0; i < 4; i++) made.evaluate(`s.write("f", big, 0, ${200000 + i})`);
    expect(made.stats.compactions).toBe(0);
    const elapsed = made.evaluate(`var t = getTime(); s.write("f", big, 0, 300000); getTime() - t`) as number;
    expect(made.stats.compactions).toBe(1);
    expect(elapsed).toBeGreaterThan(5);
    expect(elapsed).toBeLessThan(30);
  });

  test("overwriting the code that runs is noticed", () => {
    const { chip: made } = chip();
    made.evaluate("s.write('app', '(function(){ var filler = \"" + "x".repeat(80) + "\"; })()'); eval(s.read('app'))");
    expect(made.faults).toEqual([]);
    made.evaluate("s.write('app', 'other')");
    expect(made.faults.length).toBe(1);
  });

  test("a power cut in a write ends the chip; it boots again with what was written", () => {
    const { chip: made, queue } = chip();
    made.flash.cutPowerAt(1, 0.5);
    made.evaluate("try { f.write('0123456789', 0x320000 + 8192); print('after') } catch (e) { print('caught') }");
    expect(made.on).toBe(false);
    expect(made.log).toEqual([]);
    made.powerOn();
    queue.run(5000);
    expect(made.evaluate("E.toString(f.read(5, 0x320000 + 8192))")).toBe("01234");
  });
});
