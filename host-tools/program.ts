import { Command, CommanderError } from "commander";
import type { CommandContext, CommandDefinition, CommandEntry, Output } from "./command";
import { asEspalierError, EspalierError, EXIT, type ExitCode } from "./errors";
import { createColors } from "./ui/color";
import { restoreCursor, watchInterrupt, type Interrupt } from "./ui/interrupt";
import { createProgress, type Progress } from "./ui/progress";

export interface ProgramHost {
  stdout: Output;
  stderr: Output;
  env: NodeJS.ProcessEnv;
  /** Replaces the watch on Ctrl-C. */
  watchInterrupt?: () => Interrupt;
}

const GENERAL_EXAMPLES = `
Examples:
  $ espalier build --app apps/sensor.ts --board esp32-devkitc    build the firmware of a board
  $ espalier help build                                          what a command can do

Exit codes: 0 done, 1 the operation or an expectation failed, 2 wrong command line or configuration, 130 Ctrl-C.
Colours follow NO_COLOR and FORCE_COLOR.`;

function printError(error: EspalierError, json: boolean, host: ProgramHost): void {
  if (json) {
    host.stdout.write(`${JSON.stringify(error)}\n`);
    return;
  }
  const colors = createColors(host.stderr, host.env);
  host.stderr.write(`${colors.red(`error[${error.code}]`)}: ${error.message}\n`);
  if (error.hint) host.stderr.write(`${colors.dim("hint:")} ${error.hint}\n`);
  const cause = error.cause instanceof Error ? error.cause : error;
  if (host.env.ESPALIER_DEBUG && cause.stack) host.stderr.write(`${cause.stack}\n`);
}

/** commander's codes ("commander.unknownOption") and wording, as errors of ours. */
function usageError(error: CommanderError, command: string | undefined): EspalierError {
  const code = error.code
    .replace(/^commander\./, "")
    .replace(/([A-Z])/g, "_$1")
    .toUpperCase();
  const [message = "", ...more] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = /^\(?(Did you mean .*\?)\)?$/.exec(more.join(" "))?.[1];
  const help = `"espalier help${command === undefined ? "" : ` ${command}`}" lists what there is.`;
  return new EspalierError(code, message, { hint: suggestion ?? help, exitCode: EXIT.usage });
}

/** Name of the command that a command line asks for, or asks help about. */
function wantedCommand(args: readonly string[]): string | undefined {
  const words = args.filter((word) => !word.startsWith("-"));
  return words[0] === "help" ? words[1] : words[0];
}

async function execute(
  definition: CommandDefinition,
  host: ProgramHost,
  options: Record<string, unknown>,
  args: readonly (string | string[] | undefined)[],
): Promise<ExitCode> {
  const json = options.json === true;
  const shown: Progress[] = [];
  let interrupt: Interrupt | null = null;
  const context: CommandContext = {
    json,
    stdout: host.stdout,
    stderr: host.stderr,
    colors: createColors(host.stdout, host.env),
    get signal() {
      interrupt ??= (host.watchInterrupt ?? watchInterrupt)();
      return interrupt.signal;
    },
    report(value, text) {
      host.stdout.write(`${json ? JSON.stringify(value) : text()}\n`);
    },
    progress(progressOptions) {
      const progress = createProgress({
        stream: host.stderr,
        silent: json,
        env: host.env,
        ...progressOptions,
      });
      shown.push(progress);
      return progress;
    },
  };
  const stopped = () => (interrupt as Interrupt | null)?.signal.aborted === true;
  try {
    const code = await definition.run(context, options, args);
    return stopped() ? EXIT.interrupted : code;
  } catch (error) {
    // What breaks off because it was told to stop is no error.
    if (!stopped()) throw error;
    return EXIT.interrupted;
  } finally {
    for (const progress of shown) progress.stop();
    if (shown.length > 0) restoreCursor(host.stderr);
    (interrupt as Interrupt | null)?.dispose();
  }
}

/**
 * Runs one command line (without "node espalier") and gives the exit code. Never throws, never ends the process: errors
 * are printed, as JSON on stdout beside `--json`.
 */
export async function runProgram(
  entries: readonly CommandEntry[],
  args: readonly string[],
  version: string,
  host: ProgramHost,
): Promise<ExitCode> {
  const wanted = wantedCommand(args);
  let exitCode: ExitCode = EXIT.ok;

  function prepare(command: Command): Command {
    return command
      .exitOverride()
      .configureOutput({
        writeOut: (text) => host.stdout.write(text),
        writeErr: (text) => host.stderr.write(text),
        getOutHelpWidth: () => host.stdout.columns ?? 100,
        getOutHasColors: () => false,
        getErrHasColors: () => false,
        // Printed below, in the form of all errors.
        outputError: () => {},
      })
      .showSuggestionAfterError();
  }

  const program = prepare(new Command("espalier"))
    .description("Build, flash, update and watch meshes of ESP32 boards that run TypeScript.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    // `build --version 2.0.0` is the command's option.
    .enablePositionalOptions()
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", GENERAL_EXAMPLES);

  for (const entry of entries) {
    const command = prepare(new Command(entry.name))
      .description(entry.summary)
      .helpOption("-h, --help", "print this help");
    program.addCommand(command);
    if (entry.name !== wanted) continue;
    const definition = entry.load();
    definition.configure(command);
    command.option("--json", "print one JSON object instead of text");
    const width = Math.max(...definition.examples.map((example) => example.line.length));
    const lines = definition.examples.map(
      (example) => `  $ espalier ${example.line.padEnd(width)}    ${example.comment}`,
    );
    command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
    command.action(async (...given: unknown[]) => {
      const values = given.slice(0, -2) as (string | string[] | undefined)[];
      exitCode = await execute(definition, host, command.opts(), values);
    });
  }

  try {
    if (args.length === 0) {
      host.stderr.write(`${program.helpInformation()}${GENERAL_EXAMPLES}\n`);
      return EXIT.usage;
    }
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (thrown) {
    const isUsage = thrown instanceof CommanderError;
    if (isUsage && thrown.exitCode === 0) return EXIT.ok;
    const known = entries.some((entry) => entry.name === wanted) ? wanted : undefined;
    const error = isUsage ? usageError(thrown, known) : asEspalierError(thrown);
    printError(error, args.includes("--json"), host);
    return error.exitCode;
  }
}
