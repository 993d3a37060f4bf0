import { type VirtualMesh, virtualMesh } from "../../../host-tools/testkit";

let mesh: VirtualMesh;
afterEach(() => mesh.stop());

test("an application's messages arrive, in milliseconds of real time", async () => {
  mesh = await virtualMesh({ nodes: 3, app: "apps/sensor.ts" });
  expect(mesh.advanceUntil(() => mesh.formed, 60)).toBe(true);
  mesh.advance(40);
  const senders = new Set(mesh.received.map(({ from }) => from));
  expect(senders).toEqual(new Set(mesh.nodes.map(({ id }) => id)));
  const [, second, third] = mesh.nodes;
  expect(second!.console.some((line) => line.startsWith(`${third!.id} reads `))).toBe(true);
  expect(mesh.send(1, "42 degrees")).toBe(true);
  mesh.advance(2);
  expect(second!.console.at(-1)).toMatch(/ reads 42 degrees$/);
  expect(third!.console.at(-1)).not.toMatch(/42 degrees/);
});

test("the same seed is the same run, another is another", async () => {
  const run = async (seed: number): Promise<string> => {
    mesh = await virtualMesh({ nodes: 3, app: "apps/sensor.ts", seed, loss: 0.1 });
    // When things came, and what nodes measured, tells runs apart in which the same things came.
    const seen: unknown[] = [];
    for (let tenth = 0; tenth < 600; tenth++) {
      mesh.advance(0.1);
      seen.push(mesh.received.length, ...mesh.nodes.map((node) => [node.console.length, node.telemetry()]));
    }
    const trace = JSON.stringify([seen, mesh.received, mesh.nodes.map((node) => node.console)]);
    mesh.stop();
    return trace;
  };
  const first = await run(5);
  expect(await run(5)).toBe(first);
  expect(await run(6)).not.toBe(first);
});

test("a node that loses power leaves the mesh, and comes back", async () => {
  mesh = await virtualMesh({ nodes: 2, app: "apps/sensor.ts" });
  mesh.advanceUntil(() => mesh.formed, 60);
  mesh.nodes[1]!.powerOff();
  const [root] = mesh.nodes;
  mesh.advance(90);
  const before = mesh.received.length;
  mesh.advance(40);
  expect(mesh.received.slice(before).every(({ from }) => from === root!.id)).toBe(true);
  mesh.nodes[1]!.powerOn();
  expect(mesh.advanceUntil(() => mesh.nodes[1]!.telemetry() !== undefined && mesh.formed, 120)).toBe(true);
});
