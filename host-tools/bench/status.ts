/** What status costs: bytes an hour of each way to tell it, for ten nodes, beside the figures of the design document. */
import { crc32 } from "node:zlib";
import { encodeFrame, DELTA_STATE } from "../../firmware/wire/telemetry-delta";
import {
  decodeTelemetry,
  DELTA_FIRST,
  encodeTelemetry,
  type Telemetry,
  telemetryDeltas,
  telemetryFields,
} from "../../firmware/wire/telemetry";
import { PACKAGE_STATUS_REPORT } from "../../firmware/status/reporter";
import { statusFields } from "../../firmware/status/status-package";
import { createFrameReader, PACKAGE_STATUS_QUERY } from "../../firmware/status/telemetry-receiver";
import { packageText } from "../../firmware/wire/packages";
import { createCollector } from "../gateway/collector";
import { nodesPayload } from "../exporters/payloads";
import { loadBoard } from "../build/board";
import { Fleet } from "../simulator/fleet";
import { buildFor, loaderFor } from "../simulator/firmware-builds";
import { Random } from "../simulator/random";
import { type StatusNode, StatusWorld } from "../simulator/status-world";
import { places } from "../simulator/topology";
import { formatTable } from "../ui/table";

const NODES = 10;
const DAY = 24 * 3600;
/** KB an hour for ten nodes, from the charts of the design document. */
const SEED = { "2A": 60, "2B": 15, "2C": 4, "2D": 10, "2E": 20 };
/** A datagram with telemetry begins with its type. */
const DATAGRAM_HEADER = 1;
/** A package ends with a zero byte. */
const PACKAGE_END = 1;

const crc = (bytes: string): number => crc32(Buffer.from(bytes, "latin1"));
const kb = (bytes: number): string => (bytes / 1000).toFixed(2);

export interface StreamFigures {
  /** Bytes a node makes in an hour, the mean of all. */
  made: number;
  /** Bytes a node adds to the air in an hour: what it made, on each hop, and the datagrams' own bytes. */
  onAir: number;
  keys: number;
  deltas: number;
  repeats: number;
  /** Of how many values, how many were farther from the truth than their dead-band. */
  values: number;
  wrong: number;
}

function depth(node: StatusNode): number {
  let hops = 0;
  for (let at = node.parent; at; at = at.parent) hops++;
  return hops;
}

/** A day of ten nodes; `without` are fields that the nodes leave at their first value. */
export function measureStream(interval: number, without: readonly string[] = []): StreamFigures {
  const world = new StatusWorld({ nodes: NODES, interval, seed: 1 });
  const states = new Map(world.nodes.map((node) => [node.id, new Float64Array(DELTA_STATE)]));
  const frozen = new Map<number, Telemetry>();
  const figures = { made: 0, onAir: 0, keys: 0, deltas: 0, repeats: 0, values: 0, wrong: 0 };
  let truth: Telemetry;
  const reader = createFrameReader(
    crc,
    (told) => {
      const before = decodeTelemetry(encodeTelemetry(truth, crc), crc)!;
      for (const field of telemetryFields()) {
        const name = field.slice(1) as keyof Telemetry;
        figures.values++;
        if (Math.abs(told[name] - before[name]) > (BANDS.get(name) ?? 0)) figures.wrong++;
      }
    },
    () => undefined,
  );
  const fields = telemetryFields();
  const treatments = telemetryDeltas();
  world.onFrame = (frame, node) => {
    const first = frozen.get(node.id) ?? { ...frame };
    frozen.set(node.id, first);
    for (const name of without)
      (frame as unknown as Record<string, number>)[name] = (first as unknown as Record<string, number>)[name]!;
    truth = frame;
    const state = states.get(node.id)!;
    const encode = () => encodeFrame(state, frame, crc, fields, treatments);
    const bytes = encode() || encode();
    const kind = bytes.charCodeAt(0);
    if (kind === 64) figures.keys++;
    else if (kind > 127) figures.repeats++;
    else figures.deltas++;
    figures.made += bytes.length;
    // The root's own frames need no air; a node sends one datagram an interval, with all that came from below.
    figures.onAir += bytes.length * depth(node) + (node.parent ? DATAGRAM_HEADER : 0);
    reader.take(bytes, world.events.now());
  };
  world.run(DAY);
  const share = NODES * 24;
  return { ...figures, made: figures.made / share, onAir: figures.onAir / share };
}

const BANDS = new Map(
  telemetryDeltas().map((text, i) => [
    telemetryFields()[DELTA_FIRST + i]!.slice(1),
    Number(text.slice(1).split(":")[0]),
  ]),
);

/** Bytes of an hour in a tree of ten, made and on all links. */
function measurePackages(): Record<"2A" | "2B", { made: number; onAir: number }> {
  const world = new StatusWorld({ nodes: NODES, interval: 60, seed: 1 });
  world.run(3600);
  let status = 0;
  let reports = 0;
  let reportsOnAir = 0;
  for (const node of world.nodes) {
    const t = node.trace.at(3600);
    const fields = statusFields(t, { version: "1.2.0", image: "0123456789abcdef" }, "", 300);
    status += packageText({ ...fields, from: node.id }).length + PACKAGE_END;
    const d = Buffer.from(encodeTelemetry(t, crc), "latin1").toString("base64");
    const report = {
      type: PACKAGE_STATUS_REPORT,
      routing: 1,
      dest: 0xc4ffff01,
      q: 4711,
      d,
      t: 3_600_000_000,
      from: node.id,
    };
    const bytes = packageText(report).length + PACKAGE_END;
    reports += bytes;
    reportsOnAir += bytes * depth(node);
  }
  const query =
    packageText({ type: PACKAGE_STATUS_QUERY, routing: 2, from: 0xc4ffff01, q: 4711, w: 250 }).length + PACKAGE_END;
  const edges = NODES - 1;
  return {
    // Every five minutes; a broadcast crosses each edge once.
    "2A": { made: status * 12, onAir: status * 12 * edges },
    // Every thirty seconds.
    "2B": { made: (query + reports) * 120, onAir: (query * edges + reportsOnAir) * 120 },
  };
}

/** Bytes of the payload that the MQTT bridge publishes about all nodes. */
function measureNodesTopic(): number {
  const world = new StatusWorld({ nodes: NODES, interval: 60, seed: 1 });
  const collector = createCollector(world.session);
  world.run(120);
  const payload = JSON.stringify(nodesPayload(world.now(), collector.nodes()));
  collector.close();
  return Buffer.byteLength(payload);
}

/** Telemetry datagrams of ten virtual boards, after they have found each other; bytes a node and hour, and the longest event. */
async function measureBoards(
  minutes: number,
): Promise<{ bytes: number; datagrams: number; told: number; longestMs: number }> {
  const board = "esp32-devkitc";
  const { code, image } = await buildFor({ app: "apps/sensor.ts", board, version: "1.0.0", encoding: "raw" });
  let told = 0;
  const fleet = new Fleet({
    board: loadBoard(board),
    seed: 3,
    places: places("grid", NODES, 8, new Random(3).stream("places")),
    loss: 0.02,
    throughput: 691,
    loader: await loaderFor(board),
    code,
    image,
    onTelemetry: () => void told++,
  });
  fleet.start(fleet.nodes.keys());
  const { events } = fleet.world;
  events.run(180_000);
  let bytes = 0;
  let datagrams = 0;
  told = 0;
  // What held a board while it started and joined is another matter.
  for (const { chip } of fleet.nodes) chip.stats.longestMs = 0;
  fleet.world.observe(({ kind, payload }) => {
    if (kind === "tcp" || payload === undefined || payload.charCodeAt(0) !== 84) return;
    bytes += payload.length;
    datagrams++;
  });
  events.run(events.now() + minutes * 60_000);
  const longestMs = Math.max(...fleet.nodes.map(({ chip }) => chip.stats.longestMs));
  fleet.stop();
  return { bytes: (bytes * 60) / minutes / NODES, datagrams, told, longestMs };
}

const STREAM_COLUMNS = [
  { title: "telemetry stream, a day of ten nodes" },
  { title: "KB/h a node", align: "right" as const },
  { title: "on air", align: "right" as const },
  { title: "key", align: "right" as const },
  { title: "delta", align: "right" as const },
  { title: "as before", align: "right" as const },
  { title: "values wrong", align: "right" as const },
];

function streamRow(name: string, f: StreamFigures): string[] {
  const share = (count: number): string => `${((100 * count) / (f.keys + f.deltas + f.repeats)).toFixed(1)} %`;
  return [name, kb(f.made), kb(f.onAir), share(f.keys), share(f.deltas), share(f.repeats), `${f.wrong} of ${f.values}`];
}

export async function benchStatus(print: (text: string) => void): Promise<void> {
  const minute = measureStream(60);
  const half = measureStream(30);
  print(
    formatTable(STREAM_COLUMNS, [
      streamRow("every 60 s, all fields", minute),
      streamRow("every 30 s, all fields", half),
      streamRow("every 60 s, without package counters", measureStream(60, ["received", "sent"])),
    ]),
  );
  print('Target: 1.0 KB an hour and node. A frame that says "as before" has 9 bytes, which is 1.08 KB at 30 s.');
  const packages = measurePackages();
  const row = (name: keyof typeof SEED, what: string, made: number, onAir: number): string[] => [
    `${name} ${what}`,
    String(SEED[name]),
    kb(made),
    kb(onAir),
  ];
  print("");
  print(
    formatTable(
      [
        { title: "ten nodes, KB an hour" },
        { title: "document", align: "right" },
        { title: "made", align: "right" },
        { title: "on air, all hops", align: "right" },
      ],
      [
        row("2A", "status package every 5 min", packages["2A"].made, packages["2A"].onAir),
        row("2B", "status service every 30 s", packages["2B"].made, packages["2B"].onAir),
        row("2C", "telemetry stream every 60 s", minute.made * NODES, minute.onAir * NODES),
        row("2C", "telemetry stream every 30 s", half.made * NODES, half.onAir * NODES),
        ["2E mesh/status/nodes every 30 s", String(SEED["2E"]), kb(measureNodesTopic() * 120), "none"],
      ],
    ),
  );
  const boards = await measureBoards(20);
  print("");
  print(
    `Ten virtual boards, 20 minutes: ${kb(boards.bytes)} KB an hour and node on air in ${boards.datagrams} datagrams; ` +
      `${boards.told} frames reached the laptop; no event held a board for more than ${boards.longestMs.toFixed(0)} ms.`,
  );
}
