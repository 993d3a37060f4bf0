import * as fc from "fast-check";
import { displayWidth, formatTable } from "../../host-tools/ui/table";

describe("table", () => {
  it("aligns columns, numbers to the right, without trailing spaces", () => {
    const text = formatTable(
      [{ title: "node" }, { title: "bytes", align: "right" }, { title: "state" }],
      [
        ["a1", 5, "ok"],
        ["b22222", 12345, ""],
      ],
    );
    expect(text.split("\n")).toEqual(["node    bytes  state", "a1          5  ok", "b22222  12345"]);
  });

  it("prints the titles of an empty table", () => {
    expect(formatTable([{ title: "node" }], [])).toBe("node");
  });

  it.each([
    ["abc", 3],
    ["\x1b[31mred\x1b[39m", 3],
    ["日本", 4],
    ["é", 1],
    ["🙂", 2],
    ["░█", 2],
    ["", 0],
  ])("width of %j", (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  it("gives the cells of a right-aligned column the same end, whatever they hold", () => {
    const cell = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((text) => /\S$/u.test(text));
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1, maxLength: 6 }), (cells) => {
        fc.pre(cells.every((text) => !/[\p{C}\s]/u.test(text) && displayWidth(text) > 0));
        const lines = formatTable(
          [{ title: "x", align: "right" }],
          cells.map((text) => [text]),
        ).split("\n");
        expect(new Set(lines.map(displayWidth)).size).toBe(1);
      }),
    );
  });
});
