import * as ts from "typescript";

function namesOf(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isOmittedExpression(element) ? [] : namesOf(element.name)));
}

/** Names that a statement defines when it runs: const, let and class. */
function definedBy(statement: ts.Statement): string[] {
  if (ts.isClassDeclaration(statement)) return statement.name === undefined ? [] : [statement.name.text];
  if (!ts.isVariableStatement(statement)) return [];
  if (!(statement.declarationList.flags & ts.NodeFlags.BlockScoped)) return [];
  return statement.declarationList.declarations.flatMap((declaration) => namesOf(declaration.name));
}

function isAmbient(statement: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement) ?? []).some((one) => one.kind === ts.SyntaxKind.DeclareKeyword)
  );
}

/** Names of its own that a block, a loop or a catch clause has. */
function scopedNames(node: ts.Node): string[] {
  if (ts.isBlock(node)) return node.statements.flatMap(definedBy);
  if (ts.isCatchClause(node)) return node.variableDeclaration ? namesOf(node.variableDeclaration.name) : [];
  if (!ts.isForStatement(node) && !ts.isForOfStatement(node) && !ts.isForInStatement(node)) return [];
  const { initializer } = node;
  if (initializer === undefined || !ts.isVariableDeclarationList(initializer)) return [];
  return initializer.declarations.flatMap((declaration) => namesOf(declaration.name));
}

/** Uses of `names` that run with the node itself: not inside functions, types or blocks with a name of their own. */
function immediateUses(node: ts.Node, names: ReadonlySet<string>, found: ts.Identifier[]): void {
  if (
    ts.isFunctionLike(node) ||
    ts.isTypeNode(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isInterfaceDeclaration(node)
  )
    return;
  if (
    ts.isPropertyDeclaration(node) &&
    !(ts.getModifiers(node) ?? []).some((one) => one.kind === ts.SyntaxKind.StaticKeyword)
  )
    return;
  if (ts.isIdentifier(node)) {
    const { parent } = node;
    const isName = (parent as { name?: ts.Node }).name === node || ts.isExportSpecifier(parent);
    if (names.has(node.text) && !isName) found.push(node);
    return;
  }
  const own = scopedNames(node);
  const inner = own.length > 0 ? new Set([...names].filter((name) => !own.includes(name))) : names;
  ts.forEachChild(node, (child) => immediateUses(child, inner, found));
}

/** Reads of a const, let or class in the statements above its definition, which throw on Node. */
export function usesBeforeDefinition(file: ts.SourceFile): ts.Identifier[] {
  const found: ts.Identifier[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isSourceFile(node) || ts.isBlock(node) || ts.isCaseOrDefaultClause(node)) {
      const later = new Set<string>();
      for (let index = node.statements.length - 1; index >= 0; index--) {
        const statement = node.statements[index]!;
        if (isAmbient(statement)) continue;
        if (later.size > 0) immediateUses(statement, later, found);
        for (const name of definedBy(statement)) later.add(name);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}
