/** The result of a simulated run as people read it. */
import type { Colors } from "../ui/color";
import { formatTable } from "../ui/table";
import type { ScenarioResult } from "./run-scenario";

function seconds(value: number): string {
  return value < 0 ? "-" : `${value.toFixed(1)} s`;
}

/** One line a node: versions before and after, chunks, time. */
export function nodeTable(result: ScenarioResult, colors: Colors): string {
  const columns = [
    { title: "node", align: "right" as const },
    { title: "id" },
    { title: "hops", align: "right" as const },
    { title: "before" },
    { title: "after" },
    { title: "state" },
    { title: "chunks", align: "right" as const },
    { title: "repaired", align: "right" as const },
    { title: "after push", align: "right" as const },
  ];
  const rows = result.list.map((node) => [
    String(node.number),
    node.id.toString(16),
    node.hops < 0 ? "-" : String(node.hops),
    node.versionBefore,
    node.version || "-",
    node.error ? `${node.state}: ${node.error}` : node.state || "-",
    String(node.chunks),
    String(node.repaired),
    seconds(node.seconds),
  ]);
  return formatTable(columns, rows, colors.bold);
}

/** Totals, one fact a line. */
export function totals(result: ScenarioResult, colors: Colors): string {
  const speed = result.virtualSeconds / Math.max(0.001, result.wallSeconds);
  const lines = [
    `mesh of ${result.nodes} whole after ${seconds(result.formed)}, ${result.hops} hops`,
    result.transport
      ? `update (${result.transport}, ${result.encoding}): ${result.updated} of ${result.nodes} run the new version, ` +
        `the last after ${seconds(result.seconds)}`
      : "",
    result.encodingWhy ? `encoding ${result.encoding}: ${result.encodingWhy}` : "",
    result.transport
      ? `${result.imageBytes} bytes in ${result.chunks} chunks; ${result.transmissions} transmissions, ` +
        `${result.ratio.toFixed(2)} x the least possible (${result.lowerBound})`
      : "",
    `${result.airtime.toFixed(1)} s of airtime, ${result.overflowed} datagrams lost to full receive queues`,
    `${result.virtualSeconds.toFixed(0)} s simulated in ${result.wallSeconds.toFixed(1)} s (${speed.toFixed(0)} x real time)`,
    ...result.failures.map((failure) => colors.red(`expectation failed: ${failure}`)),
  ];
  return lines.filter((line) => line !== "").join("\n");
}
