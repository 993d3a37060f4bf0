import type { Site } from "../config/schema";

/** What is said, loudly, when boards are made nodes that anybody in their mesh can command or update; "" otherwise. */
export function openNodeWarning({ keys }: Site): string {
  const open = [
    ...(keys?.public === undefined ? ["UNSIGNED images are taken (no keys.public)"] : []),
    ...(keys?.mesh === undefined ? ["commands are NOT CHECKED (no keys.mesh)"] : []),
  ];
  return open.length ? `warning: for the bench only: ${open.join(", ")}; "espalier keygen" makes keys\n` : "";
}
