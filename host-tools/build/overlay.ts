/**
 * Cold functions stay in flash.
 *
 * On Espruino a function that merely exists costs some seven variables of RAM, and a node has four thousand. A function
 * whose body begins with the directive "cold" is moved into a comment behind the script; where its name was used, a
 * short helper evaluates its text out of flash, in the scope that it was declared in, for that one use. A call then
 * costs about a millisecond more and nothing while it does not run.
 *
 * This goes for function declarations, and for methods in object literals. There `object.method` becomes what the
 * program's helper gives, when the literal is the program's own; otherwise the object gets its scope's helper instead of
 * the methods, and is asked for it. That takes a name that is one of a kind in the whole script and no name of the
 * engine's, or is only read on a variable that holds that literal for ever; that is only ever called or handed to a call;
 * and a function that does not use `this`. The others stay where they are; `coldLeft` tells which.
 */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { parse } from "acorn";
import * as ts from "typescript";
import { arrow, shortenNested } from "./arrow-functions";
import {
  type AnyNode,
  analyse,
  childrenOf,
  type Edit,
  edited,
  isFunction,
  nameOf,
  owns,
  type Scope,
  statementsOf,
  freshNames,
  usesThis,
} from "./scopes";
import { placesFor } from "./stable-choice";

/** Name of the loader's global, whose `code` is the running script as a view on flash. */
const SCRIPT_TEXT = "global.espalierBoot.code";

interface Cold {
  scope: Scope;
  name: string;
  /** The name of the scope's helper. */
  helper: string;
  /** The function. */
  node: AnyNode;
  /** Where it stands in an object literal, when it is a method. */
  method: Method | null;
}

interface Method {
  name: string;
  node: AnyNode;
  properties: readonly AnyNode[];
  index: number;
  /** The program's variable that holds the literal for ever, or null. */
  owner: string | null;
}

function isCold(scope: Scope): boolean {
  const first = statementsOf(scope.node)[0];
  return first !== undefined && first.directive === "cold";
}

/** The scope that a name means, seen from `scope`, or null for a global. */
function declaring(scope: Scope | null, name: string): Scope | null {
  for (let at = scope; at; at = at.parent) if (owns(at, name)) return at;
  return null;
}

function* everyScope(scope: Scope): Generator<Scope> {
  yield scope;
  for (const child of scope.children) yield* everyScope(child);
}

/** A use that needs the one function object: it is constructed, assigned, or has properties. */
function needsIdentity(code: string, start: number, end: number): boolean {
  return (
    /^\s*(\.|\[|=(?!=)|\+\+|--|[-+*/%&|^]=)/.test(code.slice(end, end + 8)) ||
    /\bnew\s*$/.test(code.slice(Math.max(0, start - 8), start))
  );
}

/** A function that the helper's evaluation would change: it asks who it was called on, or sees an error that was caught. */
function bound(scope: Scope): boolean {
  return scope.caught.length > 0 || usesThis(scope.node);
}

/** A member expression. */
interface Read {
  node: AnyNode;
  /** What is certainly read: the program's variable that holds an object literal, a global of the engine's; or null. */
  owner: string | null;
  /** It is called or handed to a call, and not kept, or looked at to see whether it is there. */
  called: boolean;
}

/** Members by name: where they are defined, and where they are read. */
interface Members {
  methods: Method[];
  /** How often a name is given to something in a literal. */
  definitions: Map<string, number>;
  /** Names that are given to something in another way, or stand in a text. */
  elsewhere: Set<string>;
  reads: Map<string, Read[]>;
}

/** Whether a variable that begins with it can be told from the program's own objects: a literal, or a module of the engine's. */
function isKnownObject(init: AnyNode | null): boolean {
  if (init?.type === "CallExpression") return nameOf(init.callee) === "require";
  return init?.type === "ObjectExpression";
}

/** The program's variables that hold one object literal, or one module of the engine's, for ever. */
function knownVariables(program: AnyNode, ownName: (identifier: AnyNode) => boolean): Map<string, AnyNode> {
  const found = new Map<string, AnyNode>();
  const dropped = new Set<string>();
  const visit = (node: AnyNode, inside: boolean): void => {
    const target =
      node.type === "AssignmentExpression" || node.type === "ForInStatement"
        ? (node.left as AnyNode)
        : node.type === "UpdateExpression"
          ? (node.argument as AnyNode)
          : null;
    if (target?.type === "Identifier" && ownName(target)) dropped.add(nameOf(target));
    if (node.type === "VariableDeclarator" && !inside) {
      const name = nameOf(node.id);
      const init = node.init as AnyNode | null;
      if (found.has(name) || !init || !isKnownObject(init)) dropped.add(name);
      else found.set(name, init);
    }
    for (const child of childrenOf(node)) visit(child, inside || isFunction(node));
  };
  visit(program, false);
  for (const name of dropped) found.delete(name);
  return found;
}

function findMembers(program: AnyNode, root: Scope): Members {
  const found: Members = { methods: [], definitions: new Map(), elsewhere: new Set(), reads: new Map() };
  const scopes = new Map<number, Scope>();
  for (const scope of everyScope(root)) for (const { start } of scope.references) scopes.set(start, scope);
  // What a catch clause names is no reference of its scope's.
  const ownName = (identifier: AnyNode): boolean =>
    scopes.has(identifier.start) && declaring(scopes.get(identifier.start)!, nameOf(identifier)) === root;
  const variables = knownVariables(program, ownName);
  const owners = new Map([...variables].map(([name, literal]) => [literal, name]));
  const ownerOf = (object: AnyNode): string | null => {
    const scope = object.type === "Identifier" ? scopes.get(object.start) : undefined;
    const at = scope && declaring(scope, nameOf(object));
    if (scope && at === null) return `global ${nameOf(object)}`;
    return at === root && variables.has(nameOf(object)) ? nameOf(object) : null;
  };
  const define = (name: string): void => void found.definitions.set(name, (found.definitions.get(name) ?? 0) + 1);
  const called = new Set<AnyNode>();
  const visit = (node: AnyNode): void => {
    if (node.type === "CallExpression") {
      for (const one of [node.callee as AnyNode, ...(node.arguments as AnyNode[])]) called.add(one);
    }
    if (node.type === "ObjectExpression") {
      const properties = node.properties as AnyNode[];
      properties.forEach((property, index) => {
        const key = property.key as AnyNode;
        const name = key.type === "Identifier" ? nameOf(key) : String(key.value);
        define(name);
        const value = property.value as AnyNode;
        const owner = owners.get(node) ?? null;
        if (property.kind === "init" && isFunction(value)) {
          found.methods.push({ name, node: value, properties, index, owner });
        }
      });
    }
    if (node.type === "AssignmentExpression" && (node.left as AnyNode).type === "MemberExpression") {
      found.elsewhere.add(nameOf((node.left as AnyNode).property));
    }
    if (node.type === "MemberExpression" && node.computed === false) {
      const name = nameOf(node.property);
      const object = node.object as AnyNode;
      const read = { node, owner: ownerOf(object), called: called.has(node) };
      found.reads.set(name, [...(found.reads.get(name) ?? []), read]);
    }
    if (node.type === "Literal" && typeof node.value === "string") found.elsewhere.add(node.value);
    if (node.type === "Property") {
      visit(node.value as AnyNode);
      return;
    }
    childrenOf(node).forEach(visit);
  };
  visit(program);
  return found;
}

let knownNames: ReadonlySet<string> | null = null;

/** Every name that the engine's type library gives to something; one of them may be read on an object of the engine's. */
export function engineNames(): ReadonlySet<string> {
  if (knownNames) return knownNames;
  const names = new Set<string>();
  for (const file of ["espruino-lib.d.ts", "espruino-api.d.ts"]) {
    const text = readFileSync(path.join(__dirname, "../../firmware/engine", file), "utf8");
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node) || ts.isStringLiteral(node)) names.add(node.text);
      // What a function calls its parameters is its own affair.
      ts.forEachChild(node, (child) => {
        if (!ts.isParameter(node) || child !== node.name) visit(child);
      });
    };
    visit(ts.createSourceFile(file, text, ts.ScriptTarget.ES2022));
  }
  knownNames = names;
  return names;
}

/** Reads of a name that are, or may be, reads of this method. */
function readsOf({ name, owner }: Method, members: Members): Read[] {
  return (members.reads.get(name) ?? []).filter((read) => read.owner === null || read.owner === owner);
}

/** Whether it is known which reads of the method's name are reads of the method. */
function traceable(method: Method, members: Members): boolean {
  const { name, owner } = method;
  const reads = readsOf(method, members);
  if (members.elsewhere.has(name) || !reads.every(({ called }) => called)) return false;
  if (members.definitions.get(name) === 1 && !engineNames().has(name)) return true;
  return owner !== null && reads.every((read) => read.owner === owner);
}

/** The functions that can be moved. */
function candidates(code: string, root: Scope, members: Members): Omit<Cold, "helper">[] {
  const found: Omit<Cold, "helper">[] = [];
  const pinned = new Set<AnyNode>();
  const methods = new Map(members.methods.map((method) => [method.node, method]));
  for (const scope of everyScope(root)) {
    for (const { name, start, end } of scope.references) {
      const target = declaring(scope, name)?.functions.get(name);
      if (target && needsIdentity(code, start, end)) pinned.add(target.node);
    }
  }
  for (const scope of everyScope(root)) {
    for (const inner of scope.children) {
      const { node } = inner;
      const name = nameOf(node.id);
      if (!isCold(inner) || bound(inner) || code.slice(node.start, node.end).includes("*/")) continue;
      const method = methods.get(node) ?? null;
      const movable =
        node.type === "FunctionDeclaration"
          ? !pinned.has(node) && !scope.variables.has(name) && scope.functions.get(name) === inner
          : method !== null && traceable(method, members);
      if (movable) found.push({ scope, name, node, method });
    }
  }
  return found;
}

/** The functions that are moved, by their node. */
function coldFunctions(code: string, root: Scope, members: Members, helpers: Iterator<string>): Map<AnyNode, Cold> {
  const found = new Map<AnyNode, Cold>();
  const all = candidates(code, root, members);
  for (const scope of everyScope(root)) {
    const cold = all.filter((one) => one.scope === scope);
    // The helper is a function as well.
    if (cold.length < 2) continue;
    const helper = helpers.next().value as string;
    for (const one of cold) found.set(one.node, { ...one, helper });
  }
  return found;
}

/** A name of one letter that the script has no use for, if there is one, and then the others. */
function* shortFirst(root: Scope, others: Iterator<string>): Generator<string, never> {
  const used = new Set<string>();
  for (const scope of everyScope(root)) {
    for (const { name } of scope.references) used.add(name);
    for (const names of [scope.variables.keys(), scope.functions.keys(), scope.parameters, scope.caught]) {
      for (const name of names) used.add(name);
    }
  }
  const letter = [..."KabcdefghijklmnopqrstuvwxyzABCDFGHIJLMNOPQRSTUVWXYZ"].find((one) => !used.has(one));
  if (letter !== undefined) yield letter;
  for (;;) yield others.next().value as string;
}

/**
 * Moves the cold functions of a hoisted ES5 script behind it. The result is a script as well, which finds its own text in
 * `global.espalierBoot.code`.
 */
export function overlay(script: string): string {
  const code = script.trimEnd();
  const program = parse(code, { ecmaVersion: 5 }) as unknown as AnyNode;
  const root = analyse(program);
  const members = findMembers(program, root);
  const fresh = freshNames(code);
  const text = fresh.next().value;
  const offsets = fresh.next().value;
  const fetch = fresh.next().value;
  const index = fresh.next().value;
  const property = fresh.next().value;
  const names = shortFirst(root, fresh);
  // The program's own helper comes first, and is called some five hundred times.
  const cold = coldFunctions(code, root, members, names);
  if (cold.size === 0) return strip(code, root);

  const order = [...cold.values()].sort((a, b) => a.node.start - b.node.start);
  const size = (order.length + SPARE) & -16;
  const numbers = numbersOf(order, size);
  const edits: Edit[] = [];
  for (const scope of everyScope(root)) {
    for (const { name, start, end } of scope.references) {
      const target = declaring(scope, name)?.functions.get(name);
      const moved = target && cold.get(target.node);
      if (moved) edits.push({ start, end, text: `${moved.helper}${hole(numbers.get(moved)!)}` });
    }
    if (isCold(scope)) {
      const directive = statementsOf(scope.node)[0]!;
      edits.push({ start: directive.start, end: directive.end, text: "" });
    }
  }
  const literals = new Map<readonly AnyNode[], number[]>();
  for (const one of order) {
    if (!one.method) continue;
    const { properties, index } = one.method;
    const own = one.scope.parent === null;
    for (const { node } of readsOf(one.method, members)) {
      edits.push(...asked(node, `${one.helper}${hole(numbers.get(one)!)}`, own ? null : property));
    }
    const before = literals.get(properties);
    literals.set(properties, before || own ? [...(before ?? []), index] : []);
    if (before || own) continue;
    // The first cold method of a literal makes place for the helper.
    const { start, end } = properties[index]!;
    edits.push({ start, end, text: `${property}:${one.helper}` });
  }
  for (const [properties, indices] of literals) edits.push(...removed(properties, indices));
  const scopes = new Set(order.map((one) => one.scope));
  for (const scope of scopes) {
    const helper = order.find((one) => one.scope === scope)!.helper;
    const at = scope.parent === null ? 0 : (scope.node.body as AnyNode).start + 1;
    const own = `function ${helper}(${index}){return eval(${fetch}(${index}))}`;
    edits.push({ start: at, end: at, text: own });
  }
  const at0 = `${text}.charCodeAt(${START}+${index}*2`;
  const each = `${offsets}[${index}+1]=${offsets}[${index}]+(${at0})-${LOWEST})*${RADIX}+${at0}+1)-${LOWEST}`;
  const table =
    `var ${text}=${SCRIPT_TEXT},${offsets}=new ${ARRAY}(${size + 1});${offsets}[0]=${START}+${size * 2};` +
    `for(var ${index}=0;${index}<${size};${index}++)${each};`;
  const length = `${offsets}[${index}+1]-${offsets}[${index}]`;
  const fetching = `function ${fetch}(${index}){return ${text}.substr(${offsets}[${index}],${length})}`;
  edits.push({ start: 0, end: 0, text: table + fetching });
  // At one place what is inserted goes first, and the variable before the helper.
  edits.sort((a, b) => a.start - b.start || a.end - b.end || b.text.localeCompare(a.text));

  const moved = new Set(order.filter((one) => !one.method).map((one) => one.node));
  const render = (from: number, to: number, inside: AnyNode | null): string => {
    const holes = [...moved]
      .filter((node) => node !== inside && node.start >= from && node.end <= to)
      .map((node) => ({ start: node.start, end: node.end, text: "" }));
    const parts = [...edits.filter((edit) => edit.start >= from && edit.end <= to), ...holes];
    parts.sort((a, b) => a.start - b.start || +(a.end > a.start) - +(b.end > b.start));
    let result = "";
    let at = from;
    for (const part of parts) {
      if (part.start < at) continue;
      result += code.slice(at, part.start) + part.text;
      at = part.end;
    }
    return result + code.slice(at, to);
  };

  const main = render(0, code.length, null);
  const textOf = ({ node }: Cold): string => {
    const short = arrow(node, render);
    if (short !== null) return short;
    // A function expression may call itself by its name.
    if (node.type === "FunctionExpression") return `(${render(node.start, node.end, node)})`;
    return `(function${render(code.indexOf("(", (node.id as AnyNode).end), node.end, node)})`;
  };
  const texts = new Array<string>(size).fill("");
  for (const one of order) texts[numbers.get(one)!] = shortenNested(textOf(one));
  return place(main, texts);
}

/** Lets `call` stand for a method that is read: as it is, or as a method `property` of the same object. */
function asked(read: AnyNode, call: string, property: string | null): Edit[] {
  const { start, end } = read.property as AnyNode;
  if (property !== null) return [{ start, end, text: property + call.slice(call.indexOf("(")) }];
  const object = read.object as AnyNode;
  const idle = (node: AnyNode): boolean =>
    node.type === "Identifier" ||
    node.type === "ThisExpression" ||
    (node.type === "MemberExpression" && node.computed === false && idle(node.object as AnyNode));
  if (idle(object)) return [{ start: read.start, end: read.end, text: call }];
  return [
    { start: read.start, end: read.start, text: "(" },
    { start: object.end, end: read.end, text: `,${call})` },
  ];
}

/** Takes some of a literal's properties out, with the commas that they leave over. */
function removed(properties: readonly AnyNode[], indices: readonly number[]): Edit[] {
  const first = properties.findIndex((_, index) => !indices.includes(index));
  return indices.map((index) => {
    const { start, end } = properties[index]!;
    if (index > first && first >= 0) return { start: properties[index - 1]!.end, end, text: "" };
    return { start, end: properties[index + 1]?.start ?? end, text: "" };
  });
}

/** Numbers that nothing has, so that a function that comes or goes changes the numbers of few others. */
const SPARE = 31;

/** The functions' numbers, 0..size-1, which follow from their names. */
function numbersOf(order: readonly Cold[], size: number): Map<Cold, number> {
  const keys = new Map<string, Cold>();
  for (const one of order) {
    let key = one.name || `${one.method?.owner ?? ""}.${one.method?.name}`;
    while (keys.has(key)) key += "'";
    keys.set(key, one);
  }
  return new Map([...placesFor([...keys.keys()], size)].map(([key, number]) => [keys.get(key)!, number]));
}

/** What a helper is asked for: the number of a moved function. */
const hole = (index: number): string => `(${index})`;

/** Stand for where the table of the texts' lengths begins, and for the kind of array that holds their offsets. */
const START = "\u2039";
const ARRAY = "\u203a";
/** A length is two characters of the comment: digits to this base, from this code on, so that they never end it. */
const RADIX = 79;
const LOWEST = 48;

/**
 * Names of the functions and methods of a hoisted ES5 script whose directive does not move them: pinned by a use of
 * their identity, by `this`, by a name that is not theirs alone, or by text that would end the comment. One that stays
 * because it is the only one of its scope, and its helper would cost as much, is not among them.
 */
export function coldLeft(script: string): string[] {
  const program = parse(script, { ecmaVersion: 5 }) as unknown as AnyNode;
  const root = analyse(program);
  const members = findMembers(program, root);
  const movable = new Set(candidates(script, root, members).map(({ node }) => node));
  const methods = new Map(members.methods.map((method) => [method.node, method.name]));
  return [...everyScope(root)]
    .filter((scope) => isCold(scope) && !movable.has(scope.node))
    .map(({ node }) => nameOf(node.id) || methods.get(node) || `function at ${node.start}`);
}

/** Puts the table of their lengths, and the texts, behind the script. @throws RangeError for a text of over 6240 characters */
function place(main: string, texts: readonly string[]): string {
  const lengths = texts.map(({ length }) => {
    if (length >= RADIX * RADIX) throw new RangeError(`a cold function has ${length} characters`);
    return String.fromCharCode(LOWEST + Math.floor(length / RADIX), LOWEST + (length % RADIX));
  });
  const behind = `${lengths.join("")}${texts.join("")}`;
  // Where the table begins depends on the digits of that number, so it takes a few rounds.
  for (let start = 0; ;) {
    const kind = start + behind.length > 65535 ? "Uint32Array" : "Uint16Array";
    const script = `${main.replaceAll(START, String(start)).replace(ARRAY, kind)}/*`;
    if (script.length === start) return `${script}${behind}*/`;
    start = script.length;
  }
}

/** Takes the directives out of a script in which nothing can be moved. */
function strip(code: string, root: Scope): string {
  const directives = [...everyScope(root)].filter(isCold).map((scope) => statementsOf(scope.node)[0]!);
  return edited(
    code,
    directives.map(({ start, end }) => ({ start, end, text: "" })),
  );
}
