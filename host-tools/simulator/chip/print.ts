/** How the console shows values: strings as they are, objects in a notation near JSON. */

export function show(values: readonly unknown[]): string {
  return values.map((value) => (typeof value === "string" ? value : display(value, 0))).join(" ");
}

function display(value: unknown, depth: number): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "function () {}";
  if (value === null || typeof value !== "object") return String(value);
  const tag = Object.prototype.toString.call(value);
  if (tag === "[object Error]") return describe(value);
  if (ArrayBuffer.isView(value))
    return `new ${tag.slice(8, -1)}([${Array.from(value as unknown as number[]).join(", ")}])`;
  if (tag === "[object ArrayBuffer]")
    return `new Uint8Array([${Array.from(new Uint8Array(value as ArrayBuffer)).join(", ")}]).buffer`;
  if (depth > 4) return " ... ";
  if (Array.isArray(value)) return `[ ${value.map((item) => display(item, depth + 1)).join(", ")} ]`;
  const items = Object.keys(value).map((key) => {
    return `${JSON.stringify(key)}: ${display((value as Record<string, unknown>)[key], depth + 1)}`;
  });
  return `{ ${items.join(", ")} }`;
}

/** "Error: message" of an error of any realm. */
export function describe(error: unknown): string {
  if (error !== null && typeof error === "object" && "message" in error) {
    const { name, message } = error as { name?: unknown; message: unknown };
    return `${String(name ?? "Error")}: ${String(message)}`;
  }
  return show([error]);
}
