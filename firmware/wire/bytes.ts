/** Little-endian integers and hex in binary strings. */
import type { Bytes } from "../engine/engine";

export function u16(bytes: Bytes, at: number): number {
  return bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8);
}

export function u32(bytes: Bytes, at: number): number {
  "cold";
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}

export function le16(value: number): Bytes {
  "cold";
  return String.fromCharCode(value & 255, (value >> 8) & 255);
}

export function le32(value: number): Bytes {
  "cold";
  return le16(value) + le16(value >>> 16);
}

/** Lower-case hex, two digits a byte. */
export function hex(bytes: Bytes): string {
  "cold";
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += (256 + bytes.charCodeAt(i)).toString(16).substr(1);
  return text;
}

/** The inverse of `hex`; null when `text` is not an even number of hex digits. */
export function unhex(text: string): Bytes | null {
  "cold";
  if (text.length & 1) return null;
  let bytes = "";
  for (let i = 0; i < text.length; i += 2) {
    const pair = text.substr(i, 2);
    const value = parseInt(pair, 16);
    // Compared backwards because parseInt takes "1x", "+1" and " 1" for numbers.
    if (!((256 + value).toString(16).substr(1) === pair.toLowerCase())) return null;
    bytes += String.fromCharCode(value);
  }
  return bytes;
}

/** A hash or typed array as a binary string. */
export function bytesOf(data: ArrayBuffer | Uint8Array): Bytes {
  "cold";
  const view = new Uint8Array(data as ArrayBuffer);
  let bytes = "";
  for (let i = 0; i < view.length; i++) bytes += String.fromCharCode(view[i]);
  return bytes;
}
