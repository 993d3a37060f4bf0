/** Changes to a source text, collected while its syntax tree is walked and applied in one go. */

interface Edit {
  at: number;
  remove: number;
  text: string;
  /** 0: closes what began at `other`; 1: opens what ends at `other`. */
  opens: number;
  other: number;
  index: number;
}

export class Edits {
  private readonly list: Edit[] = [];

  /** Puts texts around a span. Wider spans stand outside narrower ones; of equal ones the first stands outside.
   * Returns the opening, whose text may still be set. */
  wrap(start: number, end: number, open: string, close: string): { text: string } {
    this.add(end, 0, close, 0, start);
    return this.add(start, 0, open, 1, end);
  }

  /** Puts a block around a span, outside of all that begins or ends there; call before what is inside it. */
  block(start: number, end: number, open: string, close: string): void {
    this.add(start, 0, open, 1, Infinity);
    this.add(end, 0, close, 0, start);
  }

  /** Inserts in front of everything that begins at `at`; several insertions keep their order. */
  insert(at: number, text: string): void {
    this.add(at, 0, text, 1, Infinity);
  }

  replace(at: number, length: number, text: string): void {
    this.add(at, length, text, 1, at);
  }

  apply(source: string): string {
    this.list.sort((a, b) => a.at - b.at || a.opens - b.opens || b.other - a.other || order(a, b));
    const parts: string[] = [];
    let from = 0;
    for (const edit of this.list) {
      parts.push(source.slice(from, edit.at), edit.text);
      from = edit.at + edit.remove;
    }
    parts.push(source.slice(from));
    return parts.join("");
  }

  private add(at: number, remove: number, text: string, opens: number, other: number): Edit {
    const edit = { at, remove, text, opens, other, index: this.list.length };
    this.list.push(edit);
    return edit;
  }
}

/** Of equal spans the first one opens first and closes last. */
function order(a: Edit, b: Edit): number {
  return a.opens ? a.index - b.index : b.index - a.index;
}
