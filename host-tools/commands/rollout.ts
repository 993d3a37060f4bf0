import type { CommandContext, CommandDefinition } from "../command";
import { EspalierError, EXIT, type ExitCode } from "../errors";
import { openMesh, VIA_HELP } from "../gateway/open-mesh";
import { siteSecurity } from "../gateway/site-security";
import { fulfil } from "../gateway/rollout/keeper";
import { nameIn, reportText } from "../gateway/rollout/report";
import { RolloutStore, type StoredRollout, type Wish, WISHES } from "../gateway/rollout/store";
import { viewOf } from "../gateway/rollout/view";
import { formatTable } from "../ui/table";
import { folderOption } from "./rollout-options";
import { carryOut, succeeded } from "./rollout-run";

const ACTIONS = ["list", "show", ...WISHES] as const;
type Action = (typeof ACTIONS)[number];

function wrong(message: string, hint: string): EspalierError {
  return new EspalierError("WRONG_ARGUMENTS", message, { hint, exitCode: EXIT.usage });
}

function list(context: CommandContext, found: readonly StoredRollout[]): ExitCode {
  const rows = found.map(({ id, record, error, pid }) => {
    const state = record ? record.state : "unreadable";
    const running = record ? Object.values(record.nodes).filter(({ phase }) => phase === "running").length : 0;
    const nodes = record ? Object.keys(record.nodes).length : 0;
    return {
      id,
      state,
      version: record?.image.version ?? "",
      running,
      nodes,
      process: pid,
      reason: record ? record.reason : error,
    };
  });
  const columns = ["rollout", "version", "state", "running", "carried out by", "why"].map((title) => ({ title }));
  const cells = rows.map((row) => [
    row.id,
    row.version,
    row.state,
    `${row.running} of ${row.nodes}`,
    row.process ? `process ${row.process}` : "",
    row.reason,
  ]);
  context.report({ rollouts: rows }, () =>
    rows.length ? formatTable(columns, cells, context.colors.bold) : "There is no rollout here.",
  );
  return EXIT.ok;
}

function show(context: CommandContext, { id, record, error }: StoredRollout): ExitCode {
  if (!record)
    throw new EspalierError("JOURNAL_CORRUPT", `rollout ${id} cannot be read: ${error}`, {
      hint: "The lines before the broken one are whole.",
    });
  const view = viewOf(record);
  context.report({ ...view, ok: succeeded(view) }, () => reportText(view, nameIn(record), context.colors));
  return EXIT.ok;
}

/** What can be asked of a rollout that nobody carries out: going on, and what ends in a report. */
const BY_ITSELF: readonly Wish[] = ["resume", "approve", "abort", "rollback", "retry"];

async function takeUp(context: CommandContext, store: RolloutStore, id: string, wish: Wish, via: string) {
  const opened = store.open(id);
  try {
    const progress = context.progress({ unit: "%" });
    const session = await openMesh(via, { speed: Infinity, meshKey: siteSecurity(via, undefined).meshKey });
    try {
      progress.log(`joining over ${via}`);
      await session.joined(60_000);
      return await carryOut(context, { session, opened, progress }, (rollout) => {
        // Taking it up is what resumes a rollout that was not paused.
        if (wish === "resume" && rollout.record().state === "preview") rollout.start();
        else if (wish !== "resume" || rollout.record().state === "paused")
          fulfil(rollout, wish, (text) => progress.log(text));
      });
    } finally {
      await session.close();
    }
  } finally {
    opened.release();
  }
}

export const rollout: CommandDefinition = {
  examples: [
    { line: "rollout list", comment: "what there is" },
    { line: "rollout show latest", comment: "waves, nodes and verdicts of the newest one" },
    { line: "rollout approve latest", comment: "let the next wave begin; reaches the process that carries it out" },
    { line: "rollout resume latest --via tcp://10.7.1.1", comment: "go on after the laptop was off" },
    { line: "rollout rollback latest --via serial:/dev/ttyUSB0", comment: "back to the version before" },
  ],

  configure(command) {
    command
      .argument("<action>", ACTIONS.join(", "))
      .argument("[id]", 'as "rollout list" shows it, or "latest"')
      .option("--via <way>", `how to reach the mesh, where no process carries the rollout out: ${VIA_HELP}`)
      .addOption(folderOption());
  },

  async run(context, options, args) {
    const [name, given] = args as [string, string?];
    const store = new RolloutStore(options.folder as string);
    if (!(ACTIONS as readonly string[]).includes(name))
      throw wrong(`"${name}" is nothing that can be done to a rollout`, `Known: ${ACTIONS.join(", ")}.`);
    const action = name as Action;
    if (action === "list") return list(context, store.list());
    if (given === undefined) throw wrong(`rollout ${action} needs to know which`, 'Give its id, or "latest".');
    const id = given === "latest" ? (store.list()[0]?.id ?? "latest") : given;
    if (action === "show") return show(context, store.read(id));
    if (store.wish(id, action)) {
      context.report({ id, asked: action }, () => `Rollout ${id}: ${action} was asked for.`);
      return EXIT.ok;
    }
    if (!BY_ITSELF.includes(action))
      throw new EspalierError("ROLLOUT_IDLE", `no process carries rollout ${id} out`, {
        hint: `espalier rollout resume ${id} --via ... takes it up.`,
        context: { rollout: id },
      });
    if (options.via === undefined) throw wrong(`rollout ${action} needs a way into the mesh`, `--via ${VIA_HELP}`);
    return takeUp(context, store, id, action, options.via as string);
  },
};
