import * as fs from "node:fs";
import * as path from "node:path";
import { InvalidArgumentError, Option } from "commander";
import type { Encoding } from "../../firmware/ota/image";
import { version as ownVersion } from "../../package.json";
import { type Board, BoardError, boardNames, loadBoard } from "../build/board";
import { checkBudget, sizeReport } from "../build/budget";
import { bundle, type Bundle } from "../build/bundle";
import { encodeImageFile } from "../build/image-file";
import { BuildError, formatFinding } from "../build/findings";
import { type CommandDefinition, requireOptions } from "../command";
import { CONFIG_FILE, loadSite } from "../config/load";
import { RECOVERY_ROLE } from "../device/node-storage";
import { EspalierError, EXIT } from "../errors";
import { checkRoom, ENCODINGS, imageOfBundle } from "../gateway/push-source";

const ROOT = path.resolve(__dirname, "../..");

interface BundleOptions {
  app?: string;
  board: string;
  role: string;
  version: string;
  minify: boolean;
  painlessOta?: boolean;
}

interface BuildOptions extends BundleOptions {
  out?: string;
  image?: string;
  encoding: Encoding;
  notes?: string;
  product?: string;
  config?: string;
}

/** What nodes of the site take: its mesh's name, or "espalier" where there is no site. */
export function productOf({ product, config }: { product?: string; config?: string }): string {
  if (product !== undefined) return product;
  if (config === undefined && !fs.existsSync(CONFIG_FILE)) return "espalier";
  return loadSite(config).site.mesh.name;
}

function checked(pattern: RegExp, expected: string): (value: string) => string {
  return (value) => {
    if (!pattern.test(value)) throw new InvalidArgumentError(expected);
    return value;
  };
}

/** Telemetry carries a version as three numbers: two of 8 bits, one of 16. */
export function parseVersion(value: string): string {
  const parts = /^(\d+)\.(\d+)\.(\d+)$/.exec(value)?.slice(1).map(Number) ?? [];
  const [major = 256, minor = 256, patch = 65536] = parts;
  if (major > 255 || minor > 255 || patch > 65535) {
    throw new InvalidArgumentError("Expected three numbers such as 1.4.2, at most 255.255.65535.");
  }
  return value;
}

export const parseRole = checked(/^[a-z][a-z0-9-]{0,30}$/, "Expected a word of small letters, digits and hyphens.");

/** The board, with the mistakes of a command line or a board file as errors of the command line. */
export function boardOrError(name: string): Board {
  try {
    return loadBoard(name);
  } catch (error) {
    if (!(error instanceof BoardError)) throw error;
    const missing = error.code === "board-missing";
    throw new EspalierError(
      missing ? "UNKNOWN_BOARD" : "INVALID_BOARD",
      missing ? `there is no board "${name}"` : error.message,
      {
        hint: missing
          ? `Known boards: ${boardNames().join(", ")}.`
          : "boards/board.schema.json describes a board's file.",
        context: { board: name, issues: error.issues },
        exitCode: EXIT.usage,
        cause: error,
      },
    );
  }
}

/** Builds, with what the source may not contain as one error. */
export async function bundleOrError(options: BundleOptions): Promise<Bundle> {
  try {
    return await bundle({
      app: options.app === undefined ? null : path.relative(ROOT, path.resolve(options.app)),
      board: options.board,
      role: options.role,
      version: options.version,
      minify: options.minify,
      painlessOta: options.painlessOta,
    });
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    const lines = error.findings.map(formatFinding);
    const count = lines.length === 1 ? "1 reason" : `${lines.length} reasons`;
    throw new EspalierError(
      "BUILD_REFUSED",
      `${options.app ?? "the firmware"} cannot be built, ${count}:\n${lines.join("\n")}`,
      {
        hint: "docs/writing-apps.md lists what Espruino lacks and what to write instead.",
        context: { findings: error.findings },
        cause: error,
      },
    );
  }
}

/** The board, with the budget of the role's bundle. */
function boardForRole(name: string, role: string): Board {
  const board = boardOrError(name);
  const { bundle, recovery } = board;
  const bytes = role === RECOVERY_ROLE ? recovery.bytes : (bundle.roles?.[role] ?? bundle.bytes);
  return { ...board, bundle: { ...board.bundle, bytes } };
}

export const build: CommandDefinition = {
  examples: [
    { line: "build --app apps/sensor.ts --board esp32-devkitc", comment: "print sizes" },
    { line: "build --app apps/sensor.ts --board esp32-devkitc --out sensor.js", comment: "write the script" },
    { line: "build --app apps/sensor.ts --board esp32-devkitc --image s.espalier", comment: "an image to push" },
    {
      line: "build --board esp32-devkitc --role recovery",
      comment: "what runs when both slots are bad: no application",
    },
    { line: "build --app apps/sensor.ts --board esp32-c3-devkitm --role leaf --json", comment: "for another program" },
  ],

  configure(command) {
    command
      .option("-a, --app <file>", "the application's TypeScript module (required, but for the role recovery)")
      .option("-b, --board <name>", 'a board, see "espalier boards" (required)')
      .option("-r, --role <name>", "which nodes the bundle is for", parseRole, "node")
      .option("-o, --out <file>", "write the bundle to this file")
      .option("-i, --image <file>", 'write an image of it, for "espalier push"')
      .addOption(new Option("--encoding <name>", "of the image").choices(ENCODINGS).default("heatshrink"))
      .option("--notes <text>", "of the image: what changed")
      .option("--product <name>", "of the image; the mesh's name in flash.config.json unless given")
      .option("-c, --config <file>", "another file in place of flash.config.json")
      .option("--version <version>", "version that the bundle reports", parseVersion, ownVersion)
      .option("--painless-ota", "take updates of C++ painlessMesh nodes too, which costs 2 KB")
      .option("--no-minify", "keep names and line breaks, to read the bundle");
  },

  async run(context, given) {
    requireOptions(given, given.role === RECOVERY_ROLE ? ["board"] : ["app", "board"]);
    const options = given as unknown as BuildOptions;
    const board = boardForRole(options.board, options.role);
    const built = await bundleOrError(options);
    const over = checkBudget(board, built);
    const result = {
      app: options.app ?? null,
      board: options.board,
      role: options.role,
      version: options.version,
      bytes: built.bytes,
      budget: board.bundle.bytes,
      modules: built.modules,
      out: options.out ?? null,
      image: options.image ?? null,
    };
    const first = over[0];
    if (first && options.minify) {
      throw new EspalierError(
        "OVER_BUDGET",
        `the bundle has ${first.used} bytes, ${board.name} allows ${first.allowed}:\n${sizeReport(board, built).join("\n")}`,
        { hint: "Leave something out; nothing was written.", context: result },
      );
    }
    if (options.out !== undefined) {
      fs.mkdirSync(path.dirname(path.resolve(options.out)), { recursive: true });
      fs.writeFileSync(options.out, built.code);
    }
    if (options.image !== undefined) {
      const { role, version, notes, encoding } = options;
      const product = productOf(options);
      const image = imageOfBundle({ code: built.code, product, board, role, version, notes }, encoding);
      checkRoom(image);
      fs.mkdirSync(path.dirname(path.resolve(options.image)), { recursive: true });
      fs.writeFileSync(options.image, encodeImageFile(image));
    }
    const written = [options.out, options.image].filter((file) => file !== undefined);
    context.report(result, () =>
      [...sizeReport(board, built), ...written.map((file) => `written to ${file}`)].join("\n"),
    );
    return EXIT.ok;
  },
};
