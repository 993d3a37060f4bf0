import fc from "fast-check";
import { TREE_MAX_NODES, depthInSubs, idsInSubs, nodeFields, treeNodes } from "../../firmware/mesh/tree";

interface Plain {
  nodeId: number;
  root?: true;
  hasTimeAuthority?: true;
  subs?: Plain[];
}

/** Trees whose keys stand as painlessMesh writes them. */
const { tree } = fc.letrec<{ tree: Plain }>((tie) => ({
  tree: fc
    .record({
      id: fc.integer({ min: 1, max: 0xffffffff }),
      root: fc.boolean(),
      authority: fc.boolean(),
      subs: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.constant([]),
        fc.array(tie("tree"), { maxLength: 4 }),
      ),
    })
    .map(({ id, root, authority, subs }) => ({
      nodeId: id,
      ...(root ? { root } : {}),
      ...(authority ? { hasTimeAuthority: authority } : {}),
      ...(subs.length ? { subs: subs as Plain[] } : {}),
    })) as fc.Arbitrary<Plain>,
}));

const preorder = (t: Plain): Plain[] => [t, ...(t.subs ?? []).flatMap(preorder)];
const distinct = (list: Plain[]): boolean => new Set(list.map((n) => n.nodeId)).size === list.length;

function read(top: number, subs: unknown[]): ReturnType<typeof treeNodes> {
  return treeNodes(top, subs, subs.length ? JSON.stringify(subs) : "");
}

test("every node of a tree is among its ids, the neighbour first, and whoever carries a flag is known", () => {
  fc.assert(
    fc.property(tree, (t) => {
      const below = (t.subs ?? []).flatMap(preorder);
      const nodes = read(t.nodeId, t.subs ?? [])!;
      expect(nodes.ids[0]).toBe(t.nodeId);
      expect([...nodes.ids].sort()).toEqual([t.nodeId, ...below.map((n) => n.nodeId)].sort());
      const roots = below.filter((n) => n.root).map((n) => n.nodeId);
      expect(roots.length ? roots : [0]).toContain(nodes.root);
      const authorities = below.filter((n) => n.hasTimeAuthority).map((n) => n.nodeId);
      expect(authorities.length ? authorities : [0]).toContain(nodes.authority);
    }),
  );
});

test("the text of the subs tells order and depth", () => {
  const depths = (t: Plain, level: number): [number, number][] => [
    [t.nodeId, level],
    ...(t.subs ?? []).flatMap((sub) => depths(sub, level + 1)),
  ];
  fc.assert(
    fc.property(
      tree.filter((t) => distinct(preorder(t))),
      fc.integer({ min: 1, max: 0xffffffff }),
      (t, stranger) => {
        const text = t.subs ? JSON.stringify(t.subs) : "";
        const below = (t.subs ?? []).flatMap((sub) => depths(sub, 1));
        expect(idsInSubs(text)).toEqual(below.map(([id]) => id));
        for (const [id, level] of below) expect([id, depthInSubs(text, id)]).toEqual([id, level]);
        if (!below.some(([id]) => id === stranger)) expect(depthInSubs(text, stranger)).toBe(0);
      },
    ),
  );
});

test("an id is not found in a longer one that begins with it", () => {
  const text = '[{"nodeId":123,"subs":[{"nodeId":12}]},{"nodeId":1}]';
  expect([1, 12, 123, 23].map((id) => depthInSubs(text, id))).toEqual([1, 2, 1, 0]);
});

test("the fields of a node stand as painlessMesh writes them", () => {
  expect(nodeFields(4294967295, true, true)).toBe('"nodeId":4294967295,"root":true,"hasTimeAuthority":true');
  expect(nodeFields(7, false, false)).toBe('"nodeId":7');
});

test.each([
  ["a float id", [{ nodeId: 1.5 }]],
  ["a negative id", [{ nodeId: -1 }]],
  ["an id over 32 bits", [{ nodeId: 4294967296 }]],
  ["id 0", [{ nodeId: 0 }]],
  ["a text id", [{ nodeId: "7" }]],
  ["a missing id", [{}]],
  ["an id that is a list", [{ nodeId: [7] }]],
  ["an id that is no value", [{ nodeId: { valueOf: 1, toString: 1 } }]],
  ["a number in subs", [5]],
  ["null in subs", [null]],
  ["a list in subs", [[{ nodeId: 7 }]]],
  ["subs that are no list", [{ nodeId: 1, subs: { length: 1 } }]],
  ["subs that are null", [{ nodeId: 1, subs: null }]],
  ["a bad id deep down", [{ nodeId: 1, subs: [{ nodeId: 2, subs: [{ nodeId: true }] }] }]],
  ["text that no node accounts for", [{ nodeId: 1, stowaway: "x".repeat(200) }]],
])("%s is refused", (_, value) => {
  expect(read(9, value as unknown[])).toBeNull();
});

test("size is limited", () => {
  const wide = (n: number): unknown[] => Array.from({ length: n }, (_, i) => ({ nodeId: i + 2 }));
  expect(read(1, wide(TREE_MAX_NODES - 1))!.ids.length).toBe(TREE_MAX_NODES);
  expect(read(1, wide(TREE_MAX_NODES))).toBeNull();
});
