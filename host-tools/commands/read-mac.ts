import type { CommandDefinition } from "../command";
import { readMac as read } from "../device/flasher";
import { asEspalierError, EXIT } from "../errors";
import { formatTable } from "../ui/table";
import { addChipOptions, type ChipOptions, choosePorts, flashOptions } from "./device-options";

export const readMac: CommandDefinition = {
  examples: [
    { line: "read-mac", comment: "chip and address of the board that is plugged in" },
    { line: "read-mac --all --json", comment: "of all boards, for another program" },
  ],

  configure(command) {
    addChipOptions(command);
  },

  async run(context, given) {
    const options = given as unknown as ChipOptions;
    const ports = await choosePorts(options);
    const settings = flashOptions(options, context.signal);
    const results = await Promise.all(
      ports.map((port) =>
        read(port.open(), settings).then(
          (found) => ({ ...found, error: null }),
          (error: unknown) => ({ path: port.path, error: asEspalierError(error) }),
        ),
      ),
    );
    const failed = results.filter((result) => result.error !== null);
    // One board's failure is the command's.
    if (results.length === 1 && failed[0]) throw failed[0].error!;
    context.report(
      { boards: results.map((one) => (one.error ? { path: one.path, ...one.error.toJSON() } : one)) },
      () =>
        formatTable(
          [{ title: "port" }, { title: "chip" }, { title: "mac" }, { title: "flash", align: "right" }],
          results.map((one) =>
            "mac" in one
              ? [one.path, one.chip, one.mac, `${one.flashBytes / 1024 / 1024} MB`]
              : [one.path, one.error.code, "", ""],
          ),
          context.colors.bold,
        ),
    );
    return failed.length ? EXIT.failed : EXIT.ok;
  },
};
