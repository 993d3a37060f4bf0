/** Whether a node takes an image, by what its manifest says. Who made the manifest is another question (verify.ts). */
import type { Manifest } from "./image";
import type { TrustFields } from "./trust";

/** What a node compares a manifest with. */
export interface NodeFacts {
  product: string;
  hardware: string;
  role: string;
  engine: string;
  /** Security counter, see trust.ts. */
  counter: number;
  /** `treeHash` of the running bundle, 64 hex digits, or "". */
  hash: string;
}

export const WRONG_TARGET = "wrong-target";
export const WRONG_BASE = "wrong-base";
export const DOWNGRADE = "downgrade";

/** Characters of a public key in base64. */
const KEY_TEXT = 44;

/** The first reason against the image, or "" when there is none. The manifest has been parsed. */
export function admit(m: Manifest & TrustFields, node: NodeFacts): string {
  "cold";
  if (m.product !== node.product) return WRONG_TARGET + ":product";
  if (m.hardware !== node.hardware) return WRONG_TARGET + ":hardware";
  if (m.role !== node.role) return WRONG_TARGET + ":role";
  if (m.engine !== node.engine) return WRONG_TARGET + ":engine";
  const key = m.nextKey;
  if (key !== undefined && (typeof key !== "string" || key.length !== KEY_TEXT || key.indexOf("=") !== KEY_TEXT - 1))
    return "bad-manifest:nextKey";
  const base = (m as { base?: unknown }).base;
  if (base !== undefined && (base !== node.hash || !base)) return WRONG_BASE;
  if (m.counter < node.counter) {
    const from = m.downgradeFrom;
    if (typeof from !== "number" || !(from >= node.counter)) return DOWNGRADE;
  }
  return "";
}
