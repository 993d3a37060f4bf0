import { loadBoard } from "../../host-tools/build/board";
import { makeImage } from "../../host-tools/build/image";
import { buildLoader, LOADER_BUDGET } from "../../host-tools/build/loader";
import { provision } from "../../host-tools/device/provision";
import { decodeStorage } from "../../host-tools/device/storage-image";
import { readSlot } from "../../firmware/ota/slots";
import { memoryRegion } from "../../host-tools/device/memory-region";

const PAGE = 4096;
const CODE = "print(1);".repeat(1000);
const IMAGE = makeImage({
  code: CODE,
  product: "espalier",
  hardware: "ESP32",
  role: "node",
  version: "1.2.3",
  encoding: "deflate",
});

describe.each(["esp32-devkitc", "esp32-c3-devkitm"])("%s", (name) => {
  const board = loadBoard(name);
  const settings = {
    role: "node",
    mesh: { meshName: 'a mesh "quoted"', password: "secret-word", port: 5555, channel: 11, root: true },
    telemetrySeconds: 30,
  };
  let loader = "";
  let bytes: Buffer = Buffer.alloc(0);

  beforeAll(async () => {
    loader = await buildLoader(board);
    bytes = provision({ board, loader, settings, code: CODE, image: IMAGE });
  });

  test("the loader fits into its budget", () => {
    expect(LOADER_BUDGET).toBe(4096);
    expect(loader.length).toBeGreaterThan(500);
    expect(loader.length).toBeLessThanOrEqual(4096);
    expect(loader).toMatch(/^[\x20-\x7e\n]+$/);
  });

  test("the image has the area's size and decodes without a fault", () => {
    expect(bytes.length).toBe(board.storage.bytes);
    const { files, logs, faults } = decodeStorage(bytes, board.storage.page);
    expect([logs, faults]).toEqual([[], []]);
    const text = (file: string): string | undefined => files.find((one) => one.name === file)?.data.toString("latin1");
    expect(files[0]!.name).toBe(".boot0");
    expect(text(".boot0")).toBe(loader);
    expect(JSON.parse(text("cfg")!)).toEqual(settings);
    expect(files.at(-1)!.name).toBe("espalier");
  });

  test("the regions lie on pages, slot 0 is verified and confirmed, the rest is erased", () => {
    const { files } = decodeStorage(bytes, board.storage.page);
    const { data: area, offset } = files.find((one) => one.name === "espalier")!;
    expect(offset % PAGE).toBe(0);
    expect(area.length).toBe(Math.max(...Object.values(board.regions).map(([first, count]) => first + count)) * PAGE);
    const region = (which: string) => {
      const [first, count] = board.regions[which]!;
      const copy = memoryRegion(count);
      area.copy(copy.data, 0, first * PAGE, (first + count) * PAGE);
      return copy;
    };
    const slot = region("slot0");
    expect(readSlot(slot)).toMatchObject({ id: IMAGE.id, sequence: 1, verified: true, confirmed: true, bad: false });
    expect(JSON.parse(readSlot(slot)!.manifest)).toEqual(IMAGE.manifest);
    expect(slot.read(PAGE, CODE.length)).toBe(CODE);
    for (const which of ["state", "slot1", "stage", "recovery"]) {
      if (board.regions[which])
        expect([which, region(which).data.every((byte) => byte === 0xff)]).toEqual([which, true]);
    }
  });

  test("the same input gives the same bytes; settings of another length do not move the regions off their pages", () => {
    expect(provision({ board, loader, settings, code: CODE, image: IMAGE }).equals(bytes)).toBe(true);
    for (const length of [0, 1, 3, 3000, 4000, 9000]) {
      const more = { ...settings, note: "n".repeat(length) };
      const other = provision({ board, loader, settings: more, code: CODE, image: IMAGE });
      const { files, faults } = decodeStorage(other, board.storage.page);
      expect(faults).toEqual([]);
      expect(files.at(-1)!.offset % PAGE).toBe(0);
    }
  });
});

test("a bundle that does not fit its slot is refused", () => {
  const board = loadBoard("esp32-devkitc");
  const code = "x".repeat(51 * PAGE);
  const image = makeImage({ ...IMAGE.manifest, code, encoding: "raw" });
  const settings = { role: "node", mesh: { meshName: "m", password: "", port: 5555, channel: 1 } };
  expect(() => provision({ board, loader: "", settings, code, image })).toThrow(RangeError);
});
