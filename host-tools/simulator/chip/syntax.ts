/** Syntax that Espruino's parser refuses although a modern one takes it (probed on 2v29). */
import type { AnyNode, Program } from "acorn";
import { children } from "./scopes";

/** Why Espruino refuses the program, with the place, or null. */
export function refusal(program: Program): string | null {
  const stack: AnyNode[] = [program];
  for (let node = stack.pop(); node; node = stack.pop()) {
    const reason = refuses(node);
    if (reason) return `${reason} at ${node.start}`;
    for (const child of children(node)) stack.push(child);
  }
  return null;
}

function refuses(node: AnyNode): string | null {
  switch (node.type) {
    case "ObjectPattern":
    case "ArrayPattern":
      return "destructuring";
    case "AssignmentPattern":
      return "default value";
    case "RestElement":
    case "SpreadElement":
      return "rest or spread";
    case "ChainExpression":
      return "optional chaining";
    case "LabeledStatement":
      return "label";
    case "AwaitExpression":
    case "YieldExpression":
      return "async or generator";
    case "TaggedTemplateExpression":
      return "tagged template";
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ArrowFunctionExpression":
      return node.async || node.generator ? "async or generator" : null;
    case "BinaryExpression":
      return node.operator === "**" ? "exponentiation" : null;
    case "Property":
      return node.computed ? "computed key" : null;
    case "Literal":
      return "bigint" in node && node.bigint ? "bigint" : null;
    case "SwitchStatement": {
      const at = node.cases.findIndex((item) => item.test === null);
      return at >= 0 && at < node.cases.length - 1 ? "default that is not the last case" : null;
    }
    case "Identifier":
      return ["of", "let", "static"].includes(node.name) ? `${node.name} as a name` : null;
    default:
      return null;
  }
}
