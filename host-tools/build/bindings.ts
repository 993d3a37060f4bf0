/** Every name of an ES5 script with all the places where it stands, so that it can be renamed. */
import { parse } from "acorn";
import { type AnyNode, childrenOf, isFunction, nameOf } from "./scopes";

/** A function (or the program, or a catch clause) and the names declared in it. */
export interface NameScope {
  parent: NameScope | null;
  /** The function, catch clause or program; for the name of a function expression that expression. */
  node: AnyNode;
  names: Map<string, Binding>;
  /** Names used here or further inside that are declared further out, or nowhere. */
  through: Set<Binding | string>;
}

export interface Binding {
  name: string;
  scope: NameScope;
  /** Start of every identifier that means this binding, the declaration included; ascending. */
  places: number[];
}

export interface Bindings {
  all: Binding[];
  program: NameScope;
  /** The binding at each place. */
  at: Map<number, Binding>;
  /** Names that are declared nowhere, as `Math` or `require`. */
  globals: Set<string>;
}

interface Use {
  scope: NameScope;
  name: string;
  start: number;
}

function childScope(parent: NameScope | null, node: AnyNode): NameScope {
  return { parent, node, names: new Map(), through: new Set() };
}

/** Finds the bindings of an ES5 script, which may have `const` at its top level. `arguments` counts as a global. */
export function bindingsOf(code: string): Bindings {
  const all: Binding[] = [];
  const uses: Use[] = [];
  const script = parse(code, { ecmaVersion: 6 }) as unknown as AnyNode;
  const program = childScope(null, script);

  function declare(scope: NameScope, identifier: AnyNode): void {
    const name = nameOf(identifier);
    if (!scope.names.has(name)) {
      const binding: Binding = { name, scope, places: [] };
      scope.names.set(name, binding);
      all.push(binding);
    }
    uses.push({ scope, name, start: identifier.start });
  }

  /** `holder` is the function that `var` declares in, `scope` may be a catch clause inside it. */
  function visit(node: AnyNode, above: AnyNode | null, scope: NameScope, holder: NameScope): void {
    if (isFunction(node)) {
      let inside = scope;
      if (node.type === "FunctionDeclaration") declare(holder, node.id as AnyNode);
      else if (node.id) {
        inside = childScope(scope, node);
        declare(inside, node.id as AnyNode);
      }
      const own = childScope(inside, node);
      for (const parameter of node.params as AnyNode[]) declare(own, parameter);
      visit(node.body as AnyNode, node, own, own);
      return;
    }
    if (node.type === "CatchClause") {
      const own = childScope(scope, node);
      if (node.param) declare(own, node.param as AnyNode);
      visit(node.body as AnyNode, node, own, holder);
      return;
    }
    if (node.type === "VariableDeclarator") {
      declare(holder, node.id as AnyNode);
      if (node.init) visit(node.init as AnyNode, node, scope, holder);
      return;
    }
    if (node.type === "Identifier") {
      const property =
        (above?.type === "MemberExpression" && above.property === node && above.computed !== true) ||
        (above?.type === "Property" && above.key === node && above.computed !== true);
      if (!property) uses.push({ scope, name: nameOf(node), start: node.start });
      return;
    }
    for (const child of childrenOf(node)) visit(child, node, scope, holder);
  }

  visit(script, null, program, program);
  const at = new Map<number, Binding>();
  const globals = new Set<string>();
  for (const { scope, name, start } of uses) {
    let found: NameScope | null = scope;
    while (found && !found.names.has(name)) found = found.parent;
    const binding = found?.names.get(name);
    for (let passed: NameScope | null = scope; passed && passed !== found; passed = passed.parent) {
      passed.through.add(binding ?? name);
    }
    if (!binding) {
      globals.add(name);
      program.through.add(name);
      continue;
    }
    binding.places.push(start);
    at.set(start, binding);
  }
  for (const binding of all) binding.places.sort((a, b) => a - b);
  return { all, program, at, globals };
}
