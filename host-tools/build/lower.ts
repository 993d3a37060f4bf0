import * as ts from "typescript";

/**
 * Options under which TypeScript's ES5 output behaves on Espruino as the source does on Node. TypeScript 5.9 is the last
 * line of releases with an ES5 target.
 */
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES5,
  ignoreDeprecations: "5.0",
  module: ts.ModuleKind.ESNext,
  importHelpers: true,
  // Own fields become assignments in the constructor; defineProperty would cost a call for each of them.
  useDefineForClassFields: false,
  isolatedModules: true,
  sourceMap: true,
  allowJs: true,
};

export interface Lowered {
  /** An ES5 module (import and export aside; literal constants stay `const` so that esbuild inlines them). */
  code: string;
  /** Source map, version 3, as JSON. */
  map: string;
}

/** Numbers and truth values, and what is calculated of them and of `constants` alone. */
function isConstant(node: ts.Expression | undefined, constants: ReadonlySet<string>): boolean {
  if (node === undefined) return false;
  if (ts.isParenthesizedExpression(node)) return isConstant(node.expression, constants);
  if (ts.isPrefixUnaryExpression(node)) return isConstant(node.operand, constants);
  if (ts.isBinaryExpression(node)) return isConstant(node.left, constants) && isConstant(node.right, constants);
  if (ts.isIdentifier(node)) return constants.has(node.text);
  return (
    ts.isNumericLiteral(node) || node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword
  );
}

/**
 * Marks `const X = 5` at the top level, which the ES5 target turned into `var`, as constant again and moves it to the
 * head of the module: esbuild inlines the constants of modules without imports, as long as nothing stands above them.
 */
function restoreConstants(context: ts.TransformationContext): ts.Transformer<ts.SourceFile> {
  const { factory } = context;
  return (file) => {
    const constants = new Set<string>();
    const restore = (statement: ts.Statement): ts.VariableStatement | null => {
      const original = ts.getOriginalNode(statement);
      if (!ts.isVariableStatement(statement) || !ts.isVariableStatement(original)) return null;
      if (!(original.declarationList.flags & ts.NodeFlags.Const)) return null;
      const { declarations } = statement.declarationList;
      for (const { name, initializer } of declarations) {
        if (!ts.isIdentifier(name) || !isConstant(initializer, constants)) return null;
        constants.add(name.text);
      }
      const list = factory.createVariableDeclarationList(declarations, ts.NodeFlags.Const);
      return factory.updateVariableStatement(statement, statement.modifiers, list);
    };
    const head: ts.Statement[] = [];
    const rest: ts.Statement[] = [];
    for (const statement of file.statements) {
      const constant = restore(statement);
      if (constant === null) rest.push(statement);
      else head.push(constant);
    }
    return factory.updateSourceFile(file, [...head, ...rest]);
  };
}

/**
 * Turns template literals into sums. TypeScript would call concat, which costs three times as much on the engine; the
 * result differs only for objects that define both valueOf and toString.
 */
function sumTemplates(context: ts.TransformationContext): ts.Transformer<ts.SourceFile> {
  const { factory } = context;
  const visit = (node: ts.Node): ts.Node => {
    if (!ts.isTemplateExpression(node) || ts.isTaggedTemplateExpression(node.parent)) {
      return ts.visitEachChild(node, visit, context);
    }
    let sum: ts.Expression = factory.createStringLiteral(node.head.text);
    for (const span of node.templateSpans) {
      const value = ts.visitNode(span.expression, visit) as ts.Expression;
      // Parentheses are the factory's business: it adds them where the operators need them.
      const first = ts.isStringLiteral(sum) && sum.text === "" && span.literal.text !== "" && isText(span.expression);
      sum = first ? value : factory.createAdd(sum, value);
      if (span.literal.text !== "") sum = factory.createAdd(sum, factory.createStringLiteral(span.literal.text));
    }
    return ts.setOriginalNode(ts.setTextRange(factory.createParenthesizedExpression(sum), node), node);
  };
  return (file) => ts.visitEachChild(file, visit, context);
}

/** Whether adding a text to the expression concatenates, whatever its value: a text follows anyway. */
function isText(node: ts.Expression): boolean {
  return ts.isIdentifier(node) || ts.isPropertyAccessExpression(node) || ts.isCallExpression(node);
}

/** Lowers one TypeScript or JavaScript module to ES5. Types are dropped, not checked. */
export function lower(source: string, fileName: string): Lowered {
  const output = ts.transpileModule(source, {
    compilerOptions: OPTIONS,
    fileName,
    transformers: { before: [sumTemplates], after: [restoreConstants] },
  });
  return {
    // esbuild drops an unused class only under this mark; of the same length, so that the source map still holds.
    code: output.outputText.replace(/\/\*\* @class \*\//g, "/*@__PURE__*/").replace(/^\/\/# sourceMappingURL=.*$/m, ""),
    map: output.sourceMapText ?? "",
  };
}
