import { imageWord, makePlan, type NodeFacts, versionIn } from "../../../host-tools/gateway/rollout/plan";
import {
  allowedErrors,
  neededSuccesses,
  parseAmount,
  parseDuration,
  parsePolicy,
  type PolicyInput,
} from "../../../host-tools/gateway/rollout/policy";
import { IMAGE } from "./support/fake-fleet";

function node(id: number, more: Partial<NodeFacts> = {}): NodeFacts {
  return {
    ...{ id, name: `n${id}`, hardware: "ESP32", role: "node", version: "1.0.0", image: 1 },
    ...{ online: true, root: id === 1, children: 0, hops: 1 },
    ...more,
  };
}
const fleet = (count: number): NodeFacts[] => Array.from({ length: count }, (_, i) => node(i + 1));
const plan = (nodes: NodeFacts[], input: PolicyInput = {}) => makePlan(nodes, IMAGE, parsePolicy(input));
const sizes = (count: number, input: PolicyInput = {}): number[] =>
  plan(fleet(count), input).waves.map(({ nodes }) => nodes.length);

test.each([
  [1, [1, 0, 0]],
  [4, [1, 1, 2]],
  [5, [2, 1, 2]],
  [20, [2, 4, 14]],
  [100, [2, 20, 78]],
])("a progressive rollout of %d nodes", (count, wanted) => expect(sizes(count)).toEqual(wanted));

test("waves that a file leaves open end in one for all others", () => {
  expect(sizes(10, { waves: [{ nodes: 3 }, { nodes: "50 %" }] })).toEqual([3, 4, 3]);
  expect(plan(fleet(10), { waves: [{ nodes: 3 }] }).waves.map(({ name }) => name)).toEqual(["canary", "rest"]);
  expect(sizes(2, { waves: [{ nodes: 5 }] })).toEqual([2]);
});

test("leaves come first, near ones before far ones, the root last", () => {
  const nodes = [
    node(1, { hops: 0, children: 2 }),
    node(2, { children: 1 }),
    node(3, { hops: 3 }),
    node(4, { hops: 2 }),
    node(5),
  ];
  expect(plan(nodes, { policy: "all-at-once" }).waves[0]!.nodes).toEqual([5, 4, 3, 2, 1]);
});

test("named nodes are kept for their wave", () => {
  const waves = [{ nodes: 2 }, { nodes: ["n2", "00000003"] }, { nodes: "100 %" }];
  expect(plan(fleet(6), { waves }).waves.map(({ nodes }) => nodes)).toEqual([
    [4, 5],
    [2, 3],
    [6, 1],
  ]);
});

test("the preview says who gets it, who has it, who is away, and who cannot", () => {
  const nodes = [
    node(1),
    node(2, { image: imageWord(IMAGE.id) }),
    node(3, { online: false }),
    node(4, { hardware: "ESP32-C3" }),
    node(5, { role: "bridge" }),
    node(6, { hardware: "", role: "" }),
  ];
  expect(plan(nodes).preview).toEqual({ update: [1, 6], current: [2], offline: [3], incompatible: [4, 5] });
  expect(plan(nodes).queue).toEqual([3]);
});

test.each<[string, PolicyInput["targets"], number[]]>([
  ["role", { roles: ["node"] }, [1, 2, 3]],
  ["hardware", { hardware: ["ESP32"] }, [1, 2, 3, 4]],
  ["version", { versions: ["<1.0.0", "1.2.*"] }, [2, 3]],
  ["list", { nodes: ["n3", 4] }, [3, 4]],
  ["exception", { except: ["n1"] }, [2, 3, 4]],
  ["all of them", { roles: ["node"], versions: ["1.2.*"], except: ["n1"] }, [3]],
])("targets by %s", (_name, targets, wanted) => {
  const nodes = [
    node(1),
    node(2, { version: "0.9.9" }),
    node(3, { version: "1.2.7" }),
    node(4, { role: "", version: "" }),
  ];
  expect(plan(nodes, { targets }).preview.update).toEqual(wanted);
});

test("nobody at all, and nobody of that name, are errors", () => {
  expect(() => plan([node(1, { hardware: "ESP32-S3" })])).toThrow(expect.objectContaining({ code: "NO_TARGETS" }));
  expect(() => plan(fleet(2), { targets: { nodes: ["attic"] } })).toThrow(
    expect.objectContaining({ code: "UNKNOWN_NODE", hint: "Known: n1, n2." }),
  );
});

test.each([
  ["1.2.3", "1.2.3", true],
  ["1.2.4", "1.2.3", false],
  ["1.2.3", "<1.10.0", true],
  ["1.10.0", "<1.10.0", false],
  ["1.10.0", "<=1.10.0", true],
  ["2.0.0", ">1.99.99", true],
  ["1.2.9", "1.2.*", true],
  ["1.20.0", "1.2.*", false],
  ["1.20.0", "1.*", true],
  ["", "<9.0.0", false],
])("version %s in %s: %s", (version, range, wanted) => expect(versionIn(version, range)).toBe(wanted));

test.each([
  ["90s", 90_000],
  ["10m", 600_000],
  ["1h 30m", 5_400_000],
  [45, 45_000],
  ["", null],
  ["10", 10_000],
  ["10x", null],
  ["m", null],
  ["-5s", null],
])("duration %p is %p", (text, wanted) => expect(parseDuration(text)).toBe(wanted));

test.each([
  ["20 %", { value: 20, percent: true }],
  [3, { value: 3, percent: false }],
  ["101 %", null],
  ["1.5", null],
  ["-1", null],
])("amount %p", (text, wanted) => expect(parseAmount(text)).toEqual(wanted));

test("thresholds round in favour of safety", () => {
  const amount = (text: string): { value: number; percent: boolean } => parseAmount(text)!;
  expect([1, 9, 10, 25].map((n) => allowedErrors(amount("10 %"), n))).toEqual([0, 0, 1, 2]);
  expect([0, 1, 9, 10, 11].map((n) => neededSuccesses(amount("90 %"), n))).toEqual([0, 1, 9, 9, 10]);
  expect([0, 2, 9].map((n) => neededSuccesses(amount("3"), n))).toEqual([0, 2, 3]);
  expect(neededSuccesses(amount("1 %"), 5)).toBe(1);
  expect(neededSuccesses(amount("0 %"), 5)).toBe(0);
});

test.each<[unknown, string]>([
  [{ wave: [] }, "wave: is no field of a rollout"],
  [{ waves: [{ nodes: 1, soaks: 1 }] }, "waves.0.soaks: is no field of a rollout"],
  [{ waves: [{ nodes: 0 }] }, "waves.0.nodes: a wave needs a node"],
  [{ waves: [] }, "waves:"],
  [{ waves: [{ nodes: ["a"] }, { nodes: ["a"] }] }, "waves.1.nodes: a is in wave 0 too"],
  [{ waves: [{ nodes: 1, success: "all" }] }, "waves.0.success: a whole number"],
  [{ targets: { versions: ["~1.2"] } }, "targets.versions.0: a version or a range"],
  [{ health: { silence: "8d" } }, "health.silence: a duration"],
  [{ onFailure: "panic" }, "onFailure:"],
  ["progressive", "(top):"],
  [[], "(top):"],
])("%j is refused with its path", (input, reason) => {
  expect(() => parsePolicy(input)).toThrow(
    expect.objectContaining({ code: "BAD_ROLLOUT", message: expect.stringContaining(reason) }),
  );
});
