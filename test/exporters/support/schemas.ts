/** The JSON schemas that are shipped, as checks. */
import * as fs from "node:fs";
import * as path from "node:path";
import Ajv from "ajv";

const FOLDER = path.resolve(__dirname, "../../../host-tools/exporters/schemas");
const ajv = new Ajv({ allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true });

/** What the schema has against the value, "" for nothing. */
export function complaints(schema: string, value: unknown): string {
  const id = `${schema}.schema.json`;
  const check = ajv.getSchema(id) ?? ajv.compile(JSON.parse(fs.readFileSync(path.join(FOLDER, id), "utf8")) as object);
  return check(value) ? "" : ajv.errorsText(check.errors);
}
