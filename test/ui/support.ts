/** A stream that keeps what was written. */
export interface Recorder {
  isTTY: boolean;
  rows: number;
  columns: number;
  text: string;
  write(text: string): boolean;
  /** For libraries that listen to their stream. */
  on(): void;
  removeListener(): void;
}

export function createRecorder(isTTY: boolean, rows = 24): Recorder {
  return {
    isTTY,
    rows,
    columns: 100,
    text: "",
    write(text) {
      this.text += text;
      return true;
    },
    on() {},
    removeListener() {},
  };
}
