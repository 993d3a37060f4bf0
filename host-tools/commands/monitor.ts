import * as fs from "node:fs";
import type { CommandDefinition } from "../command";
import { startTerminal } from "../device/terminal";
import { EXIT } from "../errors";
import { addPortOption, chooseOnePort, parseBaud } from "./device-options";

interface Options {
  port?: string[];
  baud: number;
  timestamps?: boolean;
  log?: string;
  reset?: boolean;
}

export const monitor: CommandDefinition = {
  examples: [
    { line: "monitor", comment: "what the board says, until Ctrl-C" },
    { line: "monitor --timestamps --log board.txt", comment: "with the time of each line, also into a file" },
    { line: "monitor --reset", comment: "from the board's start on" },
  ],

  configure(command) {
    addPortOption(command)
      .option("--baud <rate>", "rate of the console", parseBaud, 115200)
      .option("-t, --timestamps", "put the time in front of each line")
      .option("-l, --log <file>", "also append to this file")
      .option("--reset", "restart the board first");
  },

  async run(context, given) {
    const options = given as unknown as Options;
    const port = await chooseOnePort(options);
    const { log } = options;
    const terminal = startTerminal({
      open: port.open,
      baudRate: options.baud,
      signal: context.signal,
      reset: options.reset === true,
      print: (text) => void context.stdout.write(context.json ? `${JSON.stringify({ text })}\n` : text),
      note: (text) => void context.stderr.write(`[${text}]\n`),
      ...(options.timestamps ? { timestamp: () => new Date().toISOString().slice(11, 23) } : {}),
      ...(log === undefined ? {} : { log: (text: string) => fs.appendFileSync(log, text, "latin1") }),
    });
    await terminal.ended;
    return EXIT.ok;
  },
};
