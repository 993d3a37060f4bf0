/** Pseudo terminals: a virtual line as a port of this machine, and a real Espruino for Linux as a virtual board. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import * as path from "node:path";
import type { Readable, Writable } from "node:stream";
import { type LineEnd, VirtualLine } from "./line";
import type { OfferedPort } from "./tcp";

const RELAY = path.join(__dirname, "pty-relay.py");

type Relay = ChildProcessByStdio<Writable, Readable, Readable>;

/** Node.js cannot make pseudo terminals; Python, which Linux and macOS have, can. */
function startRelay(args: readonly string[]): Relay {
  const relay = spawn("python3", [RELAY, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  // A write to a relay that just ended.
  relay.stdin.on("error", () => {});
  return relay;
}

/**
 * Offers a line as a terminal such as /dev/pts/3. It has no modem lines: the board cannot be reset through it. Rejects
 * where there is no Python.
 */
export async function offerPty(line: VirtualLine): Promise<OfferedPort> {
  const relay = startRelay(["offer"]);
  const terminal = await new Promise<string>((resolve, reject) => {
    relay.once("error", reject);
    relay.stderr.once("data", (text: Buffer) => resolve(text.toString().trim()));
    relay.once("exit", () => reject(new Error("no pseudo terminal: is python3 installed?")));
  });
  // A terminal does not tell what rate its client set.
  line.boardBaud = null;
  line.listen(115200, {
    received: (bytes) => void relay.stdin.write(bytes),
    lost: () => relay.stdin.end(),
  });
  relay.stdout.on("data", (bytes: Buffer) => {
    try {
      line.write(bytes);
    } catch {
      relay.stdin.end();
    }
  });
  return {
    path: terminal,
    close: () =>
      new Promise((resolve) => {
        line.release();
        relay.once("exit", () => resolve());
        relay.stdin.end();
      }),
  };
}

/** A board whose chip is an Espruino for Linux; its flash is the file espruino.flash in the directory. */
export class InterpreterBoard implements LineEnd {
  readonly line: VirtualLine;
  private relay: Relay | null = null;

  constructor(
    private readonly binary: string,
    private readonly directory: string,
    name = "interpreter",
  ) {
    this.line = new VirtualLine(name);
    this.line.boardBaud = null;
    this.line.attach(this);
    this.plugged();
  }

  plugged(): void {
    const relay = startRelay(["run", this.directory, path.resolve(this.binary)]);
    relay.stdout.on("data", (bytes: Buffer) => {
      if (this.relay === relay) this.line.send(bytes);
    });
    this.relay = relay;
  }

  unplugged(): void {
    this.relay?.stdin.end();
    this.relay = null;
  }

  receive(bytes: Uint8Array): void {
    this.relay?.stdin.write(bytes);
  }

  signals(): void {}

  /** Ends the interpreter. */
  async stop(): Promise<void> {
    const relay = this.relay;
    this.relay = null;
    if (!relay || relay.exitCode !== null) return;
    const ended = new Promise((resolve) => relay.once("exit", resolve));
    relay.stdin.end();
    await ended;
  }
}
