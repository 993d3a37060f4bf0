import { parse } from "acorn";
import { checkRegex } from "./regex-check";
import {
  BUILT_IN_CLASSES,
  ENGINE_GLOBALS,
  explain,
  MISSING_GLOBALS,
  MISSING_MEMBERS,
  RESERVED_NAMES,
  type RuleCode,
} from "./rules";
import { type AnyNode, analyse, childrenOf, isNode, nameOf, type Scope } from "./scopes";

/** A finding in a finished script. */
export interface SubsetFinding {
  code: RuleCode;
  message: string;
  /** Character of the script, from 0. */
  offset: number;
}

function entry<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.prototype.hasOwnProperty.call(table, key) ? table[key] : undefined;
}

function keyOf(member: AnyNode): string {
  const property = member.property as AnyNode;
  return member.computed === true ? String(property.value ?? "") : nameOf(property);
}

/** Identifiers that stand for variables rather than for keys. */
function isVariable(node: AnyNode, parent: AnyNode): boolean {
  if (parent.type === "MemberExpression") return parent.object === node || parent.computed === true;
  if (parent.type === "Property") return parent.value === node;
  return true;
}

function checkNode(
  node: AnyNode,
  parent: AnyNode,
  refuse: (at: number, code: RuleCode, what: string, instead?: string) => void,
): void {
  if (node.type === "LabeledStatement") refuse(node.start, "label", nameOf(node.label));
  if (node.type === "SwitchStatement") {
    const cases = node.cases as AnyNode[];
    const last = cases.findIndex((one) => one.test === null);
    if (last >= 0 && last < cases.length - 1) refuse(cases[last]!.start, "default-not-last", "default");
  }
  if (node.type === "Identifier" && isVariable(node, parent) && RESERVED_NAMES.has(nameOf(node)))
    refuse(node.start, "reserved-name", nameOf(node));
  if (node.type === "Literal" && isNode(node.regex) === false && node.regex !== undefined)
    for (const found of checkRegex(String(node.raw))) refuse(node.start + found.offset, found.code, String(node.raw));
  if (node.type === "Literal" && typeof node.value === "string" && /[^\0-\xff]/.test(node.value))
    refuse(node.start, "wide-character", String(node.raw).slice(0, 40));
  if (node.type === "AssignmentExpression" || node.type === "UpdateExpression") {
    const target = (node.left ?? node.argument) as AnyNode;
    if (target.type === "MemberExpression" && keyOf(target) === "length")
      refuse(target.start, "array-length", ".length");
  }
}

/** Members of built-ins: `free` holds the names that the script does not define. */
function checkBuiltIns(
  node: AnyNode,
  free: ReadonlySet<string>,
  refuse: (at: number, code: RuleCode, what: string, instead?: string) => void,
): void {
  if (node.type !== "MemberExpression") return;
  const object = nameOf(node.object);
  if (!free.has(object)) return;
  const key = keyOf(node);
  const instead = entry(entry(MISSING_MEMBERS, object) ?? {}, key);
  if (instead !== undefined) refuse(node.start, "missing-member", `${object}.${key}`, instead);
  if (key === "prototype" && BUILT_IN_CLASSES.has(object))
    refuse(node.start, "prototype-access", `${object}.prototype`);
}

/** The function that wraps the whole script, where there is one: `(function(){ ... })()`. */
function bundleScope(root: Scope): Scope {
  const only = root.children.length === 1 ? root.children[0] : undefined;
  return only !== undefined && root.variables.size === 0 && root.references.length === 0 ? only : root;
}

/**
 * What a finished ES5 script holds that the engine refuses or does otherwise. The sources were checked before; this looks
 * at what the tools made of them.
 */
export function checkSubset(script: string): SubsetFinding[] {
  const findings: SubsetFinding[] = [];
  const refuse = (offset: number, code: RuleCode, what: string, instead?: string): void => {
    findings.push({ code, message: explain(code, what, instead), offset });
  };
  let program: AnyNode;
  try {
    program = parse(script, { ecmaVersion: 5, allowReserved: true }) as unknown as AnyNode;
  } catch (error) {
    const { message, pos } = error as SyntaxError & { pos?: number };
    return [{ code: "syntax", message: explain("syntax", `ES5: ${message}`), offset: pos ?? 0 }];
  }
  const wide = script.search(/[^\0-\x7f]/);
  if (wide >= 0) refuse(wide, "wide-character", "outside ASCII");
  const root = analyse(program);
  const visit = (node: AnyNode, parent: AnyNode): void => {
    checkNode(node, parent, refuse);
    checkBuiltIns(node, root.free, refuse);
    for (const child of childrenOf(node)) visit(child, node);
  };
  visit(program, program);
  checkFree(root, new Set(), refuse);
  const scope = bundleScope(root);
  const assigned = new Set<string>();
  for (const reference of scope.references) {
    const { name, start } = reference;
    const declaration = scope.variables.get(name);
    if (reference.assigned) assigned.add(name);
    // Inside loops and branches the tools reuse names; at the script's own level each has one definition.
    else if (declaration?.conditional === null && start < declaration.start && !assigned.has(name))
      refuse(start, "use-before-definition", name);
  }
  return findings.sort((a, b) => a.offset - b.offset);
}

/** Names that neither the script nor the engine defines, at each place where they stand. */
function checkFree(
  scope: Scope,
  outer: ReadonlySet<string>,
  refuse: (at: number, code: RuleCode, what: string, instead?: string) => void,
): void {
  const known = new Set([...outer, ...scope.parameters, ...scope.variables.keys(), ...scope.functions.keys()]);
  known.add(nameOf(scope.node.id));
  for (const { name, start } of scope.references) {
    if (known.has(name) || ENGINE_GLOBALS.has(name) || RESERVED_NAMES.has(name)) continue;
    const instead = entry(MISSING_GLOBALS, name);
    if (instead !== undefined) refuse(start, "missing-global", name, instead);
    else refuse(start, "unknown-global", name);
  }
  for (const child of scope.children) checkFree(child, known, refuse);
}
