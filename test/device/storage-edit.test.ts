import fc from "fast-check";
import { EspalierError } from "../../host-tools/errors";
import { decodeSound, putFile } from "../../host-tools/device/storage-edit";
import { decodeStorage } from "../../host-tools/device/storage-image";
import { storageImage } from "./support/site";

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof EspalierError ? error.code : String(error);
  }
  return "none";
}

it("adds and replaces files and leaves the regions where they are", () => {
  const image = storageImage();
  const at = (bytes: Buffer) => decodeStorage(bytes).files.find((file) => file.name === "espalier")!.offset;
  let changed = putFile(image, "notes.txt", "one");
  changed = putFile(changed, "notes.txt", "two, longer");
  const found = decodeSound(changed);
  expect(found.faults).toEqual([]);
  expect(found.files.filter((file) => file.name === "notes.txt").map((file) => file.data.toString())).toEqual([
    "two, longer",
  ]);
  expect(found.deleted).toHaveLength(1);
  expect(at(changed)).toBe(at(image));
});

it("keeps an image sound whatever is put into it", () => {
  const name = fc.stringMatching(/^[a-z.][a-z.]{0,20}$/);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.uint8Array({ minLength: 1, maxLength: 900 })), { maxLength: 8 }),
      (files) => {
        let image = storageImage();
        for (const [file, data] of files) image = putFile(image, file, data);
        const found = decodeSound(image);
        for (const [file, data] of new Map(files)) {
          expect(found.files.find((one) => one.name === file)!.data.equals(Buffer.from(data))).toBe(true);
        }
      },
    ),
    { numRuns: 30 },
  );
});

it.each([
  ["a name of a drive", "X:file", "data"],
  ["a name that is too long", "n".repeat(29), "data"],
  ["an empty file", "empty", ""],
  ["a file that does not fit", "large", "x".repeat(0x20000)],
])("refuses %s", (_what, name, data) => {
  expect(codeOf(() => putFile(storageImage(), name, data))).toBe("STORAGE_IMAGE");
});

it("refuses what is no image", () => {
  expect(codeOf(() => decodeSound(Buffer.from("text".repeat(2000))))).toBe("STORAGE_IMAGE");
  expect(codeOf(() => decodeSound(Buffer.alloc(0)))).toBe("STORAGE_IMAGE");
});
