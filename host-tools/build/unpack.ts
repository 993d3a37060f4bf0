/** The bundle that an image carries. */
import pako from "pako";
import { decodeHeatshrink } from "../../firmware/ota/heatshrink";
import { decompress } from "../simulator/chip/heatshrink";
import { type Image, treeHashOf } from "./image";

function unshrink(chunks: readonly Buffer[], resultBytes: number): Buffer | null {
  const result = Buffer.alloc(resultBytes);
  for (const chunk of chunks) {
    const piece = decodeHeatshrink(
      (bytes) => decompress(Buffer.from(bytes, "latin1")).toString("latin1"),
      chunk.toString("latin1"),
      resultBytes,
    );
    if (typeof piece === "number") return null;
    result.write(piece.bytes, piece.offset, "latin1");
  }
  return result;
}

/** Null for a delta, which is a bundle only together with another one, and for a payload that is not what its manifest says. */
export function bundleOf({ manifest, chunks }: Image): Buffer | null {
  const { encoding, resultBytes, resultHash } = manifest;
  const payload = Buffer.concat(chunks);
  let result: Buffer | null = null;
  try {
    if (encoding === "raw") result = payload;
    else if (encoding === "heatshrink") result = unshrink(chunks, resultBytes);
    else if (encoding === "deflate") result = Buffer.from(pako.inflateRaw(payload));
  } catch {
    return null;
  }
  return result && result.length === resultBytes && treeHashOf(result) === resultHash ? result : null;
}
