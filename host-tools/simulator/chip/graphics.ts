/** As much of Espruino's Graphics as the firmware draws with: canvases in RAM, images without transparency, palettes. */
import { asBytes } from "./bytes";
import { UNIT_COST } from "./cost-table";
import type { GlobalsContext } from "./globals";

interface Picture {
  width?: unknown;
  height?: unknown;
  bpp?: unknown;
  buffer?: unknown;
  palette?: ArrayLike<number>;
}

/** Pixel `index` of rows without padding; the first of several in a byte has its high bits. */
function pixel(bytes: Uint8Array, bits: number, index: number): number {
  const at = index * bits;
  return ((bytes[at >> 3] ?? 0) >> (8 - bits - (at & 7))) & ((1 << bits) - 1);
}

/** The global `Graphics` (https://www.espruino.com/Reference#Graphics). Bits a pixel: 1, 2, 4 or 8. */
export function createGraphics({ realm, charge }: GlobalsContext): object {
  return {
    createArrayBuffer(width: number, height: number, bits: number, options?: { msb?: boolean }): object {
      if (![1, 2, 4, 8].includes(bits)) throw realm.error("Invalid BPP");
      if (bits < 8 && !options?.msb) throw realm.error("the virtual chip draws with msb only");
      const buffer = realm.arrayBuffer((width * height * bits + 7) >> 3);
      const bytes = new Uint8Array(buffer);
      return {
        buffer,
        clear: () => void bytes.fill(0),
        drawImage(image: Picture, x: number, y: number): void {
          const [wide, high, depth] = [Number(image.width), Number(image.height), Number(image.bpp)];
          const source = asBytes(image.buffer);
          if (!source || !(wide > 0) || !(high > 0)) throw realm.error("Image not valid");
          charge(UNIT_COST.image! + wide * high * UNIT_COST[image.palette ? "image pixel, palette" : "image pixel"]!);
          for (let row = 0; row < high; row++) {
            for (let column = 0; column < wide; column++) {
              const [left, top] = [x + column, y + row];
              if (left < 0 || top < 0 || left >= width || top >= height) continue;
              const plain = pixel(source, depth, row * wide + column);
              const color = (image.palette ? image.palette[plain]! : plain) & ((1 << bits) - 1);
              const at = (top * width + left) * bits;
              const shift = 8 - bits - (at & 7);
              bytes[at >> 3] = (bytes[at >> 3]! & ~(((1 << bits) - 1) << shift)) | (color << shift);
            }
          }
        },
      };
    },
  };
}
