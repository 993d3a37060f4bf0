import type { Engine } from "../../firmware/engine/engine";
import { createControlAuth } from "../../firmware/ota/control-auth";
import type { Package } from "../../firmware/wire/packages";
import { codecs } from "../ota/support/update-mesh";
import { flashWithParts, START } from "./ota-parts";
import { callgrind, describeEngine, runScript } from "./support";

const KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OFFER = {
  type: 710,
  from: 7,
  dest: 0,
  routing: 2,
  id: "00112233445566ff",
  blob: 9876,
  hardware: "ESP32",
  role: "node",
  version: "1.2.3",
  transport: "broadcast",
  pace: 45,
  only: [4000000000, 2, 3],
  notes: 'caf\xc3\xa9, a "quote", a \\ and\ntwo lines',
  deep: { on: true, nothing: null, part: 0.25 },
};
/** Milliseconds that an ESP32 needs for so many instructions. */
const toMs = (instructions: number): number => instructions / 80_000;

function laptop(start: number) {
  const engine = { ...codecs, now: () => 0, random: () => 1, after: () => 1 } as unknown as Engine;
  const mesh = { getNodeId: () => 7, getNodeList: () => [], sendPackage: () => true, onPackage: () => {} };
  return createControlAuth(engine, mesh, { key: KEY, start });
}

const quoted = (p: object): string => `atob("${Buffer.from(JSON.stringify(p), "latin1").toString("base64")}")`;

describeEngine("control messages on the interpreter", () => {
  it("carry the same tags as those of a computer", async () => {
    const flash = await flashWithParts({});
    const sealed = laptop(1000).seal({ ...OFFER });
    const script = `${START}var c=createControl("${KEY}",1000);
      print(c[0](${quoted(OFFER)}));
      c=createControl("${KEY}",1000);
      print(c[1](${quoted(sealed)}),c[1](${quoted(sealed)}),c[1](${quoted({ ...sealed, pace: 46 })}));`;
    const [mine, opened] = runScript(script, { flash }).stdout.split("\n");
    expect(JSON.parse(mine!)).toEqual(sealed);
    expect(opened).toBe("true false false");
    expect(laptop(1000).unseal(JSON.parse(mine!) as Package)).toBe(true);
  }, 60_000);

  it("are checked in a few milliseconds", async () => {
    const flash = await flashWithParts({});
    const sender = laptop(1000);
    const list = Array.from({ length: 10 }, () => quoted(sender.seal({ ...OFFER })));
    const run = (what: number): number =>
      callgrind(`${START}var c=createControl("${KEY}",1000),t=[${list.join()}];t.forEach(c[${what}]);print(c[3]());`, {
        flash,
      });
    const each = (run(1) - run(2)) / list.length;
    console.log(
      `opening an offer of ${JSON.stringify(OFFER).length} bytes: ${Math.round(each)} instructions, ${toMs(each).toFixed(1)} ms`,
    );
    expect(toMs(each)).toBeLessThan(25);
  }, 240_000);
});
