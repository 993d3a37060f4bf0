import * as fs from "node:fs";
import * as path from "node:path";
import * as readline from "node:readline";
import type { CommandDefinition } from "../command";
import { cacheFolder } from "../config/firmware-source";
import { replLine, startTerminal } from "../device/terminal";
import { EXIT } from "../errors";
import { addPortOption, chooseOnePort, parseBaud } from "./device-options";

interface Options {
  port?: string[];
  baud: number;
  timestamps?: boolean;
  log?: string;
}

const HISTORY_LINES = 500;
/** A second Ctrl-C within this time leaves. */
const TWICE_MS = 1000;
/** What a board may take to answer the last line of a script. */
const LAST_ANSWER_MS = 1000;
const INTERRUPT = "\x03";

function readHistory(file: string): string[] {
  try {
    return fs.readFileSync(file, "utf8").split("\n").filter(Boolean).slice(0, HISTORY_LINES);
  } catch {
    return [];
  }
}

function writeHistory(file: string, lines: readonly string[]): void {
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, lines.join("\n"), { mode: 0o600 });
  } catch {
    // A history that cannot be kept is no reason to fail.
  }
}

export const consoleCommand: CommandDefinition = {
  examples: [
    { line: "console", comment: "JavaScript on the board; Ctrl-C stops what runs there, twice leaves" },
    { line: "console --timestamps --log board.txt", comment: "with the time of each line, also into a file" },
    { line: "console < script.js", comment: "run lines of a file and leave" },
  ],

  configure(command) {
    addPortOption(command)
      .option("--baud <rate>", "rate of the console", parseBaud, 115200)
      .option("-t, --timestamps", "put the time in front of each line")
      .option("-l, --log <file>", "also append to this file");
  },

  async run(context, given) {
    const options = given as unknown as Options;
    const port = await chooseOnePort(options);
    const stop = new AbortController();
    const interactive = process.stdin.isTTY === true;
    if (!interactive) context.signal.addEventListener("abort", () => stop.abort(), { once: true });
    const historyFile = path.join(cacheFolder(), "history");
    const reader = readline.createInterface({
      input: process.stdin,
      ...(interactive ? { output: process.stdout, prompt: "> ", history: readHistory(historyFile) } : {}),
      historySize: HISTORY_LINES,
      removeHistoryDuplicates: true,
    });
    const { log } = options;
    let atLineStart = true;
    const terminal = startTerminal({
      open: port.open,
      baudRate: options.baud,
      signal: stop.signal,
      print(text) {
        // What the user is typing moves below what the board says.
        if (interactive && atLineStart) process.stdout.write("\r\x1b[K");
        context.stdout.write(text);
        atLineStart = text.endsWith("\n");
        if (interactive && atLineStart) reader.prompt(true);
      },
      note: (text) => void context.stderr.write(`${interactive ? "\r\x1b[K" : ""}[${text}]\n`),
      ...(options.timestamps ? { timestamp: () => new Date().toISOString().slice(11, 23) } : {}),
      ...(log === undefined ? {} : { log: (text: string) => fs.appendFileSync(log, text, "latin1") }),
    });
    let interrupted = 0;
    reader.on("line", (line) => {
      if (line.trim()) void terminal.send(replLine(line));
      else if (interactive) reader.prompt();
    });
    reader.on("SIGINT", () => {
      const now = performance.now();
      if (now - interrupted < TWICE_MS) stop.abort();
      interrupted = now;
      void terminal.send(INTERRUPT);
      context.stderr.write("\n[Ctrl-C sent to the board; once more leaves]\n");
      reader.prompt();
    });
    reader.on("history", (lines: string[]) => writeHistory(historyFile, lines));
    reader.on("close", () => {
      if (interactive) stop.abort();
      else setTimeout(() => stop.abort(), LAST_ANSWER_MS);
    });
    if (interactive) reader.prompt();
    try {
      await terminal.ended;
    } finally {
      reader.close();
    }
    return EXIT.ok;
  },
};
