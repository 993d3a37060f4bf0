/** Builds what a node's Storage holds, from the site's description down to the bytes. */
import * as path from "node:path";
import type { Board } from "../build/board";
import { bundle } from "../build/bundle";
import { BuildError, formatFinding } from "../build/findings";
import { type Image, makeImage } from "../build/image";
import { buildLoader } from "../build/loader";
import type { SiteNode, Site } from "../config/schema";
import { settingsFor } from "../config/settings";
import { buildPage, storedPage } from "../dashboard/page-bundle";
import { EspalierError } from "../errors";
import { provision } from "./provision";

export interface NodeStorage {
  /** The whole Storage area. */
  image: Buffer;
  /** The bundle as an update image: id, version, hashes. */
  bundle: Image;
}

export interface StorageBuilder {
  /** @throws EspalierError BUILD_REFUSED, SECRET_MISSING */
  build(node: SiteNode, board: Board): Promise<NodeStorage>;
}

export interface StorageBuilderOptions {
  site: Site;
  /** Folder that applications are named from. */
  folder: string;
  /** The project's own folder. */
  root: string;
  env?: NodeJS.ProcessEnv;
}

interface Built {
  code: string;
  image: Image;
}

interface Parts extends Built {
  loader: string;
  recovery: Built;
}

/** Role of the bundle that runs when both slots are bad: mesh and updates alone. */
export const RECOVERY_ROLE = "recovery";

/** One bundle is built once, however many nodes it is for. */
export function createStorageBuilder(options: StorageBuilderOptions): StorageBuilder {
  const { site } = options;
  const built = new Map<string, Promise<Parts>>();

  async function make(node: SiteNode, board: Board): Promise<Parts> {
    try {
      return await compile(node, board);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      const lines = error.findings.map(formatFinding);
      throw new EspalierError("BUILD_REFUSED", `${node.app ?? "the firmware"} cannot be built:\n${lines.join("\n")}`, {
        hint: "espalier build shows the same without a board.",
        context: { findings: error.findings },
        cause: error,
      });
    }
  }

  const recoveries = new Map<string, Promise<Built>>();

  async function build(app: string | null, role: string, board: Board): Promise<Built> {
    const { version } = site;
    const painlessOta = site.mesh.ssid !== undefined && role !== RECOVERY_ROLE;
    const { code } = await bundle({ app, role, board: board.name, version, painlessOta });
    const { hardware } = board;
    return {
      code,
      image: makeImage({ code, product: site.mesh.name, hardware, role, version, encoding: "deflate" }),
    };
  }

  async function compile(node: SiteNode, board: Board): Promise<Parts> {
    const app = node.app === undefined ? null : path.relative(options.root, path.resolve(options.folder, node.app));
    const made = await build(app, node.role, board);
    let recovery = recoveries.get(board.name);
    if (!recovery) recoveries.set(board.name, (recovery = build(null, RECOVERY_ROLE, board)));
    const { code } = await recovery;
    if (code.length > board.recovery.bytes) {
      const message = `the recovery bundle has ${code.length} bytes, ${board.recovery.bytes} are allowed`;
      throw new BuildError([{ code: "budget", message, file: "firmware/main.ts", line: 0, column: 0 }]);
    }
    return { ...made, loader: await buildLoader(board), recovery: await recovery };
  }

  return {
    async build(node, board) {
      const key = JSON.stringify([node.app, node.role, board.name]);
      let parts = built.get(key);
      if (!parts) built.set(key, (parts = make(node, board)));
      const { code, loader, image, recovery } = await parts;
      const settings = settingsFor(site, node, options.env, options.folder);
      const page = node.role === "dashboard" ? storedPage(await buildPage()) : undefined;
      return { image: provision({ board, loader, settings, code, image, recovery, page }), bundle: image };
    },
  };
}
