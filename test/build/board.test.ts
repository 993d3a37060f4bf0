import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { BoardError, boardJsonSchema, boardNames, loadBoard, parseBoard } from "../../host-tools/build/board";
import { checkBudget, sizeReport } from "../../host-tools/build/budget";

const BOARDS = path.resolve(__dirname, "../../boards");
type Json = Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any
const raw = (name = "esp32-devkitc"): Json => JSON.parse(fs.readFileSync(path.join(BOARDS, `${name}.json`), "utf8"));

function issuesOf(change: (board: Json) => void): string[] {
  const board = raw();
  change(board);
  try {
    parseBoard(board, "x.json");
    return [];
  } catch (error) {
    return (error as BoardError).issues.map((issue) => issue.path);
  }
}

test("the boards of the project", () => {
  expect(boardNames()).toEqual(["esp32-c3-devkitm", "esp32-devkitc", "esp32-s3-devkitc"]);
  for (const name of boardNames()) {
    const board = loadBoard(name);
    expect(board.storage).toMatchObject({ address: 0x320000, bytes: 917504, page: 4096 });
    expect(board.regions).toMatchObject({ state: [0, 1], slot0: [1, 51], slot1: [52, 51], stage: [103, 54] });
  }
  expect(loadBoard("esp32-c3-devkitm").radio.accessPoint.besideStation).toBe(false);
});

test("the schema for editors is the one that is enforced", () => {
  const stored = JSON.parse(fs.readFileSync(path.join(BOARDS, "board.schema.json"), "utf8"));
  expect(stored).toEqual(JSON.parse(JSON.stringify(boardJsonSchema())));
});

test("adding a board is adding a file", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-boards-"));
  fs.writeFileSync(
    path.join(folder, "my-board.json"),
    JSON.stringify({ ...raw(), name: "my-board", hardware: "MINE" }),
  );
  expect(boardNames(folder)).toEqual(["my-board"]);
  expect(loadBoard("my-board", folder).hardware).toBe("MINE");
  fs.writeFileSync(path.join(folder, "torn.json"), "{");
  fs.writeFileSync(path.join(folder, "other.json"), JSON.stringify(raw()));
  const codeOf = (name: string): string => {
    try {
      loadBoard(name, folder);
      return "";
    } catch (error) {
      return (error as BoardError).code;
    }
  };
  expect([codeOf("torn"), codeOf("other"), codeOf("../my-board"), codeOf("none")]).toEqual([
    "board-json",
    "board-invalid",
    "board-missing",
    "board-missing",
  ]);
});

test.each<[string[], (board: Json) => void]>([
  [["chip"], (board) => (board.chip = "esp8266")],
  [[""], (board) => (board.colour = "red")],
  [["memory.variables"], (board) => (board.memory.variables = "many")],
  [["storage.address"], (board) => (board.storage.address = "0xZZ")],
  [["storage"], (board) => (board.storage.address = 0x330000)],
  [["storage.partition"], (board) => (board.storage.partition = "attic")],
  [["flash.partitions.4"], (board) => (board.flash.partitions[4].bytes = 9e6)],
  [["flash.partitions.2"], (board) => (board.flash.partitions[1].bytes = 99999)],
  [["regions.slot1"], (board) => (board.regions.slot1[0] = 27)],
  [["regions"], (board) => (board.regions.history[1] = 200)],
  [["regions.trust", "regions.history"], (board) => (board.regions.trust[1] = 1)],
  [["regions.history", "regions.trust"], (board) => delete board.regions.trust],
  [["regions.recovery"], (board) => (board.recovery.bytes = 80000)],
  [["regions.slot0", "regions.slot1"], (board) => (board.bundle.bytes = 400000)],
  [["radio.budget.dashboard"], (board) => (board.radio.budget.dashboard.browsers = 7)],
  [["memory.restFraction"], (board) => (board.memory.restFraction = 0.9)],
])("a wrong board names %j", (paths, change) => {
  expect(issuesOf(change).slice(0, paths.length)).toEqual(paths);
});

test("figures over the budget are codes", () => {
  const board = loadBoard("esp32-devkitc");
  expect(checkBudget(board, { bytes: 98304 }, { rest: 2000, peak: 3400 })).toEqual([]);
  expect(checkBudget(board, { bytes: 98305 }, { rest: 2001, peak: 3401 })).toEqual([
    { code: "bundle-over-budget", used: 98305, allowed: 98304 },
    { code: "variables-at-rest-over-budget", used: 2001, allowed: 2000 },
    { code: "variables-at-peak-over-budget", used: 3401, allowed: 3400 },
  ]);
});

test("the size report has a line a module and the total", () => {
  const lines = sizeReport(loadBoard("esp32-devkitc"), {
    bytes: 6144,
    modules: [{ path: "firmware/a.ts", bytes: 3072 }],
  });
  expect(lines).toEqual([
    "   3072   50.0 %  firmware/a.ts",
    "   6144    6.3 %  of the budget of 98304 bytes for esp32-devkitc",
  ]);
});
