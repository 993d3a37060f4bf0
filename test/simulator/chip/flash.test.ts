import fc from "fast-check";
import { NorFlash, PowerCut } from "../../../host-tools/simulator/chip/flash";

describe("NorFlash", () => {
  test("writing only clears bits, erasing sets a page", () => {
    const flash = new NorFlash(2 * 4096);
    flash.write(4090, Buffer.from([0x0f, 1, 2, 3, 4, 5, 6, 7]));
    flash.write(4090, Buffer.from([0xf1]));
    expect(flash.read(4090, 8).toString("hex")).toBe("0101020304050607");
    flash.erasePage(100);
    expect(flash.read(4090, 8).toString("hex")).toBe("ffffffffffff0607");
    expect([...flash.writes]).toEqual([2, 1]);
    expect([...flash.erases]).toEqual([1, 0]);
  });

  test("refuses addresses outside", () => {
    const flash = new NorFlash(4096);
    expect(() => flash.read(4090, 8)).toThrow(RangeError);
    expect(() => flash.write(-1, Buffer.alloc(1))).toThrow(RangeError);
    expect(() => flash.erasePage(4096)).toThrow(RangeError);
  });

  test("a cut write leaves a prefix, one torn byte, and nothing behind it", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (data, tear) => {
          const flash = new NorFlash(4096);
          flash.write(0, Buffer.from([1]));
          flash.cutPowerAt(2, tear);
          flash.write(2000, Buffer.from([1]));
          expect(() => flash.write(100, data)).toThrow(PowerCut);
          const done = Math.floor(data.length * tear);
          expect(flash.read(100, done)).toEqual(Buffer.from(data.subarray(0, done)));
          if (done < data.length) expect(flash.bytes[100 + done]! & data[done]!).toBe(data[done]);
          for (let i = done + 1; i < data.length; i++) expect(flash.bytes[100 + i]).toBe(0xff);
        },
      ),
    );
  });

  test("a cut erase leaves old bytes behind", () => {
    const flash = new NorFlash(Buffer.alloc(8192));
    flash.cutPowerAt(1, 0.25);
    expect(() => flash.erasePage(4096)).toThrow(PowerCut);
    expect(flash.read(4096, 1024).every((b) => b === 0xff)).toBe(true);
    expect(flash.read(4096 + 1025, 3071).every((b) => b === 0)).toBe(true);
    expect(flash.read(0, 4096).every((b) => b === 0)).toBe(true);
  });

  test("a snapshot brings everything back", () => {
    const flash = new NorFlash(4096);
    flash.write(5, Buffer.from("abc"));
    const snapshot = flash.snapshot();
    flash.cutPowerAt(1);
    expect(() => flash.erasePage(0)).toThrow(PowerCut);
    flash.restore(snapshot);
    expect(flash.read(5, 3).toString()).toBe("abc");
    expect([...flash.erases]).toEqual([0]);
    flash.erasePage(0);
  });
});
