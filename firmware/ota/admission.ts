/** Whether an image may come in: first what its manifest says, then who made it. */
import type { Manifest } from "./image";
import type { Session } from "./session";
import type { UpdateNode } from "./update-node";

/** `done` gets an error code, or "" for an image that may be stored and, where the session is for this node, run. */
export function admit(node: UpdateNode, s: Session, done: (code: string) => void): void {
  "cold";
  const m = s.manifest as Manifest;
  const identity = node.identity;
  if (s.forMe) {
    if (m.hardware !== identity.hardware || m.role !== identity.role) return done("wrong-target");
    if (m.encoding === "delta" && m.base !== identity.hash) return done("wrong-base");
  }
  done("");
}
