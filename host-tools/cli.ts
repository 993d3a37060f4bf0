/** The command `espalier`: process, streams and exit code around runProgram. */
import { version } from "../package.json";
import { COMMANDS } from "./commands";
import { runProgram } from "./program";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // `espalier ... | head` closes the pipe when it has seen enough.
  if (error.code === "EPIPE") process.exit();
  throw error;
});

void runProgram(COMMANDS, process.argv.slice(2), version, process).then((exitCode) => {
  // No process.exit: what was written to a pipe shall arrive.
  process.exitCode = exitCode;
});
