/** Reads flash.config.json; every mistake is told with its place and reason. */
import * as fs from "node:fs";
import * as path from "node:path";
import { EspalierError, EXIT } from "../errors";
import { type Secret, type Site, siteSchema, type SiteNode } from "./schema";

export const CONFIG_FILE = "flash.config.json";

export interface SiteIssue {
  /** "nodes.2.mac" */
  path: string;
  reason: string;
}

export interface LoadedSite {
  site: Site;
  /** Absolute path of the file; what the site names is relative to its folder. */
  file: string;
}

/** @throws EspalierError CONFIG_MISSING, CONFIG_JSON, CONFIG_INVALID */
export function loadSite(file: string = CONFIG_FILE): LoadedSite {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    throw new EspalierError("CONFIG_MISSING", `cannot read ${file}: ${(error as Error).message}`, {
      hint: "The flash.config.json at espalier's top level is an example to copy; --config names another file.",
      exitCode: EXIT.usage,
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new EspalierError("CONFIG_JSON", `${file} is not JSON: ${(error as Error).message}`, {
      hint: "JSON has neither comments nor a comma behind the last item.",
      exitCode: EXIT.usage,
      cause: error,
    });
  }
  return { site: parseSite(value, file), file: path.resolve(file) };
}

/** `file` only serves messages. @throws EspalierError CONFIG_INVALID with all issues in its context */
export function parseSite(value: unknown, file: string): Site {
  const result = siteSchema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path: where, message }): SiteIssue => {
    return { path: where.join("."), reason: message };
  });
  const lines = issues.map((issue) => `${file}: ${issue.path ? `${issue.path}: ` : ""}${issue.reason}`);
  throw new EspalierError("CONFIG_INVALID", lines.join("\n"), {
    hint: 'With "$schema": "./flash.config.schema.json" in it, an editor completes and checks the file.',
    context: { file, issues },
    exitCode: EXIT.usage,
  });
}

/** The text of a secret. @throws EspalierError SECRET_MISSING; `where` serves its message */
export function secret(value: Secret, where: string, env: NodeJS.ProcessEnv = process.env): string {
  if (typeof value === "string") return value;
  const text = env[value.env];
  if (text !== undefined && text !== "") return text;
  throw new EspalierError("SECRET_MISSING", `${where} is to come from ${value.env}, which is not set`, {
    hint: `Set it for this command: ${value.env}=... espalier ...`,
    context: { variable: value.env, path: where },
    exitCode: EXIT.usage,
  });
}

/** The entry for a board, or the default; null for a board that the site does not know. */
export function nodeFor(site: Site, board: { mac?: string; port: string }): SiteNode | null {
  const byMac = board.mac === undefined ? undefined : site.nodes.find((node) => node.mac === board.mac);
  const byPort = site.nodes.find((node) => node.mac === undefined && node.port === board.port);
  const listed = byMac ?? byPort;
  if (listed) return listed;
  return site.default ? { role: site.default.role, app: site.default.app, port: board.port } : null;
}
