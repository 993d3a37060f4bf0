/** Changes an image of Espruino's Storage as the interpreter would: what is replaced is struck out, the new file appended. */
import { deviceError } from "./faults";
import { align4, HEADER } from "./storage-format";
import { decodeStorage, encodeStorage, type StorageData, StorageImageError } from "./storage-image";

/** A copy of the image with the file in it. @throws EspalierError STORAGE_IMAGE for names or sizes that cannot be */
export function putFile(image: Uint8Array, name: string, data: StorageData, pageBytes = 4096): Buffer {
  const result = Buffer.from(image);
  const found = decodeSound(result, pageBytes);
  let record: Buffer;
  try {
    record = encodeStorage([{ name, data }], { areaBytes: result.length, pageBytes });
  } catch (error) {
    throw asImageError(error);
  }
  const length = align4(HEADER + decodeStorage(record, pageBytes).files[0]!.data.length);
  if (found.end + length > result.length)
    throw deviceError("STORAGE_IMAGE", `${name} needs ${length} bytes, ${result.length - found.end} are left`);
  for (const file of found.files)
    if (file.name === name) result.fill(0, file.offset - HEADER + 4, file.offset - HEADER + 8);
  record.copy(result, found.end, 0, length);
  return result;
}

/** @throws EspalierError STORAGE_IMAGE for what Espruino would erase at its next start */
export function decodeSound(image: Uint8Array, pageBytes = 4096): ReturnType<typeof decodeStorage> {
  const found = decodeStorage(image, pageBytes);
  if (found.sound && image.length > 0 && image.length % pageBytes === 0) return found;
  throw deviceError("STORAGE_IMAGE", "this is no image of Espruino's Storage", {
    hint: "An image is the whole area, 917504 bytes on an ESP32; espalier storage reads a board's through its port.",
    context: { faults: found.faults },
  });
}

export function asImageError(error: unknown): unknown {
  if (!(error instanceof StorageImageError)) return error;
  return deviceError("STORAGE_IMAGE", error.message, {
    context: { reason: error.code, file: error.file },
    cause: error,
  });
}
