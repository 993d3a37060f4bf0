/** The firmware's engine on a computer: the same protocol code as on a board, on the sockets of Node.js. */
import { createHash, randomBytes } from "node:crypto";
import * as v8 from "node:v8";
import { crc32 } from "node:zlib";
import type { Engine } from "../../firmware/engine/engine";
import type { EspalierError } from "../errors";
import { decompress } from "../simulator/chip/heatshrink";
import { type FileRegion, openFileRegion } from "./node-regions";
import { createNodeSockets } from "./node-sockets";

export interface NodeEngineOptions {
  /** Holds the flash regions, one file each; made if it is not there. */
  directory: string;
  /** Pages of each region. */
  regions: Readonly<Record<string, number>>;
  /** The node's configuration; it is handed to the firmware as JSON text. */
  settings: object;
  log(text: string): void;
  /** Called after the engine has closed itself; make a new engine, with `resetReason: "software"`, to go on. */
  restart(): void;
  /** "other" unless given. */
  resetReason?: "software" | "other";
  /** "HOST" unless given. */
  hardware?: string;
  /** Local address of all sockets; every address ("0.0.0.0") unless given. */
  address?: string;
  /** A port could not be opened (PORT_IN_USE, PORT_FAILED). Thrown out of the event loop unless given. */
  failed?(error: EspalierError): void;
}

export interface NodeEngine extends Engine {
  /** Frees sockets, timers and files; no handler is called afterwards. */
  close(): void;
}

/** What one interpreter variable stands for, so that limits written for boards keep a meaning here. */
const BYTES_PER_VARIABLE = 64;

export function createNodeEngine(options: NodeEngineOptions): NodeEngine {
  const started = performance.now();
  const timers = new Map<number, NodeJS.Timeout>();
  const regions = new Map<string, FileRegion>();
  const settings = JSON.stringify(options.settings);
  const sockets = createNodeSockets({
    address: options.address ?? "0.0.0.0",
    failed:
      options.failed ??
      ((error) => {
        throw error;
      }),
  });
  let lastTimer = 0;
  let closed = false;

  function close(): void {
    closed = true;
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
    sockets.close();
    for (const file of regions.values()) file.close();
    regions.clear();
  }

  return {
    name: "node",
    hardware: options.hardware ?? "HOST",
    now: () => performance.now() - started,
    random: () => randomBytes(4).readUInt32LE(),
    after(milliseconds, run) {
      const id = ++lastTimer;
      if (closed) return id;
      timers.set(
        id,
        setTimeout(() => {
          timers.delete(id);
          run();
        }, milliseconds),
      );
      return id;
    },
    every(milliseconds, run) {
      const id = ++lastTimer;
      if (!closed) timers.set(id, setInterval(run, milliseconds));
      return id;
    },
    cancel(timer) {
      clearTimeout(timers.get(timer));
      timers.delete(timer);
    },
    sha256(data) {
      const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
      const digest = createHash("sha256").update(bytes).digest();
      const result = new ArrayBuffer(digest.length);
      new Uint8Array(result).set(digest);
      return result;
    },
    digest: (bytes) => createHash("sha256").update(bytes, "latin1").digest().toString("latin1"),
    crc32: (bytes) => crc32(Buffer.from(bytes, "latin1")),
    unshrink: (bytes) => decompress(Buffer.from(bytes, "latin1")).toString("latin1"),
    toBase64: (bytes) => Buffer.from(bytes, "latin1").toString("base64"),
    fromBase64: (text) => Buffer.from(text, "base64").toString("latin1"),
    memory() {
      const heap = v8.getHeapStatistics();
      const total = Math.floor(heap.heap_size_limit / BYTES_PER_VARIABLE);
      return { total, free: Math.max(0, total - Math.ceil(heap.used_heap_size / BYTES_PER_VARIABLE)) };
    },
    resetReason: () => options.resetReason ?? "other",
    restart() {
      if (closed) return;
      close();
      options.restart();
    },
    wifi: null,
    listen: sockets.listen,
    connect: sockets.connect,
    openDatagrams: sockets.openDatagrams,
    region(name) {
      const pages = Object.hasOwn(options.regions, name) ? options.regions[name] : undefined;
      if (pages === undefined || closed) return null;
      const file = regions.get(name) ?? openFileRegion(options.directory, name, pages);
      regions.set(name, file);
      return file.region;
    },
    settings: () => settings,
    log: options.log,
    close,
  };
}
