/** A program of the system that serves on loopback for the length of a test. */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { toolEnvironment } from "./tools";

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

export async function until(what: string, test: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export class Service {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-service-"));
  output = "";
  private child: ChildProcess | null = null;

  constructor(
    private readonly command: string,
    private readonly args: readonly string[],
    private readonly port: number,
  ) {}

  async start(): Promise<void> {
    const child = spawn(this.command, this.args, {
      cwd: this.directory,
      env: toolEnvironment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    let over = false;
    child.on("exit", () => (over = true));
    child.on("error", () => (over = true));
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (this.output = (this.output + text).slice(-20000)));
    await until(`${this.command} on port ${this.port}`, async () => {
      if (over) throw new Error(`${this.command} ended: ${this.output}`);
      return answers(this.port);
    });
  }

  /** As a power cut would end it. */
  async kill(): Promise<void> {
    const child = this.child;
    this.child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const over = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await over;
  }

  async remove(): Promise<void> {
    await this.kill();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}
