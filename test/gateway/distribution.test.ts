import { paceFor, readReport, sendersIn } from "../../host-tools/gateway/distribution";

test("a node that works for 100 ms at a stretch has not missed five chunks, even at the fastest pace", () => {
  expect(5 * paceFor(1)).toBeGreaterThanOrEqual(2 * 100);
});

test("senders of one channel share it, and a smaller share of it makes them slower", () => {
  expect(paceFor(4)).toBeGreaterThan(3 * paceFor(1));
  expect(paceFor(1, 0.25)).toBeGreaterThan(2 * paceFor(1, 0.75));
});

test("whoever has somebody below on the way from the laptop sends", () => {
  expect(sendersIn({ nodeId: 1 })).toBe(0);
  expect(
    sendersIn({
      nodeId: 1,
      subs: [
        { nodeId: 2, subs: [] },
        { nodeId: 3, subs: [{ nodeId: 4 }] },
      ],
    }),
  ).toBe(2);
});

test("what a report says is cut to what can be true, and to what a terminal can show", () => {
  const report = {
    type: 711,
    from: 9,
    dest: 1,
    routing: 1,
    id: "a",
    s: "rec\x1b[2Jeiving",
    h: -3,
    n: 1e9,
    p: 250,
    r: "x",
  };
  expect(readReport(report, "a")).toEqual({
    node: 9,
    state: "rec?[2Jeiving",
    percent: 100,
    chunks: 0,
    total: 1e6,
    repaired: 0,
    sent: 0,
    error: "",
    version: "",
  });
  expect(readReport(report, "b")).toBeNull();
  expect(readReport({ ...report, s: 3 }, "a")).toBeNull();
});
