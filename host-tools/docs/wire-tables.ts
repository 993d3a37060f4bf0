/** The tables of docs/wire.md that are made from the frame definitions. `tsx host-tools/docs/wire-tables.ts` prints them. */
import { DELTA_FIELDS, DELTA_FIRST, telemetryDeltas, telemetryFields } from "../../firmware/wire/telemetry";
import { TELEMETRY_MEANINGS } from "./telemetry-meanings";
import { markdownTable } from "./markdown-table";

const TYPES: Record<string, [name: string, bytes: number]> = {
  B: ["u8", 1],
  b: ["i8", 1],
  H: ["u16", 2],
  I: ["u32", 4],
};

/** "~32" as "±32", "+64" as "growth ±64", "~0" as "exact". */
function treatment(text: string): string {
  const band = text.slice(1).split(":")[0]!;
  if (band === "0") return "exact";
  return text[0] === "+" ? `growth ±${band}` : `±${band}`;
}

/** The telemetry frame as a Markdown table, as prettier aligns it. */
export function telemetryTable(): string {
  const rows = [["Offset", "Type", "Field", "In deltas", "Meaning"]];
  let offset = 0;
  const deltas = telemetryDeltas();
  for (const [index, field] of telemetryFields().entries()) {
    const [type, bytes] = TYPES[field[0]!]!;
    const name = field.slice(1) as keyof typeof TELEMETRY_MEANINGS;
    const bit = index - DELTA_FIRST;
    const delta = bit >= 0 && bit < DELTA_FIELDS ? `${bit}: ${treatment(deltas[bit]!)}` : "";
    rows.push([String(offset), type, `\`${name}\``, delta, TELEMETRY_MEANINGS[name]]);
    offset += bytes;
  }
  rows.push([String(offset), "u32", "", "", "CRC-32 of the bytes before"]);
  return markdownTable(rows);
}

if (require.main === module) console.log(telemetryTable());
