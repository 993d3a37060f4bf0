import * as path from "node:path";
import type { CommandDefinition } from "../command";
import { nodeFor } from "../config/load";
import { attachConsole } from "../device/console";
import { CHIPS, type ChipName } from "../device/chips";
import { deviceError } from "../device/faults";
import { inject as injectInto } from "../device/inject";
import { createStorageBuilder } from "../device/node-storage";
import { EXIT } from "../errors";
import { addPortOption, boardFor, chooseOnePort, parseBaud, siteOf, unknownNode } from "./device-options";
import { openNodeWarning } from "./open-node";

const ROOT = path.resolve(__dirname, "../..");

interface Options {
  port?: string[];
  config?: string;
  board?: string;
  baud: number;
  erase?: boolean;
  root?: boolean;
  restart: boolean;
  lines?: boolean;
}

export const inject: CommandDefinition = {
  examples: [
    { line: "inject --port /dev/ttyUSB0", comment: "make a node of a board that runs Espruino already" },
    { line: "inject --port /dev/ttyUSB0 --erase", comment: "also where the board holds other files" },
  ],

  configure(command) {
    addPortOption(command)
      .option("-c, --config <file>", "the site's description; flash.config.json unless given")
      .option("-b, --board <name>", "the kind of board, where its chip alone does not tell")
      .option("--baud <rate>", "rate of the console", parseBaud, 115200)
      .option("--root", "the mesh grows from this board, whatever the site says")
      .option("--erase", "remove other files from the board's Storage")
      .option("--lines", "use REPL lines although the board knows packets")
      .option("--no-restart", "do not start the node afterwards");
  },

  async run(context, given) {
    const options = given as unknown as Options;
    const { site, file } = siteOf(options);
    context.stderr.write(openNodeWarning(site));
    const port = await chooseOnePort(options);
    const attach = { baudRate: options.baud, signal: context.signal };
    const probe = await attachConsole(port.open(), attach);
    await probe.close();
    const { board: engineBoard, serial } = probe.facts;
    const chip = chipOf(engineBoard);
    if (!chip) throw deviceError("UNSUPPORTED_CHIP", `${port.path}: Espruino runs on a ${engineBoard} there`);
    const listed = nodeFor(site, { mac: macOf(serial), port: port.path });
    if (!listed) throw unknownNode(port.path, macOf(serial));
    const node = options.root ? { ...listed, root: true } : listed;
    const board = boardFor(chip, options.board ?? node.board, port.path);
    const builder = createStorageBuilder({ site, folder: path.dirname(file), root: ROOT });
    const { image } = await builder.build(node, board);
    const progress = context.progress();
    const bar = progress.bar(path.basename(port.path), 1, "connecting");
    const report = await injectInto(port.open, {
      ...attach,
      image,
      storage: board.storage,
      regions: board.regions,
      erase: options.erase === true,
      restart: options.restart,
      protocol: options.lines ? "lines" : "auto",
      progress({ step, done, total }) {
        bar.setTotal(total);
        if (step === "done") bar.done("done");
        else bar.update(done, step);
      },
    });
    progress.stop();
    context.report({ ...report, node: node.name ?? null, role: node.role }, () => {
      const what =
        report.laidOut || report.pagesWritten || report.loaderWritten ? "is a node now" : "was a node already";
      return `${report.path}: Espruino ${report.version} on ${report.board} ${what}, role ${node.role}, hash verified`;
    });
    return EXIT.ok;
  },
};

/** "ESP32C3" as Espruino calls it. */
function chipOf(board: string): ChipName | undefined {
  return CHIPS.find((chip) => chip.name.replace("-", "") === board.toUpperCase().replace(/_.*/, ""))?.name;
}

/** Espruino's serial number on ESP32 is the MAC address, on other boards something else. */
function macOf(serial: string): string | undefined {
  const digits = serial.toLowerCase().replace(/[^0-9a-f]/g, "");
  return digits.length === 12 ? digits.match(/../g)!.join(":") : undefined;
}
