import type { Node } from "acorn";

/** Acorn nodes carry their children under names of their own; the walks here read them generically. */
export type AnyNode = Node & Record<string, unknown>;

export function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

/** Child nodes in source order. */
export function childrenOf(node: Node): AnyNode[] {
  const children: AnyNode[] = [];
  for (const value of Object.values(node)) {
    if (isNode(value)) children.push(value);
    else if (Array.isArray(value)) for (const item of value) if (isNode(item)) children.push(item);
  }
  return children.sort((a, b) => a.start - b.start);
}

export function isFunction(node: Node): boolean {
  return node.type === "FunctionDeclaration" || node.type === "FunctionExpression";
}

export function nameOf(identifier: unknown): string {
  return isNode(identifier) && typeof identifier.name === "string" ? identifier.name : "";
}

/** Text in place of [start, end) of a script. */
export interface Edit {
  start: number;
  end: number;
  text: string;
}

/** [from, to) of a text with edits, in any order, made; of two that overlap the first one is. */
export function edited(code: string, edits: readonly Edit[], from = 0, to = code.length): string {
  let result = "";
  let at = from;
  for (const { start, end, text } of [...edits].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start < at) continue;
    result += code.slice(at, start) + text;
    at = end;
  }
  return result + code.slice(at, to);
}

/** The function itself, and no other one inside it, uses `this`. */
export function usesThis(fn: AnyNode): boolean {
  const inside = (node: AnyNode): boolean =>
    node.type === "ThisExpression" || (!isFunction(node) && childrenOf(node).some(inside));
  return statementsOf(fn).some(inside);
}

/** One name read or written in a scope's own statements. */
export interface Reference {
  name: string;
  start: number;
  end: number;
  /** The name gets a value here, whatever it held. */
  assigned: boolean;
}

/** The first `var` of a name in a scope. */
export interface Declaration {
  name: string;
  start: number;
  /** The innermost block that may not run, or may run late, and holds the declaration; null when it always runs. */
  conditional: AnyNode | null;
}

/** A function, or the program, with what happens in its own statements (nested functions are scopes of their own). */
export interface Scope {
  node: AnyNode;
  parent: Scope | null;
  parameters: string[];
  /** Names that catch clauses around it, inside its parent, give to errors. */
  caught: readonly string[];
  /** First declaration of each `var`. */
  variables: Map<string, Declaration>;
  /** Function declarations of the scope's statement list. */
  functions: Map<string, Scope>;
  /** Every function directly inside, declarations included, in source order. */
  children: Scope[];
  references: Reference[];
  /** Names read or written here or further inside and declared outside. */
  free: Set<string>;
}

const CONDITIONAL_PARTS: Record<string, readonly string[]> = {
  IfStatement: ["consequent", "alternate"],
  ForStatement: ["body"],
  ForInStatement: ["body"],
  WhileStatement: ["body"],
  DoWhileStatement: ["body"],
  TryStatement: ["block", "handler", "finalizer"],
  SwitchStatement: ["cases"],
};

const ASSIGNING: ReadonlySet<string> = new Set(["AssignmentExpression", "ForInStatement"]);

/** Statements of a function's body or of the program. */
export function statementsOf(scopeNode: AnyNode): AnyNode[] {
  const body = scopeNode.type === "Program" ? scopeNode.body : (scopeNode.body as AnyNode).body;
  return body as AnyNode[];
}

function isConditionalPart(parent: AnyNode, child: AnyNode): boolean {
  return (CONDITIONAL_PARTS[parent.type] ?? []).some((key) => {
    const part = parent[key];
    return part === child || (Array.isArray(part) && part.includes(child));
  });
}

/** Parents whose identifiers are names of their own: labels and caught errors. */
const NO_REFERENCES: ReadonlySet<string> = new Set([
  "CatchClause",
  "LabeledStatement",
  "BreakStatement",
  "ContinueStatement",
]);

function isReference(node: AnyNode, parent: AnyNode): boolean {
  if (parent.type === "MemberExpression") return parent.object === node || parent.computed === true;
  if (parent.type === "Property") return parent.value === node;
  if (parent.type === "VariableDeclarator") return parent.id !== node;
  return !NO_REFERENCES.has(parent.type);
}

/** Whether `name`, seen from the function, means something of its own or of a catch clause around it. */
export function owns(scope: Scope, name: string): boolean {
  return (
    scope.parameters.includes(name) ||
    scope.variables.has(name) ||
    scope.functions.has(name) ||
    scope.caught.includes(name) ||
    (scope.node.type === "FunctionExpression" && nameOf(scope.node.id) === name)
  );
}

function own(scope: Scope): Set<string> {
  const names = new Set([...scope.parameters, ...scope.variables.keys(), ...scope.functions.keys(), ...scope.caught]);
  if (scope.node.type !== "Program") names.add("arguments");
  if (scope.node.type === "FunctionExpression") names.add(nameOf(scope.node.id));
  return names;
}

/** Scopes of an ES5 program: functions only, since ES5 has no others but the catch clause. */
export function analyse(node: AnyNode, parent: Scope | null = null, inCatch: readonly string[] = []): Scope {
  const scope: Scope = {
    node,
    parent,
    parameters: ((node.params as AnyNode[] | undefined) ?? []).map(nameOf),
    caught: inCatch,
    variables: new Map(),
    functions: new Map(),
    children: [],
    references: [],
    free: new Set(),
  };

  function visit(child: AnyNode, above: AnyNode, conditional: AnyNode | null, caught: readonly string[]): void {
    if (isFunction(child)) {
      const inner = analyse(child, scope, caught);
      scope.children.push(inner);
      if (child.type === "FunctionDeclaration") scope.functions.set(nameOf(child.id), inner);
      return;
    }
    if (child.type === "Identifier") {
      const name = nameOf(child);
      if (isReference(child, above) && !caught.includes(name)) {
        const assigned = ASSIGNING.has(above.type) && above.left === child && (above.operator ?? "=") === "=";
        scope.references.push({ name, start: child.start, end: child.end, assigned });
      }
      return;
    }
    if (child.type === "VariableDeclarator") {
      const name = nameOf(child.id);
      if (!scope.variables.has(name)) scope.variables.set(name, { name, start: child.start, conditional });
    }
    const names = child.type === "CatchClause" ? [...caught, nameOf(child.param)] : caught;
    for (const next of childrenOf(child)) {
      visit(next, child, isConditionalPart(child, next) ? next : conditional, names);
    }
  }

  for (const statement of statementsOf(node)) visit(statement, node, null, []);
  const names = own(scope);
  for (const { name } of scope.references) if (!names.has(name)) scope.free.add(name);
  for (const child of scope.children) for (const name of child.free) if (!names.has(name)) scope.free.add(name);
  return scope;
}

/** Short names, "_" and a count, that stand nowhere in a script. */
export function* freshNames(code: string): Generator<string, never> {
  for (let i = 0; ; i++) {
    const name = `_${i.toString(36)}`;
    if (!new RegExp(`(^|[^\\w$])${name}(?![\\w$])`).test(code)) yield name;
  }
}
