import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { bundle } from "../../host-tools/build/bundle";
import { openBroker } from "../../host-tools/exporters/broker";
import { sendCommand } from "../../host-tools/exporters/send-command";
import { type Listener, Mosquitto, PASSWORD, USER } from "../exporters/support/mosquitto";
import { complaints } from "../exporters/support/schemas";
import { until } from "../exporters/support/service";
import { describeWith } from "../exporters/support/tools";
import { describeEngine, runScript } from "./support";

const KEY = "a board's command key";
const NODES = 10;
const FIRST = 3000000001;

type Line = [event: string, a: unknown, b: unknown];

/** The bridge in flash, as code on a board is. */
async function flashFor(port: number): Promise<Buffer> {
  const { code } = await bundle({
    app: null,
    entry: "test/engine/fixtures/bridge-node.ts",
    role: "bridge",
    board: "esp32-devkitc",
    version: "9.9.9",
    defines: {
      PORT: String(port),
      NODES: String(NODES),
      USER: JSON.stringify(USER),
      PASSWORD: JSON.stringify(PASSWORD),
      KEY: JSON.stringify(KEY),
    },
  });
  let script = 'var s=require("Storage");';
  for (let at = 0; at < code.length; at += 2000)
    script += `s.write("code",${JSON.stringify(code.slice(at, at + 2000))},${at},${code.length});`;
  return runScript(script, { env: { ESPR_VARS: "30000" } }).flash!;
}

class Interpreter {
  readonly lines: Line[] = [];
  readonly errors: string[] = [];
  private readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-board-"));
  private readonly child: ChildProcess;
  private readonly over: Promise<void>;

  constructor(flash: Buffer) {
    fs.writeFileSync(path.join(this.directory, "espruino.flash"), flash);
    fs.writeFileSync(
      path.join(this.directory, "script.js"),
      'echo(0);global.espalierBoot={code:require("Storage").read("code")};eval(espalierBoot.code);setTimeout(quit,100000);',
    );
    const deaf = fs.openSync("/dev/null", "w");
    this.child = spawn(path.resolve(process.env.ESPRUINO!), ["script.js"], {
      cwd: this.directory,
      stdio: [deaf, "pipe", "ignore"],
    });
    fs.closeSync(deaf);
    this.over = new Promise((resolve) => this.child.on("close", () => resolve()));
    let rest = "";
    this.child.stdout!.setEncoding("latin1").on("data", (part: string) => {
      const lines = (rest + part).split(/\r?\n/);
      rest = lines.pop()!;
      for (const raw of lines) {
        const line = raw.replace(/^(\r|\x1b\[J)+/, "");
        if (line.startsWith('["')) this.lines.push(JSON.parse(line) as Line);
        else if (/Uncaught|OUT OF MEMORY|FIFO_FULL|rror/.test(line)) this.errors.push(line);
      }
    });
  }

  of(event: string): unknown[][] {
    return this.lines.filter((line) => line[0] === event).map((line) => line.slice(1));
  }

  async end(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.over;
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

describeEngine("a board's bridge inside the interpreter", () => {
  describeWith(["mosquitto", "mosquitto_passwd"], "with Mosquitto", () => {
    let mosquitto: Mosquitto;
    let board: Interpreter;
    let heard: Listener;

    beforeAll(async () => {
      mosquitto = await Mosquitto.start();
      heard = await mosquitto.listen("board/#");
      board = new Interpreter(await flashFor(mosquitto.port));
    });
    afterAll(async () => {
      await board.end();
      await heard.close();
      await mosquitto.service.remove();
    });

    it("publishes every topic in the form of a computer's bridge", async () => {
      const topics = ["nodes", "topology", "metrics", "alerts", "alerts/events", `node/${FIRST + NODES - 1}`];
      await until("all topics", () => topics.every((one) => heard.last(`board/status/${one}`) !== null), 30);
      for (const kind of ["nodes", "topology", "metrics", "alerts"])
        for (const one of heard.all(`board/status/${kind}`)) expect(complaints(kind, one)).toBe("");
      for (const one of heard.all("board/status/alerts/events")) expect(complaints("alert-event", one)).toBe("");
      for (let i = 0; i < NODES; i++) {
        const node = heard.last(`board/status/node/${FIRST + i}`);
        expect(complaints("node", node)).toBe("");
        expect(node).toMatchObject({ id: FIRST + i, memory: 28000, battery: 3.3, temperature: -5, loss: 0.012 });
      }
      await until("all nodes", () => (heard.last("board/status/nodes")?.nodes as unknown[]).length === NODES);
      expect(board.errors).toEqual([]);
    });

    it("obeys a signed command", async () => {
      const answer = await sendCommand({
        open: (handlers) =>
          openBroker({ url: mosquitto.url, clientId: "c", username: USER, password: PASSWORD }, handlers),
        prefix: "board",
        key: Buffer.from(KEY),
        command: "message",
        body: { to: FIRST + 1, text: "hello" },
        timeoutMs: 10_000,
        now: () => 0,
      });
      expect(answer).toMatchObject({ ok: true });
      expect(board.of("message")).toEqual([[FIRST + 1, "hello"]]);
    });

    it("comes back to a broker that was killed, and tells everything again", async () => {
      await mosquitto.service.kill();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await mosquitto.service.start();
      const after = await mosquitto.listen("board/#");
      await until(
        "state",
        () => after.last(`board/status/node/${FIRST + 1}`) !== null && after.last("board/status/nodes") !== null,
        30,
      );
      await after.close();
      expect(board.errors).toEqual([]);
    });

    it("fits beside a node: variables while idle, and at the peak of a report of ten nodes", () => {
      const [[made, , peak]] = board.of("variables").at(-1) as [number[], unknown];
      expect(made).toBeLessThan(300);
      expect(peak).toBeLessThan(1000);
    });
  });
});
