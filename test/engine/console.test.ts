/** The console, inject and Storage tools against a real interpreter behind a pseudo terminal. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { attachConsole, type BoardConsole } from "../../host-tools/device/console";
import { inject } from "../../host-tools/device/inject";
import { putFile } from "../../host-tools/device/storage-edit";
import { decodeStorage, layOutStorage } from "../../host-tools/device/storage-image";
import { InterpreterBoard } from "../../host-tools/device/virtual/pty";
import { describeEngine, runScript } from "./support";

const REGIONS = { state: [0, 1], slot0: [1, 2] } as const;

describeEngine("a real interpreter behind a terminal", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-console-"));
  let board: InterpreterBoard;
  let page = 0;
  let bytes = 0;

  beforeAll(() => {
    const report = runScript(
      'print(require("Flash").getPage(require("Flash").getFree()[0].addr).length);require("Storage").write("x","y")',
    );
    page = Number(/\d+/.exec(report.stdout)![0]);
    bytes = report.flash!.length;
  });

  beforeEach(() => {
    const directory = fs.mkdtempSync(path.join(folder, "flash-"));
    board = new InterpreterBoard(process.env.ESPRUINO!, directory);
  });

  afterEach(() => board.stop());
  afterAll(() => fs.rmSync(folder, { recursive: true }));

  async function withConsole<T>(
    work: (link: BoardConsole) => Promise<T>,
    protocol: "auto" | "lines" = "auto",
  ): Promise<T> {
    const link = await attachConsole(board.line.port(), { protocol });
    try {
      return await work(link);
    } finally {
      await link.close();
    }
  }

  function image(text: string): Buffer {
    return layOutStorage({
      areaBytes: bytes,
      pageBytes: page,
      files: [
        { name: ".boot0", data: 'global.espalierBoot={ran:require("Storage").read("cfg")};' },
        { name: "cfg", data: JSON.stringify({ text }) },
      ],
      area: {
        name: "espalier",
        pages: 5,
        data: Buffer.concat([Buffer.alloc(page, 0xff), Buffer.alloc(page + 900, "x1")]),
      },
    });
  }

  it.each(["auto", "lines"] as const)(
    "becomes a node, starts it, and is left alone the second time (%s)",
    async (protocol) => {
      const options = { image: image("one"), storage: { address: 0, page }, regions: REGIONS, protocol };
      const first = await inject(() => board.line.port(), options);
      expect(first).toMatchObject({ laidOut: true, loaderWritten: true, board: "LINUX", packets: protocol === "auto" });
      const ran = await withConsole((link) => link.evaluate("espalierBoot.ran"));
      expect(ran).toBe('{"text":"one"}');
      const second = await inject(() => board.line.port(), options);
      expect(second).toMatchObject({ laidOut: false, pagesWritten: 0, loaderWritten: false });
    },
    60_000,
  );

  it("gets other settings when they change", async () => {
    const options = { storage: { address: 0, page }, regions: REGIONS };
    await inject(() => board.line.port(), { ...options, image: image("one") });
    await inject(() => board.line.port(), { ...options, image: image("two") });
    expect(await withConsole((link) => link.evaluate("espalierBoot.ran"))).toBe('{"text":"two"}');
  }, 60_000);

  it.each(["auto", "lines"] as const)(
    "stores a file byte for byte and says what throws (%s)",
    async (protocol) => {
      const data = Buffer.from(Array.from({ length: 2000 }, (_, i) => (i % 5 ? (i * 31) & 0xff : 0x41)));
      // 0x03 and 0x04 are for the interpreter on Linux and not for the file.
      const safe = Buffer.from(data.map((byte) => (byte < 5 ? 65 : byte)));
      await withConsole(async (link) => {
        await link.writeFile("data", safe);
        const text = await link.evaluate('btoa(require("Storage").read("data"))');
        expect(Buffer.from(String(text), "base64").equals(safe)).toBe(true);
        await expect(link.evaluate("nothing.here")).rejects.toMatchObject({ code: "BOARD_REFUSED" });
      }, protocol);
    },
    60_000,
  );
});

describeEngine("Storage images and a real interpreter", () => {
  it("an image changed here is read there, and what is written there is read here", () => {
    const empty = runScript(
      'require("Storage").write("first","1");print(require("Flash").getPage(require("Flash").getFree()[0].addr).length)',
    );
    const page = Number(/\d+/.exec(empty.stdout)![0]);
    let flash = putFile(empty.flash!, "second", "22", page);
    flash = putFile(flash, "first", "replaced", page);
    const run = runScript(
      'var s=require("Storage");print(s.list().join()+" "+s.read("first")+" "+s.read("second"));s.write("third","333")',
      { flash },
    );
    expect(run.stdout).toContain("second,first replaced 22");
    const files = decodeStorage(run.flash!, page).files.map((file) => [file.name, file.data.toString()]);
    expect(files).toEqual([
      ["second", "22"],
      ["first", "replaced"],
      ["third", "333"],
    ]);
  });
});
