/** A JavaScript context with Espruino's globals and nothing else, and the way programs get into it. */
import vm from "node:vm";
import { GLOBALS } from "./builtins";
import { APPEND, AT, CODE, COUNTER, EngineSyntaxError, HALT, PLUS, RUN, instrument } from "./instrument";
import { PRELUDE, RealmHelpers } from "./prelude";

interface Compiled {
  script: vm.Script;
  wrapped: boolean;
  globals: string[];
}

/** Globals that a wrapped program gets as parameters; a program that assigns one keeps the real global. */
const KNOWN = new Set([
  ...GLOBALS.filter((name) => name !== "globalThis"),
  ..."E process console print getTime setTime setTimeout setInterval clearTimeout clearInterval changeInterval".split(
    " ",
  ),
  ..."require btoa atob digitalWrite digitalRead analogRead pinMode load reset".split(" "),
]);

/** Programs compiled so far, shared by all chips. */
const compiled = new Map<string, Compiled>();
const MAX_COMPILED = 2000;

/** Texts that were evaluated inside functions, instrumented. */
const inner = new Map<string, string>();
/** Instructions a character for handing a text to the parser; reading it is in the cost of its statements. */
const READ_COST = 2;

const prelude = new vm.Script(PRELUDE, { filename: "prelude" });

export class Realm {
  readonly helpers: RealmHelpers;
  /** The context's own global object: the sandbox lacks the built-ins. */
  private readonly global: Record<string, unknown>;
  private readonly sandbox: vm.Context = vm.createContext({}, { codeGeneration: { strings: true, wasm: false } });

  constructor(
    private readonly cost: Float64Array,
    private readonly halt: () => never,
  ) {
    const start = prelude.runInContext(this.sandbox) as (cost: Float64Array) => RealmHelpers;
    this.helpers = start(cost);
    this.global = vm.runInContext("globalThis", this.sandbox) as Record<string, unknown>;
    const { plus, append, at } = this.helpers;
    this.sandbox.__seed = [cost, halt, plus, append, at, (text: unknown) => this.code(text)];
    const names = [COUNTER, HALT, PLUS, APPEND, AT, CODE].map((name, index) => `${name}=__seed[${index}]`);
    vm.runInContext(`const ${names.join(",")};`, this.sandbox);
    delete this.sandbox.__seed;
  }

  /** Puts globals in; not enumerable, as built-ins are. */
  define(values: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(values))
      Object.defineProperty(this.sandbox, name, { value, configurable: true, writable: true, enumerable: false });
  }

  get(name: string): unknown {
    return this.global[name];
  }

  /** Takes the place of `eval` at the top level of programs. */
  defineRun(run: (source: unknown) => unknown): void {
    this.define({ [RUN]: run });
  }

  /** The text that an `eval` inside a function evaluates in place of `source`. */
  private code(source: unknown): unknown {
    if (typeof source !== "string") return source;
    this.cost[0]! += source.length * READ_COST;
    const known = inner.get(source);
    if (known !== undefined) return known;
    try {
      const text = innerText(source);
      if (inner.size >= MAX_COMPILED) inner.clear();
      inner.set(source, text);
      return text;
    } catch (error) {
      if (error instanceof EngineSyntaxError) throw this.helpers.syntaxError(error.message);
      throw error;
    }
  }

  /** Runs source as the interpreter's eval does in the global scope; gives the value of the last statement. */
  evaluate(source: string): unknown {
    let program: Compiled;
    try {
      program = compile(source);
    } catch (error) {
      if (error instanceof EngineSyntaxError || error instanceof SyntaxError)
        throw this.helpers.syntaxError(error.message);
      throw error;
    }
    if (!program.wrapped) return program.script.runInContext(this.sandbox) as unknown;
    const run = program.script.runInContext(this.sandbox) as (...args: unknown[]) => unknown;
    const values = program.globals.map((name) => this.global[name]);
    const { plus, append, at } = this.helpers;
    return Reflect.apply(run, this.global, [this.cost, this.halt, plus, append, at, ...values]);
  }
}

/**
 * A program that declares nothing gets the counter and the globals as parameters here, too: from inside an eval V8 would
 * look each of them up by name. What the surrounding function declares keeps its meaning, for the call stands there.
 */
function innerText(source: string): string {
  const { text, wrapped, globals } = instrument(source, KNOWN);
  if (!wrapped) return text;
  return `${text}.call(this,${[COUNTER, HALT, PLUS, APPEND, AT, ...globals].join(",")})`;
}

function compile(source: string): Compiled {
  const known = compiled.get(source);
  if (known) return known;
  const { text, wrapped, globals } = instrument(source, KNOWN);
  const program = { script: new vm.Script(text, { filename: "chip" }), wrapped, globals };
  if (compiled.size >= MAX_COMPILED) compiled.clear();
  compiled.set(source, program);
  return program;
}
