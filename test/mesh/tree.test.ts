import fc from "fast-check";
import {
  TREE_MAX_DEPTH,
  TREE_MAX_NODES,
  TREE_NODE,
  TREE_ROOT,
  findInTree,
  flaggedInTree,
  idInTree,
  packTree,
  treeJson,
} from "../../firmware/mesh/tree";
import type { TreeJson } from "../../firmware/mesh/tree";

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
const depth = (t: Plain): number => 1 + Math.max(0, ...(t.subs ?? []).map(depth));
const fits = (t: Plain): boolean => depth(t) <= TREE_MAX_DEPTH + 1 && preorder(t).length <= TREE_MAX_NODES;

test("packing and writing give the same JSON back", () => {
  fc.assert(
    fc.property(tree.filter(fits), (t) => expect(treeJson(packTree(t as TreeJson, 1))).toBe(JSON.stringify(t))),
  );
});

test("a packed tree lists its nodes in preorder and finds every one", () => {
  fc.assert(
    fc.property(tree.filter(fits), fc.integer({ min: 1, max: 0xffffffff }), (t, stranger) => {
      const packed = packTree(t as TreeJson, 1);
      const ids = preorder(t).map((n) => n.nodeId);
      expect(packed.length).toBe(ids.length * TREE_NODE);
      ids.forEach((id, i) => {
        expect(idInTree(packed, i * TREE_NODE)).toBe(id);
        expect(findInTree(packed, id)).toBe(ids.indexOf(id) * TREE_NODE);
      });
      if (!ids.includes(stranger)) expect(findInTree(packed, stranger)).toBe(-1);
      expect(flaggedInTree(packed, TREE_ROOT)).toBe(preorder(t).find((n) => n.root)?.nodeId ?? 0);
    }),
  );
});

test("an id is not found across two entries or in the flags", () => {
  const packed = packTree({ nodeId: 0x01020304, subs: [{ nodeId: 0x05060708, root: true }] }, 1);
  // bytes: 00 01020304 21 05060708
  for (const id of [0x00010203, 0x02030421, 0x03042105, 0x04210506, 0x21050607])
    expect(findInTree(packed, id)).toBe(-1);
  expect(findInTree(packed, 0x05060708)).toBe(TREE_NODE);
});

test("order counts when trees are compared", () => {
  const one = packTree({ nodeId: 1, subs: [{ nodeId: 2 }, { nodeId: 3 }] }, 1);
  expect(packTree({ nodeId: 1, subs: [{ nodeId: 3 }, { nodeId: 2 }] }, 1)).not.toBe(one);
  expect(packTree({ nodeId: 1, subs: [{ nodeId: 2 }, { nodeId: 3, subs: [] }] }, 1)).toBe(one);
});

test("the sender stands in for a missing id at the top only", () => {
  expect(treeJson(packTree({ subs: [{ nodeId: 2 }] }, 9))).toBe('{"nodeId":9,"subs":[{"nodeId":2}]}');
  expect(packTree({ nodeId: 1, subs: [{}] }, 9)).toBe("");
});

test.each([
  ["a float id", { nodeId: 1.5 }],
  ["a negative id", { nodeId: -1 }],
  ["an id over 32 bits", { nodeId: 4294967296 }],
  ["id 0", { nodeId: 0 }],
  ["a text id", { nodeId: "7" }],
  ["subs that are no list", { nodeId: 1, subs: { length: 1 } }],
  ["a number in subs", { nodeId: 1, subs: [5] }],
  ["null in subs", { nodeId: 1, subs: [null] }],
  ["a bad id deep down", { nodeId: 1, subs: [{ nodeId: 2, subs: [{ nodeId: true }] }] }],
])("%s is refused", (_, value) => {
  expect(packTree(value as TreeJson, 9)).toBe("");
});

test("depth and size are limited", () => {
  const chain = (levels: number): TreeJson => {
    let t: TreeJson = { nodeId: levels + 1 };
    for (let i = levels; i > 0; i--) t = { nodeId: i, subs: [t] };
    return t;
  };
  expect(packTree(chain(TREE_MAX_DEPTH), 1).length).toBe((TREE_MAX_DEPTH + 1) * TREE_NODE);
  expect(packTree(chain(TREE_MAX_DEPTH + 1), 1)).toBe("");
  const wide = (n: number): TreeJson => ({ nodeId: 1, subs: Array.from({ length: n }, (_, i) => ({ nodeId: i + 2 })) });
  expect(packTree(wide(TREE_MAX_NODES - 1), 1).length).toBe(TREE_MAX_NODES * TREE_NODE);
  expect(packTree(wide(TREE_MAX_NODES), 1)).toBe("");
});
