import { replay } from "../../../host-tools/gateway/rollout/apply";
import { memoryJournal } from "../../../host-tools/gateway/rollout/journal";
import type { PolicyInput } from "../../../host-tools/gateway/rollout/policy";
import { isOver } from "../../../host-tools/gateway/rollout/record";
import type { RunningRollout } from "../../../host-tools/gateway/rollout/rollout";
import { FakeFleet, kinds, NEW, OLD } from "./support/fake-fleet";

const over = (rollout: RunningRollout) => (): boolean => isOver(rollout.record());
const phases = (rollout: RunningRollout): string[] => Object.values(rollout.record().nodes).map(({ phase }) => phase);

test("three waves, one after another, each watched before the next begins", () => {
  const fleet = new FakeFleet(12);
  const journal = memoryJournal();
  const rollout = fleet.laptop({}, journal);
  expect(rollout.view().state).toBe("preview");
  fleet.advance(30);
  expect(fleet.nodes.every(({ state }) => state === "idle")).toBe(true);
  rollout.start();
  expect(fleet.until(over(rollout))).toBe(true);
  const view = rollout.view();
  expect(view.state).toBe("done");
  expect(view.reason).toBe("12 of 12 run 1.1.0");
  expect(view.waves.map(({ name, nodes, state }) => [name, nodes.length, state])).toEqual([
    ["canary", 2, "passed"],
    ["early", 2, "passed"],
    ["rest", 8, "passed"],
  ]);
  // The root, which everybody hangs on, comes last.
  expect(view.waves[2]!.nodes.at(-1)).toBe(fleet.nodes[0]!.id);
  const [canary, early, rest] = view.waves;
  expect(canary!.startedAt).toBeGreaterThanOrEqual(view.startedAt + 120_000);
  expect(early!.startedAt).toBeGreaterThanOrEqual(canary!.soakUntil);
  expect(rest!.startedAt).toBeGreaterThanOrEqual(early!.soakUntil);
  expect(canary!.soakUntil - canary!.startedAt).toBeGreaterThan(600_000);
  expect(replay(journal.all)).toEqual(rollout.record());
  expect(rollout.alerts()).toEqual([]);
});

test("all at once: no observation, and the failed are named", () => {
  const fleet = new FakeFleet(5);
  fleet.nodes[3]!.fault = "refuses";
  const rollout = fleet.laptop({ policy: "all-at-once" });
  rollout.start();
  expect(fleet.until(over(rollout), 300)).toBe(true);
  expect(rollout.view()).toMatchObject({ state: "failed", reason: "4 of 5 run 1.1.0; 1 failed (n3: bad-hash)" });
  expect(fleet.nodes.filter(({ image }) => image === NEW)).toHaveLength(4);
  // The computer's 50 frames, and 41 of each of two nodes that passed the 40 chunks on; n4 took nothing.
  const senders = fleet.nodes.filter(({ id, image }) => id % 4 === 1 && image === NEW).length;
  expect(rollout.view()).toMatchObject({ transmissions: 50 + 41 * senders, lowerBound: 40 * (1 + senders) });
});

describe("a delta", () => {
  function started(others: number[], policy: PolicyInput) {
    const fleet = new FakeFleet(6);
    fleet.whole = true;
    for (const index of others) fleet.nodes[index]!.fault = "other-base";
    const journal = memoryJournal();
    const rollout = fleet.laptop(policy, journal);
    const offers: string[] = [];
    fleet.heard = (what, ids) => {
      if (what === "offer")
        offers.push(`${fleet.served}: ${ids.map((id) => fleet.facts().findIndex((one) => one.id === id)).join(" ")}`);
    };
    rollout.start();
    return { fleet, journal, rollout, offers };
  }

  test("goes to all of a wave, and the whole image in the same wave to who runs something else", () => {
    const { fleet, journal, rollout, offers } = started([2, 4], { policy: "all-at-once" });
    expect(fleet.until(() => phases(rollout).includes("deferred"), 60)).toBe(true);
    expect(fleet.until(over(rollout), 600)).toBe(true);
    expect(rollout.view()).toMatchObject({ state: "done", reason: "6 of 6 run 1.1.0", waves: [{ state: "passed" }] });
    // At the end both are there for everybody.
    expect([...new Set(offers)].map((one) => one.split(" ").length - 1)).toEqual([6, 2, 6]);
    expect(offers.at(-1)).toMatch(/^whole: /);
    expect(kinds(journal.all)).toEqual([
      "planned",
      "started",
      "wave-begun",
      "activating",
      "whole",
      "activating",
      "soaking",
      "wave-passed",
      "ended",
    ]);
    expect(replay(journal.all)).toEqual(rollout.record());
  });

  test("is offered anew in the next wave", () => {
    const { fleet, rollout, offers } = started([1, 2, 3], {
      waves: [
        { nodes: 2, soak: "2m" },
        { nodes: "100 %", soak: "2m" },
      ],
    });
    expect(fleet.until(over(rollout))).toBe(true);
    expect(rollout.view().state).toBe("done");
    const forms = offers.map((one) => one.split(":")[0]).filter((form, i, all) => form !== all[i - 1]);
    // The last two are for those who come later.
    expect(forms).toEqual(["image", "whole", "image", "whole", "image", "whole"]);
  });

  test("who is deferred keeps what it runs when the rollout is aborted", () => {
    const { fleet, rollout } = started([5], { policy: "all-at-once" });
    expect(fleet.until(() => phases(rollout).includes("deferred"), 60)).toBe(true);
    rollout.abort();
    expect(phases(rollout).at(-1)).toBe("kept");
    expect(fleet.until(over(rollout), 900)).toBe(true);
    expect(fleet.nodes[5]!.image).toBe(OLD);
  });

  test("who goes offline while it is deferred gets its turn later", () => {
    const { fleet, rollout } = started([5], { policy: "all-at-once", queue: "10m" });
    expect(fleet.until(() => phases(rollout).includes("deferred"), 60)).toBe(true);
    fleet.nodes[5]!.powerOff();
    expect(fleet.until(() => phases(rollout).includes("queued"), 200)).toBe(true);
    fleet.nodes[5]!.powerOn();
    expect(fleet.until(over(rollout), 900)).toBe(true);
    expect(rollout.view().reason).toBe("6 of 6 run 1.1.0");
  });

  test("goes on from its journal with the form that its wave had come to", () => {
    const { fleet, journal, rollout } = started([2], { policy: "all-at-once" });
    expect(fleet.until(() => fleet.served === "whole", 300)).toBe(true);
    rollout.close();
    fleet.served = null;
    const again = fleet.laptop(null, memoryJournal(journal.all));
    fleet.advance(70);
    expect(fleet.served).toBe("whole");
    expect(fleet.until(over(again), 600)).toBe(true);
    expect(again.view().reason).toBe("6 of 6 run 1.1.0");
  });
});

describe("a canary that fails stops everything", () => {
  test.each([
    ["refuses", "bad-hash"],
    ["never-joins", "reverted"],
    ["goes-back", "went-back"],
    ["restarts", "since the update"],
    ["leaks", "variables an hour"],
  ] as const)("%s: %s", (fault, word) => {
    const fleet = new FakeFleet(10);
    for (const node of fleet.nodes) node.fault = fault;
    const journal = memoryJournal();
    const rollout = fleet.laptop({}, journal);
    const alerts: string[] = [];
    rollout.onAlert((alert) => alerts.push(alert.rule));
    rollout.start();
    expect(fleet.until(over(rollout))).toBe(true);
    fleet.advance(600);
    const view = rollout.view();
    expect(view.state).toBe("aborted");
    expect(view.waves.map(({ state }) => state)).toEqual(["failed", "waiting", "waiting"]);
    expect(view.waves[0]!.verdict).toContain(word);
    expect(view.reason).toContain(word);
    // Nobody but the canaries was ever offered it, and nobody is left on it.
    const canaries = view.waves[0]!.nodes;
    expect(fleet.nodes.filter(({ starts }) => starts > 1).every(({ id }) => canaries.includes(id))).toBe(true);
    expect(fleet.nodes.every(({ image }) => image === OLD)).toBe(true);
    expect(new Set(alerts)).toEqual(new Set(["rollout-aborted"]));
    expect(rollout.alerts()[0]).toMatchObject({ state: "firing", severity: "critical" });
    expect(replay(journal.all)).toEqual(rollout.record());
  });
});

test("a second wave that fails takes the canaries back too", () => {
  const fleet = new FakeFleet(12);
  const rollout = fleet.laptop({});
  const second = rollout.view().waves[1]!.nodes;
  for (const id of second) fleet.node(id).fault = "restarts";
  rollout.start();
  expect(fleet.until(over(rollout))).toBe(true);
  expect(rollout.view()).toMatchObject({ state: "aborted" });
  expect(rollout.view().reason).toMatch(/^early: .*4 went back$/);
  expect(fleet.nodes.every(({ image }) => image === OLD)).toBe(true);
});

test.each([
  [{}, 1],
  [{ except: ["n5"] }, 0],
])("what has proved itself is offered to everybody, unless somebody was left out: %j", (targets, times) => {
  const fleet = new FakeFleet(6);
  const rollout = fleet.laptop({ waves: [{ nodes: 2, soak: "2m" }], targets });
  rollout.start();
  let open = 0;
  fleet.heard = (what, nodes) => void (what === "offer" && nodes.length === 6 && open++);
  expect(fleet.until(over(rollout))).toBe(true);
  fleet.advance(300);
  expect(rollout.view().state).toBe("done");
  expect(open).toBe(times);
});

test("a node that cannot go back is said to be stuck", () => {
  const fleet = new FakeFleet(6);
  const rollout = fleet.laptop({ waves: [{ nodes: 2 }, { nodes: "100 %" }] });
  const [first, second] = rollout.view().waves[0]!.nodes;
  fleet.node(first!).fault = "stays";
  fleet.node(second!).fault = "goes-back";
  rollout.start();
  expect(fleet.until(over(rollout))).toBe(true);
  const nodes = rollout.view().nodes;
  expect(nodes.find(({ node }) => node === first)).toMatchObject({ state: "stuck", error: "no-rollback" });
  expect(rollout.view().reason).toContain("1 not undone");
});

test("errors below the threshold do not stop a wave", () => {
  const fleet = new FakeFleet(23);
  const rollout = fleet.laptop({});
  fleet.node(rollout.view().waves[2]!.nodes[0]!).fault = "refuses";
  rollout.start();
  expect(fleet.until(over(rollout))).toBe(true);
  expect(rollout.view().state).toBe("done");
  expect(rollout.view().reason).toContain("22 of 23 run 1.1.0; 1 failed");
});

describe("offline nodes", () => {
  test("wait in a queue and get their turn when they are back", () => {
    const fleet = new FakeFleet(6);
    fleet.nodes[3]!.powerOff();
    fleet.nodes[4]!.powerOff();
    const rollout = fleet.laptop({
      waves: [
        { nodes: 1, soak: "2m" },
        { nodes: "100 %", soak: "2m" },
      ],
      queue: "1h",
    });
    expect(rollout.view().preview).toMatchObject({ offline: [fleet.nodes[3]!.id, fleet.nodes[4]!.id] });
    rollout.start();
    // One returns while the canary is watched, the other when all is done.
    fleet.advance(240);
    fleet.nodes[3]!.powerOn();
    fleet.advance(1200);
    expect(rollout.view().state).toBe("running");
    expect(fleet.nodes[3]!.image).toBe(NEW);
    fleet.nodes[4]!.powerOn();
    expect(fleet.until(over(rollout), 600)).toBe(true);
    expect(rollout.view()).toMatchObject({ state: "done", reason: "6 of 6 run 1.1.0" });
    expect(rollout.view().waves.map(({ name, nodes }) => [name, nodes.length])).toEqual([
      ["canary", 1],
      ["wave 2", 4],
      ["returned", 1],
    ]);
  });

  test("that go away in mid-transfer hold up nobody, and are no failure of the image", () => {
    const fleet = new FakeFleet(5);
    const rollout = fleet.laptop({ policy: "all-at-once" });
    rollout.start();
    fleet.advance(10);
    fleet.nodes[2]!.powerOff();
    expect(fleet.until(over(rollout), 400)).toBe(true);
    expect(rollout.view()).toMatchObject({ state: "done", reason: "4 of 5 run 1.1.0; 1 offline" });
    fleet.nodes[2]!.powerOn();
    rollout.retryFailed();
    expect(fleet.until(over(rollout), 400)).toBe(true);
    expect(rollout.view()).toMatchObject({ state: "done", reason: "5 of 5 run 1.1.0" });
  });

  test("a laptop that loses the mesh judges nobody meanwhile", () => {
    const fleet = new FakeFleet(8);
    const rollout = fleet.laptop({});
    rollout.start();
    expect(fleet.until(() => rollout.view().waves[0]!.state === "soaking")).toBe(true);
    fleet.linked = false;
    fleet.lossy = () => true;
    fleet.advance(3600);
    expect(rollout.view().waves[0]!.state).toBe("soaking");
    fleet.linked = true;
    fleet.lossy = () => false;
    expect(fleet.until(over(rollout))).toBe(true);
    expect(rollout.view().state).toBe("done");
  });
});

describe("a person", () => {
  test("pauses: nobody is activated, and nobody starts by himself", () => {
    const fleet = new FakeFleet(6);
    const rollout = fleet.laptop({ policy: "all-at-once" });
    rollout.start();
    fleet.advance(10);
    rollout.pause();
    fleet.advance(1200);
    expect(new Set(fleet.nodes.map(({ state }) => state))).toEqual(new Set(["verified"]));
    expect(rollout.view().state).toBe("paused");
    expect(() => rollout.pause()).toThrow(expect.objectContaining({ code: "ROLLOUT_STATE" }));
    rollout.resume();
    expect(fleet.until(over(rollout), 120)).toBe(true);
    expect(rollout.view().state).toBe("done");
  });

  test("approves a wave that waits for it", () => {
    const fleet = new FakeFleet(6);
    const rollout = fleet.laptop({
      waves: [
        { nodes: 1, soak: 60 },
        { nodes: "100 %", soak: 60, approve: true },
      ],
    });
    expect(() => rollout.approve()).toThrow(expect.objectContaining({ code: "ROLLOUT_STATE" }));
    rollout.start();
    expect(fleet.until(() => rollout.view().state === "waiting-approval", 600)).toBe(true);
    fleet.advance(3600);
    expect(fleet.nodes.filter(({ image }) => image === NEW)).toHaveLength(1);
    rollout.approve();
    expect(fleet.until(over(rollout), 600)).toBe(true);
    expect(rollout.view().state).toBe("done");
  });

  test("aborts while chunks arrive: everybody keeps what he runs", () => {
    const fleet = new FakeFleet(6);
    const rollout = fleet.laptop({ policy: "all-at-once" });
    rollout.start();
    fleet.advance(15);
    expect(rollout.abort()).toEqual([]);
    expect(fleet.until(over(rollout), 120)).toBe(true);
    expect(new Set(phases(rollout))).toEqual(new Set(["kept"]));
    fleet.advance(600);
    expect(fleet.nodes.every(({ image }) => image === OLD)).toBe(true);
    expect(rollout.alerts()[0]).toMatchObject({ rule: "rollout-aborted", severity: "warning" });
  });

  test("is told which nodes it is too late for", () => {
    const fleet = new FakeFleet(4);
    const rollout = fleet.laptop({ policy: "all-at-once" });
    rollout.start();
    expect(fleet.until(() => phases(rollout).includes("activating"), 120)).toBe(true);
    expect(rollout.abort()).toEqual(fleet.nodes.map(({ id }) => id));
    expect(fleet.until(over(rollout), 900)).toBe(true);
    expect(new Set(phases(rollout))).toEqual(new Set(["running"]));
    expect(rollout.view()).toMatchObject({ state: "aborted", reason: "aborted by a person; 4 run the new version" });
    rollout.rollback();
    expect(fleet.until(over(rollout), 900)).toBe(true);
    expect(fleet.nodes.every(({ image }) => image === OLD)).toBe(true);
    expect(rollout.view()).toMatchObject({ state: "aborted", reason: "rolled back by a person; 4 went back" });
  });

  test("lets a rollout go on that the gate has paused", () => {
    const fleet = new FakeFleet(10);
    const rollout = fleet.laptop({ onFailure: "pause" });
    fleet.node(rollout.view().waves[0]!.nodes[0]!).fault = "refuses";
    rollout.start();
    expect(fleet.until(() => rollout.view().state === "paused")).toBe(true);
    expect(rollout.view().reason).toContain("bad-hash");
    fleet.advance(3600);
    expect(rollout.view().state).toBe("paused");
    rollout.resume();
    expect(fleet.until(over(rollout))).toBe(true);
    expect(rollout.view().waves[0]).toMatchObject({ state: "passed", verdict: "1 of 2 in good health, accepted" });
    expect(fleet.nodes.filter(({ image }) => image === NEW)).toHaveLength(9);
  });

  test("gives only the failed another try", () => {
    const fleet = new FakeFleet(5);
    fleet.nodes[3]!.fault = "refuses";
    const journal = memoryJournal();
    const rollout = fleet.laptop({ policy: "all-at-once" }, journal);
    rollout.start();
    expect(() => rollout.retryFailed()).toThrow(expect.objectContaining({ code: "ROLLOUT_STATE" }));
    expect(fleet.until(over(rollout), 300)).toBe(true);
    fleet.nodes[3]!.fault = null;
    const offered: number[] = [];
    fleet.heard = (what, nodes) => void (what === "offer" && offered.push(...nodes));
    rollout.retryFailed();
    expect(rollout.alerts()).toEqual([]);
    expect(fleet.until(over(rollout), 300)).toBe(true);
    expect(new Set(offered)).toEqual(new Set([fleet.nodes[3]!.id]));
    expect(fleet.nodes.every(({ image }) => image === NEW)).toBe(true);
    expect(rollout.view().reason).toBe("5 of 5 run 1.1.0");
    expect(kinds(journal.all).filter((kind) => kind === "retried")).toHaveLength(1);
    expect(replay(journal.all)).toEqual(rollout.record());
  });
});

test("a journal that cannot be written stops the rollout before anything is done", () => {
  const fleet = new FakeFleet(4);
  const journal = memoryJournal();
  const rollout = fleet.laptop({ policy: "all-at-once" }, journal);
  rollout.start();
  fleet.advance(5);
  journal.append = () => {
    throw new Error("no space left on device");
  };
  expect(() => fleet.advance(60)).toThrow("no space left");
  const told: string[] = [];
  fleet.heard = (what) => void told.push(what);
  // Less than the patience of a node that nobody speaks to any more.
  fleet.advance(200);
  expect(told).toEqual([]);
  expect(fleet.nodes.every(({ image }) => image === OLD)).toBe(true);
});
