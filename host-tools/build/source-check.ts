import * as ts from "typescript";
import type { Finding } from "./findings";
import { checkRegex } from "./regex-check";
import {
  BUILT_IN_CLASSES,
  explain,
  MISSING_GLOBALS,
  MISSING_MEMBERS,
  MISSING_METHODS,
  RESERVED_NAMES,
  type RuleCode,
} from "./rules";
import { usesBeforeDefinition } from "./source-order";

/** Own entry of a table that plain names index; "constructor" is not one. */
function entry<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.prototype.hasOwnProperty.call(table, key) ? table[key] : undefined;
}

/** Names that a file declares or imports anywhere, members of its classes and objects included. */
function declaredNames(file: ts.SourceFile): { values: Set<string>; members: Set<string> } {
  const values = new Set<string>();
  const members = new Set<string>();
  const visit = (node: ts.Node): void => {
    const { name } = node as { name?: ts.Node };
    if (name !== undefined && ts.isIdentifier(name)) {
      const isMember = ts.isClassElement(node) || ts.isTypeElement(node) || ts.isObjectLiteralElement(node);
      if (isMember) members.add(name.text);
      else if (!ts.isPropertyAccessExpression(node)) values.add(name.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { values, members };
}

/** A name in the place of a value, neither a member nor a key. */
function isValueReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return false;
  if (ts.isPropertyAssignment(parent) || ts.isBindingElement(parent))
    return parent.name !== node || ts.isBindingElement(parent);
  return !ts.isClassElement(parent) && !ts.isTypeElement(parent) && !ts.isEnumMember(parent);
}

/** Names that a declaration gives to something in this scope. */
function isBinding(node: ts.Identifier): boolean {
  const { parent } = node;
  const { name } = parent as { name?: ts.Node };
  if (name !== node) return false;
  return (
    ts.isVariableDeclaration(parent) ||
    ts.isParameter(parent) ||
    ts.isBindingElement(parent) ||
    ts.isFunctionDeclaration(parent) ||
    ts.isFunctionExpression(parent) ||
    ts.isClassDeclaration(parent) ||
    ts.isImportSpecifier(parent) ||
    ts.isImportClause(parent)
  );
}

/**
 * What a TypeScript source holds that Espruino refuses or does otherwise than Node, types aside.
 * @param file Path as it shall stand in the findings.
 */
export function checkSource(source: string, file: string): Finding[] {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.ES2022, true);
  const findings: Finding[] = [];
  const { values, members } = declaredNames(tree);

  function refuseAt(position: number, code: RuleCode, message: string): void {
    const { line, character } = tree.getLineAndCharacterOfPosition(position);
    findings.push({ code, message, file, line: line + 1, column: character + 1 });
  }
  function refuse(node: ts.Node, code: RuleCode, what?: string, instead?: string): void {
    const text = what ?? node.getText(tree).split("\n")[0]!.slice(0, 40);
    refuseAt(node.getStart(tree), code, explain(code, text, instead));
  }

  function checkIdentifier(node: ts.Identifier): void {
    if (RESERVED_NAMES.has(node.text) && (isBinding(node) || isValueReference(node))) {
      refuse(node, "reserved-name");
    } else if (!values.has(node.text) && isValueReference(node)) {
      const instead = entry(MISSING_GLOBALS, node.text);
      if (instead !== undefined) refuse(node, "missing-global", node.text, instead);
    }
  }

  function checkMember(node: ts.PropertyAccessExpression): void {
    const { expression, name } = node;
    if (ts.isIdentifier(expression) && !values.has(expression.text)) {
      const instead = entry(entry(MISSING_MEMBERS, expression.text) ?? {}, name.text);
      const what = `${expression.text}.${name.text}`;
      if (instead !== undefined) return refuse(name, "missing-member", what, instead);
      if (name.text === "prototype" && BUILT_IN_CLASSES.has(expression.text)) return refuse(node, "prototype-access");
    }
    const instead = members.has(name.text) ? undefined : entry(MISSING_METHODS, name.text);
    if (instead !== undefined && ts.isCallExpression(node.parent) && node.parent.expression === node) {
      refuse(name, "missing-method", `.${name.text}()`, instead);
    }
    const { parent } = node;
    if (name.text === "length" && ts.isBinaryExpression(parent) && parent.left === node) {
      const operator = parent.operatorToken.kind;
      if (operator >= ts.SyntaxKind.FirstAssignment && operator <= ts.SyntaxKind.LastAssignment)
        refuse(node, "array-length");
    }
  }

  function checkCall(node: ts.CallExpression): void {
    const { expression } = node;
    if (expression.kind === ts.SyntaxKind.ImportKeyword) return refuse(node, "dynamic-import");
    if (!ts.isPropertyAccessExpression(expression)) return;
    const called = expression.name.text;
    const [first, second] = node.arguments;
    if (called === "replace" && second && ts.isStringLiteralLike(second) && /\$[^1-9]/.test(second.text))
      refuse(second, "replacement-pattern");
    if (called === "split" && second !== undefined) refuse(second, "split-limit");
    if (called === "split" && first !== undefined && ts.isRegularExpressionLiteral(first) && /[^\\]\(/.test(first.text))
      refuse(first, "regex-group");
    if (expression.expression.getText(tree) === "JSON" && second !== undefined) {
      if (called === "parse" || second.kind !== ts.SyntaxKind.NullKeyword) refuse(second, "json-callback");
    }
  }

  function checkFunction(node: ts.SignatureDeclaration): void {
    if (ts.getModifiers(node as ts.FunctionDeclaration)?.some((one) => one.kind === ts.SyntaxKind.AsyncKeyword))
      refuse(node, "async");
    if ((node as ts.FunctionDeclaration).asteriskToken !== undefined) refuse(node, "generator");
    const home = node.parent;
    if (ts.isFunctionDeclaration(node) && !ts.isSourceFile(home) && !ts.isModuleBlock(home)) {
      if (!(ts.isBlock(home) && ts.isFunctionLike(home.parent))) refuse(node, "block-function");
    }
  }

  function checkText(node: ts.Node, text: string): void {
    const wide = [...text].find((char) => char.codePointAt(0)! > 255);
    if (wide !== undefined) refuse(node, "wide-character", JSON.stringify(wide));
  }

  function visit(node: ts.Node): void {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    if (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some((one) => one.kind === ts.SyntaxKind.DeclareKeyword))
      return;
    if (ts.isFunctionLike(node)) checkFunction(node);
    if (ts.isIdentifier(node)) checkIdentifier(node);
    else if (ts.isPropertyAccessExpression(node)) checkMember(node);
    else if (ts.isCallExpression(node)) checkCall(node);
    else if (ts.isLabeledStatement(node)) refuse(node, "label", node.label.text);
    else if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier)) refuse(node, "async");
    else if (ts.isBigIntLiteral(node)) refuse(node, "bigint");
    else if (ts.isPrivateIdentifier(node)) refuse(node, "private-name");
    else if (ts.isTaggedTemplateExpression(node)) refuse(node, "tagged-template");
    else if (ts.isNewExpression(node) && node.arguments?.some(ts.isSpreadElement)) refuse(node, "new-spread");
    else if (ts.isDeleteExpression(node) && !ts.isExpressionStatement(node.parent)) refuse(node, "delete-value");
    else if (ts.isDecorator(node)) refuse(node, "decorator");
    else if (ts.isMetaProperty(node))
      refuse(node, node.keywordToken === ts.SyntaxKind.NewKeyword ? "new-target" : "import-meta");
    else if (ts.isDefaultClause(node) && node.parent.clauses.at(-1) !== node)
      refuse(node, "default-not-last", "default");
    else if (ts.isHeritageClause(node) && node.token === ts.SyntaxKind.ExtendsKeyword) {
      const base = node.types[0]?.expression;
      if (base && ts.isIdentifier(base) && BUILT_IN_CLASSES.has(base.text) && !values.has(base.text))
        refuse(base, "extends-builtin");
    } else if (ts.isRegularExpressionLiteral(node)) {
      for (const found of checkRegex(node.text))
        refuseAt(node.getStart(tree) + found.offset, found.code, found.message);
    } else if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      checkText(node, node.text);
    }
    ts.forEachChild(node, visit);
  }

  const { parseDiagnostics } = tree as unknown as { parseDiagnostics: readonly ts.DiagnosticWithLocation[] };
  for (const problem of parseDiagnostics) {
    refuseAt(problem.start, "syntax", ts.flattenDiagnosticMessageText(problem.messageText, " "));
  }
  visit(tree);
  for (const use of usesBeforeDefinition(tree)) refuse(use, "use-before-definition");
  return findings;
}
