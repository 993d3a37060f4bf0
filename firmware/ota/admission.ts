/** Whether an image may come in: first what its manifest says, then who made it. */
import type { Manifest } from "./image";
import { STAGE_BLOB } from "./layout";
import { admit } from "./policy";
import type { Session } from "./session";
import type { UpdateNode } from "./update-node";
import { checkSignature } from "./verify";

/**
 * `done` gets an error code, or "" for an image that may be stored and, where the session is for this node, run. A node
 * that only passes an image on asks for the signature alone.
 *
 * @returns a function that gives the work up; `done` is not called then
 */
export function admission(node: UpdateNode, s: Session, done: (code: string) => void): () => void {
  "cold";
  const engine = node.engine;
  const identity = node.identity;
  const facts = {
    product: identity.product,
    hardware: identity.hardware,
    role: identity.role,
    engine: "espruino",
    counter: node.trust.counter,
    hash: identity.hash,
  };
  const code = s.forMe ? admit(s.manifest as Manifest, facts) : "";
  if (!code) return checkSignature(engine, node.trust.key, node.stage.read(STAGE_BLOB, s.blobBytes), done);
  done(code);
  return function () {};
}
