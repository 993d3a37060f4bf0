import { NorFlash } from "../../simulator/chip/flash";

/** A part of a flash as a flash of its own that shares its bytes; counts of writes and erasures are its own. */
export function flashView(flash: NorFlash, offset: number, bytes: number): NorFlash {
  const view = new NorFlash(flash.pageBytes, flash.pageBytes);
  const pages = bytes / flash.pageBytes;
  Object.assign(view, {
    bytes: flash.bytes.subarray(offset, offset + bytes),
    writes: new Uint32Array(pages),
    erases: new Uint32Array(pages),
  });
  return view;
}
