/** One reason why a piece of source cannot run on Espruino as it runs on Node. */
export interface Finding {
  /** Stable name of the rule, a key of the rule table or a code of the bundler; tests match this, never the wording. */
  code: string;
  /** What is wrong, why, and what to write instead. */
  message: string;
  /** Path relative to the project's root, or "bundle" where no source position is known. */
  file: string;
  /** From 1; 0 where there is no position. */
  line: number;
  /** From 1; 0 where there is no position. */
  column: number;
}

/** "file:line:column code: message", the form editors and terminals make clickable. */
export function formatFinding(finding: Finding): string {
  const place = finding.line > 0 ? `${finding.file}:${finding.line}:${finding.column}` : finding.file;
  return `${place} ${finding.code}: ${finding.message}`;
}

/** A build that was refused; `findings` holds at least one reason. */
export class BuildError extends Error {
  constructor(readonly findings: readonly Finding[]) {
    super(findings.map(formatFinding).join("\n"));
    this.name = "BuildError";
  }
}
