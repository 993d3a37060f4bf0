import { existsSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import * as path from "node:path";
import type { OnLoadArgs, OnLoadResult, OnResolveArgs, OnResolveResult, PartialMessage, Plugin } from "esbuild";
import type { Finding } from "./findings";
import { lower } from "./lower";
import { ENGINE_MODULES } from "./modules";
import { checkSource } from "./source-check";

const HELPERS = path.join(__dirname, "lowering-helpers.js");

/** What applications import: `import { mesh } from "espalier"`. */
const APPLICATION_API = "firmware/app.ts";

function message(text: string, code: string): PartialMessage {
  return { text, detail: { code } };
}

/**
 * The esbuild plugin that resolves the project's own names, checks every source against the engine's subset and lowers it
 * to ES5. Findings are pushed to `findings`; the build goes on, so that one run names all of them. Source maps of the
 * lowered modules are put into `maps`, by path relative to the root.
 */
export function espruinoPlugin(root: string, findings: Finding[], maps = new Map<string, string>()): Plugin {
  const firmware = path.join(root, "firmware") + path.sep;
  const hostTools = path.join(root, "host-tools") + path.sep;

  function resolveName(args: OnResolveArgs): OnResolveResult | undefined {
    if (args.kind === "entry-point") return undefined;
    if (args.path === "tslib") return { path: HELPERS, sideEffects: false };
    if (args.path === "espalier") return { path: path.join(root, APPLICATION_API) };
    if (args.kind === "require-call") {
      if (ENGINE_MODULES.has(args.path)) return { path: args.path, external: true };
    }
    const bare = args.path.replace(/^node:/, "");
    if (args.path.startsWith("node:") || (builtinModules.includes(bare) && !args.path.startsWith("."))) {
      const text = `"${args.path}" is a module of Node; the engine has ${[...ENGINE_MODULES].join(", ")} through require("...")`;
      return { errors: [message(text, "node-module")] };
    }
    const resolved = args.path.startsWith(".") ? path.resolve(args.resolveDir, args.path) : "";
    if (args.importer.startsWith(firmware) && resolved.startsWith(hostTools)) {
      return { errors: [message(`firmware must not import from host-tools: "${args.path}"`, "floor")] };
    }
    return undefined;
  }

  function load(args: OnLoadArgs): OnLoadResult {
    const source = readFileSync(args.path, "utf8");
    const relative = path.relative(root, args.path).split(path.sep).join("/");
    if (args.path !== HELPERS) findings.push(...checkSource(source, relative));
    const { code, map } = lower(source, relative);
    maps.set(relative, map);
    const comment = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString("base64")}`;
    return { contents: `${code}\n${comment}`, loader: "js", resolveDir: path.dirname(args.path) };
  }

  return {
    name: "espruino",
    setup(build) {
      build.onResolve({ filter: /.*/ }, resolveName);
      build.onLoad({ filter: /\.[jt]s$/, namespace: "file" }, load);
    },
  };
}

/** Absolute path of a project file, or null where there is none. */
export function existing(root: string, file: string): string | null {
  const absolute = path.resolve(root, file);
  return existsSync(absolute) ? absolute : null;
}
