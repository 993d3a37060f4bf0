/** What `espalier bridge` is told on the command line and in the environment, checked. */
import * as fs from "node:fs";
import * as os from "node:os";
import { type Command, InvalidArgumentError } from "commander";
import { EspalierError, EXIT } from "../errors";
import type { BrokerOptions } from "../exporters/broker";
import { MIN_KEY } from "../exporters/command-envelope";
import { createMemoryEvents, type EventStore } from "../exporters/event-store";
import { openEventJournal } from "../exporters/event-journal";
import { DISCOVERY_PREFIX } from "../exporters/home-assistant";
import type { InfluxOptions } from "../exporters/influx";
import { checkPrefix } from "../exporters/topics";

export interface BridgeOptions {
  via?: string;
  url?: string;
  prefix: string;
  interval: number;
  user?: string;
  ca?: string;
  cert?: string;
  key?: string;
  clientId?: string;
  commandKey?: string;
  buffer?: string;
  bufferSize: number;
  homeAssistant?: string | true;
  prometheus?: string | true;
  maxNodes: number;
  influx?: string;
  influxDatabase?: string;
  influxUser?: string;
  influxOrg?: string;
  influxBucket?: string;
  group?: string;
  config?: string;
  image?: string[];
  timeout: number;
}

function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= least && value <= most))
      throw new InvalidArgumentError(`Expected a number from ${least} to ${most}.`);
    return value;
  };
}

export function addBridgeOptions(command: Command): void {
  command
    .option("-u, --url <url>", "the MQTT broker: mqtt://host:1883 or mqtts://host:8883")
    .option("--prefix <topic>", "what stands in front of all topics", "mesh")
    .option("--interval <seconds>", "time between reports; changes are told at once", number(1, 3600), 30)
    .option("--user <name>", "user name at the broker; the password comes from ESPALIER_MQTT_PASSWORD")
    .option("--ca <file>", "certificates of authorities to trust, PEM")
    .option("--cert <file>", "own certificate, PEM")
    .option("--key <file>", "its private key, PEM")
    .option("--client-id <name>", "name at the broker; unique by default")
    .option("--buffer <folder>", "keep undelivered alerts, and updates under way, on disk")
    .option("--buffer-size <MB>", "what undelivered alerts may take", number(0.01, 10000), 10)
    .option("--command-key <file>", "key that commands must be signed with; or ESPALIER_COMMAND_KEY")
    .option("--image <file>", "what may be installed; may be given again", (file, all: string[] = []) => [...all, file])
    .option("-c, --config <file>", "names of nodes from a site's file, such as flash.config.json")
    .option("--home-assistant [prefix]", `tell Home Assistant what there is (prefix "${DISCOVERY_PREFIX}")`)
    .option("--prometheus [address]", "serve metrics to Prometheus (127.0.0.1:9469)")
    .option("--max-nodes <number>", "nodes with metrics of their own", number(1, 100000), 1000)
    .option("--influx <url>", "write to this InfluxDB server")
    .option("--influx-database <name>", "version 1: database; the password comes from ESPALIER_INFLUX_PASSWORD")
    .option("--influx-user <name>", "version 1: user name")
    .option("--influx-bucket <name>", "version 2: bucket; the token comes from ESPALIER_INFLUX_TOKEN")
    .option("--influx-org <name>", "version 2: organisation")
    .option("--group <name>", "collect: share the work with other collectors of this group")
    .option("--timeout <seconds>", "time for the mesh to answer, or for the answer to a command", number(1, 3600), 30);
}

function usage(code: string, message: string, hint: string): EspalierError {
  return new EspalierError(code, message, { hint, exitCode: EXIT.usage });
}

function readFile(file: string, what: string): Buffer {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    throw usage("NO_FILE", `cannot read the ${what}: ${(error as Error).message}`, "Is the path right?");
  }
}

/** @throws EspalierError MISSING_OPTION, PASSWORD_IN_URL, NO_FILE */
export function brokerOptions(options: BridgeOptions, kind: string, env: NodeJS.ProcessEnv): BrokerOptions {
  const { url } = options;
  if (url === undefined)
    throw usage("MISSING_OPTION", "--url must name the broker", "--url mqtt://localhost:1883, for instance.");
  if (/^\w+:\/\/[^/]*@/.test(url))
    throw usage(
      "PASSWORD_IN_URL",
      "the broker's address holds a user name or password",
      "A command line shows in lists of processes: use --user and ESPALIER_MQTT_PASSWORD.",
    );
  if ((options.cert === undefined) !== (options.key === undefined))
    throw usage("MISSING_OPTION", "--cert and --key go together", "Give both, or neither.");
  const suffix = Math.random().toString(16).slice(2, 10);
  return {
    url,
    clientId: options.clientId ?? `espalier-${kind}-${os.hostname().slice(0, 20)}-${suffix}`,
    ...(options.user === undefined ? {} : { username: options.user }),
    ...(env.ESPALIER_MQTT_PASSWORD ? { password: env.ESPALIER_MQTT_PASSWORD } : {}),
    ...(options.ca === undefined ? {} : { ca: readFile(options.ca, "authorities") }),
    ...(options.cert === undefined ? {} : { cert: readFile(options.cert, "certificate") }),
    ...(options.key === undefined ? {} : { key: readFile(options.key, "private key") }),
  };
}

/** The command key, or null: then there are no commands. @throws EspalierError NO_FILE, WEAK_KEY */
export function commandKey(options: BridgeOptions, env: NodeJS.ProcessEnv): Buffer | null {
  let key: Buffer | null = null;
  if (options.commandKey !== undefined) {
    const bytes = readFile(options.commandKey, "command key");
    // An editor's last line feed is no part of it.
    key = Buffer.from(bytes.toString("latin1").replace(/\r?\n$/, ""), "latin1");
  } else if (env.ESPALIER_COMMAND_KEY) key = Buffer.from(env.ESPALIER_COMMAND_KEY, "utf8");
  if (key && key.length < MIN_KEY)
    throw usage(
      "WEAK_KEY",
      `a command key has at least ${MIN_KEY} bytes, this one has ${key.length}`,
      "openssl rand -hex 32 > command.key",
    );
  return key;
}

/** null without --influx. @throws EspalierError INFLUX_CONFIG by the writer */
export function influxOptions(
  options: BridgeOptions,
  env: NodeJS.ProcessEnv,
  log: (text: string) => void,
): InfluxOptions | null {
  if (options.influx === undefined) return null;
  const given = {
    database: options.influxDatabase,
    username: options.influxUser,
    password: env.ESPALIER_INFLUX_PASSWORD,
    bucket: options.influxBucket,
    org: options.influxOrg,
    token: env.ESPALIER_INFLUX_TOKEN,
  };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== ""));
  return { url: options.influx, log, ...set };
}

/** "127.0.0.1:9469", ":9469", "9469" or true. @throws EspalierError BAD_ADDRESS */
export function prometheusAddress(value: string | true): { host: string; port: number } {
  const match = /^(?:(\[[0-9a-f:]+\]|[^:]*):)?(\d{1,5})$/i.exec(value === true ? "9469" : value);
  const port = Number(match?.[2]);
  if (!match || port > 65535)
    throw usage(
      "BAD_ADDRESS",
      `"${value}" is no address to serve on`,
      "127.0.0.1:9469, or 0.0.0.0:9469 for everybody.",
    );
  return { host: (match[1] || "127.0.0.1").replace(/^\[|\]$/g, ""), port };
}

/** @throws EspalierError TOPIC_PREFIX */
export function homeAssistantPrefix(value: string | true): string {
  return checkPrefix(value === true ? DISCOVERY_PREFIX : value);
}

const MEGABYTE = 1024 * 1024;
/** What is held in memory beside a disk that refuses. */
const SPARE_BYTES = MEGABYTE;

/** @throws EspalierError BUFFER_IN_USE, BUFFER_UNUSABLE */
export function eventStore(options: BridgeOptions): EventStore {
  const bytes = Math.floor(options.bufferSize * MEGABYTE);
  return options.buffer === undefined
    ? createMemoryEvents(bytes)
    : openEventJournal({ directory: options.buffer, quotaBytes: bytes, memoryBytes: Math.min(bytes, SPARE_BYTES) });
}
