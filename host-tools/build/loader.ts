/** Builds `.boot0` from firmware/boot.ts for one board. */
import * as path from "node:path";
import * as esbuild from "esbuild";
import type { Board } from "./board";
import { BuildError, type Finding } from "./findings";
import { hoist } from "./hoist";
import { espruinoPlugin } from "./resolve";

const ROOT = path.resolve(__dirname, "../..");

/** Bytes that the loader may have. */
export const LOADER_BUDGET = 4096;

/**
 * Runs the slot that firmware/boot.ts chose, at the top level: inside a function the bundle would find the loader's
 * names in front of every global. (A bundler that saw this `eval` would wrap the whole file in a function.)
 */
const START =
  "if(global.espalierBoot)try{eval(espalierBoot.code)}" +
  'catch(e){print("espalier: "+espalierBoot.slot+" failed to start: "+e);setTimeout(function(){E.reboot()},10000)}';

/** The loader's text. @throws BuildError */
export async function buildLoader(board: Board): Promise<string> {
  const findings: Finding[] = [];
  const result = await esbuild.build({
    entryPoints: [path.join(ROOT, "firmware/boot.ts")],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: "cjs",
    platform: "neutral",
    target: "es5",
    supported: { "const-and-let": true },
    minify: true,
    charset: "ascii",
    legalComments: "none",
    logLevel: "silent",
    plugins: [espruinoPlugin(ROOT, findings)],
    define: {
      STORAGE_ADDRESS: String(board.storage.address),
      REGIONS: JSON.stringify(board.regions),
      HARDWARE: JSON.stringify(board.hardware),
      WATCHDOG_SECONDS: String(board.watchdogSeconds),
    },
  });
  if (findings.length > 0) throw new BuildError(findings);
  const chooser = result.outputFiles[0]!.text.replace(/^"use strict";/, "").replace(/\bconst /g, "var ");
  const code = hoist(chooser + START);
  if (code.length > LOADER_BUDGET) {
    const message = `the loader has ${code.length} bytes, ${LOADER_BUDGET} are allowed`;
    throw new BuildError([{ code: "budget", message, file: "firmware/boot.ts", line: 0, column: 0 }]);
  }
  return code;
}
