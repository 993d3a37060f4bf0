import * as path from "node:path";
import * as esbuild from "esbuild";
import { aliasBuiltIns } from "./aliases";
import { loadBoard, pinNumbers } from "./board";
import { inlineConstants } from "./constants";
import { BuildError, type Finding } from "./findings";
import { hoist } from "./hoist";
import { internalNames } from "./internal-names";
import { ENGINE_OUTPUT, link } from "./link";
import { coldLeft, engineNames, overlay } from "./overlay";
import { existing } from "./resolve";
import { shortenNames } from "./short-names";
import { inlineSingleUse } from "./single-use";
import { charactersBySource, decodeSourceMap, type Mapping, originOf } from "./source-map";
import { checkSubset } from "./subset-check";
import { dropUnusedMethods } from "./unused-methods";
import { unwrap } from "./unwrap";

/**
 * How names are shortened: so that they stay from one release to the next, or by how often they are used, as minifiers
 * do, for comparison.
 */
export type Names = "stable" | "frequent";

export interface BundleOptions {
  /** Path of the application (apps/x.ts) relative to the root, or null for a node without one. */
  app: string | null;
  /** The module that starts the node, imported after the application; firmware/main.ts unless given. */
  entry?: string;
  /** Further constants to replace in the source: name to JavaScript expression. */
  defines?: Record<string, string>;
  role: string;
  /** Name of the board's file in boards/, without ".json". */
  board: string;
  version: string;
  /** Takes updates of painlessMesh's own kind too, for meshes shared with C++ nodes; false unless given. */
  painlessOta?: boolean;
  /** True unless given. */
  minify?: boolean;
  /** Of a minified bundle; "stable" unless given. */
  names?: Names;
  /** Absolute path of the project; the one this file lies in unless given. */
  root?: string;
}

export interface ModuleSize {
  /** Relative to the root; "(glue)" for what belongs to no source. */
  path: string;
  /** Bytes of the bundle that came from it. */
  bytes: number;
}

export interface Bundle {
  /** One ASCII script for eval. */
  code: string;
  bytes: number;
  /** Largest first, what the tools added last. */
  modules: ModuleSize[];
  /** Functions and methods whose "cold" directive did not move them, by the names that the script gives them. */
  coldLeft: string[];
}

const ROOT = path.resolve(__dirname, "../..");

/**
 * Builds one script that Espruino runs: application and firmware, lowered to ES5, linked, minified and hoisted. The same
 * input gives the same bytes. The names ESPALIER_VERSION, ESPALIER_ROLE and ESPALIER_BOARD in the sources become texts.
 * @throws BuildError with every finding when a source cannot run on the engine as it runs on Node.
 */
export async function bundle(options: BundleOptions): Promise<Bundle> {
  const root = options.root ?? ROOT;
  const wanted = [...(options.app === null ? [] : [options.app]), options.entry ?? "firmware/main.ts"];
  const missing = wanted.filter((file) => existing(root, file) === null);
  if (missing.length > 0) {
    const message = "there is no such file";
    throw new BuildError(missing.map((file) => ({ code: "missing-file", message, file, line: 0, column: 0 })));
  }
  const imports = wanted.map((file) => path.resolve(root, file));
  const linked = await link(root, imports, {
    ESPALIER_VERSION: JSON.stringify(options.version),
    ESPALIER_ROLE: JSON.stringify(options.role),
    ESPALIER_BOARD: JSON.stringify(options.board),
    ON_ENGINE: "true",
    PAINLESS_OTA: String(options.painlessOta ?? false),
    BOARD_PINS: JSON.stringify(pinNumbers(loadBoard(options.board))),
    ...options.defines,
  });
  const minify = options.minify ?? true;
  const internal = minify ? internalNames(root, linked.modules) : [];
  const flat = inlineSingleUse(dropUnusedMethods(linked.code));
  const origins = decodeSourceMap(linked.map);
  const minified = async (how: esbuild.TransformOptions): Promise<{ code: string; mappings: Mapping[] }> => {
    // A keyword on the engine. The minifier gives nothing the name of a global that is used.
    const { code, map } = await esbuild.transform(`${flat.text}of;`, {
      ...ENGINE_OUTPUT,
      ...how,
      sourcemap: "external",
      sourcesContent: false,
    });
    const mappings = flat.retrace(decodeSourceMap(map), origins);
    return { code: code.replace(/[;,]\s*of;\s*$/, ";"), mappings };
  };
  const { code: script, mappings } = await minified({ minifySyntax: minify, minifyWhitespace: minify });
  const done = finish(script, mappings, minify ? (options.names ?? "stable") : "readable", internal);
  // Names are shortened when nothing leads back to the sources any more; the minifier's own tell the modules' sizes.
  const sized = minify ? await minified({ minify, ...mangled(internal) }) : { code: script, mappings };
  return { ...done, modules: moduleSizes(sized.code, done.bytes, sized.mappings) };
}

function mangled(internal: readonly string[]): esbuild.TransformOptions {
  return internal.length > 0 ? { mangleProps: new RegExp(`^(?:${internal.join("|")})$`) } : {};
}

/**
 * Checks a linked script, rearranges it for the engine and checks it again.
 * @param internal members that are shortened with the names of variables
 */
function finish(
  linked: string,
  mappings: readonly Mapping[],
  names: Names | "readable",
  internal: readonly string[],
): Omit<Bundle, "modules"> {
  const minify = names !== "readable";
  // As long as "const", so that the source map still holds.
  const script = linked.replace(/\bconst /g, "var   ");
  refuse(checkSubset(script).map((finding) => locate(finding, script, mappings)));
  // Constants that were put in place leave sums to fold and branches that nothing reaches.
  const folded = esbuild.transformSync(inlineConstants(script), {
    ...ENGINE_OUTPUT,
    minifySyntax: minify,
    minifyWhitespace: minify,
  }).code;
  const whole = aliasBuiltIns(hoist(folded));
  const frequent = { ...ENGINE_OUTPUT, minifyIdentifiers: true, minifyWhitespace: true, ...mangled(internal) };
  const ready = unwrap(names === "frequent" ? esbuild.transformSync(whole, frequent).code : whole, engineNames());
  const code = overlay(names === "stable" ? shortenNames(ready, internal) : ready);
  refuse(checkSubset(code).map(inBundle));
  return { code, bytes: code.length, coldLeft: coldLeft(ready) };
}

function refuse(findings: readonly Finding[]): void {
  if (findings.length > 0) throw new BuildError(findings);
}

function inBundle({ code, message }: { code: string; message: string }): Finding {
  return { code, message, file: "bundle", line: 0, column: 0 };
}

function locate(
  finding: { code: string; message: string; offset: number },
  script: string,
  mappings: readonly Mapping[],
): Finding {
  const before = script.slice(0, finding.offset).split("\n");
  const origin = originOf(mappings, before.length - 1, before.at(-1)?.length ?? 0);
  if (origin === null) return inBundle(finding);
  const { source, line, column } = origin;
  return { code: finding.code, message: finding.message, file: source, line: line + 1, column: column + 1 };
}

function moduleSizes(script: string, bytes: number, mappings: readonly Mapping[]): ModuleSize[] {
  const modules = [...charactersBySource(script, mappings)]
    .filter(([source]) => source !== "")
    .map(([source, size]) => ({ path: source, bytes: size }))
    .sort((a, b) => b.bytes - a.bytes);
  const glue = bytes - modules.reduce((sum, module) => sum + module.bytes, 0);
  return [...modules, { path: "(glue)", bytes: glue }];
}
