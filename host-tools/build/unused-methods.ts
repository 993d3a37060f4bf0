/**
 * Leaves out methods that nothing in the script ever names. A bundler keeps every function of an object literal or a
 * prototype, and each costs some eight variables of RAM on the engine whether it is called or not.
 *
 * Only functions go, and only when their name stands nowhere else: not behind a dot, not in a text, not as a shorthand.
 * A method that is reached through a computed name alone (`object[name]()`) must be named in a text somewhere.
 */
import { parse } from "acorn";
import { type AnyNode, analyse, childrenOf, isFunction, nameOf, type Scope } from "./scopes";

/** Called by the engine itself; `get` and `set` stand in the descriptors that accessors are lowered to. */
const ENGINE_NAMES: ReadonlySet<string> = new Set(["toString", "valueOf", "toJSON", "get", "set"]);

interface Method {
  name: string;
  /** The property, or the statement that assigns to the prototype. */
  node: AnyNode;
  start: number;
  end: number;
}

function keyOf(property: AnyNode): string {
  const key = property.key as AnyNode;
  return key.type === "Literal" ? String(key.value) : nameOf(key);
}

/** `X.prototype.name = function ...` as a statement of its own. */
function prototypeMethod(statement: AnyNode): { name: string; body: AnyNode } | null {
  const expression = statement.expression as AnyNode;
  if (statement.type !== "ExpressionStatement" || expression.type !== "AssignmentExpression") return null;
  const left = expression.left as AnyNode;
  const right = expression.right as AnyNode;
  const object = left.object as AnyNode | undefined;
  if (left.type !== "MemberExpression" || left.computed === true || object?.type !== "MemberExpression") return null;
  return nameOf(object.property) === "prototype" && isFunction(right)
    ? { name: nameOf(left.property), body: right }
    : null;
}

/** Blank text as long as the piece, with its line ends, so that a source map over the script still holds. */
function blank(code: string, start: number, end: number): string {
  return code.slice(0, start) + code.slice(start, end).replace(/[^\n]/g, " ") + code.slice(end);
}

/** The last property may have kept the comma behind it when the one after it went. */
function pastComma(code: string, at: number): number {
  const next = /^\s*,/.exec(code.slice(at, at + 10000));
  return next ? at + next[0].length : at;
}

/** Functions that are declared and never named; methods that went may have been their only callers. */
function unusedFunctions(code: string): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  const inspect = (scope: Scope): void => {
    for (const [name, inner] of scope.functions) {
      const used =
        scope.references.some((reference) => reference.name === name) ||
        scope.children.some((child) => child !== inner && child.free.has(name));
      if (!used) found.push({ start: inner.node.start, end: inner.node.end });
    }
    scope.children.forEach(inspect);
  };
  inspect(analyse(parseScript(code)));
  return found;
}

function parseScript(code: string): AnyNode {
  // Literal constants are still declared with `const` at this stage.
  return parse(code, { ecmaVersion: 6 }) as unknown as AnyNode;
}

/**
 * The script with unused methods and functions blanked out. To be called before minification, which merges the
 * statements that fill prototypes.
 */
export function dropUnusedMethods(script: string): string {
  let code = script;
  for (;;) {
    const cuts = [...unusedMethods(code), ...unusedFunctions(code)];
    if (cuts.length === 0) return code;
    for (const { start, end } of cuts) code = blank(code, start, end);
  }
}

function unusedMethods(code: string): { start: number; end: number }[] {
  const program = parseScript(code);
  const methods: Method[] = [];
  const uses: { name: string; at: number }[] = [];

  const visit = (node: AnyNode): void => {
    if (node.type === "MemberExpression" && node.computed === false) {
      uses.push({ name: nameOf(node.property), at: (node.property as AnyNode).start });
    }
    if (node.type === "Literal" && typeof node.value === "string") uses.push({ name: node.value, at: node.start });
    if (node.type === "ObjectExpression") {
      const all = node.properties as AnyNode[];
      all.forEach((property, i) => {
        const body = property.value as AnyNode;
        if (property.kind !== "init" || !isFunction(body)) return;
        const end = i + 1 < all.length ? all[i + 1]!.start : pastComma(code, property.end);
        methods.push({ name: keyOf(property), node: property, start: property.start, end });
      });
    }
    const method = prototypeMethod(node);
    if (method) {
      const target = (node.expression as AnyNode).left as AnyNode;
      methods.push({ name: method.name, node, start: node.start, end: node.end });
      // The assignment itself is no use.
      visit(target.object as AnyNode);
      visit(method.body);
      return;
    }
    if (node.type === "Property") {
      visit(node.value as AnyNode);
      return;
    }
    childrenOf(node).forEach(visit);
  };
  visit(program);

  const gone = new Set<Method>();
  for (let changed = true; changed;) {
    changed = false;
    const inGone = (at: number): boolean => [...gone].some(({ node }) => at >= node.start && at < node.end);
    const named = new Set(uses.filter(({ at }) => !inGone(at)).map(({ name }) => name));
    for (const method of methods) {
      if (gone.has(method) || ENGINE_NAMES.has(method.name) || named.has(method.name)) continue;
      gone.add(method);
      changed = true;
    }
  }

  return [...gone];
}
