/** A stream of which only "is it a terminal" matters here. */
export interface MaybeTerminal {
  isTTY?: boolean;
}

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
} as const;

export type Style = keyof typeof CODES;
export type Colors = Record<Style, (text: string) => string>;

/**
 * Whether to write escape codes. FORCE_COLOR decides when it is set ("0" and "false" mean no), then NO_COLOR
 * (https://no-color.org), then whether the stream is a terminal that knows them.
 */
export function wantsColor(stream: MaybeTerminal, env: NodeJS.ProcessEnv = process.env): boolean {
  const forced = env.FORCE_COLOR;
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  if (env.NO_COLOR) return false;
  return stream.isTTY === true && env.TERM !== "dumb";
}

/** Functions that colour a text, or return it as it is when the stream shall have no colours. */
export function createColors(stream: MaybeTerminal, env: NodeJS.ProcessEnv = process.env): Colors {
  const enabled = wantsColor(stream, env);
  const colors = {} as Colors;
  for (const style of Object.keys(CODES) as Style[]) {
    const [on, off] = CODES[style];
    colors[style] = (text) => (enabled ? `\x1b[${on}m${text}\x1b[${off}m` : text);
  }
  return colors;
}
