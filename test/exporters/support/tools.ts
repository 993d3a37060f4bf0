/** Programs of the system that tests want: skipped with a hint where one is missing, but failed in CI. */
import { spawnSync } from "node:child_process";

const PACKAGES: Record<string, string> = {
  mosquitto: "mosquitto",
  mosquitto_passwd: "mosquitto",
  openssl: "openssl",
  influxd: "influxdb",
  prometheus: "prometheus",
  promtool: "prometheus",
  "victoria-metrics": "victoria-metrics",
};

/** Debian keeps daemons where a user's PATH may not look. */
export const toolEnvironment = { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` };

function missing(tools: readonly string[]): string[] {
  return tools.filter((tool) => spawnSync("sh", ["-c", `command -v ${tool}`], { env: toolEnvironment }).status !== 0);
}

/** A `describe` for tests that run these programs. */
export function describeWith(tools: readonly string[], name: string, tests: () => void): void {
  const lacking = missing(tools);
  if (lacking.length === 0) {
    describe(name, tests);
    return;
  }
  const packages = [...new Set(lacking.map((tool) => PACKAGES[tool] ?? tool))].join(" ");
  const hint = `${lacking.join(", ")} not found; on Debian: apt-get install ${packages}`;
  if (process.env.CI) {
    describe(name, () => {
      it("has its programs", () => {
        throw new Error(hint);
      });
    });
    return;
  }
  console.warn(`skipped "${name}": ${hint}`);
  describe.skip(name, tests);
}
