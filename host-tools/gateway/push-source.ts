/** What a push sends: an image from its file, or one made of an application for the mesh that it is to travel through. */
import * as fs from "node:fs";
import { PAGE } from "../../firmware/engine/engine";
import { type Encoding, parseManifest } from "../../firmware/ota/image";
import { STAGE_HEADER, STAGE_STRIDE } from "../../firmware/ota/layout";
import { type Board, boardNames, loadBoard } from "../build/board";
import { type Candidate, chooseEncoding } from "../build/choose-encoding";
import { blobChunks, type Image, makeImage } from "../build/image";
import { bundleOf } from "../build/unpack";
import { decodeImageFile, ImageFileError } from "../build/image-file";
import { EspalierError, EXIT } from "../errors";

export type WantedEncoding = Encoding | "auto";

export interface Choice {
  image: Image;
  /** Where `image` is a delta: the same bundle as a whole, for nodes that do not run the base. */
  whole: Image | null;
  /** Why it is encoded as it is; "" when nothing was chosen. */
  why: string;
}

/** What a prediction needs to know of the way. */
export interface Route {
  /** Milliseconds between the frames of one sender. */
  paceMs: number;
  /** Links to the farthest target. */
  hops: number;
}

export interface ImageSource {
  /** Chip, as in manifests. */
  readonly hardware: string;
  choose(route: Route): Choice;
}

/** @throws EspalierError NO_FILE, NOT_AN_IMAGE_FILE */
export function imageFromFile(file: string): Image {
  let content: Buffer;
  try {
    content = fs.readFileSync(file);
  } catch (error) {
    throw new EspalierError("NO_FILE", `cannot read ${file}: ${(error as Error).message}`, {
      hint: 'Give an image file ("espalier build --image") or an application\'s TypeScript module.',
      exitCode: EXIT.usage,
      cause: error,
    });
  }
  try {
    return decodeImageFile(content);
  } catch (error) {
    if (!(error instanceof ImageFileError)) throw error;
    throw new EspalierError("NOT_AN_IMAGE_FILE", `${file} is no whole image: ${error.message}`, {
      hint: '"espalier build --app <module> --board <name> --image <file>" writes one.',
      context: { file, reason: error.code },
      exitCode: EXIT.usage,
      cause: error,
    });
  }
}

/** The bundle that nodes run, which a delta changes. @throws EspalierError NO_FILE, NOT_AN_IMAGE_FILE, BAD_BASE */
export function baseFromFile(file: string): string {
  const image = imageFromFile(file);
  const code = bundleOf(image);
  if (code) return code.toString("latin1");
  const delta = image.manifest.encoding === "delta";
  const why = delta ? "a delta itself" : "no bundle that is what its manifest says";
  throw new EspalierError("BAD_BASE", `${file} cannot be the base of a delta: it holds ${why}`, {
    hint: "Give the whole image that the nodes were updated to.",
    context: { file },
    exitCode: EXIT.usage,
  });
}

/** As nodes with a base take it soonest, or as `wanted` says. */
function choose(
  images: readonly Image[],
  delta: Image | null,
  wanted: WantedEncoding,
  { paceMs, hops }: Route,
  instructionsPerSecond: number,
): Choice {
  const { predictions, why } = chooseEncoding([...images, ...(delta ? [delta] : [])].map(candidate), {
    paceMs,
    hops,
    // What a site loses is known only afterwards.
    loss: 0.05,
    instructionsPerSecond,
  });
  const seconds = ({ manifest }: Image): number => {
    const found = predictions.find(({ encoding }) => encoding === manifest.encoding)!;
    return found.airSeconds + found.decodeSeconds;
  };
  const whole = images.reduce((best, one) => (seconds(one) < seconds(best) ? one : best));
  if (delta && (wanted === "delta" || seconds(delta) < seconds(whole)))
    return { image: delta, whole, why: wanted === "auto" ? why : "" };
  return { image: whole, whole: null, why: predictions.length > 1 ? why : "" };
}

export function sourceFromFile(file: string, base: string | null = null, wanted: WantedEncoding = "auto"): ImageSource {
  const image = imageFromFile(file);
  const { hardware } = image.manifest;
  if (base === null) return { hardware, choose: () => ({ image, whole: null, why: "" }) };
  const code = bundleOf(image);
  if (!code) {
    throw new EspalierError("NO_BUNDLE", `${file} holds no whole bundle, so that no delta can be made of it`, {
      hint: "Give a whole image, or leave --base out.",
      context: { file, encoding: image.manifest.encoding },
      exitCode: EXIT.usage,
    });
  }
  const board = boardOf(hardware);
  const { instructionsPerSecond } = (board ?? loadBoard("esp32-devkitc")).cost;
  const { product, role, version, counter, notes, nextKey, downgradeFrom } = image.manifest;
  const fields = { product, hardware, role, version, counter, notes, nextKey, downgradeFrom };
  const delta = makeImage({ ...fields, code: code.toString("latin1"), base, encoding: "delta" });
  return { hardware, choose: (route) => choose([image], delta, wanted, route, instructionsPerSecond) };
}

export interface Bundle {
  code: string;
  /** Nodes take images of their own product alone; the mesh's name, unless their settings say otherwise. */
  product: string;
  board: Board;
  role: string;
  version: string;
  notes?: string;
}

/** Of a whole image. */
export const ENCODINGS: readonly Encoding[] = ["raw", "heatshrink", "deflate"];

export function imageOfBundle(
  { code, product, board, role, version, notes }: Bundle,
  encoding: Encoding,
  base?: string,
): Image {
  return makeImage({ code, product, hardware: board.hardware, role, version, encoding, notes, base });
}

export function sourceFromBundle(bundle: Bundle, wanted: WantedEncoding, base: string | null = null): ImageSource {
  const { hardware, cost } = bundle.board;
  return {
    hardware,
    choose(route) {
      if (wanted !== "auto" && wanted !== "delta")
        return { image: imageOfBundle(bundle, wanted), whole: null, why: "" };
      const images = ENCODINGS.map((one) => imageOfBundle(bundle, one));
      const delta = base === null ? null : imageOfBundle(bundle, "delta", base);
      return choose(images, delta, wanted, route, cost.instructionsPerSecond);
    },
  };
}

function candidate(image: Image): Candidate {
  const { encoding, resultBytes } = image.manifest;
  return { encoding, chunks: image.chunks.length + blobChunks(image), resultBytes };
}

function boardOf(hardware: string): Board | undefined {
  return boardNames()
    .map((name) => loadBoard(name))
    .find((board) => board.hardware === hardware);
}

/** Refuses what nodes would refuse for its size. @throws EspalierError IMAGE_TOO_LARGE */
export function checkRoom({ manifest, blob, chunks }: Image): void {
  const board = boardOf(manifest.hardware);
  if (!board) return;
  const slot = (board.regions.slot0![1] - 1) * PAGE;
  const stage = board.regions.stage![1] * PAGE - STAGE_HEADER;
  const verdict = parseManifest(blob.toString("latin1"), slot, stage);
  if (typeof verdict !== "string") return;
  throw new EspalierError(
    "IMAGE_TOO_LARGE",
    `the image has ${manifest.resultBytes} bytes in ${chunks.length} chunks, a ${board.hardware} has room for ${slot} ` +
      `in ${stage / STAGE_STRIDE} (${verdict})`,
    { hint: "Leave something out, or encode it as deflate.", context: { slot, stage, reason: verdict } },
  );
}
