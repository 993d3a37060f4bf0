import type { Board } from "./board";
import type { Bundle } from "./bundle";

/** A figure that is over what the board allows. */
export interface OverBudget {
  code: "bundle-over-budget" | "variables-at-rest-over-budget" | "variables-at-peak-over-budget";
  used: number;
  allowed: number;
}

/** Interpreter variables counted on a running node (process.memory().usage). */
export interface VariableUse {
  rest?: number;
  peak?: number;
}

/** What the build, and a node if one was measured, use beyond the board's budget; empty when all fits. */
export function checkBudget(board: Board, bundle: Pick<Bundle, "bytes">, variables: VariableUse = {}): OverBudget[] {
  const { memory } = board;
  const rows: OverBudget[] = [
    { code: "bundle-over-budget", used: bundle.bytes, allowed: board.bundle.bytes },
    {
      code: "variables-at-rest-over-budget",
      used: variables.rest ?? 0,
      allowed: Math.floor(memory.variables * memory.restFraction),
    },
    {
      code: "variables-at-peak-over-budget",
      used: variables.peak ?? 0,
      allowed: Math.floor(memory.variables * memory.peakFraction),
    },
  ];
  return rows.filter((row) => row.used > row.allowed);
}

/** Lines of a table: bytes and share of each module, largest first, then the total against the budget. */
export function sizeReport(board: Board, bundle: Pick<Bundle, "bytes" | "modules">): string[] {
  const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`.padStart(8);
  const line = (bytes: number, whole: number, text: string): string =>
    `${String(bytes).padStart(7)} ${percent(bytes, whole)}  ${text}`;
  return [
    ...bundle.modules.map((module) => line(module.bytes, bundle.bytes, module.path)),
    line(bundle.bytes, board.bundle.bytes, `of the budget of ${board.bundle.bytes} bytes for ${board.name}`),
  ];
}
