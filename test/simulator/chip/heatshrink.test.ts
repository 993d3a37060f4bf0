import fc from "fast-check";
import { compress, decompress } from "../../../host-tools/simulator/chip/heatshrink";

describe("heatshrink", () => {
  test("what the interpreter compresses", () => {
    // require("heatshrink").compress("Hello Hello Hello") on Espruino 2v29
    const packed = Buffer.from([164, 89, 109, 150, 203, 124, 128, 10, 80]);
    expect(decompress(packed).toString()).toBe("Hello Hello Hello");
    expect(compress(Buffer.from("Hello Hello Hello"))).toEqual(packed);
  });

  test("decompress undoes compress", () => {
    const texts = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc.array(fc.constantFrom(1, 2, 3), { maxLength: 2000 }).map((list) => Uint8Array.from(list)),
    );
    fc.assert(fc.property(texts, (data) => decompress(compress(data)).equals(Buffer.from(data))));
  });

  test("any input ends", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 500 }),
        (data) => decompress(data).length <= (data.length * 8 * 64) / 15 + 8,
      ),
    );
  });
});
