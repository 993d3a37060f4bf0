/** Builds the page: one HTML file with its script and style inside, which a browser keeps and a board can hold. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

export interface Page {
  html: string;
  /** The same, compressed: what both servers send. */
  gzip: Buffer;
  /** Content-Security-Policy: what is inside the page runs, and nothing else. */
  policy: string;
  /** For ETag: changes with the content. */
  tag: string;
}

/** Most bytes of the compressed page: it has to fit beside firmware in a board's flash. */
export const PAGE_BUDGET = 60 * 1024;

/** The page as it lies in a board's Storage: 16 characters that name its version, then the compressed page. */
export function storedPage(page: Page): Buffer {
  return Buffer.concat([Buffer.from(page.tag, "latin1"), page.gzip]);
}

const FOLDER = path.join(__dirname, "page");
let built: Promise<Page> | undefined;

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

async function build(): Promise<Page> {
  const { outputFiles } = await esbuild.build({
    entryPoints: [path.join(FOLDER, "main.ts")],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2020",
    charset: "utf8",
    legalComments: "none",
    outdir: "/page",
    logLevel: "silent",
  });
  const text = (end: string): string => outputFiles.find((file) => file.path.endsWith(end))!.text.trim();
  // A closing tag inside a string would end the element.
  const script = text(".js").replaceAll("</script", "<\\/script");
  const style = text(".css");
  const policy = [
    "default-src 'none'",
    `script-src 'sha256-${digest(script)}'`,
    `style-src 'sha256-${digest(style)}'`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const html = fs
    .readFileSync(path.join(FOLDER, "index.html"), "utf8")
    .replace('<link rel="stylesheet" href="main.css" />', () => `<style>${style}</style>`)
    .replace('<script src="main.js"></script>', () => `<script>${script}</script>`)
    .replace(
      '<meta charset="utf-8" />',
      (charset) => `${charset}<meta http-equiv="Content-Security-Policy" content="${policy}" />`,
    );
  const gzip = gzipSync(html, { level: 9 });
  return { html, gzip, policy, tag: createHash("sha256").update(gzip).digest("hex").slice(0, 16) };
}

/** The page, built once for each process. */
export function buildPage(): Promise<Page> {
  built ??= build();
  return built;
}
