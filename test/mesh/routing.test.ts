import { line, star, tree, whole } from "./support/fleet";
import { World } from "./support/world";

function randomTree(world: World, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i ? world.random() % i : -1));
}

const shapes: [string, (world: World, count: number) => number[]][] = [
  ["line", (_, n) => line(n)],
  ["star", (_, n) => star(n)],
  ["random tree", randomTree],
];

for (const count of [2, 5, 20])
  for (const [name, shape] of shapes)
    test(`${name} of ${count}: everyone reaches everyone, once`, () => {
      const world = new World(count);
      const members = tree(world, shape(world, count), { maxLinks: 32 });
      expect(world.runUntil(() => whole(members), 30000)).toBe(true);
      members.forEach((m, i) => {
        members.forEach((other, j) => {
          if (i !== j) expect(m.mesh.sendSingle(j + 1, "single " + (i + 1))).toBe(true);
        });
        m.mesh.sendBroadcast("all " + (i + 1));
      });
      world.run(5000);
      members.forEach((m, j) => {
        const wanted = members.flatMap((_, i) =>
          i === j ? [] : [`${i + 1}:all ${i + 1}`, `${i + 1}:single ${i + 1}`],
        );
        expect([...m.received].sort()).toEqual(wanted.sort());
        expect(m.mesh.stats).toMatchObject({ dropped: 0, queueDrops: 0, malformed: 0, refused: 0 });
      });
    });
