/**
 * Takes the function off that a linked script is wrapped in. On Espruino every scope that a function can see costs it
 * one to three variables of RAM, so the bundle's own names become globals, as if typed at the console.
 */
import { parse } from "acorn";
import { type AnyNode, analyse, type Edit, edited, owns, type Scope } from "./scopes";

/** Places where the outermost function's `name` is read, written or declared. */
function uses(outermost: Scope, name: string): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  const visit = (scope: Scope): void => {
    if (scope !== outermost && owns(scope, name)) return;
    for (const reference of scope.references) if (reference.name === name) found.push(reference);
    scope.children.forEach(visit);
  };
  visit(outermost);
  const declared = outermost.functions.get(name)?.node.id as AnyNode | undefined;
  if (declared) found.push(declared);
  return found;
}

/** Where `var name` stands in the outermost function's own statements. */
function declarators(outermost: Scope): Map<string, AnyNode[]> {
  const found = new Map<string, AnyNode[]>();
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    if (typeof node !== "object" || node === null || Array.isArray(node)) return;
    const one = node as AnyNode;
    if (typeof one.type !== "string" || one.type === "FunctionDeclaration" || one.type === "FunctionExpression") return;
    if (one.type === "VariableDeclarator") {
      const id = one.id as AnyNode;
      found.set(id.name as string, [...(found.get(id.name as string) ?? []), id]);
    }
    Object.values(one).forEach(visit);
  };
  visit((outermost.node.body as AnyNode).body);
  return found;
}

/**
 * The body of `(function(){...})();`, with those of its names changed that mean something to the engine: `reserved`
 * names, and what looks like a pin ("A0", "D12").
 */
export function unwrap(script: string, reserved: ReadonlySet<string>): string {
  const code = script.trim();
  const outermost = analyse(parse(code, { ecmaVersion: 5 }) as unknown as AnyNode).children[0]!;
  const declared = declarators(outermost);
  const edits: Edit[] = [];
  for (const name of new Set([...outermost.functions.keys(), ...outermost.variables.keys()])) {
    if (!reserved.has(name) && !/^[A-Z]\d+$/.test(name)) continue;
    let text = `${name}_`;
    while (new RegExp(`(^|[^\\w$])${text.replace(/\$/g, "\\$")}(?![\\w$])`).test(code)) text += "_";
    for (const { start, end } of [...uses(outermost, name), ...(declared.get(name) ?? [])])
      edits.push({ start, end, text });
  }
  const body = outermost.node.body as AnyNode;
  return edited(code, edits, body.start + 1, body.end - 1);
}
