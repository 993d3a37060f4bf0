/**
 * Describes new bytes as copies from a base and insertions: the cheapest description under the byte costs of the delta
 * format (firmware/ota/delta.ts), found by a search over positions of the new bytes.
 */

/** Copies `length` bytes from `from` in the base (`from` >= 0), or inserts the next `length` new bytes (`from` = -1). */
export interface Operation {
  from: number;
  length: number;
}

/** Bytes that a match found through the index has at least. */
const SEED = 6;
/** Shorter copies cost more than the bytes they save. */
const SHORTEST_COPY = 3;
/** Places of the base that are looked at for one position. */
const MAX_CANDIDATES = 96;
/** Descriptions kept for each position; they differ in where the base is expected to go on. */
const KEPT = 4;

export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : 3;
}

/** Signed to unsigned, small magnitudes to small numbers. */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

interface State {
  cost: number;
  /** base position minus new position, of the last copy */
  shift: number;
  inserting: boolean;
  before: State | null;
  operation: Operation | null;
}

/** Lengths of matches; along one shift they are looked up, since every byte of a match begins a shorter one. */
class Matches {
  /** By shift: end of the run of equal bytes that was measured last, as a position of the result, and its start. */
  private readonly runs = new Map<number, { start: number; end: number }>();

  constructor(
    readonly base: Uint8Array,
    readonly result: Uint8Array,
  ) {}

  /** Equal bytes from `from` in the base and `at` in the result on. */
  length(from: number, at: number): number {
    const { base, result, runs } = this;
    const known = runs.get(from - at);
    if (known && at >= known.start && at < known.end) return known.end - at;
    let length = 0;
    while (from + length < base.length && at + length < result.length && base[from + length] === result[at + length]) {
      length++;
    }
    if (length > 0) runs.set(from - at, { start: at, end: at + length });
    return length;
  }
}

function seedAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + SEED));
}

function indexOf(base: Uint8Array): Map<string, number[]> {
  const index = new Map<string, number[]>();
  for (let at = 0; at + SEED <= base.length; at++) {
    const seed = seedAt(base, at);
    const list = index.get(seed);
    if (list) list.push(at);
    else index.set(seed, [at]);
  }
  return index;
}

/** The longest matches for position `at`, at most two: places of the base. */
function candidates(matches: Matches, index: Map<string, number[]>, at: number): number[] {
  const places = index.get(seedAt(matches.result, at)) ?? [];
  let longest = 0;
  let nearest = Infinity;
  const best: number[] = [];
  const step = Math.max(1, Math.floor(places.length / MAX_CANDIDATES));
  for (let i = 0; i < places.length; i += step) {
    const from = places[i]!;
    const length = matches.length(from, at);
    const distance = Math.abs(from - at);
    if (length < longest || (length === longest && distance >= nearest)) continue;
    if (length > longest) best.length = 0;
    longest = length;
    nearest = distance;
    best.push(from);
  }
  return best.slice(-2);
}

function keep(states: State[], state: State): void {
  const same = states.findIndex((other) => other.shift === state.shift && other.inserting === state.inserting);
  if (same >= 0) {
    if (states[same]!.cost > state.cost) states[same] = state;
    return;
  }
  states.push(state);
  if (states.length <= KEPT) return;
  states.sort((a, b) => a.cost - b.cost);
  states.pop();
}

/** Operations that make `result` out of `base`, in the order of the result; neighbours are never both insertions. */
export function matchAgainst(base: Uint8Array, result: Uint8Array): Operation[] {
  const index = indexOf(base);
  const matches = new Matches(base, result);
  const at: (State[] | undefined)[] = new Array<State[] | undefined>(result.length + 1);
  at[0] = [{ cost: 0, shift: 0, inserting: false, before: null, operation: null }];
  for (let position = 0; position < result.length; position++) {
    const states = at[position]!;
    at[position] = undefined;
    const found = candidates(matches, index, position);
    for (const state of states) {
      keep((at[position + 1] ??= []), {
        cost: state.cost + (state.inserting ? 1 : 2),
        shift: state.shift,
        inserting: true,
        before: state,
        operation: { from: -1, length: 1 },
      });
      const expected = position + state.shift;
      for (const from of expected >= 0 ? [expected, ...found] : found) {
        const length = matches.length(from, position);
        if (length < SHORTEST_COPY) continue;
        const shift = from - position;
        keep((at[position + length] ??= []), {
          cost: state.cost + varintBytes(2 * length) + varintBytes(zigzag(shift - state.shift)),
          shift,
          inserting: false,
          before: state,
          operation: { from, length },
        });
      }
    }
  }
  const operations: Operation[] = [];
  let state: State | null = at[result.length]!.reduce((best, other) => (other.cost < best.cost ? other : best));
  for (; state?.operation; state = state.before) {
    const last = operations.at(-1);
    if (last?.from === -1 && state.operation.from === -1) last.length++;
    else operations.push({ ...state.operation });
  }
  return operations.reverse();
}
