/** Another flasher against the virtual boot ROM: esptool itself, where ESPTOOL names it. */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { VirtualBoard } from "../../host-tools/device/virtual/board";
import { offerPty } from "../../host-tools/device/virtual/pty";
import { firmwareFiles, randomBytes } from "./support/site";

const tool = process.env.ESPTOOL;
const run = promisify(execFile);

(tool ? describe : describe.skip)("esptool", () => {
  it.each([[[]], [["--no-stub"]]])(
    "writes and verifies flash on a virtual board %p",
    async (mode) => {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-esptool-"));
      const board = new VirtualBoard({ path: "esptool" });
      // A pseudo terminal has no modem lines: the BOOT button leads into the boot ROM.
      board.bootButton = true;
      const port = await offerPty(board.line);
      const common = ["--chip", "esp32", "--port", port.path, "--before", "no_reset", "--after", "no_reset", ...mode];
      async function esptool(...args: string[]): Promise<string> {
        board.reset();
        return (await run(tool!, [...common, ...args])).stdout;
      }
      try {
        expect((await esptool("read_mac")).toLowerCase()).toContain(board.mac);
        const files = [...firmwareFiles("ESP32")].map(([name, data]) => {
          fs.writeFileSync(path.join(folder, name), data);
          return path.join(folder, name);
        });
        const places = ["0x1000", "0x8000", "0x10000"].flatMap((address, i) => [address, files[i]!]);
        await esptool("write_flash", ...places);
        const app = fs.readFileSync(files[2]!);
        expect(board.flash.read(0x10000, app.length).equals(app)).toBe(true);
        const other = path.join(folder, "other.bin");
        fs.writeFileSync(other, randomBytes(4096, 9));
        await esptool("verify_flash", "0x10000", files[2]!);
        await expect(esptool("verify_flash", "0x10000", other)).rejects.toThrow();
      } finally {
        await port.close();
        fs.rmSync(folder, { recursive: true });
      }
    },
    120_000,
  );
});
