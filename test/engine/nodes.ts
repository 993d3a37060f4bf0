/**
 * Whole nodes on a Linux build of Espruino: its flash as the flasher would leave it, the radio that it lacks, and its
 * process, which is started again where a board would be.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Settings } from "../../firmware/node";
import { type Board, loadBoard } from "../../host-tools/build/board";
import { bundle } from "../../host-tools/build/bundle";
import { type Image, makeImage } from "../../host-tools/build/image";
import { buildLoader } from "../../host-tools/build/loader";
import type { Encoding } from "../../firmware/ota/image";
import { provision } from "../../host-tools/device/provision";
import { runScript } from "./support";

export const PRODUCT = "grove";
/** What restarts a node. */
const REBOOT = 1;

export interface Interpreter {
  /** The board whose firmware runs, with its Storage where Linux builds have theirs. */
  board: Board;
  /** To stand in front of everything: pages of 4 KB where the build has smaller ones. */
  prelude: string;
  /** It has a board's variables, so that counts of them mean something. */
  like: boolean;
}

/** Looks at the interpreter that the tests run in. */
export function interpreter(): Interpreter {
  const probe = runScript(`
    var f = require("Flash"), a = f.getFree()[0];
    require("Storage").write("x", "y");
    print(JSON.stringify([a.addr, f.getPage(a.addr).length, process.memory().total, process.memory().blocksize]));`);
  const [address, page, variables, bytes] = JSON.parse(/\[.*\]/.exec(probe.stdout)![0]) as number[];
  const board = structuredClone(loadBoard("esp32-devkitc"));
  const like = variables === board.memory.variables && bytes === board.memory.variableBytes;
  board.storage.address = address!;
  board.storage.bytes = probe.flash!.length;
  if (board.storage.bytes < 512 * 1024) {
    // The whole of a stock build's flash is a quarter of an ESP32's.
    board.regions = { state: [0, 1], slot0: [1, 15], slot1: [16, 15], stage: [31, 22] };
  }
  const prelude =
    page === 4096
      ? ""
      : `var flash0=require("Flash");Modules.addCached("Flash",function(){
          exports.read=function(n,a){return flash0.read(n,a)};
          exports.write=function(d,a){flash0.write(d,a)};
          exports.erasePage=function(a){for(var i=0;i<4096;i+=${page})flash0.erasePage(a+i)};
        });`;
  return { board, prelude, like };
}

/** What the radio of a node has around it. */
export interface Surroundings {
  /** Of the access point; its last four bytes are the node's id. */
  mac: string;
  /** Access points within reach. */
  seen?: { ssid: string; mac: string; rssi: number; channel: string }[];
  /** Address as a station. */
  ip?: string;
  gw?: string;
}

/** A "Wifi" whose networks are there before it looks. It counts the interpreter's variables once in a while as well. */
export function wifiShim(around: Surroundings, sampleMs: number): string {
  return `E.enableWatchdog=function(){};
    Modules.addCached("Wifi",function(){
      var w=${JSON.stringify({ seen: [], ...around })};
      exports.on=exports.stopAP=exports.setConfig=exports.disconnect=function(){};
      exports.getAPIP=function(){return {mac:w.mac}};
      exports.startAP=function(s,o,cb){setTimeout(cb,50,null)};
      exports.setAPIP=function(o,cb){setTimeout(cb,50,"Failure")};
      exports.scan=function(cb){setTimeout(cb,200,w.seen)};
      exports.connect=function(s,o,cb){if(cb)setTimeout(cb,100,w.ip?null:"no network")};
      exports.getIP=function(){return {ip:w.ip,gw:w.gw}};
      exports.getStatus=function(){return {rssi:-50}};
    });
    setInterval(function(){print('["variables",'+process.memory().usage+"]")},${sampleMs});`.replace(/\n\s*/g, "");
}

/** A bundle and its image. */
export interface Build {
  code: string;
  image: Image;
}

/** @param base what a delta changes */
export function imageOf(code: string, version: string, encoding: Encoding, base?: string, role = "node"): Image {
  return makeImage({ code, product: PRODUCT, hardware: "ESP32", role, version, encoding, base });
}

export async function build(app: string, version: string, encoding: Encoding, role = "node"): Promise<Build> {
  const { code } = await bundle({ app, role, board: "esp32-devkitc", version });
  return { code, image: imageOf(code, version, encoding, undefined, role) };
}

/** The flash of a new node. */
export async function flashFor(
  { board, prelude }: Interpreter,
  shim: string,
  settings: Settings,
  { code, image }: Build,
): Promise<Buffer> {
  return provision({ board, loader: prelude + shim + (await buildLoader(board)), settings, code, image });
}

type Line = unknown[];

/** One node: its flash, and an interpreter that runs it as often as it restarts. */
export class NodeProcess {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-node-"));
  /** What it printed. */
  readonly text: string[] = [];
  /** Those of its lines that are JSON arrays. */
  readonly lines: Line[] = [];
  starts = 0;
  private child: ChildProcess | null = null;
  private stopped = false;
  private exits: (() => void)[] = [];

  /** @param inside a command that runs another in some network, such as ["ip", "netns", "exec", "x"] */
  constructor(
    flash: Buffer,
    private readonly inside: string[] = [],
    private readonly env: Record<string, string> = {},
  ) {
    fs.writeFileSync(this.flashFile, flash);
    fs.writeFileSync(path.join(this.directory, "script.js"), "echo(0);");
  }

  private get flashFile(): string {
    return path.join(this.directory, "espruino.flash");
  }

  get flash(): Buffer {
    return fs.readFileSync(this.flashFile);
  }

  set flash(content: Buffer) {
    fs.writeFileSync(this.flashFile, content);
  }

  /** @param again start it again when it restarts itself */
  start(again = true): void {
    const [command, ...args] = [...this.inside, path.resolve(process.env.ESPRUINO!), "script.js"];
    const deaf = fs.openSync("/dev/null", "w");
    const child = spawn(command!, args, {
      cwd: this.directory,
      stdio: [deaf, "pipe", "ignore"],
      env: { ...process.env, ...this.env },
    });
    fs.closeSync(deaf);
    this.child = child;
    this.stopped = false;
    this.starts++;
    let rest = "";
    child.stdout!.setEncoding("latin1").on("data", (part: string) => {
      const lines = (rest + part).split(/\r?\n/);
      rest = lines.pop()!;
      for (const raw of lines) {
        // The console clears what it takes for the line that somebody types.
        const line = raw.replace(/^(\r|\x1b\[J)+/, "");
        this.text.push(line);
        if (line.startsWith('["')) this.lines.push(JSON.parse(line) as Line);
      }
    });
    child.on("close", (code) => {
      this.child = null;
      if (again && code === REBOOT && !this.stopped) this.start();
      for (const exit of this.exits.splice(0)) exit();
    });
  }

  /** Ends it as a power cut would. */
  async stop(): Promise<void> {
    this.stopped = true;
    const { child } = this;
    if (!child) return;
    const over = new Promise<void>((resolve) => this.exits.push(resolve));
    child.kill("SIGKILL");
    await over;
  }

  async remove(): Promise<void> {
    await this.stop();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  /** The details of all lines of one kind. */
  all(kind: string): Line[] {
    return this.lines.filter((line) => line[0] === kind).map((line) => line.slice(1));
  }

  /** Lines that tell of an error. */
  get errors(): string[] {
    return this.text.filter((line) => /Uncaught|OUT OF MEMORY|LOW_MEMORY|FIFO_FULL|rror:|failed to start/.test(line));
  }

  /** The most variables that a sample found, from the given sample on. */
  peak(from = 0): number {
    return Math.max(
      0,
      ...this.all("variables")
        .slice(from)
        .map(([count]) => count as number),
    );
  }
}

/** Waits until `test` holds. @throws with `what` when it does not in time */
export async function until(what: string, seconds: number, test: () => boolean): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!test()) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
