/**
 * Shortens the names of a script, so that they are the same in the next release: a minifier names by frequency, and one
 * more use of something would rename half a bundle, all of which a delta would carry. A name's short form follows from
 * the name itself, and from others only where both would like the same.
 */
import { type Binding, bindingsOf } from "./bindings";
import { FREQUENT_GLOBALS, FREQUENT_MEMBERS } from "./frequent-names";
import { engineNames } from "./overlay";
import { type AnyNode, childrenOf, type Edit, edited, isFunction, nameOf } from "./scopes";
import { preferred } from "./stable-choice";

const SMALL = [..."abcdefghijklmnopqrstuvwxyz$_"];
const CAPITAL = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
const KEYWORDS: ReadonlySet<string> = new Set(["do", "if", "in", "of"]);

function pairs(firsts: readonly string[]): string[] {
  const seconds = [...SMALL, ...CAPITAL, ..."0123456789"];
  return firsts.flatMap((first) => seconds.map((second) => first + second));
}

/** Twice as many as any bundle has names. */
const PAIRS = pairs([...SMALL, ...CAPITAL]);
/** A parameter that begins with a capital letter could not be one of an arrow function, see overlay.ts. */
const LOCAL_PAIRS = pairs(SMALL);

/** What the engine reads as something else in the place of a variable, or as a pin ("A0"). */
function meansSomething(name: string): boolean {
  return KEYWORDS.has(name) || engineNames().has(name) || /^[A-Z]\d/.test(name);
}

/** Places where members are named, by name. */
function memberNames(program: AnyNode): Map<string, AnyNode[]> {
  const found = new Map<string, AnyNode[]>();
  const visit = (node: AnyNode): void => {
    const named = node.type === "MemberExpression" ? node.property : node.type === "Property" ? node.key : null;
    const name = node.computed === true ? "" : nameOf(named);
    if (name) found.set(name, [...(found.get(name) ?? []), named as AnyNode]);
    childrenOf(node).forEach(visit);
  };
  visit(program);
  return found;
}

/** Short names for `names`, none of them in `taken`, where they are added. */
function shortFor(names: readonly string[], frequent: Readonly<Record<string, string>>, taken: Set<string>) {
  const short = new Map<string, string>();
  const give = (name: string, text: string): void => {
    taken.add(text);
    short.set(name, text);
  };
  for (const name of names) {
    const letter = Object.hasOwn(frequent, name) ? frequent[name]! : "";
    if (letter && !taken.has(letter)) give(name, letter);
  }
  const free = (place: number): boolean => !taken.has(PAIRS[place]!) && !meansSomething(PAIRS[place]!);
  for (const name of [...names].sort()) {
    if (!short.has(name)) give(name, PAIRS[preferred(name, PAIRS.length, free)]!);
  }
  return short;
}

function depthOf({ scope }: Binding): number {
  let depth = 0;
  for (let at = scope.parent; at; at = at.parent) depth++;
  return depth;
}

function isParameter({ name, scope }: Binding): boolean {
  return isFunction(scope.node) && (scope.node.params as AnyNode[]).some((one) => nameOf(one) === name);
}

/** A name for what a function declares: free in its scope, and not that of anything else that is used there. */
function localName(binding: Binding, chosen: ReadonlyMap<Binding, string>): string {
  const { name, scope } = binding;
  const taken = new Set<string>();
  for (const other of [...scope.names.values(), ...scope.through]) {
    taken.add(typeof other === "string" ? other : (chosen.get(other) ?? ""));
  }
  for (const letters of isParameter(binding) ? [SMALL] : [SMALL, CAPITAL]) {
    const free = letters.filter((letter) => !taken.has(letter) && !meansSomething(letter));
    if (free.length > 0) return letters[preferred(name, letters.length, (at) => free.includes(letters[at]!))]!;
  }
  const free = (at: number): boolean => !taken.has(LOCAL_PAIRS[at]!) && !meansSomething(LOCAL_PAIRS[at]!);
  return LOCAL_PAIRS[preferred(name, LOCAL_PAIRS.length, free)]!;
}

/**
 * An ES5 script with short names: its own globals, what its functions declare, and the members listed in `internal`.
 * Apart from names it stays as it is.
 */
export function shortenNames(code: string, internal: readonly string[]): string {
  const { all, program, at: places, globals } = bindingsOf(code);
  const edits: Edit[] = [];
  const members = memberNames(program.node);
  const own = internal.filter((name) => members.has(name));
  const kept = [...members.keys()].filter((name) => !own.includes(name));
  for (const [name, text] of shortFor(own, FREQUENT_MEMBERS, new Set(kept))) {
    for (const { start, end } of members.get(name)!) edits.push({ start, end, text });
  }

  const names = shortFor([...program.names.keys()], FREQUENT_GLOBALS, new Set(globals));
  const chosen = new Map<Binding, string>();
  for (const [name, binding] of program.names) chosen.set(binding, names.get(name)!);
  const locals = all.filter(({ scope }) => scope !== program).map((binding) => ({ binding, depth: depthOf(binding) }));
  // Outer names first: an inner one avoids those that are used around it.
  locals.sort((a, b) => a.depth - b.depth || (a.binding.name < b.binding.name ? -1 : 1));
  for (const { binding } of locals) chosen.set(binding, localName(binding, chosen));
  for (const [start, binding] of places)
    edits.push({ start, end: start + binding.name.length, text: chosen.get(binding)! });

  return edited(code, edits);
}
