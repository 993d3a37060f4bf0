import { EXIT } from "../errors";
import type { MaybeTerminal } from "./color";

/** What of the process an interrupt needs; handed in by tests. */
export interface InterruptHost {
  on(event: "SIGINT" | "SIGTERM", handler: () => void): unknown;
  removeListener(event: "SIGINT" | "SIGTERM", handler: () => void): unknown;
  exit(code: number): void;
  readonly stderr: MaybeTerminal & { write(text: string): unknown };
}

export interface Interrupt {
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
  /** Gives Ctrl-C back to the system. */
  dispose(): void;
}

const SHOW_CURSOR = "\x1b[?25h";

/** Progress bars hide the cursor; whoever ends early shows it again. */
export function restoreCursor(stream: MaybeTerminal & { write(text: string): unknown }): void {
  if (stream.isTTY) stream.write(SHOW_CURSOR);
}

/**
 * Watches Ctrl-C (and SIGTERM): the first asks for a clean stop through `signal`, the second ends the process at once.
 * The handlers run only when the caller yields to the event loop; a long computation must do so now and then.
 */
export function watchInterrupt(host: InterruptHost = process): Interrupt {
  const controller = new AbortController();
  function interrupted(): void {
    if (controller.signal.aborted) {
      restoreCursor(host.stderr);
      host.exit(EXIT.interrupted);
      return;
    }
    host.stderr.write("\nStopping. Press Ctrl-C again to end at once.\n");
    controller.abort();
  }
  host.on("SIGINT", interrupted);
  host.on("SIGTERM", interrupted);
  return {
    signal: controller.signal,
    dispose() {
      host.removeListener("SIGINT", interrupted);
      host.removeListener("SIGTERM", interrupted);
    },
  };
}
