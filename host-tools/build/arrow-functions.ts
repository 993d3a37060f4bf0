/** Functions of text that is evaluated out of flash as arrow functions, which are shorter. */
import { parse } from "acorn";
import { type AnyNode, childrenOf, type Edit, edited, isFunction, nameOf, statementsOf, usesThis } from "./scopes";

/** A parameter of such a name could be read as the engine's object, pin or function: "E", "D4", "print". */
function mayBeEngines(name: string): boolean {
  return name.length > 2 || name === "E" || /^[A-Z]./.test(name);
}

const headOf = (names: readonly string[]): string => `${names.length === 1 ? names[0]! : `(${names.join(",")})`}=>`;

/** Where an arrow function may stand without parentheses around it: `parent` has it as a whole value. */
function isWholeValue(node: AnyNode, parent: AnyNode): boolean {
  if (parent.type === "CallExpression") return (parent.arguments as AnyNode[]).includes(node);
  if (parent.type === "AssignmentExpression") return parent.right === node;
  return (
    parent.type === "VariableDeclarator" ||
    parent.type === "ReturnStatement" ||
    (parent.type === "Property" && parent.kind === "init")
  );
}

/** Function expressions inside a moved function as arrow functions, where they can be; see `arrow`. */
export function shortenNested(text: string): string {
  const edits: Edit[] = [];
  const visit = (node: AnyNode, parent: AnyNode): void => {
    if (node.type === "FunctionExpression" && isWholeValue(node, parent) && !usesThis(node) && !usesArguments(node)) {
      const names = (node.params as AnyNode[]).map(nameOf);
      const plain = !node.id && !names.some(mayBeEngines);
      if (plain) edits.push({ start: node.start - 1, end: (node.body as AnyNode).start - 1, text: headOf(names) });
    }
    for (const child of childrenOf(node)) visit(child, node);
  };
  const program = parse(`(${text})`, { ecmaVersion: 2015 }) as unknown as AnyNode;
  visit(program, program);
  return edited(text, edits);
}

/** Whether the function itself, and no other one inside it, uses `arguments`. */
function usesArguments(fn: AnyNode): boolean {
  const inside = (node: AnyNode): boolean =>
    node.type === "Identifier" ? node.name === "arguments" : !isFunction(node) && childrenOf(node).some(inside);
  return statementsOf(fn).some(inside);
}

/** Longest expression, in characters, that is an arrow function's body: the engine passes a block four times as fast. */
const LONGEST_EXPRESSION = 80;

/**
 * A moved function, which never uses `this`, as an arrow function, for the sake of its length. null when it cannot be one:
 * it uses `arguments` or its own name, or a parameter may have a name of the engine's, which reads parameters as expressions
 * at first.
 */
export function arrow(node: AnyNode, render: (from: number, to: number, inside: AnyNode) => string): string | null {
  const names = (node.params as AnyNode[]).map(nameOf);
  if (names.some(mayBeEngines) || usesArguments(node) || (node.type === "FunctionExpression" && node.id)) return null;
  const head = headOf(names);
  const body = node.body as AnyNode;
  const statements = statementsOf(node).filter((one) => typeof one.directive !== "string");
  const value = statements.length === 1 && statements[0]!.type === "ReturnStatement" ? statements[0]!.argument : null;
  if (!value) return head + render(body.start, body.end, node);
  const { start, end, type } = value as AnyNode;
  if (end - start > LONGEST_EXPRESSION) return head + render(body.start, body.end, node);
  const text = render(start, end, node);
  return type === "SequenceExpression" || text.startsWith("{") ? `${head}(${text})` : head + text;
}
