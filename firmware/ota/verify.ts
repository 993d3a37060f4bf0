/** Who made an image: checks the signature in a blob, a slice at a time, between which the node does its other work. */
import type { Bytes, Engine } from "../engine/engine";
import { u16 } from "../wire/bytes";
import { createVerifier, MORE, VALID } from "./signature";

export const UNSIGNED = "unsigned";
export const BAD_SIGNATURE = "bad-signature";

/**
 * Checks the blob [u16 length][manifest][signature], which may be a view on flash and must stay as it is until `done`
 * gets an error code or "". The manifest's text is what is signed. With the key "" every blob is good.
 *
 * @returns a function that gives the work up; `done` is not called then
 */
export function checkSignature(engine: Engine, key: Bytes, blob: Bytes, done: (code: string) => void): () => void {
  "cold";
  let given = false;
  const length = u16(blob, 0);
  const signature = blob.substr(2 + length);
  const verifier = key && signature ? createVerifier(engine, key, blob.substr(2, length), signature) : null;

  function slice(): void {
    if (given) return;
    const result = verifier!.step();
    if (result === MORE) engine.after(1, slice);
    else done(result === VALID ? "" : BAD_SIGNATURE);
  }

  if (verifier) engine.after(1, slice);
  else
    engine.after(1, function () {
      if (!given) done(key ? UNSIGNED : "");
    });
  return function () {
    given = true;
  };
}
