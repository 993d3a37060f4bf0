/** Signed images: the signature follows the manifest in the blob, and the manifest's text is what is signed. */
import { MAX_BLOB } from "../../firmware/ota/image";
import { assemble, type Image } from "./image";
import { sign, SIGNATURE_BYTES, verify } from "./sign";

/** Bytes that a manifest may have beside its signature. */
export const SIGNED_MANIFEST_BYTES = MAX_BLOB - 2 - SIGNATURE_BYTES;

/** What is signed. */
export function manifestBytes({ blob }: Image): Buffer {
  return blob.subarray(2, 2 + blob.readUInt16LE(0));
}

/** The signature, empty when there is none. */
export function signatureOf({ blob }: Image): Buffer {
  return blob.subarray(2 + blob.readUInt16LE(0));
}

/**
 * The image with a new signature in place of what it had; takes seconds. Its id changes with the signature.
 * @throws RangeError when the manifest leaves no room for one
 */
export async function signImage(image: Image, secretKey: Uint8Array): Promise<Image> {
  const text = manifestBytes(image);
  if (text.length > SIGNED_MANIFEST_BYTES) {
    throw new RangeError(`a signed manifest may have ${SIGNED_MANIFEST_BYTES} bytes, this one has ${text.length}`);
  }
  return assemble(image.manifest, image.chunks, await sign(secretKey, text));
}

/** Whether the image was signed by this key. */
export function verifyImage(image: Image, publicKey: Uint8Array): Promise<boolean> {
  return verify(publicKey, manifestBytes(image), signatureOf(image));
}
