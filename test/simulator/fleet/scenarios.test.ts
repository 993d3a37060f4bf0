import { readdirSync } from "node:fs";
import path from "node:path";
import { runScenario } from "../../../host-tools/simulator/run-scenario";
import { readScenario } from "../../../host-tools/simulator/scenario";

const FOLDER = path.join(__dirname, "../../scenarios");

/** Every scenario is a test: its own expectations decide. */
test.each(readdirSync(FOLDER).filter((file) => file.endsWith(".yaml")))(
  "%s",
  async (file) => {
    const result = await runScenario(readScenario(path.join(FOLDER, file)));
    expect(result.failures).toEqual([]);
  },
  240_000,
);
