/** What the dashboard's answers are made of, and what its requests say. */
import type { Bytes } from "../engine/engine";
import type { WebAnswer } from "./web";

export const CONTENT = "Content-Type: application/json\r\nCache-Control: no-store\r\n";

/** A list as pieces, one item each. */
export function listOf(name: string, length: number, item: (index: number) => object): WebAnswer {
  "cold";
  let i = -1;
  return {
    status: "200 OK",
    headers: CONTENT,
    body: function (): Bytes | null {
      i++;
      if (i > length) return null;
      if (i === length) return (length ? "" : '{"' + name + '":[') + "]}";
      return (i ? "," : '{"' + name + '":[') + JSON.stringify(item(i));
    },
  };
}

export function json(value: object): WebAnswer {
  "cold";
  return { status: "200 OK", headers: CONTENT, body: JSON.stringify(value) };
}

/** A whole number out of a query; -1 when it is none. */
export function parameter(query: string, name: string, fallback: number): number {
  "cold";
  const list = query.split("&");
  for (let i = 0; i < list.length; i++) {
    if (list[i].substr(0, name.length + 1) !== name + "=") continue;
    const text = list[i].substr(name.length + 1);
    if (!text.length || text.length > 15) return -1;
    for (let j = 0; j < text.length; j++) if (text[j] < "0" || text[j] > "9") return -1;
    return +text;
  }
  return fallback;
}

/** Numbers cannot be made to point here by another site's name server; names can. */
export function hostAllowed(host: string): boolean {
  "cold";
  const name = host.split(":")[0];
  if (name === "localhost") return true;
  for (let i = 0; i < name.length; i++) if (name[i] !== "." && (name[i] < "0" || name[i] > "9")) return false;
  return name.length > 0;
}
