/** Where nodes stand on the map. Pure functions: the same tree gives the same places. */

export interface TreeInput {
  id: number;
  parent: number;
}

export interface Place {
  x: number;
  y: number;
  /** Radians of the label on a radial map; null where labels are level. */
  angle: number | null;
}

export interface Layout {
  places: Map<number, Place>;
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Tree {
  /** Ids in the order of drawing: parents first. */
  order: number[];
  children: Map<number, number[]>;
  depth: Map<number, number>;
  roots: number[];
}

const ROW = 26;
const COLUMN = 190;
const NARROWEST = 44;
/** Room for a name behind the last node. */
const LABEL = 110;
const RING = 92;
/** More leaves than this are set in a circle: in rows their labels would be too small. */
const LEVEL_LEAVES = 26;

/** The tree of what is shown. Nodes whose parent is unknown, or who lie in a circle, begin trees of their own. */
export function treeOf(nodes: readonly TreeInput[], collapsed: ReadonlySet<number>): Tree {
  const known = new Set(nodes.map(({ id }) => id));
  const all = new Map<number, number[]>();
  const tops: number[] = [];
  for (const { id, parent } of nodes) {
    if (parent !== id && known.has(parent)) {
      const list = all.get(parent);
      if (list) list.push(id);
      else all.set(parent, [id]);
    } else tops.push(id);
  }
  const tree: Tree = { order: [], children: new Map(), depth: new Map(), roots: [] };
  const seen = new Set<number>();
  const walk = (id: number, depth: number, shown: boolean): void => {
    if (seen.has(id)) return;
    seen.add(id);
    if (shown) {
      tree.order.push(id);
      tree.depth.set(id, depth);
    }
    const below = (all.get(id) ?? []).filter((child) => !seen.has(child));
    const open = shown && !collapsed.has(id);
    if (open) tree.children.set(id, below);
    for (const child of below) walk(child, depth + 1, open);
  };
  for (const id of tops) {
    tree.roots.push(id);
    walk(id, 0, true);
  }
  for (const { id } of nodes) {
    if (seen.has(id)) continue;
    tree.roots.push(id);
    walk(id, 0, true);
  }
  return tree;
}

/** How many nodes hang below each, shown or not. */
export function descendants(nodes: readonly TreeInput[]): Map<number, number> {
  const parents = new Map(nodes.map(({ id, parent }) => [id, parent]));
  const counts = new Map<number, number>();
  for (const { id } of nodes) {
    const seen = new Set([id]);
    for (let up = parents.get(id); up !== undefined && parents.has(up) && !seen.has(up); up = parents.get(up)) {
      seen.add(up);
      counts.set(up, (counts.get(up) ?? 0) + 1);
    }
  }
  return counts;
}

function leavesOf(tree: Tree): Map<number, number> {
  const leaves = new Map<number, number>();
  for (const id of [...tree.order].reverse()) {
    const below = tree.children.get(id) ?? [];
    leaves.set(id, below.length === 0 ? 1 : below.reduce((sum, child) => sum + (leaves.get(child) ?? 1), 0));
  }
  return leaves;
}

function bounds(places: Map<number, Place>, labelRight: number, labelAround: number): Layout {
  let left = 0;
  let top = 0;
  let right = 0;
  let bottom = 0;
  for (const { x, y } of places.values()) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return {
    places,
    left: left - 24 - labelAround,
    top: top - 24 - labelAround,
    width: right - left + 48 + labelRight + 2 * labelAround,
    height: bottom - top + 48 + 2 * labelAround,
  };
}

/** Rows from left to right within `width` where that can be, or rings around the root when there are many leaves. */
export function treeLayout(tree: Tree, width = Infinity): Layout {
  const leaves = leavesOf(tree);
  const total = tree.roots.reduce((sum, root) => sum + (leaves.get(root) ?? 1), 0);
  return total > LEVEL_LEAVES ? rings(tree, leaves, total) : rows(tree, width);
}

function rows(tree: Tree, width: number): Layout {
  const deepest = Math.max(1, ...tree.depth.values());
  const column = Math.max(NARROWEST, Math.min(COLUMN, (width - LABEL - 48) / deepest));
  const places = new Map<number, Place>();
  let next = 0;
  const put = (id: number): number => {
    const below = tree.children.get(id) ?? [];
    const ys = below.map(put);
    const y = ys.length === 0 ? next++ * ROW : (ys[0]! + ys[ys.length - 1]!) / 2;
    places.set(id, { x: (tree.depth.get(id) ?? 0) * column, y, angle: null });
    return y;
  };
  for (const root of tree.roots) put(root);
  return bounds(places, LABEL, 0);
}

function rings(tree: Tree, leaves: Map<number, number>, total: number): Layout {
  const places = new Map<number, Place>();
  const deepest = Math.max(1, ...tree.depth.values());
  // The outer ring leaves each label its height.
  const ring = Math.max(RING, (total * 20) / (2 * Math.PI * deepest));
  const several = tree.roots.length > 1;
  const put = (id: number, from: number, width: number): void => {
    const angle = from + width / 2;
    const radius = ((tree.depth.get(id) ?? 0) + (several ? 1 : 0)) * ring;
    places.set(id, { x: Math.cos(angle) * radius, y: Math.sin(angle) * radius, angle: radius === 0 ? null : angle });
    const below = tree.children.get(id) ?? [];
    const sum = below.reduce((all, child) => all + (leaves.get(child) ?? 1), 0);
    let at = from;
    for (const child of below) {
      const share = (width * (leaves.get(child) ?? 1)) / sum;
      put(child, at, share);
      at += share;
    }
  };
  let at = -Math.PI / 2;
  for (const root of tree.roots) {
    const share = (2 * Math.PI * (leaves.get(root) ?? 1)) / total;
    put(root, at, share);
    at += share;
  }
  return bounds(places, 0, 150);
}

/** Nodes push each other off, links pull together (Fruchterman and Reingold, 1991); begun from the rings. */
export function forceLayout(tree: Tree, steps = 260): Layout {
  const start = rings(tree, leavesOf(tree), Math.max(1, tree.order.length)).places;
  const ids = tree.order;
  const n = ids.length;
  const index = new Map(ids.map((id, i) => [id, i]));
  const xs = new Float64Array(n);
  const ys = new Float64Array(n);
  ids.forEach((id, i) => {
    const place = start.get(id)!;
    // Two trees that begin at one point would never part.
    xs[i] = place.x + Math.cos(i * 2.4) * 3;
    ys[i] = place.y + Math.sin(i * 2.4) * 3;
  });
  const edges: [number, number][] = [];
  for (const [id, below] of tree.children) {
    for (const child of below) edges.push([index.get(id)!, index.get(child)!]);
  }
  const ideal = 74;
  const dx = new Float64Array(n);
  const dy = new Float64Array(n);
  for (let step = 0; step < steps; step++) {
    dx.fill(0);
    dy.fill(0);
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) {
        const x = xs[i]! - xs[j]!;
        const y = ys[i]! - ys[j]!;
        const square = Math.max(4, x * x + y * y);
        const push = (ideal * ideal) / square;
        dx[i]! += x * push;
        dy[i]! += y * push;
        dx[j]! -= x * push;
        dy[j]! -= y * push;
      }
      // Keeps trees without a link to each other on one map.
      dx[i]! -= xs[i]! * 0.3;
      dy[i]! -= ys[i]! * 0.5;
    }
    for (const [a, b] of edges) {
      const x = xs[a]! - xs[b]!;
      const y = ys[a]! - ys[b]!;
      const pull = Math.sqrt(x * x + y * y) / ideal;
      dx[a]! -= x * pull;
      dy[a]! -= y * pull;
      dx[b]! += x * pull;
      dy[b]! += y * pull;
    }
    const heat = 40 * (1 - step / steps) ** 2 + 0.3;
    for (let i = 0; i < n; i++) {
      const length = Math.hypot(dx[i]!, dy[i]!) || 1;
      const by = Math.min(length, heat) / length;
      xs[i]! += dx[i]! * by;
      ys[i]! += dy[i]! * by;
    }
  }
  const places = new Map<number, Place>();
  ids.forEach((id, i) => places.set(id, { x: xs[i]!, y: ys[i]!, angle: null }));
  return bounds(places, 0, 30);
}
