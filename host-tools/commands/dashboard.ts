import * as fs from "node:fs";
import * as path from "node:path";
import { InvalidArgumentError } from "commander";
import { version as ownVersion } from "../../package.json";
import { type CommandDefinition, requireOptions } from "../command";
import { CONFIG_FILE, loadSite } from "../config/load";
import type { Site } from "../config/schema";
import { newToken } from "../dashboard/guard";
import { createLiveDesk } from "../dashboard/live-desk";
import { openHistory } from "../dashboard/history";
import { buildPage } from "../dashboard/page-bundle";
import { type Dashboard, startDashboard } from "../dashboard/server";
import { EspalierError, EXIT } from "../errors";
import { createCollector } from "../gateway/collector";
import { openMesh, VIA_HELP } from "../gateway/open-mesh";
import { imageFromFile } from "../gateway/push-source";
import { keepRollouts } from "../gateway/rollout/keeper";
import { RolloutStore } from "../gateway/rollout/store";

interface DashboardCommandOptions {
  via: string;
  host: string;
  port: number;
  history: string;
  config?: string;
  image?: string[];
  readOnly: boolean;
}

const DEFAULT_PORT = 4180;
const JOIN_MS = 60_000;
const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

function parsePort(value: string): number {
  const port = Number(value);
  if (!/^\d+$/.test(value) || port > 65535) throw new InvalidArgumentError("Expected 0 to 65535.");
  return port;
}

/** A node's id is made of the last four bytes of its access point's address, which is one above the chip's own. */
export function idOfMac(mac: string): number {
  const low = parseInt(mac.replaceAll(":", "").slice(4), 16);
  return (low + 1) >>> 0;
}

/** What the site calls its nodes, by id. */
export function namesOf(site: Site): Map<number, { name?: string }> {
  return new Map(site.nodes.flatMap(({ mac, name }) => (mac && name ? [[idOfMac(mac), { name }] as const] : [])));
}

function siteOf(file: string | undefined): Site | null {
  if (file === undefined && !fs.existsSync(CONFIG_FILE)) return null;
  return loadSite(file).site;
}

export const dashboard: CommandDefinition = {
  examples: [
    { line: "dashboard --via tcp://10.7.1.1", comment: "this computer has joined the mesh's WiFi" },
    {
      line: "dashboard --via sim:test/scenarios/twenty-lossless.yaml?speed=10",
      comment: "twenty virtual boards, ten times as fast",
    },
    {
      line: "dashboard --via tcp://10.7.1.1 --host 0.0.0.0 --read-only",
      comment: "for others on the network to look at",
    },
  ],

  configure(command) {
    command
      .option("--via <way>", `${VIA_HELP} (required)`)
      .option("--port <number>", "port of the page; 0 takes any that is free", parsePort, DEFAULT_PORT)
      .option(
        "--host <address>",
        "address to listen on; others than this computer reach it only if you name one",
        "127.0.0.1",
      )
      .option("--history <file>", "database of what was seen", path.join(".espalier", "history.db"))
      .option("--config <file>", `site with the nodes' names; ${CONFIG_FILE} where there is one`)
      .option("--image <file...>", "images that can be rolled out, as espalier sign and espalier push make them")
      .option("--read-only", "nobody can change anything through the page", false);
  },

  async run(context, given) {
    requireOptions(given, ["via"]);
    const options = given as unknown as DashboardCommandOptions;
    const site = siteOf(options.config);
    const say = (text: string): void => void context.stderr.write(`${text}\n`);
    const images = (options.image ?? []).map((file) => imageFromFile(file));
    const page = await buildPage();
    const session = await openMesh(options.via);
    const history = openHistory({ file: options.history, now: session.now });
    const collector = createCollector(session, { names: site ? namesOf(site) : undefined });
    const store = new RolloutStore(path.join(path.dirname(options.history), "dashboard-rollouts"));
    const keeper = keepRollouts(session, store, say);
    let running: Dashboard | null = null;
    const desk = options.readOnly
      ? null
      : createLiveDesk({ collector, images, keeper, event: (event) => running?.event(event) });
    const token = options.readOnly ? "" : newToken();
    // Simulated time has no clock beside it that could be set.
    const simulated = options.via.startsWith("sim:");
    try {
      const server = await startDashboard({
        collector,
        history,
        desk,
        page,
        version: ownVersion,
        mesh: site?.mesh.name ?? "espalier",
        via: options.via,
        token,
        host: options.host,
        port: options.port,
        now: session.now,
        monotonic: simulated ? session.now : undefined,
        note: say,
      }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EADDRINUSE" && error.code !== "EACCES" && error.code !== "EADDRNOTAVAIL") throw error;
        throw new EspalierError(
          "PORT_IN_USE",
          `cannot listen on ${options.host} port ${options.port}: ${error.message}`,
          {
            hint: "--port names another port; 0 takes any that is free.",
            context: { host: options.host, port: options.port },
            cause: error,
          },
        );
      });
      running = server;
      const address = token === "" ? `${server.url}/` : `${server.url}/#token=${token}`;
      if (!LOOPBACK.has(options.host)) say("Everybody who reaches this address can look; changes need the token.");
      context.report({ url: address, via: options.via, history: options.history }, () => address);
      session.joined(JOIN_MS).catch((error: Error) => say(`${error.message}. Trying on.`));
      await new Promise<void>((resolve) => {
        if (context.signal.aborted) resolve();
        context.signal.addEventListener("abort", () => resolve());
      });
      await server.close();
    } finally {
      keeper.close();
      collector.close();
      await session.close();
      history.close();
    }
    return EXIT.ok;
  },
};
