/** Rollouts under everything that can go wrong at once: what must hold whatever happens. */
import fc from "fast-check";
import { replay } from "../../../host-tools/gateway/rollout/apply";
import { memoryJournal } from "../../../host-tools/gateway/rollout/journal";
import type { PolicyInput } from "../../../host-tools/gateway/rollout/policy";
import { isOver, nodesOf, type RolloutRecord } from "../../../host-tools/gateway/rollout/record";
import type { RunningRollout } from "../../../host-tools/gateway/rollout/rollout";
import { FakeFleet, type Fault, NEW, OLD } from "./support/fake-fleet";

const RUNS = 50;
/** Phases in which a node takes the image or restarts into it. */
const UPDATING = ["offered", "verified", "activating"];
const ENDS = ["running", "failed", "kept", "rolled-back", "stuck", "queued"];

const fault = fc.option(
  fc.constantFrom<Fault>("refuses", "never-joins", "goes-back", "restarts", "leaks", "stays", "other-base"),
  {
    freq: 4,
  },
);

const happening = fc.record({
  after: fc.integer({ min: 1, max: 400 }),
  what: fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("laptop" as const), away: fc.integer({ min: 0, max: 900 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("power" as const), node: fc.nat(8) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("unlink" as const), away: fc.integer({ min: 5, max: 600 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("person" as const),
        does: fc.constantFrom("pause", "resume", "abort", "rollback", "approve", "retryFailed"),
      }),
    },
  ),
});

const policy: fc.Arbitrary<PolicyInput> = fc.oneof(
  fc.constant<PolicyInput>({ policy: "all-at-once" }),
  fc.record({
    waves: fc.array(
      fc.record({
        nodes: fc.constantFrom(1, 2, "20 %", "100 %"),
        soak: fc.constantFrom("2m", "5m"),
        errors: fc.constantFrom(0, 1, "50 %"),
        approve: fc.boolean(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    onFailure: fc.constantFrom("rollback" as const, "abort" as const, "pause" as const, "continue" as const),
    queue: fc.constantFrom("0s", "10m"),
  }),
);

/** Nodes are taken on wave by wave, and no wave begins while another is under way. */
function checkWaves(record: RolloutRecord): void {
  const active = record.waves.filter(({ state }) => state === "updating" || state === "soaking");
  expect(active.length).toBeLessThanOrEqual(1);
  const updating = nodesOf(record).filter(({ phase }) => UPDATING.includes(phase));
  if (updating.length === 0) return;
  // What an abort came too late for may still be on its way up.
  if (record.undo) {
    expect(updating.every(({ phase }) => phase === "activating")).toBe(true);
    return;
  }
  expect(record.waves[record.wave]!.state).toBe("updating");
  expect(new Set(updating.map(({ wave }) => wave))).toEqual(new Set([record.wave]));
  expect(updating.length).toBeLessThanOrEqual(record.waves[record.wave]!.nodes.length);
}

function checkWord(record: RolloutRecord, what: string, ids: readonly number[]): void {
  // What has proved itself is for everybody.
  if ((what !== "offer" && what !== "activate") || record.state === "done") return;
  const begun = new Set(record.waves.filter(({ startedAt }) => startedAt > 0).flatMap(({ nodes }) => nodes));
  expect(ids.filter((id) => !begun.has(id))).toEqual([]);
  expect(record.undo).toBeNull();
}

test("whatever fails, is lost, restarts or is asked for", () => {
  let restarts = 0;
  const states = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.array(fault, { minLength: 9, maxLength: 9 }),
      fc.constantFrom(0, 0.05, 0.4),
      fc.integer(),
      policy,
      fc.array(happening, { maxLength: 14 }),
      fc.boolean(),
      (faults, loss, seed, rules, happenings, whole) => {
        const fleet = new FakeFleet(9);
        fleet.whole = whole;
        fleet.nodes.forEach((node, i) => (node.fault = faults[i]!));
        let state = seed >>> 0;
        const chance = (): number => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          return state / 2 ** 32;
        };
        fleet.lossy = () => chance() < loss;
        const journal = memoryJournal();
        let rollout: RunningRollout | null = fleet.laptop(rules, journal);
        fleet.heard = (what, ids) => checkWord(rollout!.record(), what, ids);
        rollout.start();
        const reopen = (): RunningRollout => {
          const next = memoryJournal([...journal.all]);
          next.append = (event) => void (journal.all.push(event), next.all.push(event));
          return fleet.laptop(null, next);
        };
        const check = (): void => {
          if (!rollout) return;
          const record = rollout.record();
          checkWaves(record);
          for (const { node, phase } of nodesOf(record)) {
            // What is said to run the version before does.
            if (phase === "kept" || phase === "rolled-back") {
              const real = fleet.node(node);
              expect([phase, real.image, real.state]).toEqual([phase, OLD, expect.not.stringMatching("restarting")]);
            }
          }
        };
        const advance = (seconds: number): void => {
          for (let left = seconds; left > 0; left -= 7) {
            fleet.advance(Math.min(7, left));
            check();
          }
        };
        for (const { after, what } of happenings) {
          advance(after);
          if (what.kind === "laptop") {
            restarts++;
            const before = rollout.record();
            rollout.close();
            expect(replay(journal.all)).toEqual(before);
            rollout = null;
            advance(what.away);
            rollout = reopen();
          } else if (what.kind === "power") {
            const node = fleet.nodes[what.node]!;
            if (node.on) node.powerOff();
            else node.powerOn();
          } else if (what.kind === "unlink") {
            fleet.linked = false;
            advance(what.away);
            fleet.linked = true;
          } else {
            try {
              rollout[what.does as "pause"]();
            } catch (error) {
              expect(error).toMatchObject({ code: "ROLLOUT_STATE" });
            }
          }
          check();
        }
        fleet.lossy = () => false;
        for (let tries = 0; tries < 80 && !isOver(rollout.record()); tries++) {
          advance(300);
          const { state: now } = rollout.record();
          if (now === "paused") rollout.resume();
          if (now === "waiting-approval") rollout.approve();
        }
        const record = rollout.record();
        states.set(record.state, (states.get(record.state) ?? 0) + 1);
        expect(isOver(record)).toBe(true);
        // Every node is accounted for, and none runs the new version unknown to the report.
        for (const node of nodesOf(record)) {
          expect(ENDS).toContain(node.phase);
          if (record.undo?.rollback && fleet.node(node.node).image === NEW && fleet.node(node.node).on)
            expect(["stuck", "failed"]).toContain(node.phase);
        }
        expect(replay(journal.all)).toEqual(record);
        rollout.close();
      },
    ),
    { numRuns: RUNS },
  );
  expect(restarts).toBeGreaterThan(RUNS);
  expect(states.size).toBeGreaterThan(1);
}, 300_000);
