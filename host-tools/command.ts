import type { Command } from "commander";
import { EspalierError, EXIT, type ExitCode } from "./errors";
import type { Colors } from "./ui/color";
import type { Progress, ProgressOptions } from "./ui/progress";

/** A stream that commands write to. */
export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

/** What a running command has at hand. */
export interface CommandContext {
  /** The user asked for one JSON object instead of text. */
  readonly json: boolean;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Colours for stdout; they do nothing where there shall be none. */
  readonly colors: Colors;
  /**
   * Aborted by the first Ctrl-C. A command that never reads it is ended by Ctrl-C as the system does it; one that does
   * shall stop, clean up and return, and yield to the event loop now and then so that Ctrl-C is noticed.
   */
  readonly signal: AbortSignal;
  /** The result: `value` as JSON, or the text, which is made only when it is wanted. */
  report(value: object, text: () => string): void;
  /** Progress on stderr; silent beside `--json`. Stopped, with the cursor restored, when the command ends. */
  progress(options?: ProgressOptions): Progress;
}

export interface Example {
  /** What to type after "espalier". */
  line: string;
  /** What it does. */
  comment: string;
}

/** One command; `--json`, the examples in its help, errors and exit codes are the command line's part. */
export interface CommandDefinition {
  /** At least one. */
  examples: readonly Example[];
  /** Declares arguments and options. */
  configure(command: Command): void;
  /**
   * `args` are the command's own arguments in order (undefined where an optional one is absent), `options` what
   * commander made of the options. Failures are thrown, as EspalierError where the user can do something about them.
   */
  run(
    context: CommandContext,
    options: Record<string, unknown>,
    args: readonly (string | string[] | undefined)[],
  ): Promise<ExitCode>;
}

/** A command as `espalier --help` lists it; its module is loaded only when the command is asked for. */
export interface CommandEntry {
  name: string;
  summary: string;
  load: () => CommandDefinition;
}

/**
 * To be called first by a command that cannot do without some options. commander's own required options would be reported
 * before a misspelt one, which is the more helpful message.
 * @throws EspalierError MISSING_OPTION
 */
export function requireOptions(options: Record<string, unknown>, names: readonly string[]): void {
  const missing = names.filter((name) => options[name] === undefined).map((name) => `--${name}`);
  if (missing.length === 0) return;
  throw new EspalierError("MISSING_OPTION", `${missing.join(" and ")} must be given`, {
    hint: "--help shows examples.",
    exitCode: EXIT.usage,
  });
}
