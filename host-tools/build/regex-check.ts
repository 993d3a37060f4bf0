import { explain, type RuleCode } from "./rules";

export interface RegexFinding {
  code: RuleCode;
  message: string;
  /** Characters from the literal's first slash. */
  offset: number;
}

const KNOWN_ESCAPES = /[dDwWsSnrtvf0^$()[\]*+|?{}./\\-]/;

/**
 * What the engine's matcher reads otherwise in a literal such as `/a+(b)/g`. Its subset: characters, classes, `*` and `+`
 * behind one of them, `^`, `$` and groups that stand once and side by side.
 */
export function checkRegex(literal: string): RegexFinding[] {
  const end = literal.lastIndexOf("/");
  const findings: RegexFinding[] = [];
  const refuse = (code: RuleCode, offset: number): void => {
    findings.push({ code, message: explain(code, literal), offset });
  };
  let depth = 0;
  for (let at = 1; at < end; at++) {
    const char = literal[at] as string;
    if (char === "\\") {
      at++;
      const escaped = literal[at] as string;
      const known =
        escaped === "x" ? /^[0-9a-f]{2}$/i.test(literal.slice(at + 1, at + 3)) : KNOWN_ESCAPES.test(escaped);
      if (!known) refuse("regex-escape", at - 1);
    } else if (char === "[") {
      at = checkClass(literal, at, end, refuse);
    } else if (char === "(") {
      if (depth > 0 || literal[at + 1] === "?") refuse("regex-group", at);
      depth++;
    } else if (char === ")") {
      depth--;
      if (/[*+?{]/.test(literal[at + 1] as string)) refuse("regex-group", at);
    } else if (char === "?" || char === "{") {
      if (!(char === "?" && literal[at - 1] === "(")) refuse("regex-quantifier", at);
    } else if (char === "|") refuse("regex-alternation", at);
    else if (char === ".") refuse("regex-dot", at);
    else if (char.charCodeAt(0) > 255) refuse("wide-character", at);
  }
  if (/[^gi]/.test(literal.slice(end + 1))) refuse("regex-flag", end + 1);
  return findings;
}

/** Checks a class from its `[` on; gives the position of its `]`. */
function checkClass(literal: string, open: number, end: number, refuse: (code: RuleCode, at: number) => void): number {
  let at = open + 1;
  if (literal[at] === "]" || literal.startsWith("^]", at)) refuse("regex-escape", open);
  for (; at < end && literal[at] !== "]"; at++) {
    if (literal[at] === "\\") {
      at++;
      if (!KNOWN_ESCAPES.test(literal[at] as string) && literal[at] !== "x") refuse("regex-escape", at - 1);
    } else if (literal[at] === "/") refuse("regex-slash", at);
  }
  return at;
}
