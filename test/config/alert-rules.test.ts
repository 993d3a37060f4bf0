import { defaultRules, parseRule } from "../../firmware/status/rules";
import { alertRules, ruleTexts } from "../../host-tools/config/alert-rules";

test("every default is a rule, whose exit does not lie on the fault's side", () => {
  for (const text of defaultRules()) {
    const rule = parseRule(text)!;
    expect(rule).not.toBeNull();
    expect(rule.above ? rule.exit <= rule.enter : rule.exit >= rule.enter).toBe(true);
  }
  expect(ruleTexts(alertRules())).toEqual(defaultRules());
});

test("what JSON changes, adds and switches off", () => {
  const rules = alertRules({
    "low-memory": { enter: 500, exit: 800 },
    latency: { enabled: false },
    cold: { metric: "rssi", above: false, enter: -90, severity: "info" },
  });
  const of = (id: string) => rules.find((rule) => rule.id === id);
  expect(of("low-memory")).toMatchObject({ enter: 500, exit: 800, above: false, severity: 2 });
  expect(of("latency")).toBeUndefined();
  expect(of("cold")).toMatchObject({ enter: -90, exit: -90, hold: 0, severity: 0 });
  expect(ruleTexts(rules).map((text) => parseRule(text))).toEqual(rules);
});

test.each([
  [{ "low-memory": { enter: "much" } }, "low-memory.enter"],
  [{ "low-memory": { entr: 1 } }, "entr"],
  [{ mine: { metric: "weather", enter: 1 } }, "mine.metric"],
  [{ mine: { enter: 1 } }, "mine: a new rule"],
  [{ loss: { enter: 100, exit: 200 } }, "loss: exit 200"],
  [{ "Bad Id": {} }, "Bad Id"],
  [[1], "(top)"],
  [null, "(top)"],
])("%j is refused, with its place", (input, place) => {
  let thrown: unknown;
  try {
    alertRules(input);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: "BAD_ALERT_RULES", exitCode: 2 });
  expect((thrown as { context: { reasons: string[] } }).context.reasons.join("\n")).toContain(place);
});

test.each(["", "x", "x,rssi,>,1,1,1,1", "x,rssi,=,1,1,1,1,1", "x,weather,>,1,1,1,1,1", "x,rssi,>,a,1,1,1,1"])(
  "the text %j is no rule",
  (text) => expect(parseRule(text)).toBeNull(),
);
