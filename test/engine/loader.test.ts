/** The loader on a real interpreter: the recovery bundle, and Storage that it compacts. */
import { MARK, SLOT_BAD, SLOT_HEADER } from "../../firmware/ota/layout";
import { buildLoader } from "../../host-tools/build/loader";
import { provision, type ProvisionOptions } from "../../host-tools/device/provision";
import { decodeStorage } from "../../host-tools/device/storage-image";
import { imageOf, type Interpreter, interpreter } from "./nodes";
import { callgrind, describeEngine, runScript } from "./support";

const PAGE = 4096;
const says = (name: string): string =>
  `print('@'+'${name}',espalierBoot.slot,espalierBoot.trial)/*${"x".repeat(3000)}*/`;

describeEngine("the loader", () => {
  let real: Interpreter;
  let parts: ProvisionOptions;
  let flash: Buffer;
  let base = 0;

  beforeAll(async () => {
    real = interpreter();
    const { board, prelude } = real;
    const regions = board.regions as Record<string, [number, number]>;
    regions.recovery ??= [53, 2];
    const settings = { role: "node", mesh: { meshName: "m", password: "", port: 5555, channel: 1 } };
    const code = says("first");
    const last = says("last");
    parts = {
      board,
      // Builds for Linux have no watchdog.
      loader: `${prelude}E.enableWatchdog=function(){};${await buildLoader(board)}`,
      settings,
      code,
      image: imageOf(code, "1.0.0", "raw"),
      recovery: { code: last, image: imageOf(last, "1.0.0", "raw") },
    };
    flash = provision(parts);
    base = decodeStorage(flash, board.storage.page).files.find(({ name }) => name === "espalier")!.offset;
  });

  /** What a start printed, and the flash after it. */
  function start(content: Buffer, then = ""): { said: string[]; flash: Buffer } {
    const run = runScript(`${then}setTimeout(quit,0);`, { flash: content });
    const said = run.stdout.split("\n").filter((line) => /^(@|espalier: )/.test(line));
    return { said, flash: run.flash! };
  }

  const place = (slot: string): number => base + real.board.regions[slot]![0] * PAGE;

  it("runs the recovery bundle when no slot is good, and not before", () => {
    expect(start(flash).said).toEqual(["@first slot0 false"]);
    const rotten = Buffer.from(flash);
    rotten[place("slot0") + SLOT_HEADER + 100]! ^= 1;
    const first = start(rotten);
    expect(first.said).toEqual(["@last recovery false"]);
    expect(start(first.flash).said).toEqual(["@last recovery false"]);
    const bad = Buffer.from(flash);
    for (const slot of ["slot0", "recovery"]) bad[place(slot) + SLOT_BAD] = MARK.charCodeAt(0);
    expect(start(bad).said).toEqual(["@last recovery false"]);
  }, 60_000);

  it("compacts Storage when little is free, and nothing of the node moves", () => {
    const { storage } = real.board;
    const free = 'require("Storage").getFree()';
    // An application replaces a file until little is left.
    const clutter = `for(var i=0;i<99&&${free}>30000;i++)require("Storage").write("app","x".repeat(3900)+i);print("@free",${free}>30000);`;
    const full = start(flash, clutter);
    expect(full.said).toEqual(["@first slot0 false", "@free false"]);
    const tidy = start(full.flash, 'print("@app",require("Storage").read("app").length>3900);');
    expect(tidy.said).toEqual(["espalier: compacting Storage", "@first slot0 false", "@app true"]);
    const area = decodeStorage(tidy.flash, storage.page).files.find(({ name }) => name === "espalier")!;
    expect(area.offset).toBe(base);
    expect(start(tidy.flash).said).toEqual(["@first slot0 false"]);
  }, 120_000);

  it("takes a fraction of a second", () => {
    const idle = provision({ ...parts, loader: ";" });
    const run = (content: Buffer): number => callgrind("setTimeout(quit,0);", { flash: content });
    const count = run(flash) - run(idle);
    console.log(
      `loader with a bundle of ${parts.code.length} bytes: ${count} instructions, ${Math.round(count / 80_000)} ms`,
    );
    expect(count).toBeGreaterThan(100_000);
    expect(count).toBeLessThan(80e6);
  }, 120_000);
});
