import * as path from "node:path";
import { version } from "../../package.json";
import { type CommandContext, type CommandDefinition, requireOptions } from "../command";
import { EspalierError, EXIT, type ExitCode } from "../errors";
import { openBroker } from "../exporters/broker";
import { startCollecting } from "../exporters/collect";
import { startExports } from "../exporters/exports";
import { createInfluxWriter } from "../exporters/influx";
import { sendCommand } from "../exporters/send-command";
import { checkPrefix, COMMANDS, type CommandName } from "../exporters/topics";
import { VIA_HELP, openMesh } from "../gateway/open-mesh";
import { imageFromFile } from "../gateway/push-source";
import { siteNames } from "./status";
import {
  addBridgeOptions,
  type BridgeOptions,
  brokerOptions,
  commandKey,
  eventStore,
  homeAssistantPrefix,
  influxOptions,
  prometheusAddress,
} from "./bridge-options";

type Log = (text: string) => void;

function logTo(context: CommandContext): Log {
  return (text) => context.stderr.write(`${new Date().toISOString()} ${text}\n`);
}

function interrupted(context: CommandContext): Promise<void> {
  const { signal } = context;
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Everything that is wrong with the command line is found before the mesh is asked for. */
async function run(context: CommandContext, options: BridgeOptions): Promise<ExitCode> {
  const { env } = process;
  const log = logTo(context);
  if (options.url === undefined && options.prometheus === undefined && options.influx === undefined)
    throw new EspalierError("NOTHING_TO_FEED", "there is nobody to tell", {
      hint: "--url for MQTT, --prometheus, --influx, or several of them.",
      exitCode: EXIT.usage,
    });
  requireOptions({ ...options }, ["via"]);
  const prefix = checkPrefix(options.prefix);
  const key = commandKey(options, env);
  const parts = {
    images: (options.image ?? []).map(imageFromFile),
    names: siteNames(options.config),
    broker: options.url === undefined ? null : brokerOptions(options, "bridge", env),
    discoveryPrefix: options.homeAssistant === undefined ? null : homeAssistantPrefix(options.homeAssistant),
    prometheus: options.prometheus === undefined ? null : prometheusAddress(options.prometheus),
    influx: influxOptions(options, env, log),
  };
  const session = await openMesh(options.via!, { log });
  try {
    await Promise.race([session.joined(options.timeout * 1000), interrupted(context)]);
    if (context.signal.aborted) return EXIT.interrupted;
    log(`in the mesh over ${options.via}`);
    const exports = await startExports({
      ...parts,
      session,
      prefix,
      key,
      version,
      intervalMs: options.interval * 1000,
      maxNodes: options.maxNodes,
      events: () => eventStore(options),
      rollouts: options.buffer === undefined ? undefined : path.join(options.buffer, "rollouts"),
      log,
    });
    await interrupted(context);
    const state = exports.state();
    await exports.close();
    context.report(state, () => JSON.stringify(state, null, 2));
    return EXIT.ok;
  } finally {
    await session.close();
  }
}

async function collect(context: CommandContext, options: BridgeOptions): Promise<ExitCode> {
  const { env } = process;
  const log = logTo(context);
  requireOptions({ ...options }, ["url", "influx"]);
  if (options.prometheus !== undefined)
    throw new EspalierError("NOT_COLLECTED", "collect does not serve Prometheus", {
      hint: "Each collector sees a part of the nodes. Let Prometheus scrape the bridges themselves.",
      exitCode: EXIT.usage,
    });
  const broker = brokerOptions(options, "collect", env);
  const influx = createInfluxWriter(influxOptions(options, env, log)!);
  const collecting = startCollecting({
    open: (handlers) => openBroker(broker, handlers),
    influx,
    prefix: checkPattern(options.prefix),
    group: options.group ?? null,
    now: () => Date.now(),
    log,
  });
  await interrupted(context);
  await collecting.close();
  const state = { ...collecting.state(), influx: influx.state() };
  context.report(state, () => JSON.stringify(state, null, 2));
  return EXIT.ok;
}

/** Like a prefix, but whole levels may be "+". */
function checkPattern(pattern: string): string {
  checkPrefix(
    pattern
      .split("/")
      .map((level) => (level === "+" ? "x" : level))
      .join("/"),
  );
  return pattern;
}

async function command(
  context: CommandContext,
  options: BridgeOptions,
  name?: string,
  text?: string,
): Promise<ExitCode> {
  const key = commandKey(options, process.env);
  if (!key)
    throw new EspalierError("NO_KEY", "commands are signed, and there is no key", {
      hint: "--command-key <file>, or ESPALIER_COMMAND_KEY.",
      exitCode: EXIT.usage,
    });
  if (!(COMMANDS as readonly (string | undefined)[]).includes(name))
    throw new EspalierError("UNKNOWN_COMMAND", `there is no command "${name ?? ""}"`, {
      hint: `Known: ${COMMANDS.join(", ")}.`,
      exitCode: EXIT.usage,
    });
  let body: unknown;
  try {
    body = JSON.parse(text ?? "{}");
  } catch {
    body = null;
  }
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new EspalierError("BAD_ARGUMENTS", "a command's arguments are one JSON object", {
      hint: `espalier bridge command message '{"to":0,"text":"hello"}' --url ...`,
      exitCode: EXIT.usage,
    });
  const broker = brokerOptions(options, "command", process.env);
  const answer = await sendCommand({
    open: (handlers) => openBroker(broker, handlers),
    prefix: checkPrefix(options.prefix),
    key,
    command: name as CommandName,
    body,
    timeoutMs: options.timeout * 1000,
    now: () => Date.now(),
  });
  if (!answer.ok && answer.error) throw new EspalierError(answer.error.code, answer.error.message);
  context.report(answer.result ?? {}, () => JSON.stringify(answer.result, null, 2));
  return EXIT.ok;
}

export const bridge: CommandDefinition = {
  examples: [
    { line: "bridge --via serial:/dev/ttyUSB0 --url mqtt://localhost", comment: "a mesh on a broker" },
    { line: "bridge --via tcp://10.7.1.1 --url mqtts://broker --ca ca.pem --user mesh", comment: "with TLS" },
    { line: "bridge --via sim:line.yaml --url mqtt://localhost --home-assistant", comment: "and in Home Assistant" },
    {
      line: "bridge --via tcp://10.7.1.1 --prometheus --influx http://localhost:8086 --influx-database mesh",
      comment: "without MQTT",
    },
    {
      line: "bridge collect --url mqtt://localhost --prefix site/+ --group pool --influx ...",
      comment: "many bridges, one database",
    },
    { line: `bridge command message '{"to":0,"text":"hi"}' --url mqtt://localhost`, comment: "speak to the mesh" },
  ],

  configure(command) {
    command
      .argument("[what]", "mqtt: run a bridge; collect: bridges' messages to InfluxDB; command: send one", "mqtt")
      .argument("[command]", `one of ${COMMANDS.join(", ")}`)
      .argument("[arguments]", "JSON")
      .option("--via <way>", `into the mesh: ${VIA_HELP}`);
    addBridgeOptions(command);
  },

  async run(context, given, [what, name, text]) {
    const options = given as unknown as BridgeOptions;
    if (what === "mqtt") return run(context, options);
    if (what === "collect") return collect(context, options);
    if (what === "command") return command(context, options, name as string | undefined, text as string | undefined);
    throw new EspalierError("UNKNOWN_MODE", `a bridge can mqtt, collect or command, not "${String(what)}"`, {
      hint: "--help shows examples.",
      exitCode: EXIT.usage,
    });
  },
};
