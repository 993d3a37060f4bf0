import type { CommandDefinition } from "../command";
import { eraseChip } from "../device/flasher";
import { EXIT } from "../errors";
import { addChipOptions, type ChipOptions, chooseOnePort, flashOptions } from "./device-options";

export const erase: CommandDefinition = {
  examples: [{ line: "erase --port /dev/ttyUSB0", comment: "everything: firmware, files and settings" }],

  configure(command) {
    addChipOptions(command);
  },

  async run(context, given) {
    const options = given as unknown as ChipOptions;
    const port = await chooseOnePort(options);
    const found = await eraseChip(port.open(), flashOptions(options, context.signal));
    context.report({ ...found, erased: true }, () => `${found.path}: ${found.chip} ${found.mac} is erased`);
    return EXIT.ok;
  },
};
