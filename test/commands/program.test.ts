import { EventEmitter } from "node:events";
import type { CommandContext, CommandDefinition, CommandEntry } from "../../host-tools/command";
import { COMMANDS } from "../../host-tools/commands";
import { EspalierError, EXIT, type ExitCode } from "../../host-tools/errors";
import { runProgram } from "../../host-tools/program";
import { watchInterrupt } from "../../host-tools/ui/interrupt";
import { createRecorder } from "../ui/support";

interface Run {
  code: ExitCode;
  out: string;
  err: string;
}

async function run(
  entries: readonly CommandEntry[],
  line: string,
  env: NodeJS.ProcessEnv = {},
  signals = new EventEmitter(),
): Promise<Run> {
  const stdout = createRecorder(false);
  const stderr = createRecorder(false);
  const host = {
    on: (event: string, handler: () => void) => signals.on(event, handler),
    removeListener: (event: string, handler: () => void) => signals.removeListener(event, handler),
    exit: () => {},
    stderr,
  };
  const args = line === "" ? [] : line.split(" ");
  const code = await runProgram(entries, args, "1.2.3", {
    stdout,
    stderr,
    env,
    watchInterrupt: () => watchInterrupt(host),
  });
  return { code, out: stdout.text, err: stderr.text };
}

/** A program with the one command "grow", whose work is handed in. */
function program(work: (context: CommandContext, args: readonly unknown[]) => Promise<ExitCode>): CommandEntry[] {
  const definition: CommandDefinition = {
    examples: [{ line: "grow tall", comment: "grow upwards" }],
    configure(command) {
      command.argument("<how>").option("--speed <n>", "how fast");
    },
    run: (context, _options, args) => work(context, args),
  };
  const unused: CommandEntry = {
    name: "shrink",
    summary: "not asked for",
    load: () => {
      throw new Error("loaded without need");
    },
  };
  return [{ name: "grow", summary: "make more of it", load: () => definition }, unused];
}

const idle = program(async () => EXIT.ok);

describe("help", () => {
  it.each(COMMANDS.map((entry) => entry.name))(
    "of %s has examples, --json, and is reached in two ways",
    async (name) => {
      const first = await run(COMMANDS, `${name} --help`);
      const second = await run(COMMANDS, `help ${name}`);
      expect(first.code).toBe(EXIT.ok);
      expect(first.out).toContain(`Examples:\n  $ espalier ${name}`);
      expect(first.out).toContain("--json");
      expect(second.out).toBe(first.out);
    },
  );

  it("lists the commands without loading one", async () => {
    const { code, out } = await run(idle, "--help");
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/grow <how>|grow +make more of it/);
    expect(out).toContain("not asked for");
    expect(out).toContain("Examples:");
  });

  it("goes to stderr when nothing was asked for", async () => {
    const { code, out, err } = await run(idle, "");
    expect(code).toBe(EXIT.usage);
    expect(out).toBe("");
    expect(err).toContain("Usage: espalier");
  });

  it("prints the version", async () => {
    expect(await run(idle, "--version")).toEqual({ code: EXIT.ok, out: "1.2.3\n", err: "" });
  });
});

describe("a wrong command line", () => {
  it.each([
    ["grwo tall", "UNKNOWN_COMMAND", "Did you mean grow?"],
    ["grow tall --sped 3", "UNKNOWN_OPTION", "Did you mean --speed?"],
    ["grow", "MISSING_ARGUMENT", '"espalier help grow" lists what there is.'],
    ["grow tall wide", "EXCESS_ARGUMENTS", '"espalier help grow" lists what there is.'],
    ["grow tall --speed", "OPTION_MISSING_ARGUMENT", '"espalier help grow" lists what there is.'],
  ])("%s", async (line, code, hint) => {
    const text = await run(idle, line);
    expect(text.code).toBe(EXIT.usage);
    expect(text.out).toBe("");
    expect(text.err).toMatch(new RegExp(`^error\\[${code}\\]: .+\nhint: `));
    expect(text.err).toContain(`hint: ${hint}`);
  });

  it("is one JSON object beside --json", async () => {
    const { code, out, err } = await run(idle, "grow --json tall --sped");
    expect(code).toBe(EXIT.usage);
    expect(err).toBe("");
    expect(JSON.parse(out)).toEqual({
      error: { code: "UNKNOWN_OPTION", message: "unknown option '--sped'", hint: "Did you mean --speed?" },
    });
  });
});

describe("a command", () => {
  it("reports text, or one JSON object", async () => {
    const entries = program(async (context, args) => {
      context.report({ grown: args[0] }, () => `grown ${String(args[0])}`);
      return EXIT.ok;
    });
    expect(await run(entries, "grow tall")).toEqual({ code: EXIT.ok, out: "grown tall\n", err: "" });
    expect(await run(entries, "grow tall --json")).toEqual({ code: EXIT.ok, out: '{"grown":"tall"}\n', err: "" });
  });

  it("hands on its exit code", async () => {
    expect(
      (
        await run(
          program(async () => EXIT.failed),
          "grow tall",
        )
      ).code,
    ).toBe(EXIT.failed);
  });

  it("prints code, message and hint of what it throws", async () => {
    const entries = program(async () => {
      throw new EspalierError("TOO_DRY", "no water", { hint: "Water it.", context: { litres: 0 } });
    });
    const text = await run(entries, "grow tall");
    expect(text).toEqual({ code: EXIT.failed, out: "", err: "error[TOO_DRY]: no water\nhint: Water it.\n" });
    const json = await run(entries, "grow tall --json");
    expect(json.code).toBe(EXIT.failed);
    expect(JSON.parse(json.out)).toEqual({
      error: { code: "TOO_DRY", message: "no water", hint: "Water it.", context: { litres: 0 } },
    });
  });

  it("shows a fault of its own as INTERNAL, and the stack only on demand", async () => {
    const entries = program(async () => {
      throw new TypeError("x is not a function");
    });
    const quiet = await run(entries, "grow tall");
    expect(quiet.code).toBe(EXIT.failed);
    expect(quiet.err).toContain("error[INTERNAL]: x is not a function");
    expect(quiet.err).not.toContain("program.test.ts");
    expect((await run(entries, "grow tall", { ESPALIER_DEBUG: "1" })).err).toContain("program.test.ts");
  });

  it("colours errors when told to, and not otherwise", async () => {
    expect((await run(idle, "grow", { FORCE_COLOR: "1" })).err).toContain("\x1b[31merror[MISSING_ARGUMENT]\x1b[39m");
    expect((await run(idle, "grow", { NO_COLOR: "1" })).err).not.toContain("\x1b");
  });

  it("is silent about progress beside --json", async () => {
    const entries = program(async (context) => {
      context
        .progress({ now: () => 0 })
        .bar("a1", 10)
        .done();
      context.report({}, () => "done");
      return EXIT.ok;
    });
    expect((await run(entries, "grow tall")).err).toContain("a1 100 %");
    expect((await run(entries, "grow tall --json")).err).toBe("");
  });

  it("stops cleanly on Ctrl-C and says so by its exit code", async () => {
    const signals = new EventEmitter();
    let cleaned = false;
    const waiting = program(async (context) => {
      const stopped = new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      signals.emit("SIGINT");
      await stopped;
      cleaned = true;
      return EXIT.ok;
    });
    expect((await run(waiting, "grow tall", {}, signals)).code).toBe(EXIT.interrupted);
    expect(cleaned).toBe(true);
    expect(signals.listenerCount("SIGINT")).toBe(0);
  });
});
