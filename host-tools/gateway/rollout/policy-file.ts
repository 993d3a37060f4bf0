/** Reads a rollout file, YAML or JSON. */
import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { EspalierError, EXIT } from "../../errors";
import type { PolicyInput } from "./policy";

/** The file's content; what it says is checked by parsePolicy. @throws EspalierError NO_FILE, BAD_ROLLOUT */
export function readPolicyFile(file: string): PolicyInput {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new EspalierError("NO_FILE", `cannot read ${file}: ${(error as Error).message}`, {
      hint: 'A rollout is the word "progressive" or "all-at-once", or a file; docs/rollouts.md has examples.',
      exitCode: EXIT.usage,
    });
  }
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    throw new EspalierError("BAD_ROLLOUT", `${file}: ${document.errors[0]!.message}`, {
      hint: "The file is no valid YAML.",
      exitCode: EXIT.usage,
    });
  }
  return (document.toJS() ?? {}) as PolicyInput;
}
