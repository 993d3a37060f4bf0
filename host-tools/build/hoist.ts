import { parse } from "acorn";
import { analyse, statementsOf, type AnyNode, type Declaration, type Scope } from "./scopes";

/**
 * Espruino creates a function or a variable when its declaration runs, where JavaScript creates it on entry to its scope:
 * a function called above its declaration is missing, and an assignment above a `var` lands in an outer scope. `hoist`
 * makes that visible in the text: function declarations move to the head of their scope, and a `var` is declared there
 * too when something could touch it before its own declaration has run.
 */
export function hoist(code: string): string {
  const program = parse(code, { ecmaVersion: 5 }) as unknown as AnyNode;
  const root = analyse(program);
  return renderStatements(root);

  function renderStatements(scope: Scope): string {
    const statements = statementsOf(scope.node);
    const directives = statements.filter((statement) => typeof statement.directive === "string");
    const functions = statements.filter((statement) => statement.type === "FunctionDeclaration");
    const rest = statements.filter((statement) => !directives.includes(statement) && !functions.includes(statement));
    const early = scope.parent === null ? [] : variablesToHoist(scope);
    return (
      directives.map((statement) => text(statement.start, statement.end, [])).join("") +
      (early.length > 0 ? `var ${early.join(",")};` : "") +
      functions.map((statement) => text(statement.start, statement.end, scope.children)).join("") +
      rest
        .map((statement) => text(statement.start, statement.end, scope.children))
        // A function's last statement ends with the function.
        .map((piece, i) => (i + 1 === rest.length && scope.parent !== null ? piece : terminated(piece)))
        .join("")
    );
  }

  /** Source text from `start` to `end` in which the bodies of `scopes` are hoisted too. */
  function text(start: number, end: number, scopes: readonly Scope[]): string {
    let result = "";
    let at = start;
    for (const scope of scopes) {
      const body = scope.node.body as AnyNode;
      if (body.start < at || body.end > end) continue;
      result += code.slice(at, body.start + 1) + renderStatements(scope);
      at = body.end - 1;
    }
    return result + code.slice(at, end);
  }
}

/** The last statement of a block may lack its semicolon; another statement may follow it now. */
function terminated(statement: string): string {
  return /[;}]$/.test(statement) ? statement : `${statement};`;
}

/** Names of a function scope whose `var` must exist before the scope's first statement runs. */
export function variablesToHoist(scope: Scope): string[] {
  const taken = new Set([...scope.parameters, ...scope.functions.keys()]);
  return [...scope.variables.values()]
    .filter((declaration) => !taken.has(declaration.name) && touchedEarly(scope, declaration))
    .map(({ name }) => name);
}

function touchedEarly(scope: Scope, declaration: Declaration): boolean {
  const { name, start, conditional } = declaration;
  const reachable = (position: number): boolean =>
    position > start && (conditional === null || (position >= conditional.start && position < conditional.end));
  const expressions = scope.children.filter((child) => child.node.type === "FunctionExpression");
  if (scope.references.some((reference) => reference.name === name && !reachable(reference.start))) return true;
  if (expressions.some((child) => child.free.has(name) && !reachable(child.node.start))) return true;
  const users = [...scope.functions.keys()].filter((key) => scope.functions.get(key)?.free.has(name));
  if (users.length === 0) return false;
  if (conditional !== null) return true;
  // A hoisted function that uses the variable: can anything above the declaration reach it?
  const mentioned = new Set<string>();
  const pending: string[] = [];
  const mention = (used: string): void => {
    if (scope.functions.has(used) && !mentioned.has(used)) {
      mentioned.add(used);
      pending.push(used);
    }
  };
  for (const reference of scope.references) if (reference.start < start) mention(reference.name);
  for (const child of expressions) if (child.node.start < start) child.free.forEach(mention);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    scope.functions.get(next)?.free.forEach(mention);
  }
  return users.some((user) => mentioned.has(user));
}
