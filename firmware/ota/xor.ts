/**
 * Exclusive or of two binary strings. A loop in JavaScript costs an ESP32 a tenth of a second for a kilobyte; the drawing
 * routines of Espruino do it in a ninth of that: both strings are drawn as images of 4-bit pixels into the two columns of
 * one canvas, whose bytes then are pairs of digits, and that canvas is drawn through a palette that holds the exclusive
 * or of each pair.
 */
import type { Bytes } from "../engine/engine";

interface Canvas {
  buffer: ArrayBuffer;
  clear(): void;
  drawImage(image: object, x: number, y: number): void;
}

/** Global of the engines that can draw (https://www.espruino.com/Reference#Graphics). */
declare const Graphics: { createArrayBuffer(width: number, height: number, bits: number, options: object): Canvas };

/** Set by the build: a bundle runs on an engine that can draw. */
declare const ON_ENGINE: boolean | undefined;

declare const E: { toString(data: Uint8Array): Bytes };

/** Combines two strings; the shorter counts as filled up with zeros. The result is as long as the longer. */
export type Xor = (a: Bytes, b: Bytes) => Bytes;

function plainXor(a: Bytes, b: Bytes): Bytes {
  "cold";
  let out = "";
  const length = Math.max(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = i < a.length ? a.charCodeAt(i) : 0;
    const right = i < b.length ? b.charCodeAt(i) : 0;
    out += String.fromCharCode(left ^ right);
  }
  return out;
}

/**
 * A function for strings of 1..`longest` bytes. It holds some 330 variables of Espruino for a kilobyte: make it when
 * there is something to combine, and let go of it afterwards.
 */
export function createXor(longest: number): Xor {
  "cold";
  if (typeof ON_ENGINE === "undefined" && typeof Graphics === "undefined") return plainXor;
  const pixels = longest * 2;
  const msb = { msb: true };
  const pairs = Graphics.createArrayBuffer(2, pixels, 4, msb);
  const result = Graphics.createArrayBuffer(1, pixels, 4, msb);
  const palette = new Uint16Array(256);
  for (let i = 0; i < 256; i++) palette[i] = (i >> 4) ^ (i & 15);
  const digits = { width: 1, height: 0, bpp: 4, buffer: "" };
  const pair = { width: 1, height: pixels, bpp: 8, buffer: pairs.buffer, palette: palette };

  function draw(bytes: Bytes, column: number): void {
    digits.height = bytes.length * 2;
    digits.buffer = bytes;
    pairs.drawImage(digits, column, 0);
  }

  return function (a: Bytes, b: Bytes) {
    const length = Math.max(a.length, b.length);
    if (a.length !== b.length) pairs.clear();
    draw(a, 0);
    draw(b, 1);
    digits.buffer = "";
    pair.height = length * 2;
    result.drawImage(pair, 0, 0);
    return E.toString(new Uint8Array(result.buffer, 0, length));
  };
}
