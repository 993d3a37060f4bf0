/**
 * Puts constants where they are used. Espruino finds a variable by walking through the names of every scope on the way,
 * and each costs a variable of RAM; a number in the text costs neither.
 */
import { parse } from "acorn";
import { variablesToHoist } from "./hoist";
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
} from "./scopes";

/** Texts up to this length are put in place wherever they are used; a variable costs three variables or more of RAM. */
const LONGEST_TEXT = 8;
/** Longer ones, up to this, when they are used at most so often. */
const LONGEST_RARE_TEXT = 40;
const RARE_USES = 2;

/** The constant's text as it is put in place, or null when the initialiser is no constant. */
function constantText(node: AnyNode | null, code: string): string | null {
  if (!node) return null;
  if (node.type === "UnaryExpression" && ["-", "!", "~"].includes(node.operator as string)) {
    const inner = constantText(node.argument as AnyNode, code);
    return inner === null || /^["']/.test(inner) ? null : `(${code.slice(node.start, node.end)})`;
  }
  if (node.type !== "Literal") return null;
  const { value } = node as unknown as { value: unknown };
  const text = code.slice(node.start, node.end);
  if (typeof value === "number" || typeof value === "boolean") return text;
  return typeof value === "string" && value.length <= LONGEST_RARE_TEXT ? text : null;
}

/** Names that are written anywhere but in their declaration. */
function written(root: AnyNode): Set<string> {
  const names = new Set<string>();
  const visit = (node: AnyNode): void => {
    if (node.type === "AssignmentExpression" || node.type === "ForInStatement") names.add(nameOf(node.left));
    if (node.type === "UpdateExpression") names.add(nameOf(node.argument));
    childrenOf(node).forEach(visit);
  };
  visit(root);
  return names;
}

/** How often a function declares each name, its parameters and functions included. */
function declarations(scope: Scope): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  const visit = (node: AnyNode): void => {
    if (isFunction(node)) return;
    if (node.type === "VariableDeclarator") count(nameOf(node.id));
    childrenOf(node).forEach(visit);
  };
  statementsOf(scope.node).forEach(visit);
  [...scope.parameters, ...scope.functions.keys()].forEach(count);
  return counts;
}

/** Inlines the constants of the outermost function of an ES5 script, and drops their declarations. */
export function inlineConstants(code: string): string {
  const program = parse(code, { ecmaVersion: 5 }) as unknown as AnyNode;
  const outermost = analyse(program).children[0];
  if (!outermost) return code;
  const assigned = written(program);
  // Read before it has its value, a variable is no constant.
  for (const name of variablesToHoist(outermost)) assigned.add(name);
  const constants = new Map<string, string>();
  const edits: Edit[] = [];

  const seen = declarations(outermost);
  const uses = new Map<string, number>();
  const count = (scope: Scope): void => {
    for (const { name } of scope.references) uses.set(name, (uses.get(name) ?? 0) + 1);
    scope.children.forEach(count);
  };
  count(outermost);
  // Quotes included; names that hide the constant are counted too, which does no harm.
  const placed = (name: string, text: string): boolean =>
    !/^["']/.test(text) || text.length <= LONGEST_TEXT + 2 || (uses.get(name) ?? 0) <= RARE_USES;
  for (const statement of statementsOf(outermost.node)) {
    if (statement.type !== "VariableDeclaration") continue;
    const all = statement.declarations as AnyNode[];
    for (const one of all) {
      const name = nameOf(one.id);
      const text = constantText(one.init as AnyNode | null, code);
      if (text !== null && placed(name, text) && !assigned.has(name) && seen.get(name) === 1) {
        constants.set(name, text);
      }
    }
    const kept = all.filter((one) => !constants.has(nameOf(one.id)));
    if (kept.length === all.length) continue;
    const drop = (start: number, end: number): void => void (start < end && edits.push({ start, end, text: "" }));
    if (kept.length === 0) drop(statement.start, statement.end);
    else {
      drop(all[0]!.start, kept[0]!.start);
      // From one that stays to the comma before the next that stays, or to the end.
      kept.forEach((one, i) =>
        drop(one.end, i + 1 < kept.length ? all[all.indexOf(kept[i + 1]!) - 1]!.end : all.at(-1)!.end),
      );
    }
  }

  const replace = (scope: Scope, hidden: ReadonlySet<string>): void => {
    for (const { name, start, end } of scope.references) {
      const text = constants.get(name);
      if (text === undefined || hidden.has(name)) continue;
      // A point behind a number would belong to it.
      const member = /^\d/.test(text) && /^\s*\./.test(code.slice(end, end + 8));
      edits.push({ start, end, text: member ? `(${text})` : text });
    }
    for (const child of scope.children) {
      const more = [...constants.keys()].filter((name) => owns(child, name));
      replace(child, more.length > 0 ? new Set([...hidden, ...more]) : hidden);
    }
  };
  replace(outermost, new Set());

  return edited(code, edits);
}
