/**
 * Rewrites a program so that it counts what it would cost an Espruino: at the head of every basic block it adds the
 * block's instructions, computed here from its syntax, to a counter, and loops and functions check the counter against
 * a limit. Costs that depend on lengths are charged by the native functions (natives.ts) and by the helpers for `+`.
 */
import { parse } from "acorn";
import type {
  AnyNode,
  CallExpression,
  Expression,
  ForInStatement,
  ForOfStatement,
  ForStatement,
  Function as FunctionNode,
  Identifier,
  IfStatement,
  NewExpression,
  Program,
  Statement,
  SwitchStatement,
  TryStatement,
} from "acorn";
import { COST, NATIVE_NAMES } from "./cost-table";
import { Edits } from "./edits";
import { Scope, children, isFunction, scopeOf } from "./scopes";
import { refusal } from "./syntax";

/** Names of the counter and its helpers inside a chip's context. */
export const COUNTER = "__cost";
export const HALT = "__halt";
export const PLUS = "__plus";
export const APPEND = "__append";
export const AT = "__at";
/** `eval` at the top level, and what makes a text ready for an `eval` inside a function. */
export const RUN = "__run";
export const CODE = "__code";

export interface Instrumented {
  /** Script text. When `wrapped`, its value is a function of the globals named in `globals`. */
  text: string;
  wrapped: boolean;
  globals: string[];
}

/** Thrown for source that Espruino's parser refuses. */
export class EngineSyntaxError extends Error {}

/**
 * `known` names the globals that a program may be handed as parameters, which V8 reaches much faster than the
 * properties of a vm context; a program that declares nothing at its top level is wrapped in a function for that.
 */
export function instrument(source: string, known: ReadonlySet<string>): Instrumented {
  let program: Program;
  try {
    program = parse(source, { ecmaVersion: 2020, sourceType: "script", allowReturnOutsideFunction: false });
  } catch (error) {
    throw new EngineSyntaxError((error as Error).message);
  }
  const refused = refusal(program);
  if (refused) throw new EngineSyntaxError(refused);
  return new Instrumenter(source, known).run(program);
}

class Instrumenter {
  private readonly edits = new Edits();
  private readonly free = new Set<string>();
  private readonly assigned = new Set<string>();
  private scope = new Scope(null);
  /** Where the innermost function ends, and what `break` and `continue` leave. */
  private functionEnd = 0;
  private loopEnd = 0;
  private breakEnd = 0;

  constructor(
    private readonly source: string,
    private readonly known: ReadonlySet<string>,
  ) {}

  run(program: Program): Instrumented {
    this.scope = scopeOf(program, null);
    this.functionEnd = this.source.length;
    const last = program.body[program.body.length - 1];
    const wrapped = this.scope.names.length === 0 && last?.type === "ExpressionStatement";
    if (wrapped) {
      const end = this.source[last.end - 1] === ";" ? last.end - 1 : last.end;
      this.edits.wrap(last.start, end, "return (", ")");
    }
    this.statements(program.body as Statement[], 0);
    const text = this.edits.apply(this.source);
    if (!wrapped) return { text, wrapped, globals: [] };
    const globals = [...this.free].filter((name) => this.known.has(name) && !this.assigned.has(name));
    const parameters = [COUNTER, HALT, PLUS, APPEND, AT, ...globals].join(",");
    return { text: `(function(${parameters}){${text}\n})`, wrapped, globals };
  }

  // ---- statements

  /** Charges a list of statements; each group up to a possible exit gets one increment. `head` belongs to the first. */
  private statements(list: Statement[], head: number): void {
    let cost = head;
    let first: Statement | null = null;
    for (const item of list) {
      if (item.type === "ExpressionStatement" && item.directive) continue;
      first ??= item;
      cost += this.statement(item);
      if (mayExit(item)) {
        this.increment(first.start, cost);
        first = null;
        cost = 0;
      }
    }
    if (first) this.increment(first.start, cost);
  }

  private increment(at: number, cost: number): void {
    if (Math.round(cost) !== 0) this.edits.insert(at, `${COUNTER}[0]+=${Math.round(cost)};`);
  }

  private check(cost: number): string {
    return `if((${COUNTER}[0]+=${Math.round(cost)})>${COUNTER}[1])${HALT}();`;
  }

  /**
   * The body of a branch or loop. Its own cost plus `extra` is charged inside; `checked` adds the limit check.
   */
  private body(node: Statement, extra: number, checked: boolean): void {
    const inner = node.type === "BlockStatement" ? node.body : [node];
    const { loopEnd, breakEnd } = this;
    if (checked) this.loopEnd = this.breakEnd = node.end;
    const block = node.type === "BlockStatement";
    const head = checked ? this.check(extra + COST.block) : "";
    if (block) {
      if (head) this.edits.insert(node.start + 1, head);
      else if (inner.length === 0) this.increment(node.start + 1, extra + COST.block);
    } else this.edits.block(node.start, node.end, `{${head}`, "}");
    this.statements(inner, checked ? 0 : extra + COST.block);
    this.loopEnd = loopEnd;
    this.breakEnd = breakEnd;
  }

  /** The unconditional cost of a statement; conditional parts charge themselves. */
  private statement(node: Statement): number {
    const own = COST.statement;
    switch (node.type) {
      case "ExpressionStatement":
        return own + this.expression(node.expression);
      case "VariableDeclaration": {
        let cost = own;
        for (const item of node.declarations)
          cost += COST.declare + (item.init ? this.expression(item.init) + COST.assign : 0) + this.lexed(item.id);
        return cost;
      }
      case "FunctionDeclaration":
        return own + COST.declare + this.functionNode(node);
      case "ReturnStatement":
        return (
          own + COST.returns + this.left(node, this.functionEnd) + (node.argument ? this.expression(node.argument) : 0)
        );
      case "BreakStatement":
        return own + this.left(node, this.breakEnd);
      case "ContinueStatement":
        return own + this.left(node, this.loopEnd);
      case "IfStatement":
        return own + this.ifStatement(node);
      case "ForStatement":
        return own + this.forStatement(node);
      case "ForInStatement":
      case "ForOfStatement":
        return own + this.forEach(node);
      case "WhileStatement": {
        const test = this.expression(node.test);
        this.body(node.body, test, true);
        return own + COST.loop + test;
      }
      case "DoWhileStatement":
        this.body(node.body, this.expression(node.test), true);
        return own + COST.loop;
      case "BlockStatement":
        this.statements(node.body, 0);
        return own + COST.block;
      case "SwitchStatement":
        return own + this.switchStatement(node);
      case "TryStatement":
        return own + this.tryStatement(node);
      case "ThrowStatement":
        return own + COST.throws + this.expression(node.argument);
      case "ClassDeclaration":
        return own + this.expression(node as unknown as Expression);
      default:
        return own;
    }
  }

  private ifStatement(node: IfStatement): number {
    let cost = this.expression(node.test) + this.skipped(node.consequent);
    this.body(node.consequent, -this.skipped(node.consequent), false);
    if (node.alternate) {
      cost += this.skipped(node.alternate);
      this.body(node.alternate, -this.skipped(node.alternate), false);
    }
    return cost;
  }

  private forStatement(node: ForStatement): number {
    let cost = COST.loop;
    if (node.init)
      cost += node.init.type === "VariableDeclaration" ? this.statement(node.init) : this.expression(node.init);
    const test = node.test ? this.expression(node.test) : 0;
    const update = node.update ? this.expression(node.update) : 0;
    this.body(node.body, test + update, true);
    return cost + test + (node.update ? this.skipped(node.update) : 0);
  }

  private forEach(node: ForInStatement | ForOfStatement): number {
    const target = node.left.type === "VariableDeclaration" ? COST.declare : COST.lookup;
    this.body(node.body, target + COST.assign, true);
    if (node.left.type !== "VariableDeclaration") this.expression(node.left as Expression);
    return COST.loop + this.expression(node.right);
  }

  private switchStatement(node: SwitchStatement): number {
    let cost = this.expression(node.discriminant) + COST.loop;
    const { breakEnd } = this;
    // What follows in the switch is charged as skipped already.
    this.breakEnd = 0;
    for (const item of node.cases) {
      if (item.test) cost += this.expression(item.test) + COST.binary;
      const inner = item.consequent;
      if (!inner.length) continue;
      const skip = (item.end - inner[0]!.start) * COST.skipCharacter;
      this.statements(inner, -skip);
      cost += skip;
    }
    this.breakEnd = breakEnd;
    return cost;
  }

  private tryStatement(node: TryStatement): number {
    this.statements(node.block.body, COST.block);
    let cost = 0;
    if (node.handler) {
      const { body, param } = node.handler;
      const skip = this.skipped(body);
      const name = param && param.type === "Identifier" ? param.name : "__stop";
      if (!param) this.edits.insert(body.start, `(${name})`);
      // A halt is no exception of the program: it passes through.
      this.edits.insert(body.start + 1, `if(${COUNTER}[1]<0)throw ${name};`);
      this.statements(body.body, COST.block - skip);
      cost += skip;
    }
    if (node.finalizer) {
      this.edits.block(node.finalizer.start + 1, node.finalizer.end - 1, `if(${COUNTER}[1]>=0){`, "}");
      this.statements(node.finalizer.body, COST.block);
    }
    return cost;
  }

  // ---- functions

  /** Cost of creating the function; its body charges itself when it runs. */
  private functionNode(node: FunctionNode): number {
    const outer = this.scope;
    const { functionEnd } = this;
    this.scope = scopeOf(node, outer);
    this.functionEnd = node.end;
    const entry = COST.functionEntry + node.params.length * COST.parameter;
    if (node.body.type === "BlockStatement") {
      const directive = node.body.body.find((item) => !(item.type === "ExpressionStatement" && item.directive));
      this.edits.insert(directive ? directive.start : node.body.end - 1, this.check(entry));
      this.statements(node.body.body, 0);
    } else {
      const open = this.edits.wrap(node.body.start, node.body.end, "", ")");
      const cost = Math.round(entry + this.expression(node.body));
      open.text = `((${COUNTER}[0]+=${cost})>${COUNTER}[1]?${HALT}():0,`;
    }
    this.scope = outer;
    this.functionEnd = functionEnd;
    return COST.functionExpression + this.skipped(node as unknown as AnyNode);
  }

  // ---- expressions

  /** The unconditional cost of an expression, lexing included. */
  private expression(node: Expression | AnyNode): number {
    switch (node.type) {
      case "Identifier":
        return COST.primary + this.lexed(node) + this.lookup(node.name);
      case "Literal":
        return COST.primary + this.lexed(node) + this.literal(node.value);
      case "ThisExpression":
        return COST.primary + this.lexed(node) + COST.lookup;
      case "BinaryExpression": {
        if (node.operator === "+" && !isNumeric(node.left as Expression) && !isNumeric(node.right)) this.plus(node);
        return COST.binary + this.expression(node.left as Expression) + this.expression(node.right);
      }
      case "LogicalExpression":
        return COST.binary + this.expression(node.left) + this.maybe(node.right);
      case "ConditionalExpression":
        return COST.conditional + this.expression(node.test) + this.maybe(node.consequent) + this.maybe(node.alternate);
      case "UnaryExpression":
        return COST.unary + this.expression(node.argument);
      case "UpdateExpression":
        this.assign(node.argument);
        return COST.update + this.expression(node.argument);
      case "AssignmentExpression": {
        this.assign(node.left);
        if (node.operator === "+=" && !isNumeric(node.right))
          this.edits.wrap(node.right.start, node.right.end, `${APPEND}(`, ")");
        const cost = COST.assign + this.expression(node.left as Expression) + this.expression(node.right);
        return cost + (node.operator === "=" ? 0 : COST.binary);
      }
      case "MemberExpression":
        return this.member(node.object, node.property, node.computed, false);
      case "CallExpression":
      case "NewExpression":
        return this.call(node);
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        return COST.primary + this.functionNode(node);
      case "ArrayExpression": {
        let cost = COST.primary + COST.array;
        for (const item of node.elements) if (item) cost += COST.element + this.expression(item);
        return cost;
      }
      case "ObjectExpression": {
        let cost = COST.primary + COST.object;
        for (const item of node.properties)
          if (item.type === "Property") cost += COST.property + this.lexed(item.key) + this.expression(item.value);
        return cost;
      }
      case "SequenceExpression":
        return node.expressions.reduce((sum, item) => sum + this.expression(item), 0);
      case "ParenthesizedExpression":
        return this.expression(node.expression);
      default: {
        let cost = COST.primary;
        for (const child of children(node as AnyNode))
          cost += isFunction(child) ? this.functionNode(child) : this.expression(child);
        return cost;
      }
    }
  }

  /** An operand that is evaluated or skipped: charges the difference inside. */
  private maybe(node: Expression): number {
    const skip = this.skipped(node);
    const open = this.edits.wrap(node.start, node.end, "", ")");
    open.text = `(${COUNTER}[0]+=${Math.round(this.expression(node) - skip)},`;
    return skip;
  }

  private member(object: AnyNode, property: AnyNode, computed: boolean, called: boolean): number {
    const base = this.expression(object as Expression);
    // Arrays and objects are linear lists: what an index costs depends on what is in them.
    if (computed && object.type === "Identifier" && property.type !== "Literal")
      this.edits.wrap(property.start, property.end, `${AT}(${object.name},`, ")");
    if (computed) return base + COST.index + this.expression(property as Expression);
    const name = (property as Identifier).name;
    const native = NATIVE_NAMES.has(name) && (called || name === "length");
    return base + this.lexed(property) + (native ? COST.nativeMember : COST.member);
  }

  private call(node: CallExpression | NewExpression): number {
    const callee = node.callee as AnyNode;
    if (callee.type === "Identifier" && callee.name === "eval") return this.evaluation(node);
    let cost = node.type === "NewExpression" ? COST.newCall : COST.call;
    if (callee.type === "MemberExpression") {
      cost += this.member(callee.object, callee.property, callee.computed, true);
    } else cost += this.expression(callee as Expression);
    for (const argument of node.arguments) cost += COST.argument + this.expression(argument as Expression);
    return cost;
  }

  /** Inside a function `eval` sees the function's names, so there it has to stay the real one. */
  private evaluation(node: CallExpression | NewExpression): number {
    const argument = node.arguments[0] as Expression | undefined;
    if (this.scope.parent === null) this.edits.replace(node.callee.start, 4, RUN);
    else if (argument) this.edits.wrap(argument.start, argument.end, `${CODE}(`, ")");
    return COST.call + this.lookup("eval") + (argument ? COST.argument + this.expression(argument) : 0);
  }

  private plus(node: { start: number; end: number; left: AnyNode; right: AnyNode }): void {
    let at = node.left.end;
    for (;;) {
      const c = this.source[at];
      if (c === "+") break;
      if (c === "/" && this.source[at + 1] === "/") at = this.source.indexOf("\n", at);
      else if (c === "/" && this.source[at + 1] === "*") at = this.source.indexOf("*/", at) + 2;
      else at++;
    }
    this.edits.wrap(node.start, node.end, ` ${PLUS}(`, ")");
    this.edits.replace(at, 1, ",");
  }

  private lookup(name: string): number {
    let cost: number = COST.lookup;
    for (let scope: Scope | null = this.scope; scope; scope = scope.parent) {
      const at = scope.position(name);
      if (at >= 0) return cost + at * COST.lookupName;
      cost += scope.names.length * COST.lookupName + COST.lookupLevel;
    }
    this.free.add(name);
    return cost + COST.lookupBuiltin;
  }

  private assign(target: AnyNode): void {
    if (target.type === "Identifier") this.assigned.add(target.name);
  }

  private literal(value: unknown): number {
    return typeof value === "string" ? COST.string : COST.number;
  }

  /** Lexing one token. */
  private lexed(node: { start: number; end: number }): number {
    return (node.end - node.start) * COST.character;
  }

  /** Passing code that is not executed: blocks and functions by counting braces, everything else by parsing it. */
  private skipped(node: { type: string; start: number; end: number }): number {
    const counted = node.type === "BlockStatement" || isFunction(node as AnyNode);
    return (node.end - node.start) * (counted ? COST.skipBlockCharacter : COST.skipCharacter);
  }

  /** Leaving a block early: the interpreter reads on to the end of what is left. */
  private left(node: Statement, end: number): number {
    return Math.max(0, end - node.end) * COST.skipBlockCharacter;
  }
}

const LEAVES = new Set(["ReturnStatement", "BreakStatement", "ContinueStatement", "ThrowStatement"]);
const exits = new WeakMap<AnyNode, boolean>();

/** Whether a statement can leave its list: what follows is then charged on its own. */
function mayExit(node: AnyNode): boolean {
  if (isFunction(node)) return false;
  let known = exits.get(node);
  if (known === undefined) exits.set(node, (known = LEAVES.has(node.type) || children(node).some(mayExit)));
  return known;
}

/** Whether an expression surely is a number, so that `+` cannot be string concatenation. */
function isNumeric(node: AnyNode): boolean {
  switch (node.type) {
    case "Literal":
      return typeof node.value === "number";
    case "UnaryExpression":
      return ["-", "+", "~"].includes(node.operator);
    case "UpdateExpression":
      return true;
    case "BinaryExpression":
      if (node.operator === "+") return isNumeric(node.left as AnyNode) && isNumeric(node.right);
      return ["-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>"].includes(node.operator);
    case "MemberExpression":
      return !node.computed && (node.property as Identifier).name === "length";
    case "CallExpression": {
      const callee = node.callee;
      return (
        callee.type === "MemberExpression" && !callee.computed && (callee.property as Identifier).name === "charCodeAt"
      );
    }
    default:
      return false;
  }
}
