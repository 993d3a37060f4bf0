import fc from "fast-check";
import { bytesOf, hex, le16, le32, u16, u32, unhex } from "../../firmware/wire/bytes";

const binary = fc.uint8Array({ maxLength: 64 }).map((bytes) => bytesOf(bytes));

test("integers survive the way through bytes, little-endian", () => {
  expect(le16(0x1234)).toBe("\x34\x12");
  expect(le32(0xfedcba98)).toBe("\x98\xba\xdc\xfe");
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), (n) => u32(`?${le32(n)}`, 1) === n));
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffff }), (n) => u16(le16(n), 0) === n));
});

test("hex and unhex are inverse", () => {
  expect(hex("\x00\xff\x0a")).toBe("00ff0a");
  fc.assert(fc.property(binary, (bytes) => unhex(hex(bytes)) === bytes));
});

test("unhex refuses what is not hex", () => {
  for (const text of ["0", "zz", "1x", "+1", " 1", "0x", "1.", "-1"]) expect(unhex(text)).toBeNull();
});
