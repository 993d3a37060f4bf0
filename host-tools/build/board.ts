import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { z } from "zod";

/** A flash address: a number, or hexadecimal text, which is how partition tables are read by people. */
const address = z.union([
  z.number().int().min(0),
  z
    .string()
    .regex(/^0x[0-9a-f]{1,8}$/i, "an address is a number or text such as 0x320000")
    .transform((text) => parseInt(text, 16)),
]);
const count = z.number().int().positive();
const fraction = z.number().positive().max(1);
const cost = z.number().nonnegative();

const partition = z.strictObject({ name: z.string().min(1).max(15), address, bytes: count });

/** First page and number of pages of one region of the node's big Storage file. */
const region = z.tuple([z.number().int().min(0), count]);

const pin = z.string().regex(/^D\d{1,2}$/, "a pin is D and its GPIO number");

const boardSchema = z
  .strictObject({
    $schema: z.string().optional(),
    /** The same as the file's name without ".json". */
    name: z.string().regex(/^[a-z0-9-]+$/),
    /** As esptool names it. */
    chip: z.enum(["esp32", "esp32c3", "esp32s3"]),
    /** As it stands in image manifests. */
    hardware: z.string().min(1),
    engine: z.strictObject({ name: z.enum(["espruino", "jerryscript"]), release: z.string() }),
    flash: z.strictObject({
      bytes: count,
      mode: z.enum(["qio", "qout", "dio", "dout"]),
      frequency: z.enum(["20m", "26m", "40m", "80m"]),
      bootloader: address,
      partitionTable: address,
      partitions: z.array(partition).min(1),
    }),
    console: z.strictObject({ kind: z.enum(["uart", "usb-serial-jtag"]), baud: count }),
    storage: z.strictObject({ partition: z.string(), address, bytes: count, page: count }),
    /** By name; they follow each other without gaps, in this order. */
    regions: z.record(z.string().min(1), region),
    /** The loader arms the hardware watchdog with it. */
    watchdogSeconds: count.max(600),
    memory: z.strictObject({
      /** Interpreter variables on the board. */
      variables: count,
      variableBytes: count,
      /** Share of them that a node may hold at rest. */
      restFraction: fraction,
      /** Share of them that a node may hold at the peak of an update. */
      peakFraction: fraction,
    }),
    /** Bytes of a bundle, and of one of a role that is allowed more. */
    bundle: z.strictObject({ bytes: count, standard: count, roles: z.record(z.string(), count).optional() }),
    /** What runs when both slots are bad; its region is written at provisioning and never again. */
    recovery: z.strictObject({ bytes: count }),
    radio: z.strictObject({
      accessPoint: z.strictObject({ besideStation: z.boolean(), stations: z.number().int().min(0).max(15) }),
      sockets: count,
      /**
       * How a role spends them. Mesh: a listener, the parent, a child for each station, two for the airwave (a leaf has no
       * children). Browsers: a listener, and what web.ts allows at once.
       */
      budget: z.record(z.string(), z.strictObject({ mesh: count, browsers: z.number().int().min(0) })),
      /** Datagrams that wait for one socket; the next is lost. */
      waitingDatagrams: count,
    }),
    /** How the flasher resets the board. */
    reset: z.enum(["dtr-rts", "usb-jtag", "none"]),
    pins: z.strictObject({
      led: z.strictObject({ pin, kind: z.enum(["gpio", "ws2812"]), activeHigh: z.boolean() }).optional(),
      button: z.strictObject({ pin, activeHigh: z.boolean() }).optional(),
    }),
    /** How fast the chip works, for the simulator; what each operation takes is in its own cost table. */
    cost: z.strictObject({
      instructionsPerSecond: count,
      /** From power or reset to the loader's first line. */
      bootMilliseconds: cost,
      erasePageMilliseconds: cost,
    }),
  })
  .superRefine((board, context) => {
    const refuse = (where: (string | number)[], message: string): void =>
      context.addIssue({ code: "custom", path: where, message });
    const { storage, flash } = board;
    const home = flash.partitions.find((candidate) => candidate.name === storage.partition);
    if (home === undefined) refuse(["storage", "partition"], `flash.partitions has no "${storage.partition}"`);
    else if (storage.address !== home.address || storage.bytes > home.bytes)
      refuse(["storage"], `does not lie at the start of partition "${home.name}"`);
    flash.partitions.forEach((one, index) => {
      if (one.address + one.bytes > flash.bytes) refuse(["flash", "partitions", index], "reaches beyond the flash");
      const next = flash.partitions[index + 1];
      if (next !== undefined && one.address + one.bytes > next.address)
        refuse(["flash", "partitions", index + 1], `overlaps "${one.name}"`);
    });
    if (storage.bytes % storage.page !== 0) refuse(["storage", "bytes"], "is not a whole number of pages");
    let pages = 0;
    for (const [name, [first, length]] of Object.entries(board.regions)) {
      if (first !== pages) refuse(["regions", name], `starts at page ${first}, the region before it ends at ${pages}`);
      pages = first + length;
      // The first page of a slot is its header.
      if (/^slot\d$/.test(name) && (length - 1) * storage.page < board.bundle.bytes)
        refuse(["regions", name], "is too small for a bundle of bundle.bytes");
      if (name === "recovery" && (length - 1) * storage.page < board.recovery.bytes)
        refuse(["regions", name], "is too small for a bundle of recovery.bytes");
      if (name === "trust" && length < 2) refuse(["regions", name], "is too small; it takes two pages");
    }
    for (const name of ["state", "slot0", "slot1", "stage", "recovery", "trust"]) {
      if (board.regions[name] === undefined) refuse(["regions", name], "is missing; every node needs it");
    }
    // Loader, settings and the filler that aligns the regions lie in front of them, on two pages at most.
    if ((pages + 2) * storage.page > storage.bytes)
      refuse(["regions"], `${pages} pages do not fit into the Storage area`);
    for (const [role, { mesh, browsers }] of Object.entries(board.radio.budget)) {
      if (mesh + browsers > board.radio.sockets)
        refuse(["radio", "budget", role], `${mesh + browsers} sockets are more than radio.sockets`);
    }
    if (board.memory.restFraction > board.memory.peakFraction)
      refuse(["memory", "restFraction"], "is above memory.peakFraction");
  });

export type Board = z.infer<typeof boardSchema>;

/** One reason why a board's file was refused. */
export interface BoardIssue {
  /** "storage.bytes" */
  path: string;
  reason: string;
}

/** A board's file that is missing, is not JSON or does not describe a board. */
export class BoardError extends Error {
  constructor(
    readonly code: "board-missing" | "board-json" | "board-invalid",
    readonly file: string,
    readonly issues: readonly BoardIssue[],
  ) {
    super(issues.map(({ path: where, reason }) => `${file}: ${where === "" ? "" : `${where}: `}${reason}`).join("\n"));
    this.name = "BoardError";
  }
}

/** @throws BoardError code board-invalid; `file` only serves its messages. */
export function parseBoard(value: unknown, file: string): Board {
  const result = boardSchema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => ({ path: issue.path.join("."), reason: issue.message }));
  throw new BoardError("board-invalid", file, issues);
}

const BOARDS = path.resolve(__dirname, "../../boards");

/** Names of the boards that have a file, sorted. */
export function boardNames(folder: string = BOARDS): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json") && !file.endsWith(".schema.json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

/** Reads boards/<name>.json. @throws BoardError */
export function loadBoard(name: string, folder: string = BOARDS): Board {
  const file = path.join(folder, `${name}.json`);
  const shown = path.relative(process.cwd(), file);
  if (!boardNames(folder).includes(name)) {
    const reason = `there is no board "${name}"; known: ${boardNames(folder).join(", ")}`;
    throw new BoardError("board-missing", shown, [{ path: "", reason }]);
  }
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new BoardError("board-json", shown, [{ path: "", reason: (error as Error).message }]);
  }
  const board = parseBoard(value, shown);
  if (board.name !== name) {
    throw new BoardError("board-invalid", shown, [{ path: "name", reason: `is "${board.name}", not the file's name` }]);
  }
  return board;
}

/** GPIO numbers of a board's pins, as the bundle knows them. */
export function pinNumbers(board: Board): Record<string, number> {
  const pins: Record<string, number> = {};
  for (const [name, pin] of Object.entries(board.pins)) if (pin) pins[name] = Number(pin.pin.slice(1));
  return pins;
}

/** JSON schema of a board's file, for editors (boards/board.schema.json). */
export function boardJsonSchema(): unknown {
  return z.toJSONSchema(boardSchema, { io: "input" });
}
