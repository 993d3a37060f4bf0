/**
 * Makes functions that are called once, while the program starts, part of the program.
 *
 * A node is put together by functions such as `createMesh`, each of which runs once and leaves its variables and its
 * functions behind. On Espruino a function costs four variables of RAM where it is a global, six inside one function,
 * nine inside two, and each of those scopes has to be walked through when a name is looked up. So the statements of such
 * a function take the place of its call, its names become unique names of the program, and what it is handed is used
 * under the caller's names where nobody assigns to either.
 *
 * Only calls that certainly run once are taken: in the statements of the program itself or of a function taken before,
 * outside branches and loops, as a statement, an initialiser, the right side of an assignment, what is returned, or an
 * argument. The function must not use `this` or `arguments`, and return nowhere but at its end.
 */
import { type Binding, bindingsOf } from "./bindings";
import { MovedText } from "./moved-text";
import { type AnyNode, childrenOf, isFunction, nameOf, statementsOf } from "./scopes";

/** A statement, or the part of one that runs by itself. */
type Unit =
  | { kind: "declare"; id: AnyNode; keyword: string; value: AnyNode | null }
  | { kind: "assign"; target: AnyNode; value: AnyNode }
  | { kind: "evaluate"; value: AnyNode }
  | { kind: "return"; value: AnyNode | null }
  | { kind: "function"; node: AnyNode }
  | { kind: "other"; node: AnyNode };

/** What is handed to a function, by parameter or by field of a parameter. */
interface Handed {
  binding: Binding;
  value: AnyNode | null;
}

/** Values that the minifier puts where they are used. */
function isLiteral(node: AnyNode): boolean {
  if (node.type === "UnaryExpression") return isLiteral(node.argument as AnyNode);
  return node.type === "Literal" && typeof node.value !== "string";
}

/** Expressions that do nothing when nobody wants their value. */
const IDLE: ReadonlySet<string> = new Set(["Identifier", "Literal", "FunctionExpression", "ThisExpression"]);

function expressionUnits(expression: AnyNode): Unit[] {
  if (expression.type === "SequenceExpression") return (expression.expressions as AnyNode[]).flatMap(expressionUnits);
  const left = expression.left as AnyNode;
  const plain =
    expression.type === "AssignmentExpression" &&
    expression.operator === "=" &&
    (left.type === "Identifier" ||
      (left.type === "MemberExpression" && left.computed === false && (left.object as AnyNode).type === "Identifier"));
  return plain
    ? [{ kind: "assign", target: left, value: expression.right as AnyNode }]
    : [{ kind: "evaluate", value: expression }];
}

function unitsOf(statement: AnyNode): Unit[] {
  switch (statement.type) {
    case "EmptyStatement":
      return [];
    case "FunctionDeclaration":
      return [{ kind: "function", node: statement }];
    case "VariableDeclaration":
      return (statement.declarations as AnyNode[]).map((one) => ({
        kind: "declare",
        id: one.id as AnyNode,
        keyword: statement.kind as string,
        value: one.init as AnyNode | null,
      }));
    case "ExpressionStatement":
      return typeof statement.directive === "string" ? [] : expressionUnits(statement.expression as AnyNode);
    case "ReturnStatement": {
      const value = statement.argument as AnyNode | null;
      if (value?.type !== "SequenceExpression") return [{ kind: "return", value }];
      const parts = value.expressions as AnyNode[];
      return [...parts.slice(0, -1).flatMap(expressionUnits), { kind: "return", value: parts.at(-1)! }];
    }
    default:
      return [{ kind: "other", node: statement }];
  }
}

/** Whether the function's statements mean the same in another place: no `this`, no `arguments`, one way out. */
function movable(fn: AnyNode): boolean {
  const statements = statementsOf(fn).filter(({ type }) => type !== "FunctionDeclaration");
  const bound = (node: AnyNode): boolean => {
    if (node.type === "ThisExpression" || (node.type === "Identifier" && node.name === "arguments")) return true;
    if (node.type === "ReturnStatement" && node !== statements.at(-1)) return true;
    return !isFunction(node) && childrenOf(node).some(bound);
  };
  return !statements.some(bound);
}

class Inliner {
  private readonly bindings;
  private readonly wrapper: AnyNode;
  private readonly declared = new Map<Binding, number>();
  private readonly written = new Set<Binding>();
  private readonly functions = new Map<Binding, AnyNode>();
  /** Functions whose statements take the place of their call. */
  private readonly taken = new Set<AnyNode>();
  /** Bindings that belong to the program now, with their names. */
  private readonly names = new Map<Binding, string>();
  /** Parameters that are another binding's value for ever. */
  private readonly aliases = new Map<Binding, Binding>();
  /** Bindings that have the value that they will keep. */
  private readonly settled = new Set<Binding>();
  /** Where a field of a parameter is read: the end of that expression, and what stands for it. */
  private readonly fields = new Map<number, { end: number; binding: Binding | null }>();
  /** Object literals that a binding holds for ever, and names of fields that are assigned somewhere. */
  private readonly literals = new Map<Binding, AnyNode>();
  private readonly assignedFields = new Set<string>();
  private readonly places: number[];
  private readonly used: Map<string, number>;
  private readonly members = new Map<Binding, AnyNode[]>();
  private readonly out: MovedText;

  constructor(private readonly code: string) {
    this.bindings = bindingsOf(code);
    const program = this.bindings.program.node;
    this.out = new MovedText(code);
    const call = (statementsOf(program)[0]?.expression ?? program) as AnyNode;
    this.wrapper = call.callee as AnyNode;
    this.used = new Map([...this.bindings.globals].map((name) => [name, 1]));
    for (const { name } of this.bindings.all) this.used.set(name, (this.used.get(name) ?? 0) + 1);
    this.survey(program, program);
    this.places = [...this.bindings.at.keys()].sort((a, b) => a - b);
  }

  run(): MovedText {
    const body = this.wrapper.body as AnyNode;
    this.plan(statementsOf(this.wrapper));
    this.own(this.wrapper);
    this.out.copy(0, body.start + 1);
    this.statements(statementsOf(this.wrapper));
    this.out.copy(body.end - 1, this.code.length);
    return this.out;
  }

  private bindingAt(node: AnyNode | null | undefined): Binding | undefined {
    return node?.type === "Identifier" ? this.bindings.at.get(node.start) : undefined;
  }

  /** Counts declarations and finds what is assigned to. */
  private survey(node: AnyNode, above: AnyNode): void {
    const declare = (id: AnyNode): void => {
      const binding = this.bindingAt(id)!;
      this.declared.set(binding, (this.declared.get(binding) ?? 0) + 1);
    };
    if (node.type === "VariableDeclarator") declare(node.id as AnyNode);
    if (isFunction(node)) {
      (node.params as AnyNode[]).forEach(declare);
      if (node.type === "FunctionDeclaration") {
        declare(node.id as AnyNode);
        this.functions.set(this.bindingAt(node.id as AnyNode)!, node);
      }
    }
    const target =
      node.type === "AssignmentExpression" || node.type === "ForInStatement"
        ? node.left
        : node.type === "UpdateExpression"
          ? node.argument
          : null;
    const to = target as AnyNode | null;
    if (to?.type === "MemberExpression") this.assignedFields.add(nameOf(to.property));
    if (node.type === "Literal" && typeof node.value === "string") this.assignedFields.add(node.value);
    const assigned = this.bindingAt(to);
    if (assigned) this.written.add(assigned);
    const holder = this.bindingAt(node.type === "MemberExpression" ? (node.object as AnyNode) : null);
    if (holder && node.computed === false && !this.keepsField(node, above)) {
      this.members.set(holder, [...(this.members.get(holder) ?? []), node]);
    }
    for (const child of childrenOf(node)) this.survey(child, node);
  }

  /** A field that is called gets its object as `this`; one that is assigned may change. */
  private keepsField(node: AnyNode, above: AnyNode): boolean {
    return (
      (above.type === "CallExpression" && above.callee === node) ||
      (above.type === "AssignmentExpression" && above.left === node) ||
      above.type === "UpdateExpression" ||
      above.type === "UnaryExpression"
    );
  }

  private constant(binding: Binding): boolean {
    return !this.written.has(binding) && this.declared.get(binding) === 1;
  }

  /** The function that an expression calls when that is its only use, and its statements may take the call's place. */
  private onlyCall(value: AnyNode | null): AnyNode | null {
    if (value?.type !== "CallExpression") return null;
    const binding = this.bindingAt(value.callee as AnyNode);
    const fn = binding && this.functions.get(binding);
    if (!fn || binding.places.length !== 2 || !this.constant(binding)) return null;
    const given = (value.arguments as AnyNode[]).length;
    return given <= (fn.params as AnyNode[]).length && movable(fn) ? fn : null;
  }

  /** The fields of an object literal that is handed over, when the function only ever reads them one by one. */
  private literalFields(binding: Binding, value: AnyNode | null): AnyNode[] | null {
    if (value?.type !== "ObjectExpression" || !this.constant(binding)) return null;
    const properties = value.properties as AnyNode[];
    const plain = properties.every(
      (property) => property.kind === "init" && property.computed !== true && nameOf(property.key) !== "",
    );
    const reads = this.members.get(binding) ?? [];
    const uses = binding.places.length - 1;
    return plain && reads.length === uses ? properties : null;
  }

  // ---- which functions are taken

  private plan(statements: AnyNode[]): void {
    for (const unit of statements.flatMap(unitsOf)) if ("value" in unit) this.planValue(unit.value);
  }

  private planValue(value: AnyNode | null): void {
    const fn = this.onlyCall(value);
    if (!value || !fn) return;
    this.taken.add(fn);
    const given = value.arguments as AnyNode[];
    (fn.params as AnyNode[]).forEach((parameter, i) => {
      const argument = given[i] ?? null;
      this.planValue(argument);
      const fields = this.literalFields(this.bindingAt(parameter)!, argument);
      for (const property of fields ?? []) this.planValue(property.value as AnyNode);
    });
    this.plan(statementsOf(fn));
  }

  // ---- names

  private fresh(name: string): string {
    if (!this.used.has(name)) {
      this.used.set(name, 1);
      return name;
    }
    for (let i = 1; ; i++) if (!this.used.has(`${name}_${i}`)) return this.fresh(`${name}_${i}`);
  }

  /**
   * A name of the program's for one of a function's. It tells the function, so that it stays what it is when another
   * function uses the same name.
   */
  private lifted({ name, scope }: Binding): string {
    const owner = nameOf(scope.node.id);
    return owner ? this.fresh(`${owner}_${name}`) : this.used.get(name) === 1 ? name : this.fresh(name);
  }

  /** Makes a function's names, or the program's, unique ones of the program. */
  private own(fn: AnyNode): void {
    for (const binding of this.bindings.all) {
      // The name of a function expression, whose scope has the same node, is not used anywhere else than inside.
      if (binding.scope.node.start !== fn.start) continue;
      this.names.set(binding, this.lifted(binding));
    }
    for (const statement of statementsOf(fn)) {
      const binding = statement.type === "FunctionDeclaration" ? this.bindingAt(statement.id as AnyNode) : undefined;
      if (binding && this.constant(binding)) this.settled.add(binding);
    }
  }

  private resolve(binding: Binding): Binding {
    for (let at = binding; ;) {
      const next = this.aliases.get(at);
      if (!next) return at;
      at = next;
    }
  }

  // ---- the new text

  /** Appends a piece of the original under the new names. */
  private copy({ start, end }: { start: number; end: number }): void {
    let at = start;
    for (let i = lowerBound(this.places, start); i < this.places.length && this.places[i]! < end; i++) {
      const place = this.places[i]!;
      if (place < at) continue;
      const binding = this.bindings.at.get(place)!;
      const field = this.fields.get(place);
      const name = field
        ? field.binding && this.names.get(this.resolve(field.binding))
        : this.names.get(this.resolve(binding));
      if (!field && (name === undefined || name === binding.name)) continue;
      this.out.copy(at, place);
      this.out.add(name ?? "void 0");
      at = field ? field.end : place + binding.name.length;
    }
    this.out.copy(at, end);
  }

  private statements(list: AnyNode[]): AnyNode | null {
    let result: AnyNode | null = null;
    for (const unit of list.flatMap(unitsOf)) {
      if (unit.kind === "return") result = this.reduced(unit.value);
      else this.unit(unit);
    }
    return result;
  }

  private unit(unit: Exclude<Unit, { kind: "return" }>): void {
    if (unit.kind === "function") {
      if (!this.taken.has(unit.node)) this.line("", unit.node, "\n");
      return;
    }
    if (unit.kind === "other") {
      this.line("", unit.node, "\n");
      return;
    }
    const value = this.reduced(unit.value);
    if (unit.kind === "evaluate") {
      if (value && !IDLE.has(value.type)) this.line("", value, ";\n");
    } else if (unit.kind === "assign") {
      this.copy(unit.target);
      this.line(" = ", value, ";\n");
    } else this.declare(this.bindingAt(unit.id)!, unit.keyword, value, unit.value !== null);
  }

  private declare(binding: Binding, keyword: string, value: AnyNode | null, initialised: boolean): void {
    if (this.alias(binding, value)) return;
    this.out.add(`${keyword} ${this.names.get(binding)!}`);
    if (initialised) this.line(" = ", value, ";\n");
    else this.out.add(";\n");
    if (!this.constant(binding)) return;
    this.settled.add(binding);
    if (value?.type === "ObjectExpression") this.literals.set(binding, value);
  }

  private line(before: string, value: AnyNode | null, after: string): void {
    this.out.add(before);
    // Parentheses belong to no node.
    if (value && ["SequenceExpression", "ObjectExpression"].includes(value.type)) {
      this.out.add("(");
      this.copy(value);
      this.out.add(")");
    } else if (value) this.copy(value);
    else this.out.add("void 0");
    this.out.add(after);
  }

  /** Puts the statements of a function that is taken in front, and gives what it returns; other values stay. */
  private reduced(value: AnyNode | null): AnyNode | null {
    const fn = value && this.onlyCall(value);
    if (!fn || !this.taken.has(fn)) return value;
    this.own(fn);
    const given = value.arguments as AnyNode[];
    (fn.params as AnyNode[]).forEach((parameter, i) => this.hand(this.bindingAt(parameter)!, given[i] ?? null));
    return this.statements(statementsOf(fn));
  }

  private hand(binding: Binding, argument: AnyNode | null): void {
    const fields = this.literalFields(binding, argument);
    if (!fields) {
      this.handOne({ binding, value: argument });
      return;
    }
    const found = new Map<string, Binding>();
    for (const property of fields) {
      const key = nameOf(property.key);
      const name = this.lifted({ ...binding, name: `${binding.name}_${key}` });
      const own: Binding = { name, scope: binding.scope, places: [] };
      this.names.set(own, name);
      this.declared.set(own, 1);
      found.set(key, own);
      this.handOne({ binding: own, value: property.value as AnyNode });
    }
    for (const member of this.members.get(binding) ?? []) {
      this.fields.set(member.start, { end: member.end, binding: found.get(nameOf(member.property)) ?? null });
    }
  }

  private handOne({ binding, value }: Handed): void {
    const reduced = this.reduced(value);
    const keyword = (reduced === null || isLiteral(reduced)) && this.constant(binding) ? "const" : "var";
    this.declare(binding, keyword, reduced, true);
  }

  /** The binding whose value a field holds for ever, if it is one. */
  private field(member: AnyNode): Binding | null | undefined {
    const handed = this.fields.get(member.start);
    if (handed) return handed.end === member.end ? handed.binding : null;
    const holder = this.bindingAt(member.object as AnyNode);
    const name = nameOf(member.property);
    const literal = holder && this.literals.get(this.resolve(holder));
    if (!literal || member.computed === true || this.assignedFields.has(name)) return null;
    const found = (literal.properties as AnyNode[]).filter(
      (property) => property.kind === "init" && nameOf(property.key) === name,
    );
    return found.length === 1 ? this.bindingAt(found[0]!.value as AnyNode) : null;
  }

  /** Lets a name that will never mean anything else stand for the one that it gets its value from. */
  private alias(binding: Binding, value: AnyNode | null): boolean {
    const source = value?.type === "MemberExpression" ? this.field(value) : this.bindingAt(value);
    const target = source && this.resolve(source);
    if (!target || !this.constant(binding) || !this.constant(target) || !this.settled.has(target)) return false;
    this.aliases.set(binding, target);
    return true;
  }
}

/** Index of the first element that is at least `value`. */
function lowerBound(list: readonly number[], value: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A linked script, `(function(){...})();`, in which functions that are called once at the start have become statements. */
export function inlineSingleUse(script: string): MovedText {
  return new Inliner(script).run();
}
