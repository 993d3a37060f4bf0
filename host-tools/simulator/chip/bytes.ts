/** Binary data at the interpreter's borders: strings are bytes there. */

/**
 * The bytes of a value as Espruino's native functions take them: strings (codes cut to 8 bits), arrays of numbers,
 * typed arrays and array buffers of any realm. Undefined for anything else.
 */
export function asBytes(value: unknown): Buffer | undefined {
  if (typeof value === "string") return Buffer.from(value, "latin1");
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (ArrayBuffer.isView(value)) {
    // Elements, not memory: a Uint16Array gives the low byte of each element.
    if (value instanceof DataView) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const elements = value as unknown as ArrayLike<number>;
    const bytes = Buffer.alloc(elements.length);
    for (let i = 0; i < elements.length; i++) bytes[i] = Number(elements[i]) & 255;
    return bytes;
  }
  if (Object.prototype.toString.call(value) === "[object ArrayBuffer]") return Buffer.from(value as ArrayBuffer);
  if (Object.prototype.toString.call(value) === "[object String]") return Buffer.from(String(value), "latin1");
  if (Array.isArray(value)) return Buffer.concat(value.map((item) => elementBytes(item)));
  return undefined;
}

/** The bytes as a string, one character a byte. */
export function asText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Nested data is flattened, as the interpreter does in iterateable arguments. */
function elementBytes(item: unknown): Buffer {
  if (typeof item === "number" || typeof item === "boolean") return Buffer.from([Number(item) & 255]);
  if (item !== null && typeof item === "object" && "data" in item) {
    const { data, count = 1 } = item as { data: unknown; count?: number };
    const once = elementBytes(data);
    return Buffer.concat(new Array<Buffer>(Math.max(0, count)).fill(once));
  }
  return asBytes(item) ?? Buffer.alloc(1);
}
