import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { EspalierError } from "../../host-tools/errors";
import { chipNamed } from "../../host-tools/device/chips";
import { buildImage, inspectImage } from "../../host-tools/device/esp-image";
import { parseFirmware, readFirmware } from "../../host-tools/device/firmware";
import { planFlash } from "../../host-tools/device/flash-plan";
import { encodePartitionTable, parsePartitionTable } from "../../host-tools/device/partition-table";
import { webManifest } from "../../host-tools/device/web-manifest";
import { board, firmware, firmwareFiles, plan, randomBytes, storageImage, TABLE } from "./support/site";

const ESP32 = chipNamed("ESP32")!;
const C3 = chipNamed("ESP32-C3")!;

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof EspalierError ? error.code : String(error);
  }
  return "none";
}

function tarEntry(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write(name);
  header.write(content.length.toString(8).padStart(11, "0"), 124);
  header.write("0", 156);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

function merged(files: Map<string, Buffer>, start: number): Buffer {
  const flash = Buffer.alloc(0x10000 + 40_000, 0xff);
  files.get("bootloader.bin")!.copy(flash, 0x1000);
  files.get("partitions.bin")!.copy(flash, 0x8000);
  files.get("espruino.bin")!.copy(flash, 0x10000);
  return flash.subarray(start);
}

describe("an ESP image", () => {
  it("that was built is good, with any byte changed it is not", () => {
    const image = buildImage(5, randomBytes(1000, 7));
    expect(inspectImage(image)).toEqual({ chipId: 5, length: image.length });
    fc.assert(
      fc.property(fc.nat(image.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        // This bit says that no hash follows, which the format allows, and nothing covers it.
        if (at === 23 && change === 1) return;
        const broken = Buffer.from(image);
        broken[at]! ^= change;
        expect(typeof inspectImage(broken)).toBe("string");
      }),
      { examples: [[0, 1]], numRuns: 200 },
    );
  });

  it("cut anywhere is not taken for a whole one", () => {
    const image = buildImage(0, randomBytes(300, 2));
    for (let length = 0; length < image.length; length++)
      expect(typeof inspectImage(image.subarray(0, length))).toBe("string");
  });

  it("is read without an exception whatever it holds", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void inspectImage(bytes)));
  });
});

describe("a partition table", () => {
  it("comes back as it was written", () => {
    expect(parsePartitionTable(encodePartitionTable(TABLE))).toEqual(TABLE.map((p) => expect.objectContaining(p)));
  });

  it("with any changed byte in its entries is none", () => {
    for (let at = 0; at < (TABLE.length + 1) * 32; at++) {
      const table = encodePartitionTable(TABLE);
      table[at]! ^= 0x10;
      const inMark = at >= TABLE.length * 32 + 2 && at < TABLE.length * 32 + 16;
      if (!inMark) expect(parsePartitionTable(table)).toBeNull();
    }
  });
});

describe("firmware", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-firmware-"));
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const files = firmwareFiles("ESP32");

  it("is read from a folder, an archive and merged images", () => {
    const parts = path.join(folder, "parts");
    fs.mkdirSync(parts);
    for (const [name, data] of files) fs.writeFileSync(path.join(parts, name), data);
    const archive = path.join(folder, "espruino.tgz");
    fs.writeFileSync(
      archive,
      gzipSync(Buffer.concat([...files].map(([name, data]) => tarEntry(`espruino_esp32/${name}`, data)))),
    );
    const whole = path.join(folder, "merged.bin");
    fs.writeFileSync(whole, merged(files, 0));
    const fromLoader = path.join(folder, "merged-1000.bin");
    fs.writeFileSync(fromLoader, merged(files, 0x1000));
    for (const source of [parts, archive, whole, fromLoader]) {
      const read = readFirmware(source, ESP32);
      expect(read.app.equals(files.get("espruino.bin")!)).toBe(true);
      expect(read.bootloader.equals(files.get("bootloader.bin")!)).toBe(true);
    }
  });

  it.each<[string, string, (files: Map<string, Buffer>) => void]>([
    ["that is not there", "NOT_AN_IMAGE", (f) => f.delete("espruino.bin")],
    ["that is text", "NOT_AN_IMAGE", (f) => f.set("espruino.bin", Buffer.from("not an image".repeat(100)))],
    ["with a torn application", "NOT_AN_IMAGE", (f) => f.set("espruino.bin", f.get("espruino.bin")!.subarray(0, 9000))],
    ["with a broken table", "NOT_AN_IMAGE", (f) => f.set("partitions.bin", Buffer.alloc(3072))],
    ["of two builds", "NOT_AN_IMAGE", (f) => f.set("espruino2.bin", f.get("espruino.bin")!)],
    [
      "too large for its partition",
      "IMAGE_TOO_LARGE",
      (f) => f.set("espruino.bin", buildImage(0, Buffer.alloc(0x100000))),
    ],
  ])("%s is refused", (_name, code, change) => {
    const changed = new Map(files);
    change(changed);
    expect(codeOf(() => parseFirmware("f", changed, ESP32))).toBe(code);
  });

  it("of another chip is refused", () => {
    expect(codeOf(() => parseFirmware("f", firmwareFiles("ESP32-S3"), C3))).toBe("IMAGE_WRONG_CHIP");
    expect(codeOf(() => readFirmware(path.join(folder, "none"), ESP32))).toBe("NOT_AN_IMAGE");
  });

  it("with Storage in another place is an old layout", () => {
    const old = TABLE.map((p) => (p.name === "storage" ? { ...p, name: "js_code", size: 0x10000 } : p));
    const changed = new Map(files).set("partitions.bin", encodePartitionTable(old));
    const parsed = parseFirmware("f", changed, ESP32);
    expect(codeOf(() => planFlash(board("ESP32"), parsed, storageImage()))).toBe("OLD_LAYOUT");
    expect(codeOf(() => planFlash(board("ESP32"), firmware("ESP32"), Buffer.alloc(0x40000)))).toBe("IMAGE_TOO_LARGE");
  });
});

it("a manifest for esp-web-tools names every part and its offset", () => {
  const { manifest, files } = webManifest("site", "1.2.3", [{ chip: "ESP32-C3", regions: plan("ESP32-C3") }]);
  expect(manifest.builds[0]!.chipFamily).toBe("ESP32-C3");
  expect(manifest.builds[0]!.parts.map((part) => part.offset)).toEqual([0, 0x8000, 0x10000, 0x320000]);
  for (const part of manifest.builds[0]!.parts) expect(files.get(part.path)!.length).toBeGreaterThan(0);
});
