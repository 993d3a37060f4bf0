import * as path from "node:path";
import type { ESLint, Rule } from "eslint";
import { checkSource } from "./source-check";

/**
 * The build's own check of sources as an ESLint rule: what would be refused when a bundle is made is refused while it is
 * being written.
 */
const subset: Rule.RuleModule = {
  meta: {
    type: "problem",
    docs: { description: "refuse what Espruino does not run, or runs otherwise than Node" },
    schema: [],
  },
  create(context) {
    return {
      Program() {
        const file = path.relative(context.cwd, context.filename);
        for (const finding of checkSource(context.sourceCode.text, file)) {
          const loc = { line: finding.line, column: finding.column - 1 };
          context.report({ loc, message: `${finding.code}: ${finding.message}` });
        }
      },
    };
  },
};

const plugin: ESLint.Plugin = { meta: { name: "espruino" }, rules: { subset } };
export default plugin;
