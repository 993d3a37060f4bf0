/** What a simulated fleet runs: bundles and images of two versions of an application, and the loader. */
import type { Encoding } from "../../firmware/ota/image";
import { loadBoard } from "../build/board";
import { bundle } from "../build/bundle";
import { type Image, makeImage } from "../build/image";
import { buildLoader } from "../build/loader";
import { Random } from "./random";

export interface Build {
  version: string;
  code: string;
  image: Image;
}

export interface BuildRequest {
  app: string;
  board: string;
  version: string;
  encoding: Encoding;
  chunkBytes?: number;
  /** The bundle is padded with a comment to so many bytes. */
  size?: number;
  hardware?: string;
  /** What a delta changes. */
  base?: string;
}

const loaders = new Map<string, Promise<string>>();
const bundles = new Map<string, Promise<string>>();

/** One text per board and run of the tool. */
export function loaderFor(name: string): Promise<string> {
  const known = loaders.get(name) ?? buildLoader(loadBoard(name));
  loaders.set(name, known);
  return known;
}

function bundleFor(app: string, board: string, version: string): Promise<string> {
  const key = JSON.stringify([app, board, version]);
  const known = bundles.get(key) ?? bundle({ app, board, role: "node", version }).then(({ code }) => code);
  bundles.set(key, known);
  return known;
}

/** An image of given code. */
export function imageOf(request: BuildRequest, code: string): Build {
  const { version, encoding, chunkBytes, base } = request;
  const hardware = request.hardware ?? loadBoard(request.board).hardware;
  const image = makeImage({ code, product: "espalier", hardware, role: "node", version, encoding, chunkBytes, base });
  return { version, code, image };
}

/** Text that compresses about as well as `code` does: short pieces of it, in an order that does not repeat. */
function filler(code: string, length: number): string {
  const random = new Random(1).stream("filler");
  let text = "";
  while (text.length < length) text += code.substr(random.below(code.length - 24), 6 + random.below(18));
  return text.slice(0, length).replace(/\*\//g, "* /").slice(0, length);
}

export async function buildFor(request: BuildRequest): Promise<Build> {
  const { size = 0 } = request;
  let code = await bundleFor(request.app, request.board, request.version);
  if (code.length < size) code += `/*${filler(code, size - code.length - 4)}*/`;
  return imageOf(request, code);
}
