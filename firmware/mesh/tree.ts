/**
 * What lies behind a link, kept twice: the ids in a typed array, where looking for one is native work, and the JSON text
 * in which the neighbour told it, so that a node sync that brings nothing new is one comparison of texts and passing a
 * tree on is joining texts. Sixty nodes take some 220 variables.
 */
/** Nodes in one tree. */
export const TREE_MAX_NODES = 400;
/** Longest text of one node: its id, both flags, an empty list of subs and a comma. */
const NODE_TEXT = 72;

/** A tree as it stands in node sync packages. */
export interface TreeJson {
  nodeId?: unknown;
  root?: unknown;
  hasTimeAuthority?: unknown;
  subs?: unknown;
}

/** The nodes of one tree. */
export interface Nodes {
  /** The neighbour first; each node once, unless the tree has a loop. */
  ids: Uint32Array;
  /** Id of the node that carries the flag, 0 if there is none. */
  root: number;
  authority: number;
}

/** Node id as four bytes, big-endian. */
export function packId(id: number): string {
  "cold";
  return String.fromCharCode(id >>> 24, (id >> 16) & 255, (id >> 8) & 255, id & 255);
}

/** The fields of one node but its subs, as painlessMesh writes them: "nodeId":1,"root":true,"hasTimeAuthority":true */
export function nodeFields(id: number, root: boolean, authority: boolean): string {
  "cold";
  return '"nodeId":' + id + (root ? ',"root":true' : "") + (authority ? ',"hasTimeAuthority":true' : "");
}

/**
 * The nodes of a tree: its top, and the subs that JSON.parse made of `text`. null for anything malformed, for more than
 * TREE_MAX_NODES, and for text that is longer than its nodes account for.
 */
export function treeNodes(top: number, subs: unknown[], text: string): Nodes | null {
  "cold";
  const ids: unknown[] = [top];
  const lists: unknown[][] = [subs];
  /** The nodes that carry the flags; 0, which has no id, until one is met. */
  let root: unknown = 0;
  let authority: unknown = 0;

  function visit(item: unknown): void {
    // What is no object has no id either, and is refused for that.
    const node = (item || 0) as TreeJson;
    ids.push(node.nodeId);
    if (node.root) root = node;
    if (node.hasTimeAuthority) authority = node;
    if (node.subs !== undefined) lists.push(Array.isArray(node.subs) ? node.subs : [0]);
  }

  let list = lists.pop();
  while (list) {
    list.forEach(visit);
    list = lists.pop();
  }
  const count = ids.length;
  // All at once: a comparison for each would take most of the time. A hostile object may refuse to become a number.
  const listed = JSON.stringify(ids);
  if (count > TREE_MAX_NODES || text.length > count * NODE_TEXT || listed.indexOf("{") >= 0) return null;
  const nodes = new Uint32Array(ids as number[]);
  if (nodes.indexOf(0) >= 0 || listed !== "[" + nodes.join() + "]") return null;
  return {
    ids: nodes,
    root: (root as { nodeId?: number }).nodeId || 0,
    authority: (authority as { nodeId?: number }).nodeId || 0,
  };
}

/** Where the fields of a node begin in a JSON text of subs, or -1. */
function placeOf(text: string, id: number): number {
  "cold";
  const key = '"nodeId":' + id;
  let at = text.indexOf(key);
  // A longer number begins with the same digits.
  while (at >= 0 && "0123456789".indexOf(text.charAt(at + key.length)) >= 0) at = text.indexOf(key, at + 1);
  return at;
}

/** Levels below the neighbour, from 1, at which a node stands in its subs; 0 if it is not there. */
export function depthInSubs(text: string, id: number): number {
  "cold";
  const place = placeOf(text, id);
  if (place < 0) return 0;
  let depth = 0;
  for (let at = text.indexOf("["); at >= 0 && at < place; at = text.indexOf("[", at + 1)) depth++;
  for (let at = text.indexOf("]"); at >= 0 && at < place; at = text.indexOf("]", at + 1)) depth--;
  return depth;
}

/** The ids in a JSON text of subs, in the order of the text: depth first. */
export function idsInSubs(text: string): number[] {
  "cold";
  const list: number[] = [];
  for (let at = text.indexOf('"nodeId":'); at >= 0; at = text.indexOf('"nodeId":', at + 1))
    list.push(parseInt(text.substr(at + 9, 10)));
  return list;
}
