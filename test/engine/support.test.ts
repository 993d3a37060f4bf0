import { callgrind, describeEngine, runScript } from "./support";

describeEngine("interpreter", () => {
  it("prints what a script prints and ends", () => {
    const run = runScript('print(1 + 1); setTimeout(print, 50, "later")');
    expect(run.stdout).toBe("2\nlater\n");
    expect(run.exitCode).toBe(0);
  });

  it("reports an uncaught exception", () => {
    const run = runScript('throw new Error("on purpose")');
    expect(run.stdout).toContain("Uncaught Error: on purpose");
    expect(run.exitCode).toBe(1);
  });

  it("keeps one character a byte in sources and output", () => {
    const run = runScript('print("\\xff\\x80".charCodeAt(1), "\xe9".length)');
    expect(run.stdout).toBe("128 1\n");
  });

  it("starts from the flash it is given and hands back the flash as it is afterwards", () => {
    const first = runScript('require("Storage").write("greeting", "hello")');
    expect(first.flash).not.toBeNull();
    const second = runScript('print("<" + require("Storage").read("greeting") + ">")', { flash: first.flash! });
    expect(second.stdout).toBe("<hello>\n");
  });

  it("kills a script that does not end", () => {
    const run = runScript("while (true) {}", { timeoutMs: 1000 });
    expect(run.exitCode).toBeNull();
  });

  it("counts instructions that grow with the work", () => {
    const loop = (count: number) => callgrind(`for (var i = 0; i < ${count}; i++) {}`);
    const few = loop(1000);
    const many = loop(3000);
    const perIteration = (many - few) / 2000;
    expect(perIteration).toBeGreaterThan(1000);
    expect(perIteration).toBeLessThan(30_000);
  });
});
