import { COMMANDS } from "../../../host-tools/commands";
import { runProgram } from "../../../host-tools/program";

/** Runs a command line; `interrupt` may press Ctrl-C at each piece of progress. */
export async function espalier(line: readonly string[], interrupt?: (progress: string, press: () => void) => void) {
  let out = "";
  let err = "";
  const controller = new AbortController();
  const code = await runProgram(COMMANDS, line, "0.0.0", {
    stdout: { write: (text: string | Buffer) => void (out += text.toString()) },
    stderr: {
      write(text: string) {
        err += text;
        interrupt?.(text, () => controller.abort());
      },
    },
    env: {},
    watchInterrupt: () => ({ signal: controller.signal, dispose() {} }),
  });
  return { code, out, err, json: () => JSON.parse(out) as unknown };
}
