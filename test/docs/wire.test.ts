import { readFileSync } from "node:fs";
import path from "node:path";
import { telemetryFields } from "../../firmware/wire/telemetry";
import { TELEMETRY_MEANINGS } from "../../host-tools/docs/telemetry-meanings";
import { ruleTable } from "../../host-tools/docs/rule-table";
import { telemetryTable } from "../../host-tools/docs/wire-tables";

test("docs/wire.md shows the telemetry frame as it is", () => {
  expect(readFileSync(path.join(__dirname, "../../docs/wire.md"), "utf8")).toContain(telemetryTable());
});

test("every telemetry field has a meaning, and no other has", () => {
  expect(telemetryFields().map((field) => field.slice(1))).toEqual(Object.keys(TELEMETRY_MEANINGS));
});

test("docs/status.md shows the alert rules as they are", () => {
  expect(readFileSync(path.join(__dirname, "../../docs/status.md"), "utf8")).toContain(ruleTable());
});
