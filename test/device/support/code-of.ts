import { EspalierError } from "../../../host-tools/errors";

/** Code of the error that some work ends with, "none" when it succeeds. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "none",
    (error: unknown) => (error instanceof EspalierError ? error.code : String(error)),
  );
}
