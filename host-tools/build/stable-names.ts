/**
 * Gives the names of a minified bundle back to what they were called in the release before. A minifier names by
 * frequency, so that one more use of something renames half a bundle; a delta then carries all those names.
 */
import { tokenizer } from "acorn";
import { type Binding, type Bindings, bindingsOf, type NameScope } from "./bindings";

/** Runs of tokens by which the two bundles are matched, longest first. */
const RUNS = [24, 12, 7];

interface Token {
  /** The token's text; "\0" for a name that can be renamed. */
  text: string;
  start: number;
}

function tokensOf(code: string, bindings: Bindings): Token[] {
  const tokens: Token[] = [];
  for (const token of tokenizer(code, { ecmaVersion: 5 })) {
    const text = bindings.at.has(token.start) ? "\0" : code.slice(token.start, token.end);
    tokens.push({ text, start: token.start });
  }
  return tokens;
}

/** Positions of the runs of `length` tokens that occur once. */
function uniqueRuns(tokens: Token[], length: number, taken: Int32Array): Map<string, number> {
  const found = new Map<string, number>();
  for (let at = 0; at + length <= tokens.length; at++) {
    if (taken[at] !== -1) continue;
    const run = tokens
      .slice(at, at + length)
      .map((token) => token.text)
      .join("\x01");
    found.set(run, found.has(run) ? -1 : at);
  }
  return found;
}

/** For each token of the new bundle the token of the old one that it was, or -1. */
function align(before: Token[], after: Token[]): Int32Array {
  const old = new Int32Array(after.length).fill(-1);
  const used = new Int32Array(before.length).fill(-1);

  /** Extends a match from one pair of tokens as far as it goes in one direction. */
  function extend(from: number, to: number, step: number): void {
    while (before[from] && before[from].text === after[to]?.text && used[from] === -1 && old[to] === -1) {
      used[from] = to;
      old[to] = from;
      from += step;
      to += step;
    }
  }

  for (const length of RUNS) {
    const places = uniqueRuns(before, length, used);
    for (const [run, to] of uniqueRuns(after, length, old)) {
      const from = places.get(run) ?? -1;
      if (to < 0 || from < 0 || old[to] !== -1 || used[from] !== -1) continue;
      extend(from, to, 1);
      extend(from - 1, to - 1, -1);
    }
    // What stands between two matches and changed by a few tokens: again from both of its ends.
    for (let to = 1; to < after.length; to++) {
      if (old[to] !== -1 || old[to - 1] === -1) continue;
      for (let skip = 0; skip < 12 && old[to] === -1; skip++) {
        const from = (old[to - 1] as number) + 1 + skip;
        if (before[from]?.text === after[to]?.text && before[from + 1]?.text === after[to + 1]?.text)
          extend(from, to, 1);
      }
    }
  }
  return old;
}

/** Old names of each new binding with the number of places that speak for them. */
function votes(
  after: Bindings,
  before: Bindings,
  oldCode: string,
  newCode: string,
): Map<Binding, Map<Binding, number>> {
  const oldTokens = tokensOf(oldCode, before);
  const newTokens = tokensOf(newCode, after);
  const found = new Map<Binding, Map<Binding, number>>();
  align(oldTokens, newTokens).forEach((from, to) => {
    const binding = after.at.get(newTokens[to]!.start);
    const old = from < 0 ? undefined : before.at.get(oldTokens[from]!.start);
    if (!binding || !old) return;
    const counts = found.get(binding) ?? new Map<Binding, number>();
    counts.set(old, (counts.get(old) ?? 0) + 1);
    found.set(binding, counts);
  });
  return found;
}

/** Bindings that would be mistaken for `binding` if they had its name. */
function neighboursOf(bindings: Bindings): Map<Binding, Set<Binding | string>> {
  const neighbours = new Map<Binding, Set<Binding | string>>();
  for (const binding of bindings.all) neighbours.set(binding, new Set());
  const visit = (scope: NameScope): void => {
    const own = [...scope.names.values()];
    for (const one of own) {
      for (const other of own) if (other !== one) neighbours.get(one)!.add(other);
      for (const outer of scope.through) {
        neighbours.get(one)!.add(outer);
        if (typeof outer !== "string") neighbours.get(outer)!.add(one);
      }
    }
  };
  const scopes = new Set(bindings.all.map((binding) => binding.scope));
  scopes.forEach(visit);
  return neighbours;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$";

function* shortNames(): Generator<string> {
  for (const first of LETTERS) yield first;
  // Only names that no keyword and no pin of a board ("A0") can be.
  for (const first of LETTERS) for (const second of LETTERS) yield `${first}_${second}`;
  for (let number = 0; ; number++) yield `$_${number}`;
}

/**
 * `code` with its names changed to those of `previous` where the two bundles agree; apart from names it stays as it is.
 * Both are ES5 scripts that the engine runs. Names of the program's own scope, which are globals on the engine, come
 * from the program's scope of `previous` or stay.
 */
export function stabilizeNames(code: string, previous: string): string {
  const after = bindingsOf(code);
  const before = bindingsOf(previous);
  const neighbours = neighboursOf(after);
  const wishes = [...votes(after, before, previous, code)].flatMap(([binding, counts]) =>
    [...counts].map(([old, count]) => ({ binding, old, count })),
  );
  wishes.sort((a, b) => b.count - a.count || a.binding.places[0]! - b.binding.places[0]!);
  const chosen = new Map<Binding, string>();

  function free(binding: Binding, name: string): boolean {
    for (const other of neighbours.get(binding)!) {
      if (typeof other === "string" ? other === name : chosen.get(other) === name) return false;
    }
    return binding.scope !== after.program || !after.globals.has(name);
  }

  for (const { binding, old } of wishes) {
    if (chosen.has(binding)) continue;
    if ((binding.scope === after.program) !== (old.scope === before.program)) continue;
    if (free(binding, old.name)) chosen.set(binding, old.name);
  }
  for (const binding of after.all) {
    if (chosen.has(binding)) continue;
    const names = binding.scope === after.program ? programNames(binding.name) : shortNames();
    const current = free(binding, binding.name) ? binding.name : null;
    if (current !== null) {
      chosen.set(binding, current);
      continue;
    }
    for (const name of names) {
      if (!free(binding, name)) continue;
      chosen.set(binding, name);
      break;
    }
  }
  return rename(code, after, chosen);
}

/** Names for a global of the bundle that can mean nothing to the engine. */
function* programNames(name: string): Generator<string> {
  for (let number = 0; ; number++) yield `${name}_${number}`;
}

function rename(code: string, bindings: Bindings, names: Map<Binding, string>): string {
  let result = "";
  let at = 0;
  for (const place of [...bindings.at.keys()].sort((a, b) => a - b)) {
    const binding = bindings.at.get(place)!;
    result += code.slice(at, place) + names.get(binding);
    at = place + binding.name.length;
  }
  return result + code.slice(at);
}
