import { parse } from "acorn";
import { type AnyNode, analyse, childrenOf, type Edit, edited, nameOf } from "./scopes";

/** Built-in objects whose functions need no `this`. */
const OBJECTS: ReadonlySet<string> = new Set(["Math", "JSON", "E", "String", "Object", "Number"]);

/** Members that do need `this`, or are no functions. */
const EXCLUDED: ReadonlySet<string> = new Set([
  "prototype",
  "on",
  "once",
  "emit",
  "removeListener",
  "removeAllListeners",
]);

/** Uses from which an alias pays: two variables each on the board. */
const MINIMUM_USES = 2;

interface Use {
  start: number;
  end: number;
}

/** Places where each member of a built-in object is read, by "Math.min". */
function builtInReads(program: AnyNode, free: ReadonlySet<string>): Map<string, Use[]> {
  const reads = new Map<string, Use[]>();
  const visit = (node: AnyNode, parent: AnyNode): void => {
    const object = node.type === "MemberExpression" ? nameOf(node.object) : "";
    const written =
      (parent.type === "AssignmentExpression" && parent.left === node) ||
      parent.type === "UpdateExpression" ||
      parent.type === "UnaryExpression";
    if (OBJECTS.has(object) && free.has(object) && node.computed === false && !written) {
      const member = nameOf(node.property);
      const key = `${object}.${member}`;
      if (!EXCLUDED.has(member)) reads.set(key, [...(reads.get(key) ?? []), { start: node.start, end: node.end }]);
    }
    for (const child of childrenOf(node)) visit(child, node);
  };
  visit(program, program);
  return reads;
}

/**
 * Puts `Math.min` and its like into variables at the head of the script's wrapping function. Espruino finds a built-in
 * only after it has passed every name of every scope, and makes a new function object at each look-up of its member: an
 * alias costs two variables and saves about 25,000 instructions a use in a scope of 80 names.
 */
export function aliasBuiltIns(script: string): string {
  const program = parse(script, { ecmaVersion: 5 }) as unknown as AnyNode;
  const root = analyse(program);
  const wrapper = root.children[0];
  if (wrapper === undefined) return script;
  const edits: Edit[] = [];
  const aliases: string[] = [];
  const reads = [...builtInReads(program, root.free)].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, uses] of reads) {
    if (uses.length < MINIMUM_USES) continue;
    let name = key.replace(".", "$");
    while (script.includes(name)) name += "$";
    aliases.push(`${name}=${key}`);
    for (const use of uses) edits.push({ ...use, text: name });
  }
  if (aliases.length === 0) return script;
  const head = (wrapper.node.body as AnyNode).start + 1;
  edits.push({ start: head, end: head, text: `var ${aliases.join(",")};` });
  return edited(script, edits);
}
