/** What a node tells the origin of an update about how it goes. */
import { PACKAGE_REPORT } from "./session";
import type { UpdateNode } from "./update-node";

/**
 * @param state an UpdateState
 * @param error code, or ""
 * @param have chunks that are here, of `count` of the part (blob, then payload) that is coming in
 * @param percent of the payload that has come or, while it is decoded, of the result
 * @param repaired chunks that came after the first pass
 * @param sent chunks that this node sent to others
 */
export function sendReport(
  node: UpdateNode,
  dest: number,
  id: string,
  state: string,
  error: string,
  have: number,
  count: number,
  percent: number,
  repaired: number,
  sent: number,
): void {
  "cold";
  node.mesh.sendPackage({
    type: PACKAGE_REPORT,
    routing: 1,
    dest: dest,
    id: id,
    s: state,
    h: have,
    n: count,
    p: percent,
    r: repaired,
    u: sent,
    e: error,
    v: node.identity.version,
  });
}
