import { layOutStorage } from "../../../host-tools/device/storage-image";
import { Chip, ChipOptions } from "../../../host-tools/simulator/chip/chip";
import { EventQueue } from "../../../host-tools/simulator/events";

const GEOMETRY = { areaBytes: 224 * 4096, pageBytes: 4096 };
const BOOT_MS = 1000;

/** A chip whose .boot0 is `boot`, with 20 pages of area behind it, booted. */
function chipWith(boot: string, options: Partial<ChipOptions> = {}): { chip: Chip; queue: EventQueue } {
  const queue = new EventQueue();
  const flash = layOutStorage({
    ...GEOMETRY,
    files: [{ name: ".boot0", data: boot }],
    area: { name: "espalier", pages: 20 },
  });
  const chip = new Chip({ clock: queue, mac: "24:0a:c4:00:00:10", flash, ...options });
  chip.powerOn();
  queue.run(BOOT_MS);
  return { chip, queue };
}

describe("boot", () => {
  test("runs .boot0 and the program it evals from flash", () => {
    const { chip } = chipWith(`
      var s = require("Storage");
      s.write("app", "(function(){ print('app ' + (6 * 7)); })()");
      eval(s.read("app"));`);
    expect(chip.log).toEqual(["app 42"]);
  });

  test("an exception in .boot0 is printed and the chip runs on", () => {
    const { chip } = chipWith(`setTimeout(function () { print("later"); }, 10); throw new Error("bad");`);
    expect(chip.log[0]).toContain("Uncaught Error: bad");
    expect(chip.log).toContain("later");
  });

  test("a broken header chain makes it erase Storage", () => {
    const queue = new EventQueue();
    const flash = layOutStorage({
      ...GEOMETRY,
      files: [{ name: ".boot0", data: "print(1)" }],
      area: { name: "a", pages: 2 },
    });
    flash.writeUInt32LE(0x00fffff0, 0);
    const chip = new Chip({ clock: queue, mac: "24:0a:c4:00:00:10", flash });
    chip.powerOn();
    queue.run(60000);
    expect(chip.log).toEqual(["Storage is corrupt: erasing it"]);
    expect(chip.flash.bytes.every((b) => b === 0xff)).toBe(true);
  });

  test("E.reboot ends the old life: its timers never fire again", () => {
    const { chip, queue } = chipWith(`
      print("boot");
      setInterval(function () { print("tick"); }, 100);
      setTimeout(function () { try { E.reboot(); } catch (e) { print("caught"); } finally { print("finally"); } }, 50);`);
    queue.run(5000);
    expect(new Set(chip.log)).toEqual(new Set(["boot", "Rebooting"]));
    expect(chip.stats.boots).toBeGreaterThan(3);
    expect(chip.resetReason).toBe("software");
  });

  test("power off stops everything and power on boots again", () => {
    const { chip, queue } = chipWith(`print("boot"); setInterval(function () { print("tick"); }, 1000);`);
    chip.powerOff();
    queue.run(10000);
    expect(chip.log).toEqual(["boot"]);
    chip.powerOn();
    queue.run(11000);
    expect(chip.log).toEqual(["boot", "boot"]);
  });

  test("load() runs the boot code again in a new world", () => {
    const { chip, queue } = chipWith(`
      var s = require("Storage");
      print("life", typeof mark);
      mark = 1;
      if (!s.read("once")) { s.write("once", "x"); load(); }`);
    queue.run(3000);
    expect(chip.log).toEqual(["life undefined", "life undefined"]);
  });
});

describe("runaway code", () => {
  test("an endless loop is stopped by the watchdog", () => {
    const { chip, queue } = chipWith(`
      print("boot");
      E.enableWatchdog(5);
      setTimeout(function () { for (;;) { try { while (true) {} } catch (e) {} finally { continue; } } }, 10);`);
    queue.run(20000);
    expect(chip.log.filter((line) => line === "Watchdog").length).toBeGreaterThanOrEqual(2);
    expect(chip.resetReason).toBe("watchdog");
  });

  test("without a watchdog the chip hangs until power is cut", () => {
    const { chip, queue } = chipWith(`setTimeout(function f() { while (1); }, 10); setInterval("print('tick')", 5);`);
    queue.run(200000);
    const ticks = chip.log.filter((line) => line === "tick").length;
    queue.run(400000);
    expect(chip.faults).toEqual(["program hangs"]);
    expect(chip.log.filter((line) => line === "tick").length).toBe(ticks);
  });

  test("endless recursion does not take the simulator with it", () => {
    const { chip } = chipWith(`function f() { return f() + 1; } setTimeout(f, 1); setTimeout("print('alive')", 5);`);
    expect(chip.stats.uncaught + chip.faults.length).toBeGreaterThan(0);
  });
});

describe("the language", () => {
  test.each([
    "new Map()",
    "new Set()",
    "Symbol()",
    "new Proxy({}, {})",
    "Array.from([1])",
    "[1].flat()",
    "Object.freeze({})",
    "Math.imul(2, 3)",
    "Number.isInteger(1)",
    "new ArrayBuffer(4).slice(1)",
    "queueMicrotask(print)",
    "Buffer",
    "new TextEncoder()",
    "new RangeError('x')",
    "'a'.at(0)",
    "Promise.race([])",
    "(function(){ return this.process.binding('fs') })()",
  ])("%s fails", (source) => {
    const { chip } = chipWith(";");
    expect(() => chip.evaluate(source)).toThrow();
  });

  test.each(["let { a } = b", "(...a) => a", "a?.b", "2 ** 3", "async () => 1", "x: for (;;) {}", "1n"])(
    "%s does not parse",
    (source) => {
      const { chip } = chipWith(";");
      expect(() => chip.evaluate(source)).toThrow(/./);
    },
  );

  test("functions made from text are counted too", () => {
    const { chip } = chipWith(";");
    expect(chip.evaluate(`new Function("a", "b", "return a+b")(1, 2)`)).toBe(3);
    expect(chip.evaluate(`(function(){}).constructor("return 5")()`)).toBe(5);
  });

  test("strings are bytes", () => {
    const { chip } = chipWith(";");
    expect(chip.evaluate("String.fromCharCode(0x141)")).toBe("A");
    expect(chip.evaluate("E.CRC32('abc')")).toBe(891568578);
    expect(chip.evaluate("E.toUint8Array('ab', 300)[2]")).toBe(44);
  });

  test("results of native functions belong to the chip's realm", () => {
    const { chip } = chipWith(";");
    expect(chip.evaluate(`require("crypto").SHA256("abc") instanceof ArrayBuffer`)).toBe(true);
    expect(chip.evaluate(`require("Storage").list() instanceof Array`)).toBe(true);
    expect(chip.evaluate(`require("Flash").read(4, 0x320000) instanceof Uint8Array`)).toBe(true);
    expect(chip.evaluate(`try { require("nothing") } catch (e) { e instanceof Error }`)).toBe(true);
  });

  test("memoryArea is live memory: overlapping copies repeat", () => {
    const { chip } = chipWith(";");
    const value = chip.evaluate(`
      var u = new Uint8Array(64); u[0] = 7; u[1] = 9;
      u.set(E.memoryArea(E.getAddressOf(u, true), 6), 2);
      [].slice.call(u, 0, 9).join()`);
    expect(value).toBe("7,9,7,9,7,9,7,9,0");
  });

  test("clearTimeout(undefined) throws, unknown handles do not", () => {
    const { chip } = chipWith(";");
    expect(() => chip.evaluate("clearTimeout(undefined)")).toThrow();
    chip.evaluate("clearTimeout(99)");
  });

  test("random numbers repeat at every boot unless seeded", () => {
    const { chip, queue } = chipWith("print(Math.random(), E.hwRand()); setTimeout(E.reboot, 10)");
    queue.run(5000);
    const lines = chip.log.filter((line) => line !== "Rebooting");
    expect(lines.length).toBeGreaterThan(2);
    expect(new Set(lines).size).toBe(1);
  });

  test("promises continue in events of their own", () => {
    const { chip } = chipWith(`
      Promise.all([Promise.resolve(1), new Promise(function (r) { setTimeout(r, 5, 2); })])
        .then(function (v) { print(v.join()); throw new Error("x"); })
        .catch(function (e) { print(e.message); });
      print("first");`);
    expect(chip.log).toEqual(["first", "1,2", "x"]);
  });
});

describe("time", () => {
  test("the interpreter is a single server: a busy one delays what comes next", () => {
    const { chip, queue } = chipWith(`
      setTimeout(function () { for (var i = 0; i < 2000; i++); print("done", Math.round(getTime() * 1000)); }, 10);
      setTimeout(function () { print("second", Math.round(getTime() * 1000)); }, 11);`);
    queue.run(5000);
    const [, done] = /done (\d+)/.exec(chip.log[0]!)!;
    const [, second] = /second (\d+)/.exec(chip.log[1]!)!;
    expect(+done!).toBeGreaterThan(BOOT_MS - 100 + 50);
    expect(+second!).toBeGreaterThanOrEqual(+done!);
  });

  test("an interval makes up for lost beats", () => {
    const { chip, queue } = chipWith(`
      var n = 0;
      setInterval(function () { n++; }, 10);
      setTimeout(function () { for (var i = 0; i < 2000; i++); }, 15);`);
    queue.run(3000);
    expect(Math.abs((chip.evaluate("n") as number) - 209)).toBeLessThan(4);
  });

  test("erasing flash blocks for tens of milliseconds", () => {
    const { chip } = chipWith(";");
    const elapsed = chip.evaluate(`var t = getTime(); require("Flash").erasePage(0x320000 + 4096 * 3); getTime() - t`);
    expect(elapsed).toBeGreaterThan(0.04);
  });

  test("the same program gives the same run", () => {
    const run = () => {
      const { chip, queue } = chipWith(`setInterval(function () { print(getTime(), Math.random()); }, 7)`);
      queue.run(2000);
      return chip.log.join("\n");
    };
    expect(run()).toBe(run());
  });
});

describe("eval", () => {
  test("inside a function it sees the function's names, at the top level the globals", () => {
    const { chip } = chipWith(";");
    expect(chip.evaluate("(function(){ var a = 5; return eval('a + 1'); })()")).toBe(6);
    expect(
      chip.evaluate("(function(){ var Math = { PI: 3 }; return eval('(function(){ return Math.PI })()'); })()"),
    ).toBe(3);
    expect(chip.evaluate("eval('var made = 7'); made")).toBe(7);
  });

  test("what it runs is counted and can be stopped", () => {
    const { chip, queue } = chipWith(`E.enableWatchdog(2); setTimeout(function () { eval("while (1) {}"); }, 10)`);
    queue.run(20000);
    expect(chip.resetReason).toBe("watchdog");
  });
});

describe("instrumented programs mean the same", () => {
  test.each([
    ["(function(){ var s = 'x'; s += 1 + 2 + 'a' + 3; return s })()", "x3a3"],
    ["(function(){ return'a'+'b' })()", "ab"],
    ["(function(){ var a = 0; return a ? 'y' + a : 'n' + (a + 'z') })()", "n0z"],
    ["(function(){ var r = ''; for (var i = 0; i < 3; i++) if (i == 1) continue; else r += i; return r })()", "02"],
    ["(function(){ var r = 0; do r++; while (r < 5); return r })()", 5],
    ["(function(){ try { throw 1 } catch (e) { return e + 1 } finally { 3 } })()", 2],
    ["(function(){ switch (2) { case 1: return 'a'; case 2: case 3: return 'b'; default: return 'c' } })()", "b"],
    ["(function(){ var o = { a: [1, 2, 3] }, i = 0; return o.a[i++] + o['a'][i++] * 10 + i })()", 23],
    ["(function(){ if (1) if (0) return 1; else return 2; return 3 })()", 2],
    ["(function(){ return (x => x ? { v: x } : 0)(4).v })()", 4],
    ["(function(){ var a = 1; (a && (a = 2)) || (a = 3); return a })()", 2],
    ["(function(){ var k, r = []; for (k in { a: 1, b: 2 }) r.push(k); return r.join() })()", "a,b"],
    ["(function(){ 'use strict'; return (function(){ return this === undefined })() })()", true],
    ["1 + 1; /* + */ 2 + /* + */ 3", 5],
    ["(1, 2) + ('a')", "2a"],
    ["typeof nothing", "undefined"],
  ])("%s", (source, value) => {
    const { chip } = chipWith(";");
    expect(chip.evaluate(source)).toBe(value);
  });
});
