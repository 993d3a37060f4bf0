import { CORPUS } from "./corpus";
import { asNodeScript, bundleFiles, runInNode } from "./support";

describe.each(CORPUS)("$name", ({ source }) => {
  const expected = runInNode(asNodeScript(source));

  test("prints something", () => expect(expected.length).toBeGreaterThan(0));

  test.each([true, false])("prints the same from a bundle (minified: %s)", async (minify) => {
    const { code } = await bundleFiles(
      { "firmware/main.ts": `export {};\ndeclare const print: any;\n${source}` },
      minify,
    );
    expect(runInNode(code)).toEqual(expected);
  });
});

test("the same input gives the same bytes", async () => {
  const files = Object.fromEntries(
    CORPUS.map(({ source }, index) => [`firmware/p${index}.ts`, `export {};\n${source}`]),
  );
  const main = Object.keys(files).map((file) => `import "./${file.slice("firmware/".length, -3)}";`);
  const project = { ...files, "firmware/main.ts": main.join("\n") };
  const [one, two] = [await bundleFiles(project), await bundleFiles(project)];
  expect(one.code).toBe(two.code);
  expect(one.code).toMatch(/^[\x20-\x7e\n]+$/);
});
