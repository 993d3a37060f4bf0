import fc from "fast-check";
import {
  StorageEntry,
  StorageImageError,
  StorageImageErrorCode,
  decodeStorage,
  encodeStorage,
  layOutStorage,
} from "../../host-tools/device/storage-image";
import { isSound } from "../../host-tools/device/storage-format";

const GEOMETRY = { areaBytes: 8 * 4096, pageBytes: 4096 };

const name = fc
  .array(fc.integer({ min: 33, max: 255 }), { minLength: 1, maxLength: 28 })
  .map((codes) => String.fromCharCode(...codes))
  .filter((text) => text[1] !== ":");
const data = fc.uint8Array({ minLength: 1, maxLength: 1500 });
const files = fc
  .uniqueArray(fc.record({ name, data }), { selector: (file) => file.name, maxLength: 12 })
  .map((list): StorageEntry[] => list);

function refused(run: () => unknown): StorageImageErrorCode | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof StorageImageError) return error.code;
    throw error;
  }
}

describe("encodeStorage", () => {
  test("one file, byte for byte", () => {
    const image = encodeStorage([{ name: ".boot0", data: "print" }], GEOMETRY);
    const header = "05000000" + Buffer.from(".boot0").toString("hex").padEnd(56, "0");
    expect(image.subarray(0, 44).toString("hex")).toBe(header + "7072696e74ffffff" + "ffffffff");
    expect(image.length).toBe(8 * 4096);
    expect(image.subarray(40).every((b) => b === 0xff)).toBe(true);
  });

  test("flags stand in the top byte of the first word", () => {
    const image = encodeStorage([{ name: "a", data: "xyz", flags: 128 }], GEOMETRY);
    expect(image.readUInt32LE(0)).toBe(0x80000003);
  });

  test("a log is cut into chunks of a page, the rest of the last one left erased", () => {
    const text = "line\n".repeat(1000);
    const image = encodeStorage([{ name: "log", data: text, log: true }], GEOMETRY);
    expect(image.readUInt32LE(0)).toBe(0x40000000 + 4064);
    expect(image.toString("latin1", 4, 8)).toBe("log\x01");
    expect(image.toString("latin1", 4096 + 4, 4096 + 8)).toBe("log\x02");
    expect(decodeStorage(image).logs).toEqual([{ name: "log", chunks: 2, data: Buffer.from(text) }]);
  });

  test.each<[StorageImageErrorCode, StorageEntry[]]>([
    ["name-empty", [{ name: "", data: "x" }]],
    ["name-too-long", [{ name: "a".repeat(29), data: "x" }]],
    ["name-too-long", [{ name: "a".repeat(28), data: "x", log: true }]],
    ["name-drive", [{ name: "C:foo", data: "x" }]],
    ["name-bytes", [{ name: "a\0b", data: "x" }]],
    ["name-bytes", [{ name: "\u0142", data: "x" }]],
    [
      "name-twice",
      [
        { name: "a", data: "x" },
        { name: "a", data: "y" },
      ],
    ],
    ["data-empty", [{ name: "a", data: "" }]],
    ["data-bytes", [{ name: "a", data: "\u0142" }]],
    ["log-erased-byte", [{ name: "a", data: "\xff", log: true }]],
    ["flags", [{ name: "a", data: "x", flags: 3 }]],
    ["area-full", [{ name: "a", data: new Uint8Array(8 * 4096 - 31) }]],
  ])("refuses with %s", (code, list) => {
    expect(refused(() => encodeStorage(list, GEOMETRY))).toBe(code);
  });

  test("refuses an area that is not made of pages", () => {
    expect(refused(() => encodeStorage([], { areaBytes: 5000, pageBytes: 4096 }))).toBe("geometry");
  });

  test("fills an area to its last byte", () => {
    const image = encodeStorage([{ name: "a", data: new Uint8Array(8 * 4096 - 32) }], GEOMETRY);
    expect(decodeStorage(image)).toMatchObject({ sound: true, end: 8 * 4096, faults: [] });
  });

  test("decodeStorage gives back what was encoded", () => {
    fc.assert(
      fc.property(files, (list) => {
        const decoded = decodeStorage(encodeStorage(list, GEOMETRY));
        expect(decoded.files.map((f) => [f.name, f.flags, [...f.data]])).toEqual(
          list.map((f) => [f.name, 0, [...(f.data as Uint8Array)]]),
        );
        expect(decoded.sound).toBe(true);
        expect(decoded.faults).toEqual([]);
      }),
    );
  });
});

describe("decodeStorage", () => {
  test("never throws, and what it reports lies inside the area", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 6000 }), fc.boolean(), (bytes, small) => {
        const decoded = decodeStorage(bytes, small ? 1024 : 4096);
        for (const file of decoded.files) expect(file.offset + file.data.length).toBeLessThanOrEqual(bytes.length);
        for (const fault of decoded.faults) expect(fault.offset).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });

  test("survives any damage to a good image", () => {
    const image = encodeStorage(
      [
        { name: "a", data: "one" },
        { name: "b", data: new Uint8Array(5000) },
        { name: "c", data: "three" },
      ],
      GEOMETRY,
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6000 }), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const damaged = Buffer.from(image);
        damaged[at] = value;
        const decoded = decodeStorage(damaged);
        expect(decoded.files.length + decoded.deleted.length).toBeLessThanOrEqual(8);
      }),
    );
  });

  test("finds deleted, shadowed and oddly flagged records", () => {
    const image = encodeStorage(
      [
        { name: "old", data: "1" },
        { name: "new1", data: "2" },
        { name: "new2", data: "3" },
        { name: "odd", data: "4" },
      ],
      GEOMETRY,
    );
    image.fill(0, 4, 8);
    image.write("new1", 36 * 2 + 4, "latin1");
    image[36 * 3 + 3] = 5;
    const decoded = decodeStorage(image);
    expect(decoded.deleted).toEqual([{ offset: 32, size: 1, flags: 0 }]);
    expect(decoded.faults).toEqual([
      { code: "shadowed", offset: 72 },
      { code: "bad-flags", offset: 108 },
    ]);
  });

  test("a torn header makes the area unsound", () => {
    const image = encodeStorage([{ name: "a", data: "1" }], GEOMETRY);
    image.writeUInt32LE(0x00ffff00, 36);
    // The interpreter looks on at the next page, which is erased: it goes on, blind to what follows here.
    expect(decodeStorage(image)).toMatchObject({ sound: true, faults: [{ code: "tail-not-erased", offset: 36 }] });
    image.writeUInt32LE(0x00ffff00, 4096);
    expect(decodeStorage(image)).toMatchObject({ sound: false, faults: [{ code: "bad-header", offset: 4096 }] });
  });
});

describe("layOutStorage", () => {
  test("the area's data begins on a page boundary, whatever stands in front", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 300 }), (first, second) => {
        const image = layOutStorage({
          ...GEOMETRY,
          files: [
            { name: ".boot0", data: new Uint8Array(first) },
            { name: "cfg", data: new Uint8Array(second) },
          ],
          area: { name: "espalier", pages: 3, data: "start" },
        });
        const decoded = decodeStorage(image);
        const area = decoded.files[decoded.files.length - 1]!;
        expect(area.name).toBe("espalier");
        expect(area.offset % 4096).toBe(0);
        expect(area.data.length).toBe(3 * 4096);
        expect(area.data.toString("latin1", 0, 6)).toBe("start\xff");
        expect(decoded.faults).toEqual([]);
        expect(isSound({ bytes: image, pageBytes: 4096 })).toBe(true);
      }),
    );
  });

  test("needs no filler where the header falls into place by itself", () => {
    const image = layOutStorage({
      ...GEOMETRY,
      files: [{ name: "a", data: new Uint8Array(4096 - 64) }],
      area: { name: "b", pages: 1 },
    });
    expect(decodeStorage(image).files.map((f) => f.name)).toEqual(["a", "b"]);
  });

  test("data longer than the area is refused", () => {
    const layout = { ...GEOMETRY, files: [], area: { name: "a", pages: 1, data: new Uint8Array(4097) } };
    expect(refused(() => layOutStorage(layout))).toBe("data-too-long");
  });
});
