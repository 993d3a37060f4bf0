import { stripVTControlCharacters } from "node:util";

export interface Column {
  title: string;
  /** "left" unless given; numbers read best on the right. */
  align?: "left" | "right";
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[^\0-\uffff]/u;
const WIDTHLESS = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Columns of a terminal that a text takes: escape codes and combining marks none, East Asian characters two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of stripVTControlCharacters(text)) {
    if (!WIDTHLESS.test(character)) width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

/** Pads with spaces to a display width; longer texts stay whole. */
export function pad(text: string, width: number, align: "left" | "right" = "left"): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return align === "right" ? space + text : text + space;
}

/**
 * Lines of aligned columns, two spaces apart, below one line of titles; without an end of line after the last. Cells may
 * hold colours; `titleStyle` colours the titles.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | number)[])[],
  titleStyle: (text: string) => string = (text) => text,
): string {
  const cells = rows.map((row) => columns.map((_, i) => String(row[i] ?? "")));
  const widths = columns.map((column, i) =>
    Math.max(displayWidth(column.title), ...cells.map((row) => displayWidth(row[i] ?? ""))),
  );
  const line = (texts: readonly string[]) =>
    columns
      .map((column, i) => pad(texts[i] ?? "", widths[i] ?? 0, column.align))
      .join("  ")
      .trimEnd();
  return [titleStyle(line(columns.map((column) => column.title))), ...cells.map(line)].join("\n");
}
