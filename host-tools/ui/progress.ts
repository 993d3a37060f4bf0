import { MultiBar, type SingleBar } from "cli-progress";
import { createColors, type Colors } from "./color";
import { createRate, formatAmount, formatDuration, type Rate } from "./rate";
import { pad } from "./table";

/** Where progress is written: a terminal, or anything that takes text. */
export interface ProgressStream {
  write(text: string): unknown;
  isTTY?: boolean;
  rows?: number;
}

export interface ProgressOptions {
  /** process.stderr unless given, so that results on stdout stay clean. */
  stream?: ProgressStream;
  /** Milliseconds of the clock to which rates and times left refer; the wall clock unless given. */
  now?: () => number;
  /** "B" (shown as KB and MB) or a word such as "chunks"; "B" unless given. */
  unit?: string;
  /** Nothing is written at all. */
  silent?: boolean;
  env?: NodeJS.ProcessEnv;
}

export interface Bar {
  /** `value` of 0..total; `note` stays until the next one. */
  update(value: number, note?: string): void;
  /** The total became known, or changed. */
  setTotal(total: number): void;
  /** The bar is full and stays so. */
  done(note?: string): void;
  /** The bar stays where it is; `note` says why. */
  fail(note: string): void;
}

export interface Progress {
  /** Adds a bar below the others. */
  bar(name: string, total: number, note?: string): Bar;
  /** A line of text above the bars. */
  log(line: string): void;
  /** Draws the last state, restores the cursor and frees everything; may be called twice. */
  stop(): void;
}

type State = "running" | "done" | "failed";

interface Item {
  name: string;
  value: number;
  total: number;
  note: string;
  state: State;
  rate: Rate;
}

const BAR_WIDTH = 24;
const REDRAW_MS = 100;
/** Lines of the terminal that bars leave free. */
const SPARE_ROWS = 3;

function share(item: Item): number {
  return item.total > 0 ? Math.min(1, item.value / item.total) : 0;
}

/** "24/60 chunks  3.1 chunks/s  12 s left  resending", without colours and without the bar. */
function describe(item: Item, unit: string): string {
  const reached = unit === "B" ? formatAmount(item.value, unit) : String(Math.round(item.value));
  // The share stands in front already.
  const plain = unit === "%";
  const parts = plain ? [] : [`${reached}/${formatAmount(item.total, unit)}`];
  if (item.state === "running" && item.value > 0) {
    if (!plain) parts.push(`${formatAmount(item.rate.perSecond(), unit)}/s`);
    const left = item.rate.secondsLeft(item.total);
    if (left !== null) parts.push(`${formatDuration(left)} left`);
  }
  if (item.note) parts.push(item.note);
  return parts.join("  ");
}

function percent(item: Item): string {
  return `${Math.floor(share(item) * 100)} %`.padStart(5);
}

/** Shows an item; `changed` is called after each change of it. */
interface View {
  add(item: Item): { changed(): void };
  log(line: string): void;
  stop(): void;
}

/** One line a bar, redrawn in place. Bars that do not fit on the screen share a last line. */
function terminalView(stream: ProgressStream, unit: string, colors: Colors, now: () => number): View {
  const bars = new MultiBar({
    stream: stream as NodeJS.WritableStream,
    hideCursor: true,
    // The command line handles Ctrl-C itself.
    gracefulExit: false,
    format: (_options, _params, payload: { item: Item }) => {
      const { item } = payload;
      const full = Math.round(share(item) * BAR_WIDTH);
      const paint = { running: colors.cyan, done: colors.green, failed: colors.red }[item.state];
      const bar = paint("█".repeat(full)) + colors.dim("░".repeat(BAR_WIDTH - full));
      return `${pad(item.name, 12)} ${bar} ${percent(item)}  ${describe(item, unit)}`;
    },
  });
  const places = Math.max(2, (stream.rows ?? 24) - SPARE_ROWS);
  let shown = 0;
  let rest: Item[] = [];
  let restItem: Item | null = null;
  let drawn = 0;

  // A computation that never yields starves the timer of MultiBar, so changes draw too.
  function draw(): void {
    const time = Date.now();
    if (time - drawn < REDRAW_MS) return;
    drawn = time;
    bars.update();
  }

  function gather(): void {
    if (!restItem) return;
    restItem.name = `${rest.length} more`;
    restItem.total = rest.reduce((sum, item) => sum + item.total, 0);
    restItem.value = rest.reduce((sum, item) => sum + item.value, 0);
    restItem.state = rest.every((item) => item.state !== "running") ? "done" : "running";
    const failed = rest.filter((item) => item.state === "failed").length;
    restItem.note = failed > 0 ? `${failed} failed` : "";
    restItem.rate.reached(restItem.value);
  }

  return {
    add(item) {
      if (shown < places - 1) {
        shown++;
        const bar: SingleBar = bars.create(100, 0, { item });
        return {
          changed() {
            bar.update(share(item) * 100);
            draw();
          },
        };
      }
      rest = [...rest, item];
      if (!restItem) {
        restItem = { name: "", value: 0, total: 0, note: "", state: "running", rate: createRate(now) };
        bars.create(100, 0, { item: restItem });
      }
      gather();
      return {
        changed() {
          gather();
          draw();
        },
      };
    },
    log(line) {
      bars.log(`${line}\n`);
      if (!bars.isActive) stream.write(`${line}\n`);
    },
    stop() {
      if (bars.isActive) {
        bars.update();
        bars.stop();
      }
    },
  };
}

/** For files and pipes: one line when a bar passes the next 10 %, and one at its end. */
function plainView(stream: ProgressStream, unit: string): View {
  return {
    add(item) {
      let step = 0;
      let state: State = "running";
      return {
        changed() {
          const reached = Math.floor(share(item) * 10);
          if (reached <= step && item.state === state) return;
          // The line at the end says 100 % too.
          const wait = reached >= 10 && item.state === "running";
          step = Math.max(step, reached);
          state = item.state;
          if (!wait) stream.write(`${item.name} ${percent(item).trim()}  ${describe(item, unit)}\n`);
        },
      };
    },
    log(line) {
      stream.write(`${line}\n`);
    },
    stop() {},
  };
}

const SILENT: View = {
  add: () => ({ changed() {} }),
  log() {},
  stop() {},
};

/** Progress bars on a terminal, a few plain lines elsewhere. */
export function createProgress(options: ProgressOptions = {}): Progress {
  const stream = options.stream ?? process.stderr;
  const unit = options.unit ?? "B";
  const now = options.now ?? (() => performance.now());
  let view: View;
  if (options.silent) view = SILENT;
  else if (stream.isTTY) view = terminalView(stream, unit, createColors(stream, options.env), now);
  else view = plainView(stream, unit);

  return {
    bar(name, total, note = "") {
      const item: Item = { name, value: 0, total, note, state: "running", rate: createRate(now) };
      const shown = view.add(item);
      function end(state: State, value: number, text: string | undefined): void {
        if (item.state !== "running") return;
        item.state = state;
        item.value = value;
        item.note = text ?? item.note;
        shown.changed();
      }
      return {
        update(value, text) {
          if (item.state !== "running") return;
          item.value = Math.min(value, item.total);
          item.note = text ?? item.note;
          item.rate.reached(item.value);
          shown.changed();
        },
        setTotal(value) {
          item.total = value;
          shown.changed();
        },
        done: (text) => end("done", item.total, text),
        fail: (text) => end("failed", item.value, text),
      };
    },
    log: (line) => view.log(line),
    stop: () => view.stop(),
  };
}
