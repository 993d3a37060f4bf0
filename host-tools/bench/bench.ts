/** `npm run bench`: every figure that the documentation states, measured anew. Names as arguments pick parts. */
import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { benchMessageDelay } from "./message-delay";
import { benchStatus } from "./status";
import { benchBridge } from "./bridge";
import { benchDashboard } from "./dashboard";
import { benchDeltas } from "./deltas";
import { benchTransports, benchUpdates } from "./updates";
import { measureFlashLine } from "./flash-line";

const print = (text: string): void => console.log(text);

/** A bench that is a program of its own, with its own arguments. */
function program(file: string, ...args: string[]): void {
  const bench = path.join(__dirname, file);
  spawnSync(process.execPath, ["-r", "tsx/cjs", bench, ...args], { stdio: "inherit" });
}

const PARTS: Record<string, { title: string; run: () => void | Promise<void> }> = {
  inflate: { title: "Inflate", run: () => program("inflate.ts") },
  updates: { title: "Simulated updates of twenty nodes", run: () => benchUpdates(print) },
  transports: { title: "200 KB to twenty nodes, 5 % loss", run: () => benchTransports(print) },
  delay: { title: "Messages of applications while an update runs", run: () => benchMessageDelay(print) },
  status: { title: "Status: bytes an hour", run: () => benchStatus(print) },
  dashboard: { title: "Dashboard: page, browsers, load", run: () => benchDashboard(print) },
  deltas: { title: "Deltas of this repository's own history", run: () => benchDeltas(print) },
  repair: { title: "Coded repair of one hop", run: () => program("repair.ts") },
  flash: {
    title: "Flashing 1.5 MB and Storage over a virtual line of 921600 baud",
    run: async () => {
      const { usage, seconds, wireBytes } = await measureFlashLine();
      print(`${(usage * 100).toFixed(1)} % of the line's capacity: ${wireBytes} bytes in ${seconds.toFixed(1)} s`);
    },
  },
  bridge: { title: "MQTT bridge", run: () => benchBridge(print) },
  costs: {
    title: "Instructions charged by the virtual ESP32 and counted on a real interpreter",
    run: () => program("interpreter-cost.ts"),
  },
};

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !PARTS[name]);
  if (unknown.length > 0) {
    console.error(`there is no bench ${unknown.join(", ")}; there are ${Object.keys(PARTS).join(", ")}`);
    process.exitCode = 2;
    return;
  }
  for (const [name, part] of Object.entries(PARTS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    print(`\n${part.title} (${name})`);
    await part.run();
  }
}

void main();
