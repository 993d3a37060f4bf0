/** A text put together of pieces of another one, which remembers where each piece came from. */
import type { Mapping } from "./source-map";

interface Piece {
  /** Offset in the new text and in the old one. */
  at: number;
  from: number;
  length: number;
}

/** Offsets of the first character of each line. */
function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** Index of the last element for which `key` is at most `value`, -1 when there is none. */
function lastAtMost<T>(list: readonly T[], value: number, key: (item: T) => number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(list[middle]!) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class MovedText {
  text = "";
  private readonly pieces: Piece[] = [];

  constructor(private readonly original: string) {}

  /** Appends text that is nowhere in the original. */
  add(text: string): void {
    this.text += text;
  }

  /** Appends a piece of the original. */
  copy(start: number, end: number): void {
    if (start >= end) return;
    this.pieces.push({ at: this.text.length, from: start, length: end - start });
    this.text += this.original.slice(start, end);
  }

  /**
   * Mappings of something made of the new text, so that they lead to where the original came from.
   * @param generated they lead to the new text
   * @param original they lead from the original, in order
   */
  retrace(generated: readonly Mapping[], original: readonly Mapping[]): Mapping[] {
    const newLines = lineStarts(this.text);
    const oldLines = lineStarts(this.original);
    const positions = original.map(({ line, column }) => oldLines[line]! + column);
    return generated.map(({ line, column, origin }) => {
      if (origin === null) return { line, column, origin };
      const offset = newLines[origin.line]! + origin.column;
      const piece = this.pieces[lastAtMost(this.pieces, offset, ({ at }) => at)];
      if (!piece || offset >= piece.at + piece.length) return { line, column, origin: null };
      const old = piece.from + offset - piece.at;
      const index = lastAtMost(positions, old, (position) => position);
      const found = original[index];
      const sameLine = found && found.line === lastAtMost(oldLines, old, (start) => start);
      return { line, column, origin: sameLine ? found.origin : null };
    });
  }
}
