import * as fs from "node:fs";
import * as path from "node:path";
import type { Board } from "../build/board";
import type { CommandContext, CommandDefinition } from "../command";
import { findFirmware } from "../config/firmware-source";
import { nodeFor } from "../config/load";
import { chipNamed } from "../device/chips";
import { readFirmware } from "../device/firmware";
import { planFlash, type FlashRegion } from "../device/flash-plan";
import { type FlashJob, flashBoards, type FlashReport } from "../device/flasher";
import { createStorageBuilder } from "../device/node-storage";
import { webManifest } from "../device/web-manifest";
import { type EspalierError, EXIT } from "../errors";
import {
  boardFor,
  type ChipOptions,
  addChipOptions,
  choosePorts,
  flashOptions,
  siteOf,
  unknownNode,
} from "./device-options";
import { openNodeWarning } from "./open-node";

const ROOT = path.resolve(__dirname, "../..");

interface Options extends ChipOptions {
  config?: string;
  board?: string;
  firmware?: string;
  storageOnly?: boolean;
  root?: boolean;
  eraseAll?: boolean;
  verify: boolean;
  dryRun?: boolean;
  manifest?: string;
}

type Outcome = { report: FlashReport } | { path: string; error: EspalierError };

function describe(outcome: Outcome, context: CommandContext): string {
  const { colors } = context;
  if ("error" in outcome) {
    const hint = outcome.error.hint ? `\n  ${colors.dim("hint:")} ${outcome.error.hint}` : "";
    return `${colors.red(`error[${outcome.error.code}]`)}: ${outcome.error.message}${hint}`;
  }
  const { report } = outcome;
  const counts = (action: string): string =>
    report.regions
      .filter((region) => region.action === action)
      .map((region) => region.name)
      .join(", ");
  const written = counts("written");
  const wouldWrite = counts("would-write");
  const what = wouldWrite
    ? `would write ${wouldWrite}`
    : written
      ? `wrote ${written}${report.verified ? " and verified it" : ""}`
      : "has everything already";
  return `${colors.green(report.path)}: ${report.chip} ${report.mac} ${what}`;
}

/** Writes esp-web-tools' manifest and the files it names into a folder. */
function writeManifest(folder: string, name: string, version: string, plans: ReadonlyMap<string, Planned>): void {
  const builds = new Map([...plans.values()].map(({ board, regions }) => [board.hardware, regions]));
  const { manifest, files } = webManifest(
    name,
    version,
    [...builds].map(([chip, regions]) => ({ chip: chipNamed(chip)!.name, regions })),
  );
  fs.mkdirSync(folder, { recursive: true });
  for (const [file, data] of files) fs.writeFileSync(path.join(folder, file), data);
  fs.writeFileSync(path.join(folder, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

interface Planned {
  board: Board;
  regions: FlashRegion[];
}

export const flash: CommandDefinition = {
  examples: [
    { line: "flash", comment: "the board that is plugged in, as flash.config.json has it" },
    { line: "flash --all", comment: "all boards that are plugged in, side by side" },
    { line: "flash --port /dev/ttyUSB0 --erase-all", comment: "a clean start" },
    { line: "flash --dry-run --json", comment: "what would be written, for another program" },
  ],

  configure(command) {
    addChipOptions(command)
      .option("-c, --config <file>", "the site's description; flash.config.json unless given")
      .option("-b, --board <name>", "the kind of board, where its chip alone does not tell")
      .option("--firmware <file>", "Espruino's release (.tgz), a folder with its .bin files, or a merged .bin")
      .option("--root", "the mesh grows from this board, whatever the site says")
      .option("--storage-only", "leave the Espruino that is on the board as it is")
      .option("--erase-all", "erase the whole flash first")
      .option("--no-verify", "do not compare with the chip afterwards")
      .option("--dry-run", "compare and report; write nothing")
      .option("--manifest <folder>", "also write esp-web-tools' manifest.json and its files there");
  },

  async run(context, given) {
    const options = given as unknown as Options;
    const { site, file } = siteOf(options);
    context.stderr.write(openNodeWarning(site));
    const builder = createStorageBuilder({ site, folder: path.dirname(file), root: ROOT });
    const ports = await choosePorts(options);
    const plans = new Map<string, Planned>();
    const progress = context.progress();

    const jobs = ports.map(({ path: port, open }): FlashJob => {
      const bar = progress.bar(path.basename(port), 1, "connecting");
      return {
        port: open(),
        async plan(found) {
          const listed = nodeFor(site, { mac: found.mac, port });
          if (!listed) throw unknownNode(port, found.mac);
          const node = options.root ? { ...listed, root: true } : listed;
          const board = boardFor(found.chip, options.board ?? node.board, port);
          const source = options.storageOnly
            ? null
            : (options.firmware ?? (await findFirmware(site, board.name, { file })));
          const firmware = source === null ? null : readFirmware(source, chipNamed(found.chip)!);
          const { image } = await builder.build(node, board);
          const regions = planFlash(board, firmware, image);
          plans.set(port, { board, regions });
          return regions;
        },
        progress({ step, region, done, total }) {
          if (total) bar.setTotal(total);
          if (step === "done") bar.done("done");
          else bar.update(done, region ? `${step} ${region}` : step);
        },
      };
    });
    const outcomes = await flashBoards(jobs, {
      ...flashOptions(options, context.signal, site.baud),
      eraseAll: options.eraseAll === true,
      verify: options.verify,
      dryRun: options.dryRun === true,
    });
    progress.stop();
    if (options.manifest !== undefined && plans.size > 0)
      writeManifest(options.manifest, site.mesh.name, site.version, plans);
    const failed = outcomes.filter((outcome) => "error" in outcome);
    context.report(
      {
        boards: outcomes.flatMap((outcome) => ("report" in outcome ? [outcome.report] : [])),
        failed: failed.map(({ path: port, error }) => ({ path: port, ...error.toJSON() })),
      },
      () => outcomes.map((outcome) => describe(outcome, context)).join("\n"),
    );
    return failed.length ? EXIT.failed : EXIT.ok;
  },
};
