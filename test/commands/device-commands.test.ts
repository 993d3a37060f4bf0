import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { choosePorts } from "../../host-tools/commands/device-options";
import { decodeStorage, layOutStorage } from "../../host-tools/device/storage-image";
import { VirtualBoard } from "../../host-tools/device/virtual/board";
import { offerTcp, type OfferedPort } from "../../host-tools/device/virtual/tcp";
import { buildImage } from "../../host-tools/device/esp-image";
import { encodePartitionTable } from "../../host-tools/device/partition-table";
import { NorFlash } from "../../host-tools/simulator/chip/flash";
import { randomBytes } from "../device/support/site";
import { espalier } from "./support/run";

/** The bundle is built elsewhere; here it is a few bytes. */
jest.mock("../../host-tools/device/node-storage", () => ({
  createStorageBuilder: () => ({
    build: async (node: { role: string }) => ({
      image: layOutStorage({
        areaBytes: 917504,
        pageBytes: 4096,
        files: [
          { name: ".boot0", data: 'print("loader");' },
          { name: "cfg", data: JSON.stringify({ role: node.role }) },
        ],
        area: { name: "espalier", pages: 91, data: Buffer.alloc(9000, 7) },
      }),
    }),
  }),
}));

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-commands-"));
const site = path.join(folder, "flash.config.json");
const firmware = path.join(folder, "firmware");
const offered: OfferedPort[] = [];

const TABLE = [
  { name: "factory", type: 0, subtype: 0, offset: 0x10000, size: 0x180000 },
  { name: "storage", type: 1, subtype: 0x41, offset: 0x320000, size: 0xe0000 },
];
const FILES = {
  "bootloader.bin": buildImage(0, randomBytes(2000, 1)),
  "partitions.bin": encodePartitionTable(TABLE),
  "espruino_esp32.bin": buildImage(0, randomBytes(9000, 2)),
};

beforeAll(() => {
  fs.mkdirSync(firmware);
  for (const [name, data] of Object.entries(FILES)) fs.writeFileSync(path.join(firmware, name), data);
  fs.writeFileSync(
    site,
    JSON.stringify({
      mesh: { name: "test", password: "" },
      firmware: { "esp32-devkitc": { path: "firmware" } },
      nodes: [{ mac: "24:0a:c4:00:00:01", name: "one", role: "first" }],
    }),
  );
});

afterAll(async () => {
  await Promise.all(offered.map((port) => port.close()));
  fs.rmSync(folder, { recursive: true });
});

async function offer(board: VirtualBoard): Promise<string> {
  const port = await offerTcp(board.line);
  offered.push(port);
  return port.path;
}

const run = (...line: string[]) => espalier(line);

/** A board with Espruino on it. */
function espruinoBoard(mac: string): VirtualBoard {
  const flash = new NorFlash(4 * 1024 * 1024);
  flash.write(0x1000, FILES["bootloader.bin"]);
  flash.write(0x8000, FILES["partitions.bin"]);
  flash.write(0x10000, FILES["espruino_esp32.bin"]);
  return new VirtualBoard({ path: "v", mac, flash });
}

it("flash brings a listed board up and refuses one that is not listed", async () => {
  const [known, stranger] = [
    new VirtualBoard({ path: "a" }),
    new VirtualBoard({ path: "b", mac: "24:0a:c4:00:00:99" }),
  ];
  const ports = [await offer(known), await offer(stranger)];
  const manifest = path.join(folder, "web");
  const result = await run("flash", "--config", site, "--port", ports.join(), "--manifest", manifest, "--json");
  expect(result.code).toBe(1);
  expect(result.json()).toMatchObject({
    boards: [{ path: ports[0], chip: "ESP32", verified: true }],
    failed: [{ path: ports[1], error: { code: "NODE_UNKNOWN", context: { mac: "24:0a:c4:00:00:99" } } }],
  });
  expect(known.state).toBe("console");
  expect(stranger.flash.operations).toBe(0);
  expect(known.flash.bytes.includes('{"role":"first"}')).toBe(true);
  const written = JSON.parse(fs.readFileSync(path.join(manifest, "manifest.json"), "utf8")) as { builds: unknown[] };
  expect(written.builds).toHaveLength(1);
  const again = await run("flash", "--config", site, "--port", ports[0]!);
  expect(again).toMatchObject({ code: 0, out: expect.stringContaining("has everything already") });
}, 30_000);

it("read-mac and erase work on one board", async () => {
  const board = new VirtualBoard({ path: "a", mac: "24:0a:c4:00:00:42" });
  board.flash.write(0x5000, Buffer.from("old"));
  const port = await offer(board);
  expect((await run("read-mac", "--port", port, "--json")).json()).toMatchObject({
    boards: [{ mac: "24:0a:c4:00:00:42", chip: "ESP32" }],
  });
  expect((await run("erase", "--port", port, "--chip", "esp32c3")).err).toContain("WRONG_CHIP");
  expect(board.flash.operations).toBe(1);
  expect((await run("erase", "--port", port)).code).toBe(0);
  expect(board.flash.bytes.every((byte) => byte === 0xff)).toBe(true);
}, 30_000);

it("inject makes a node of a board with Espruino; storage reads what is on it", async () => {
  const board = espruinoBoard("24:0a:c4:00:00:01");
  const port = await offer(board);
  const result = await run("inject", "--config", site, "--port", port, "--json");
  expect(result.json()).toMatchObject({ node: "one", role: "first", laidOut: true, packets: true });
  const listed = (await run("storage", "ls", port, "--json")).json() as { files: { name: string }[] };
  expect(listed.files.map((file) => file.name)).toEqual(["cfg", "pad", "espalier", ".boot0"]);
  expect((await run("storage", "get", port, "cfg")).out).toBe('{"role":"first"}');
  expect((await run("storage", "get", port, "none")).err).toContain("NO_SUCH_FILE");
  const notes = path.join(folder, "notes.txt");
  fs.writeFileSync(notes, "a note");
  expect((await run("storage", "put", port, "notes", notes)).code).toBe(0);
  expect((await run("storage", "get", port, "notes")).out).toBe("a note");
}, 30_000);

it("storage works on images and refuses names that Espruino cannot hold", async () => {
  const image = path.join(folder, "storage.bin");
  fs.writeFileSync(
    image,
    layOutStorage({
      areaBytes: 65536,
      pageBytes: 4096,
      files: [{ name: "a", data: "1" }],
      area: { name: "b", pages: 2 },
    }),
  );
  const content = path.join(folder, "content");
  fs.writeFileSync(content, "content");
  expect((await run("storage", "put", image, "new", content)).code).toBe(0);
  expect(decodeStorage(fs.readFileSync(image)).files.map((file) => file.name)).toEqual(["a", "pad", "b", "new"]);
  expect((await run("storage", "put", image, "C:x", content)).err).toContain("STORAGE_IMAGE");
  expect((await run("storage", "ls", content)).err).toContain("STORAGE_IMAGE");
  expect((await run("storage", "put", image)).code).toBe(2);
});

describe("the choice of ports", () => {
  const listing = (count: number) => async () =>
    Array.from({ length: count }, (_, i) => ({ path: `/dev/ttyUSB${i}`, likely: true }));

  it("is the only board", async () => {
    expect((await choosePorts({}, listing(1))).map((port) => port.path)).toEqual(["/dev/ttyUSB0"]);
  });

  it("needs to be told which of several", async () => {
    await expect(choosePorts({}, listing(10))).rejects.toMatchObject({ code: "SEVERAL_PORTS", exitCode: 2 });
    expect(await choosePorts({ all: true }, listing(10))).toHaveLength(10);
    expect(await choosePorts({ port: ["COM3", "COM3"] }, listing(10))).toHaveLength(1);
  });

  it("fails without any", async () => {
    await expect(choosePorts({ all: true }, listing(0))).rejects.toMatchObject({ code: "NO_PORT" });
  });
});

it("every command shows examples", async () => {
  for (const name of ["flash", "erase", "read-mac", "inject", "console", "monitor", "storage"]) {
    const help = await run(name, "--help");
    expect(help.code).toBe(0);
    expect(help.out).toContain(`espalier ${name}`);
    expect(help.out).toContain("Examples:");
  }
});
