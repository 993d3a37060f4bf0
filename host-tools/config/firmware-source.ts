/** Finds the Espruino firmware that a site names: a path beside its file, or a download kept in the user's cache. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { EspalierError, EXIT } from "../errors";
import type { FirmwareSource, Site } from "./schema";

const LARGEST = 32 * 1024 * 1024;

export type Download = (url: string) => Promise<Uint8Array>;

export interface FirmwareLookup {
  /** The site's file. */
  file: string;
  cache?: string;
  download?: Download;
}

/** Where downloads are kept, by the system's custom. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env, platform: string = process.platform): string {
  const home = os.homedir();
  if (env.ESPALIER_CACHE) return env.ESPALIER_CACHE;
  if (platform === "win32") return path.join(env.LOCALAPPDATA ?? path.join(home, "AppData", "Local"), "espalier");
  if (platform === "darwin") return path.join(home, "Library", "Caches", "espalier");
  return path.join(env.XDG_CACHE_HOME || path.join(home, ".cache"), "espalier");
}

/**
 * Path of the firmware for a board.
 * @throws EspalierError FIRMWARE_UNKNOWN, FIRMWARE_DOWNLOAD, FIRMWARE_HASH
 */
export async function findFirmware(site: Site, board: string, lookup: FirmwareLookup): Promise<string> {
  const source = site.firmware[board];
  if (!source) {
    throw new EspalierError("FIRMWARE_UNKNOWN", `the site names no Espruino firmware for ${board}`, {
      hint: `Download a release from https://www.espruino.com/Download and name it: "firmware": { "${board}": { "path": "espruino_2v29_esp32.tgz" } }, or give --firmware.`,
      context: { board },
      exitCode: EXIT.usage,
    });
  }
  if ("path" in source) return path.resolve(path.dirname(lookup.file), source.path);
  return cached(source, lookup);
}

async function cached(source: Exclude<FirmwareSource, { path: string }>, lookup: FirmwareLookup): Promise<string> {
  const folder = lookup.cache ?? cacheFolder();
  const file = path.join(folder, source.sha256.slice(0, 16) + path.extname(new URL(source.url).pathname));
  if (fs.existsSync(file) && digest(fs.readFileSync(file)) === source.sha256) return file;
  let bytes: Uint8Array;
  try {
    bytes = await (lookup.download ?? fetchBytes)(source.url);
  } catch (error) {
    throw new EspalierError("FIRMWARE_DOWNLOAD", `cannot download ${source.url}: ${(error as Error).message}`, {
      hint: "Download it another way and name it by path.",
      context: { url: source.url },
      cause: error,
    });
  }
  const found = digest(bytes);
  if (found !== source.sha256) {
    throw new EspalierError("FIRMWARE_HASH", `${source.url} is not what the site names: its SHA-256 is ${found}`, {
      hint: "Take the hash from whoever made the firmware; do not copy it from this message without looking.",
      context: { url: source.url, expected: source.sha256, found },
    });
  }
  fs.mkdirSync(folder, { recursive: true });
  // Another espalier may be doing the same.
  const part = `${file}.${process.pid}`;
  fs.writeFileSync(part, bytes);
  fs.renameSync(part, file);
  return file;
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.timeout(120_000) });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const length = Number(response.headers.get("content-length") ?? 0);
  if (length > LARGEST) throw new Error(`${length} bytes are no firmware`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > LARGEST) throw new Error(`${bytes.length} bytes are no firmware`);
  return bytes;
}
