import { boardNames } from "../build/board";
import type { CommandDefinition } from "../command";
import { EXIT } from "../errors";
import { formatTable } from "../ui/table";
import { boardOrError } from "./build";

export const boards: CommandDefinition = {
  examples: [
    { line: "boards", comment: "a table of all boards" },
    { line: "boards --json", comment: "everything that is known about them" },
  ],

  configure() {},

  async run(context) {
    const list = boardNames().map(boardOrError);
    context.report({ boards: list }, () =>
      formatTable(
        [
          { title: "board" },
          { title: "hardware" },
          { title: "engine" },
          { title: "flash", align: "right" },
          { title: "bundle budget", align: "right" },
          { title: "variables", align: "right" },
          { title: "may relay" },
        ],
        list.map((board) => [
          board.name,
          board.hardware,
          `${board.engine.name} ${board.engine.release}`,
          `${board.flash.bytes / 1024 / 1024} MB`,
          `${board.bundle.bytes / 1024} KB`,
          board.memory.variables,
          board.radio.accessPoint.besideStation ? "yes" : "no, leaf only",
        ]),
        context.colors.bold,
      ),
    );
    return EXIT.ok;
  },
};
