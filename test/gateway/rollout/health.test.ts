import { apply, plan } from "../../../host-tools/gateway/rollout/apply";
import { findings, memorySlope, restartsSince } from "../../../host-tools/gateway/rollout/health";
import { parsePolicy, type PolicyInput } from "../../../host-tools/gateway/rollout/policy";
import type { RolloutRecord, Sample } from "../../../host-tools/gateway/rollout/record";
import { planRollout } from "../../../host-tools/gateway/rollout/rollout";
import { FakeFleet, IMAGE, NEW, OLD } from "./support/fake-fleet";

const MINUTE = 60_000;
const UPDATE = 10 * MINUTE;

interface Life {
  starts?: number;
  free?: (minute: number) => number;
  loss?: number;
  latency?: number;
}

/** A canary with ten minutes of the old version behind it and ten of the new one, a frame a minute. */
function lived(old: Life, young: Life, input: PolicyInput = {}): { record: RolloutRecord; now: number } {
  const fleet = new FakeFleet(1);
  let record = plan(planRollout("x", fleet.facts(), IMAGE, parsePolicy(input), 0));
  const id = fleet.nodes[0]!.id;
  record = apply(record, { at: 0, kind: "started" });
  record = apply(record, { at: 0, kind: "wave-begun", wave: 0 });
  const feed = (life: Life, isNew: boolean, minute: number): void => {
    const at = (isNew ? UPDATE : 0) + minute * MINUTE;
    const sample: Sample = {
      ...{ at, image: isNew ? NEW : OLD, version: isNew ? "1.1.0" : "1.0.0", uptime: minute * 60, interval: 60 },
      starts: (life.starts ?? (isNew ? 2 : 1)) & 255,
      free: life.free?.(minute) ?? 2000,
      ...{ loss: life.loss ?? 0, latency: life.latency ?? 20, update: 0 },
    };
    record = apply(record, { at, kind: "sample", node: id, sample });
  };
  for (let minute = 1; minute < 10; minute++) feed(old, false, minute);
  for (let minute = 1; minute <= 10; minute++) feed(young, true, minute);
  return { record, now: UPDATE + 10 * MINUTE };
}

function checks(old: Life, young: Life, input: PolicyInput = {}, later = 0): string[] {
  const { record, now } = lived(old, young, input);
  return findings(record, Object.values(record.nodes)[0]!, now + later).map(({ check }) => check);
}

test("as before is healthy", () => expect(checks({}, {})).toEqual([]));

test.each<[string, Life, Life, string[]]>([
  ["one restart more than the update itself", {}, { starts: 3 }, ["restarts"]],
  ["a counter that has come round", { starts: 255 }, { starts: 256 }, []],
  ["a counter that has come round, and restarts", { starts: 255 }, { starts: 258 }, ["restarts"]],
  ["a quarter of the memory gone", {}, { free: () => 1490 }, ["memory"]],
  ["somewhat less memory", {}, { free: () => 1600 }, []],
  ["memory that goes slowly and surely", {}, { free: (m) => 2000 - m * 3 }, ["leak"]],
  ["memory that would last for weeks", { free: () => 2000 }, { free: (m) => 2000 - m * 0.05 }, []],
  ["memory that goes up and down", {}, { free: (m) => 1900 + (m % 2) * 60 - m }, []],
  ["a leak that the old version had too", { free: (m) => 2000 - m * 3 }, { free: (m) => 2000 - m * 3 }, []],
  ["twice the leak of the old version", { free: (m) => 2000 - m }, { free: (m) => 2000 - m * 4 }, ["leak"]],
  ["memory that grows", {}, { free: (m) => 1900 + m * 10 }, []],
  ["more loss", { loss: 20 }, { loss: 80 }, ["loss"]],
  ["the loss of the node's place", { loss: 200 }, { loss: 230 }, []],
  ["a long way to the parent", { latency: 50 }, { latency: 500 }, ["latency"]],
  ["a latency that nobody knows", { latency: 50 }, { latency: 65535 }, []],
])("%s", (_name, old, young, wanted) => expect(checks(old, young)).toEqual(wanted));

test("silence, by the node's own rhythm", () => {
  expect(checks({}, {}, {}, 190_000)).toEqual([]);
  // Three and a half frames of a minute are more than the policy's 200 seconds.
  expect(checks({}, {}, {}, 205_000)).toEqual([]);
  expect(checks({}, {}, {}, 215_000)).toEqual(["silence"]);
  expect(checks({}, {}, { health: { silence: "10m" } }, 500_000)).toEqual([]);
});

test("limits are the policy's", () => {
  expect(checks({}, { starts: 4 }, { health: { restarts: 2 } })).toEqual([]);
  expect(checks({}, { free: () => 1900 }, { health: { memoryDrop: 50 } })).toEqual(["memory"]);
  expect(checks({}, { loss: 20 }, { health: { loss: "1 %" } })).toEqual(["loss"]);
  expect(checks({}, { latency: 100 }, { health: { latency: 10 } })).toEqual(["latency"]);
});

test("without a word of the old version only the new one counts", () => {
  const { record, now } = lived({}, { starts: 9, free: () => 100 });
  const node = { ...Object.values(record.nodes)[0]!, before: [] };
  expect(restartsSince(node)).toBe(0);
  expect(findings(record, node, now)).toEqual([]);
});

test("the slope is that of the current life alone", () => {
  const { record } = lived({}, { free: (m) => 2000 - m * 6 });
  const { after } = Object.values(record.nodes)[0]!;
  expect(memorySlope(after)!.perHour).toBeCloseTo(-360, 6);
  const restarted = after.map((sample, i) => (i < 7 ? sample : { ...sample, uptime: (i - 6) * 60 }));
  expect(memorySlope(restarted)).toBeNull();
});
