/** The image that a push sends, by what the command line says of it. */
import * as path from "node:path";
import { version as ownVersion } from "../../package.json";
import { EspalierError, EXIT } from "../errors";
import {
  baseFromFile,
  type ImageSource,
  sourceFromBundle,
  sourceFromFile,
  type WantedEncoding,
} from "../gateway/push-source";
import { boardOrError, bundleOrError, productOf } from "./build";

export interface ImageOptions {
  encoding?: WantedEncoding;
  base?: string;
  board?: string;
  role?: string;
  version?: string;
  notes?: string;
  product?: string;
  config?: string;
}

function wrong(code: string, message: string, hint: string): EspalierError {
  return new EspalierError(code, message, { hint, exitCode: EXIT.usage });
}

/** Of a path as it was given: an application's module, or an image that is made already. @throws EspalierError */
export async function sourceOf(given: string, options: ImageOptions): Promise<ImageSource> {
  const file = path.resolve(given);
  const { base: baseFile, encoding } = options;
  if (encoding === "delta" && baseFile === undefined)
    throw wrong("NEEDS_BASE", "a delta needs the image that the nodes run", "Name its file with --base.");
  if (baseFile !== undefined && encoding !== undefined && encoding !== "auto" && encoding !== "delta")
    throw wrong("BASE_UNUSED", `--base means nothing to --encoding ${encoding}`, "Leave one of them out.");
  const isMade = !/\.[cm]?[jt]s$/.test(file);
  if (isMade) {
    const meaningless = (["encoding", "board", "role", "version", "notes", "product"] as const).find(
      (name) => options[name] !== undefined && !(name === "encoding" && baseFile !== undefined),
    );
    if (meaningless !== undefined)
      throw wrong(
        "IMAGE_IS_MADE",
        `--${meaningless} has no meaning for ${file}, an image that is made already`,
        "Leave the option out, or give the application's TypeScript module.",
      );
  }
  const base = baseFile === undefined ? null : baseFromFile(baseFile);
  if (isMade) return sourceFromFile(file, base, encoding);
  const board = boardOrError(options.board ?? "esp32-devkitc");
  const role = options.role ?? "node";
  const version = options.version ?? ownVersion;
  const { code } = await bundleOrError({ app: file, board: board.name, role, version, minify: true });
  const product = productOf(options);
  return sourceFromBundle({ code, product, board, role, version, notes: options.notes }, encoding ?? "auto", base);
}
