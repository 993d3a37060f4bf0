/** Which names each function declares, and in which order: Espruino looks names up in linear lists. */
import type { AnyNode, Function as FunctionNode, Pattern, Program } from "acorn";

/** The names of one function (or of the program) in the order in which the interpreter adds them. */
export class Scope {
  readonly names: string[] = [];
  private readonly positions = new Map<string, number>();

  constructor(readonly parent: Scope | null) {}

  add(name: string): void {
    if (this.positions.has(name)) return;
    this.positions.set(name, this.names.length);
    this.names.push(name);
  }

  /** Position in the list, or -1. */
  position(name: string): number {
    return this.positions.get(name) ?? -1;
  }
}

/** Children of a node that are nodes. */
export function children(node: AnyNode): AnyNode[] {
  const found: AnyNode[] = [];
  for (const value of Object.values(node) as unknown[]) {
    if (Array.isArray(value)) for (const item of value) if (isNode(item)) found.push(item);
    if (isNode(value)) found.push(value);
  }
  return found;
}

export function isFunction(node: AnyNode): node is FunctionNode & AnyNode {
  return (
    node.type === "FunctionDeclaration" || node.type === "FunctionExpression" || node.type === "ArrowFunctionExpression"
  );
}

/** The scope of a program or function body; block-scoped names count as the function's own. */
export function scopeOf(node: Program | FunctionNode, parent: Scope | null): Scope {
  const scope = new Scope(parent);
  if (!("params" in node)) for (const item of node.body) declare(item, scope);
  else {
    for (const parameter of node.params) for (const name of patternNames(parameter)) scope.add(name);
    declare(node.body as AnyNode, scope);
  }
  return scope;
}

export function patternNames(pattern: Pattern): string[] {
  return pattern.type === "Identifier" ? [pattern.name] : [];
}

function declare(node: AnyNode, scope: Scope): void {
  if (node.type === "FunctionDeclaration" || node.type === "ClassDeclaration") {
    if (node.id) scope.add(node.id.name);
    return;
  }
  if (isFunction(node)) return;
  if (node.type === "VariableDeclarator") for (const name of patternNames(node.id)) scope.add(name);
  for (const child of children(node)) declare(child, scope);
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}
