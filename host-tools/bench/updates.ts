/** Simulated updates: time, transmissions against the bound, chunk size, encodings, and the simulator's own speed. */
import { runScenario, type ScenarioResult } from "../simulator/run-scenario";
import { parseScenario, type ScenarioInput } from "../simulator/scenario";
import { formatTable } from "../ui/table";

const COLUMNS = [
  { title: "20 nodes" },
  { title: "updated", align: "right" as const },
  { title: "virtual s", align: "right" as const },
  { title: "frames", align: "right" as const },
  { title: "bound", align: "right" as const },
  { title: "ratio", align: "right" as const },
  { title: "airtime s", align: "right" as const },
  { title: "x real time", align: "right" as const },
];

function row(name: string, r: ScenarioResult): string[] {
  return [
    name,
    `${r.updated}/${r.nodes}`,
    r.seconds.toFixed(0),
    String(r.transmissions),
    String(r.lowerBound),
    r.ratio.toFixed(2),
    r.airtime.toFixed(1),
    (r.virtualSeconds / r.wallSeconds).toFixed(0),
  ];
}

async function play(update: NonNullable<ScenarioInput["update"]>, loss: number, nodes = 20): Promise<ScenarioResult> {
  return runScenario(parseScenario({ name: "bench", seed: 7, nodes, radio: { loss }, update, until: 7200 }));
}

/** Prints as it goes; some three minutes. */
export async function benchUpdates(print: (text: string) => void): Promise<void> {
  const rows: string[][] = [];
  for (const loss of [0, 0.05, 0.1, 0.2]) {
    rows.push(row(`broadcast, heatshrink, ${loss * 100} % loss`, await play({ encoding: "heatshrink" }, loss)));
  }
  for (const encoding of ["raw", "deflate"] as const) {
    rows.push(row(`broadcast, ${encoding}, 5 % loss`, await play({ encoding }, 0.05)));
  }
  rows.push(
    row("504-byte chunks, heatshrink, 5 % loss", await play({ encoding: "heatshrink", chunkBytes: 504 }, 0.05)),
  );
  rows.push(
    row("sequential, heatshrink, 5 % loss", await play({ encoding: "heatshrink", transport: "sequential" }, 0.05)),
  );
  print(formatTable(COLUMNS, rows));
}

/** An image of as many bytes as a slot holds, by every transport. */
export async function benchTransports(print: (text: string) => void): Promise<void> {
  const size = 204800;
  const kinds: [string, NonNullable<ScenarioInput["update"]>][] = [
    ["sequential, heatshrink", { transport: "sequential", encoding: "heatshrink" }],
    ["broadcast, raw", { encoding: "raw" }],
    ["broadcast, heatshrink", { encoding: "heatshrink" }],
    ["broadcast, deflate", { encoding: "deflate" }],
    ["peer, heatshrink", { transport: "peer", encoding: "heatshrink" }],
    ["delta of a new version number", { encoding: "delta" }],
  ];
  const rows: string[][] = [];
  for (const [name, update] of kinds) {
    const result = await play({ ...update, size, deadline: 5400 }, 0.05);
    rows.push([...row(name, result), (result.chunkBytes / 1024).toFixed(0)]);
  }
  print(formatTable([...COLUMNS, { title: "KB sent", align: "right" as const }], rows));
}
