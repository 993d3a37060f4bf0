/** What a push sends: an image from its file, or one made of an application for the mesh that it is to travel through. */
import * as fs from "node:fs";
import { PAGE } from "../../firmware/engine/engine";
import { type Encoding, parseManifest } from "../../firmware/ota/image";
import { STAGE_HEADER, STAGE_STRIDE } from "../../firmware/ota/layout";
import { type Board, boardNames, loadBoard } from "../build/board";
import { type Candidate, chooseEncoding } from "../build/choose-encoding";
import { blobChunks, type Image, makeImage } from "../build/image";
import { decodeImageFile, ImageFileError } from "../build/image-file";
import { EspalierError, EXIT } from "../errors";

export type WantedEncoding = Encoding | "auto";

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
  /** The image, and why it is encoded as it is. */
  choose(route: Route): { image: Image; why: string };
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

export function sourceFromFile(file: string): ImageSource {
  const image = imageFromFile(file);
  return { hardware: image.manifest.hardware, choose: () => ({ image, why: "" }) };
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

export const ENCODINGS: readonly Encoding[] = ["raw", "heatshrink", "deflate"];

export function imageOfBundle({ code, product, board, role, version, notes }: Bundle, encoding: Encoding): Image {
  return makeImage({ code, product, hardware: board.hardware, role, version, encoding, notes });
}

export function sourceFromBundle(bundle: Bundle, encoding: WantedEncoding): ImageSource {
  return {
    hardware: bundle.board.hardware,
    choose({ paceMs, hops }) {
      if (encoding !== "auto") return { image: imageOfBundle(bundle, encoding), why: "" };
      const images = ENCODINGS.map((one) => imageOfBundle(bundle, one));
      const choice = chooseEncoding(images.map(candidate), {
        paceMs,
        hops,
        // What a site loses is known only afterwards.
        loss: 0.05,
        instructionsPerSecond: bundle.board.cost.instructionsPerSecond,
      });
      return { image: images.find((one) => one.manifest.encoding === choice.encoding)!, why: choice.why };
    },
  };
}

function candidate(image: Image): Candidate {
  const { encoding, resultBytes } = image.manifest;
  return { encoding, chunks: image.chunks.length + blobChunks(image), resultBytes };
}

/** Refuses what nodes would refuse for its size. @throws EspalierError IMAGE_TOO_LARGE */
export function checkRoom({ manifest, blob, chunks }: Image): void {
  const board = boardNames()
    .map((name) => loadBoard(name))
    .find(({ hardware }) => hardware === manifest.hardware);
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
