/** Reading of source maps, version 3: https://tc39.es/ecma426/ */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** A stretch of generated text and where it came from; it ends where the next one begins. */
export interface Mapping {
  /** Generated position, both from 0. */
  line: number;
  column: number;
  /** Where it came from, line and column from 0; null for text that the tools added. */
  origin: { source: string; line: number; column: number } | null;
}

/** Mappings of a map in the order of the generated text. */
export function decodeSourceMap(json: string): Mapping[] {
  const map = JSON.parse(json) as { sources: string[]; mappings: string };
  const result: Mapping[] = [];
  let source = 0;
  let sourceLine = 0;
  let sourceColumn = 0;
  map.mappings.split(";").forEach((segments, line) => {
    let column = 0;
    for (const segment of segments.split(",")) {
      if (segment === "") continue;
      const [columns = 0, sources, lines = 0, sourceColumns = 0] = decodeNumbers(segment);
      column += columns;
      if (sources === undefined) {
        result.push({ line, column, origin: null });
        continue;
      }
      source += sources;
      sourceLine += lines;
      sourceColumn += sourceColumns;
      const name = map.sources[source] ?? "";
      result.push({ line, column, origin: { source: name, line: sourceLine, column: sourceColumn } });
    }
  });
  return result;
}

function decodeNumbers(segment: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const char of segment) {
    const digit = DIGITS.indexOf(char);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    value = 0;
    shift = 0;
  }
  return numbers;
}

/** The last mapping at or before a generated position (both from 0), which must lie on the same line. */
export function originOf(mappings: readonly Mapping[], line: number, column: number): Mapping["origin"] {
  let best: Mapping["origin"] = null;
  for (const mapping of mappings) {
    if (mapping.line > line || (mapping.line === line && mapping.column > column)) break;
    if (mapping.line === line) best = mapping.origin;
  }
  return best;
}

/** Characters of the generated text that came from each source; "" collects what the tools added. */
export function charactersBySource(code: string, mappings: readonly Mapping[]): Map<string, number> {
  const lines = code.split("\n");
  const sizes = new Map<string, number>();
  const add = (source: string, characters: number): void => {
    if (characters > 0) sizes.set(source, (sizes.get(source) ?? 0) + characters);
  };
  lines.forEach((text, line) => {
    const here = mappings.filter((mapping) => mapping.line === line);
    add("", here[0]?.column ?? text.length);
    here.forEach((mapping, index) => {
      add(mapping.origin?.source ?? "", (here[index + 1]?.column ?? text.length) - mapping.column);
    });
  });
  return sizes;
}
