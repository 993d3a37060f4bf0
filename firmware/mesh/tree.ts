/**
 * The tree of nodes seen through one link, packed into a string: five bytes a node in preorder, so that comparing two
 * trees in order, looking for a node and counting are native string work, and sixty nodes take thirty variables.
 *
 * Byte 0: depth below the neighbour (bits 0..4, the neighbour itself is 0), TREE_ROOT, TREE_AUTHORITY; bytes 1..4: node
 * id, big-endian. "" is no tree.
 */
import type { Bytes } from "../engine/engine";
import { isUint32 } from "../wire/packages";

export type Tree = Bytes;

/** Bytes a node. */
export const TREE_NODE = 5;
export const TREE_ROOT = 32;
export const TREE_AUTHORITY = 64;
/** Deepest level below a neighbour. */
export const TREE_MAX_DEPTH = 31;
/** Nodes in one tree. */
export const TREE_MAX_NODES = 400;

/** A tree as it stands in node sync packages. */
export interface TreeJson {
  nodeId?: unknown;
  root?: unknown;
  hasTimeAuthority?: unknown;
  subs?: unknown;
}

/** Node id as four bytes, big-endian. */
export function packId(id: number): Bytes {
  "cold";
  return String.fromCharCode(id >>> 24, (id >> 16) & 255, (id >> 8) & 255, id & 255);
}

/**
 * Packs what a neighbour sent. Old C++ nodes leave out the top `nodeId`, which is then `sender`. Returns "" for anything
 * malformed, deeper than TREE_MAX_DEPTH or larger than TREE_MAX_NODES.
 */
export function packTree(top: TreeJson, sender: number): Tree {
  "cold";
  const lists: unknown[][] = [];
  const places: number[] = [];
  let node = top;
  let list: unknown[] = [];
  let place = 0;
  let depth = 0;
  let tree = "";
  for (;;) {
    const id = node.nodeId === undefined && !tree ? sender : node.nodeId;
    if (!isUint32(id) || !id || tree.length >= TREE_MAX_NODES * TREE_NODE) return "";
    tree +=
      String.fromCharCode(
        depth + (node.root === true ? TREE_ROOT : 0) + (node.hasTimeAuthority === true ? TREE_AUTHORITY : 0),
      ) + packId(id);
    const subs = node.subs;
    if (subs !== undefined) {
      if (!Array.isArray(subs)) return "";
      if (subs.length) {
        if (++depth > TREE_MAX_DEPTH) return "";
        lists.push(list);
        places.push(place);
        list = subs;
        place = 0;
      }
    }
    while (place >= list.length) {
      if (!depth) return tree;
      depth--;
      list = lists.pop() as unknown[];
      place = places.pop() as number;
    }
    node = list[place++] as TreeJson;
    if (!node || typeof node !== "object") return "";
  }
}

/** Where a node stands in a tree (offset of its first byte), or -1. */
export function findInTree(tree: Tree, id: number): number {
  "cold";
  if (!tree) return -1;
  const key = packId(id);
  // Espruino's indexOf also finds a beginning of the key at the end of the string.
  const last = tree.length - TREE_NODE + 1;
  let at = tree.indexOf(key);
  // A match across two entries is none.
  while (at >= 0 && at < last && at % TREE_NODE !== 1) at = tree.indexOf(key, at + 1);
  return at < 0 || at > last ? -1 : at - 1;
}

/** The id at an offset that is a multiple of TREE_NODE. */
export function idInTree(tree: Tree, at: number): number {
  "cold";
  return (
    ((tree.charCodeAt(at + 1) << 24) |
      (tree.charCodeAt(at + 2) << 16) |
      (tree.charCodeAt(at + 3) << 8) |
      tree.charCodeAt(at + 4)) >>>
    0
  );
}

/** The first node that carries a flag: its id, or 0. */
export function flaggedInTree(tree: Tree, flag: number): number {
  "cold";
  for (let at = 0; at < tree.length; at += TREE_NODE) if (tree.charCodeAt(at) & flag) return idInTree(tree, at);
  return 0;
}

/** The tree as painlessMesh writes it: {"nodeId":1,"root":true,"hasTimeAuthority":true,"subs":[...]}. */
export function treeJson(tree: Tree): string {
  "cold";
  let text = "";
  let depth = 0;
  for (let at = 0; at < tree.length; at += TREE_NODE) {
    const head = tree.charCodeAt(at);
    const level = head & TREE_MAX_DEPTH;
    if (level > depth) {
      text += ',"subs":[';
      depth = level;
    } else if (at) {
      text += "}";
      for (; depth > level; depth--) text += "]}";
      text += ",";
    }
    text += '{"nodeId":' + idInTree(tree, at);
    if (head & TREE_ROOT) text += ',"root":true';
    if (head & TREE_AUTHORITY) text += ',"hasTimeAuthority":true';
  }
  if (text) for (text += "}"; depth > 0; depth--) text += "]}";
  return text;
}
