/** What a process tells its caller by its exit code. */
export const EXIT = {
  ok: 0,
  /** The operation, or an expectation, failed. */
  failed: 1,
  /** The command line or a configuration file is wrong; nothing was done. */
  usage: 2,
  /** Ctrl-C */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface EspalierErrorDetails {
  /** What to do about it, one line. */
  hint?: string;
  /** Facts for programs: whatever JSON can hold. */
  context?: Record<string, unknown>;
  /** EXIT.failed unless given. */
  exitCode?: ExitCode;
  cause?: unknown;
}

/** A failure that the user can do something about. Tests and programs match `code`, never the wording. */
export class EspalierError extends Error {
  readonly hint: string | undefined;
  readonly context: Record<string, unknown> | undefined;
  readonly exitCode: ExitCode;

  constructor(
    /** Upper case with underscores: "UNKNOWN_BOARD" */
    readonly code: string,
    message: string,
    details: EspalierErrorDetails = {},
  ) {
    super(message, { cause: details.cause });
    this.name = "EspalierError";
    this.hint = details.hint;
    this.context = details.context;
    this.exitCode = details.exitCode ?? EXIT.failed;
  }

  /** The error as programs read it, after `--json`. */
  toJSON(): { error: { code: string; message: string; hint?: string; context?: Record<string, unknown> } } {
    return { error: { code: this.code, message: this.message, hint: this.hint, context: this.context } };
  }
}

/** Anything thrown, as an EspalierError; what nobody foresaw gets the code INTERNAL. */
export function asEspalierError(thrown: unknown): EspalierError {
  if (thrown instanceof EspalierError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new EspalierError("INTERNAL", message, {
    hint: "This is a fault in espalier itself; ESPALIER_DEBUG=1 shows where it happened.",
    cause: thrown,
  });
}
