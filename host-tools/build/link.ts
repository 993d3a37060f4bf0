import * as path from "node:path";
import * as esbuild from "esbuild";
import { BuildError, type Finding } from "./findings";
import { espruinoPlugin } from "./resolve";
import { decodeSourceMap, originOf } from "./source-map";

/** esbuild's settings for text that Espruino reads; the lowering has left nothing newer but literal `const`s. */
export const ENGINE_OUTPUT = {
  target: "es5",
  supported: { "const-and-let": true },
  charset: "ascii",
  legalComments: "none",
} as const satisfies esbuild.CommonOptions;

/** esbuild counts in the lowered module; `maps` leads back to the source. */
function fromEsbuild(message: esbuild.Message, maps: ReadonlyMap<string, string>): Finding {
  const detail = message.detail as { code?: string } | undefined;
  const { location } = message;
  const map = maps.get(location?.file ?? "");
  const origin = location && map ? originOf(decodeSourceMap(map), location.line - 1, location.column) : null;
  return {
    code: detail?.code ?? "unresolved",
    message: message.text,
    file: location?.file ?? "bundle",
    line: origin ? origin.line + 1 : (location?.line ?? 0),
    column: origin ? origin.column + 1 : location ? location.column + 1 : 0,
  };
}

export interface Linked {
  code: string;
  /** Source map of `code`, JSON. */
  map: string;
  /** The sources that something is left of, relative to the root. */
  modules: string[];
}

/**
 * Links modules into one function, run at once, with readable names: unused code dropped, constants folded.
 * @param imports Absolute paths, in the order in which they shall run.
 * @throws BuildError with the findings of every source.
 */
export async function link(root: string, imports: readonly string[], define: Record<string, string>): Promise<Linked> {
  const findings: Finding[] = [];
  const maps = new Map<string, string>();
  const result = await esbuild
    .build({
      ...ENGINE_OUTPUT,
      stdin: {
        contents: imports.map((file) => `import ${JSON.stringify(file)};`).join("\n"),
        resolveDir: root,
        sourcefile: "entry.js",
      },
      absWorkingDir: root,
      bundle: true,
      metafile: true,
      write: false,
      // CommonJS output leaves `require` of the engine's own modules as it is written.
      format: "cjs",
      platform: "neutral",
      mainFields: ["module", "main"],
      minifySyntax: true,
      treeShaking: true,
      sourcemap: "external",
      sourcesContent: false,
      banner: { js: "(function(){" },
      footer: { js: "})();" },
      outfile: path.join(root, "bundle.js"),
      logLevel: "silent",
      plugins: [espruinoPlugin(root, findings, maps)],
      define,
    })
    .catch((error: esbuild.BuildFailure) => {
      if (!Array.isArray(error.errors)) throw error;
      throw new BuildError([...findings, ...error.errors.map((problem) => fromEsbuild(problem, maps))]);
    });
  if (findings.length > 0) throw new BuildError(findings);
  const output = (ending: string): string =>
    result.outputFiles.find(({ path: file }) => file.endsWith(ending))?.text ?? "";
  const modules = Object.values(result.metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([file]) => file);
  return { code: output(".js"), map: output(".map"), modules };
}
