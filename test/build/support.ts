import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as vm from "node:vm";
import * as ts from "typescript";
import { type Bundle, bundle } from "../../host-tools/build/bundle";
import { BuildError, type Finding } from "../../host-tools/build/findings";

/** Bundles a project of the given files (path to text) whose entry is firmware/main.ts. */
export async function bundleFiles(
  files: Record<string, string>,
  minify = true,
  app: string | null = null,
): Promise<Bundle> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-build-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
      fs.writeFileSync(path.join(root, name), text);
    }
    return await bundle({ root, app, minify, role: "node", board: "esp32-devkitc", version: "1.2.3" });
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

/** Findings for which the project is refused; empty when it is accepted. */
export async function refusals(files: Record<string, string>, app: string | null = null): Promise<readonly Finding[]> {
  try {
    await bundleFiles(files, true, app);
    return [];
  } catch (error) {
    if (error instanceof BuildError) return error.findings;
    throw error;
  }
}

/** Lines that a script prints through `print` in Node. */
export function runInNode(script: string): string[] {
  const lines: string[] = [];
  const print = (...values: unknown[]): void => void lines.push(values.map(String).join(" "));
  vm.runInNewContext(script, { print, btoa, atob });
  return lines;
}

/** The source as Node runs it by itself, types taken off and nothing lowered. */
export function asNodeScript(source: string): string {
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.None,
    useDefineForClassFields: false,
  };
  return ts.transpileModule(source, { compilerOptions }).outputText;
}
