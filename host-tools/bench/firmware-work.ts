/** Work of the real firmware, built as a bundle is, whose cost on a real interpreter is compared with the charges. */
import { bundle } from "../build/bundle";
import { deflateSmallest } from "../build/pack";
import { VIEW_LENGTH } from "../simulator/chip/prelude";
import type { CostWork } from "./cost-work";

/** Lays a receiver, an inflater and the telemetry encoder open on `global`. */
const ENTRY = "test/engine/fixtures/cost-firmware.ts";
/** Offset, in the Storage area, of flash that is free on both; the area begins elsewhere on Linux. */
const STAGE = 0x10000;
const CHUNKS = 40;
/** Bytes of firmware that are deflated: farther back than the inflater's RAM reaches. */
const PIECE = 6000;
/** Steps after which the inflater surely is past the tables of the first block. */
const TABLE_STEPS = 60;

/**
 * Names `code` as a text in one piece in RAM: on Linux each character of a Storage file would cost a read of that file,
 * and there are no views on memory.
 */
function inOnePiece(code: string): string {
  return `var code=E.toString(E.toUint8Array(${JSON.stringify(code)}));`;
}

/** Receiving a chunk, the tables of a dynamic block, some hundred bytes of its data, a telemetry frame. */
export async function firmwareWork(): Promise<CostWork[]> {
  const shared = { app: null, role: "node", board: "esp32-devkitc", version: "1.0.0" };
  const sample = (await bundle(shared)).code.slice(0, PIECE);
  const { code } = await bundle({
    ...shared,
    entry: ENTRY,
    defines: {
      CHUNKS: `${CHUNKS}`,
      STAGE_OFFSET: `${STAGE}`,
      DEFLATED: JSON.stringify(deflateSmallest(Buffer.from(sample, "latin1")).toString("latin1")),
      INFLATED: `${sample.length}`,
    },
  });
  // Without addresses the inflater copies through typed arrays, which both sides can do.
  const outside = `E.getAddressOf=function(){return 0};${inOnePiece(code)}global.espalierBoot={code:code};eval(code);`;
  const firmware = (name: string, setup: string, loop: string, repeat: number): CostWork => ({
    name,
    outside,
    setup: `var w=global;${setup}`,
    loop,
    repeat,
    variables: 30000,
  });
  return [
    firmware("firmware: receive a chunk", "w.receive(0)", "w.receive(n+1)", 10),
    firmware("firmware: inflate, tables", "", `var f=w.inflater();for(var i=0;i<${TABLE_STEPS / 2};i++)f.step(1)`, 2),
    firmware(
      "firmware: inflate, 96 bytes",
      `var f=w.inflater();for(var i=0;i<${TABLE_STEPS};i++)f.step(1)`,
      "f.step(96)",
      8,
    ),
    firmware("firmware: encode telemetry", "", "w.encode()", 4),
  ];
}

/**
 * Names `code` as the text that a bundle in flash is: a view, of which a piece is no copy. The virtual chip knows views by
 * their length.
 */
function asView(code: string): string {
  const text = JSON.stringify(code.padEnd(VIEW_LENGTH + 1));
  return `var ram=E.toString(E.toUint8Array(${text})),code=E.memoryArea(E.getAddressOf(ram,true),ram.length)||ram;`;
}

/** A call of a function whose text is evaluated for it out of flash, as the build does with cold functions. */
export const EVALUATED: CostWork[] = [500, 1500].map((length) => {
  const body = "if(p){f.a=p+1;g(f.b,[1,2,3])}else{while(p<7){p++;q=h(p*2,'text')}}".repeat(30);
  const text = `(function(p){if(p)return p;${body.slice(0, body.lastIndexOf("}if", length - 30) + 1)}})`;
  return {
    name: `evaluated function of ${text.length}`,
    setup: `${asView(text)}function own(o,l){return eval(code.substr(o,l))}`,
    loop: `own(0,${text.length})(1)`,
    variables: 12000,
  };
});
