import { createColors, wantsColor } from "../../host-tools/ui/color";

const TERMINAL = { isTTY: true };
const PIPE = { isTTY: false };

describe("colours", () => {
  it.each([
    ["a terminal", TERMINAL, {}, true],
    ["a pipe", PIPE, {}, false],
    ["a terminal with NO_COLOR", TERMINAL, { NO_COLOR: "1" }, false],
    ["a terminal with an empty NO_COLOR", TERMINAL, { NO_COLOR: "" }, true],
    ["a pipe with FORCE_COLOR", PIPE, { FORCE_COLOR: "1" }, true],
    ["a terminal with FORCE_COLOR=0", TERMINAL, { FORCE_COLOR: "0" }, false],
    ["FORCE_COLOR against NO_COLOR", PIPE, { FORCE_COLOR: "1", NO_COLOR: "1" }, true],
    ["a dumb terminal", TERMINAL, { TERM: "dumb" }, false],
  ])("%s", (_name, stream, env, expected) => {
    expect(wantsColor(stream, env)).toBe(expected);
  });

  it("ends each colour where it began, so that styles nest", () => {
    const colors = createColors(TERMINAL, {});
    expect(colors.bold(`a${colors.red("b")}c`)).toBe("\x1b[1ma\x1b[31mb\x1b[39mc\x1b[22m");
  });

  it("leaves text as it is where there are none", () => {
    expect(createColors(PIPE, {}).green("ok")).toBe("ok");
  });
});
