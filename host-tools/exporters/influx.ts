/** Writes lines to InfluxDB, batched; what the server cannot take now is kept, within a bound, and written later. */
import { EspalierError, EXIT } from "../errors";
import { backoffMs } from "./broker";

export interface InfluxOptions {
  /** Base address, http://host:8086 */
  url: string;
  /** v1 */
  database?: string;
  username?: string;
  password?: string;
  /** v2, and v3's compatible endpoint */
  org?: string;
  bucket?: string;
  token?: string;
  /** Lines in one request; 1000 unless given. */
  batchLines?: number;
  /** Milliseconds after which a smaller batch is written; 5000 unless given. */
  batchMs?: number;
  /** Characters kept while the server does not take any; 4 MB unless given. */
  bufferBytes?: number;
  backoff?: { first: number; most: number };
  /** Milliseconds for one request; 10000 unless given. */
  requestMs?: number;
  log(text: string): void;
}

export interface InfluxState {
  written: number;
  queued: number;
  /** Lines given up: the buffer was full, or the server refused them for ever. */
  dropped: number;
  retries: number;
}

export interface InfluxWriter {
  /** "" is ignored. */
  write(line: string): void;
  state(): InfluxState;
  /** Writes what waits, once, and ends. */
  close(): Promise<void>;
}

interface Verdict {
  outcome: "written" | "later" | "never" | "too-large";
  reason: string;
  /** Milliseconds that the server asks to wait, or 0. */
  wait: number;
}

/** Where to write, without secrets. @throws EspalierError INFLUX_CONFIG */
export function writeAddress(options: Pick<InfluxOptions, "url" | "database" | "org" | "bucket">): URL {
  let address: URL;
  try {
    address = new URL(options.url);
  } catch {
    throw configError("that is no address of an InfluxDB server");
  }
  if (!/^https?:$/.test(address.protocol)) throw configError("InfluxDB is reached over http or https");
  if (address.username || address.password) throw configError("user name and password do not belong into the address");
  const v2 = options.bucket !== undefined;
  if (v2 === (options.database !== undefined)) throw configError("either a database (v1) or a bucket (v2) is needed");
  const base = address.pathname.replace(/\/+$/, "");
  address.pathname = v2 ? `${base}/api/v2/write` : `${base}/write`;
  address.search = "";
  if (v2) {
    address.searchParams.set("bucket", options.bucket!);
    if (options.org !== undefined) address.searchParams.set("org", options.org);
  } else address.searchParams.set("db", options.database!);
  address.searchParams.set("precision", "ms");
  return address;
}

function configError(message: string): EspalierError {
  return new EspalierError("INFLUX_CONFIG", message, {
    hint: "--influx http://localhost:8086 with --influx-database (v1) or --influx-org and --influx-bucket (v2).",
    exitCode: EXIT.usage,
  });
}

/** @throws EspalierError INFLUX_CONFIG */
export function createInfluxWriter(options: InfluxOptions): InfluxWriter {
  const address = writeAddress(options);
  const batchLines = options.batchLines ?? 1000;
  const bufferBytes = options.bufferBytes ?? 4 * 1024 * 1024;
  const backoff = options.backoff ?? { first: 1000, most: 60000 };
  const headers: Record<string, string> = { "content-type": "text/plain; charset=utf-8" };
  if (options.token !== undefined) headers.authorization = `Token ${options.token}`;
  else if (options.username !== undefined) {
    const pair = Buffer.from(`${options.username}:${options.password ?? ""}`).toString("base64");
    headers.authorization = `Basic ${pair}`;
  }
  let queue: string[] = [];
  let queuedBytes = 0;
  let timer: NodeJS.Timeout | null = null;
  let current: Promise<boolean> | null = null;
  let tries = 0;
  let limit = batchLines;
  let closed = false;
  const state = { written: 0, dropped: 0, retries: 0 };

  async function post(body: string): Promise<Verdict> {
    try {
      const signal = AbortSignal.timeout(options.requestMs ?? 10000);
      const response = await fetch(address, { method: "POST", headers, body, signal, redirect: "error" });
      const text = (await response.text()).slice(0, 200).replace(/\s+/g, " ");
      if (response.ok) return { outcome: "written", reason: "", wait: 0 };
      const wait = Math.min(300, Number(response.headers.get("retry-after")) || 0) * 1000;
      const reason = `${response.status} ${text}`;
      if (response.status === 413) return { outcome: "too-large", reason, wait };
      // 400 and 422: these lines. Everything else is about the server or its settings, which somebody can mend.
      const never = response.status === 400 || response.status === 422;
      return { outcome: never ? "never" : "later", reason, wait };
    } catch (error) {
      const { cause, message } = error as Error;
      return { outcome: "later", reason: cause instanceof Error ? cause.message : message, wait: 0 };
    }
  }

  function drop(count: number): void {
    for (const one of queue.splice(0, count)) queuedBytes -= one.length;
    state.dropped += count;
  }

  function schedule(milliseconds: number): void {
    if (timer) clearTimeout(timer);
    timer = closed ? null : setTimeout(() => void flush(), milliseconds);
  }

  /** Gives back what could not be written, to be written first. */
  function giveBack(batch: readonly string[]): void {
    queue = [...batch, ...queue];
    while (queuedBytes > bufferBytes) drop(1);
  }

  /** Writes one batch; false when it has to wait. */
  async function attempt(): Promise<boolean> {
    const batch = queue.splice(0, limit);
    const verdict = await post(batch.join("\n"));
    if (verdict.outcome === "written") {
      for (const one of batch) queuedBytes -= one.length;
      state.written += batch.length;
      if (tries > 0) options.log("InfluxDB takes points again");
      tries = 0;
      limit = Math.min(batchLines, limit * 2);
      return true;
    }
    giveBack(batch);
    if (verdict.outcome === "later") {
      if (tries === 0) options.log(`InfluxDB does not take points: ${verdict.reason}`);
      state.retries++;
      schedule(Math.max(verdict.wait, backoffMs(tries++, backoff, Math.random())));
      return false;
    }
    // One bad line shall not take its neighbours along.
    if (batch.length > 1) limit = Math.max(1, Math.floor(batch.length / 2));
    else {
      options.log(`InfluxDB refuses a point: ${verdict.reason}`);
      drop(1);
    }
    return true;
  }

  async function flush(): Promise<void> {
    timer = null;
    if (current) return;
    for (let going = true; going && queue.length > 0;) {
      current = attempt();
      going = await current;
    }
    current = null;
    if (queue.length > 0 && !timer) schedule(options.batchMs ?? 5000);
  }

  return {
    write(text) {
      if (text === "" || closed) return;
      if (text.length > bufferBytes) {
        state.dropped++;
        return;
      }
      while (queuedBytes + text.length > bufferBytes && queue.length > 0) drop(1);
      queue.push(text);
      queuedBytes += text.length;
      if (queue.length >= batchLines && !current && tries === 0) schedule(0);
      else if (!timer && !current) schedule(options.batchMs ?? 5000);
    },
    state: () => ({ ...state, queued: queue.length }),
    async close() {
      closed = true;
      if (timer) clearTimeout(timer);
      timer = null;
      await current;
      for (let going = true; going && queue.length > 0;) going = await attempt();
      state.dropped += queue.length;
      queue = [];
      queuedBytes = 0;
    },
  };
}
