/** The web server of a node, with browsers that a test plays and a clock that it moves. */
import type { Bytes, Engine, Socket, SocketHandler } from "../../firmware/engine/engine";
import { createWeb, MAX_BROWSERS, MAX_CONNECTIONS, type Web } from "../../firmware/status/web";

const MESSAGE = "x".repeat(900);

class Peer {
  sent = "";
  closed = false;
  /** Bytes of a queue leave at once while it reads. */
  reads = true;
  readonly handler: SocketHandler;

  constructor(accept: (socket: Socket) => SocketHandler) {
    this.handler = accept({
      write: (bytes) => {
        this.sent += bytes;
        if (this.reads) queueMicrotask(() => void (this.closed || this.handler.drain()));
      },
      close: () => {
        this.closed = true;
      },
    });
  }

  upgrade(): void {
    this.handler.data(
      "GET /api/v1/live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
  }

  /** A text message, masked with zeros. */
  say(text: string): void {
    this.handler.data(String.fromCharCode(129, 128 + text.length, 0, 0, 0, 0) + text);
  }
}

class Bench {
  now = 0;
  /** Changes that there are to tell. */
  changes = 0;
  readonly web: Web;
  private sweep = (): void => {};
  private accept!: (socket: Socket) => SocketHandler;

  constructor() {
    const engine = {
      now: () => this.now,
      every: (_: number, run: () => void) => {
        this.sweep = run;
        return 1;
      },
      after: () => 1,
      listen: (_: number, accept: (socket: Socket) => SocketHandler) => void (this.accept = accept),
      toBase64: (bytes: Bytes) => Buffer.from(bytes, "latin1").toString("base64"),
    };
    this.web = createWeb(engine as unknown as Engine, 80, {
      answer: (request) => ({ status: request.path === "/api/v1/live" ? "101" : "200 OK", headers: "", body: "yes" }),
      next: (browser) => {
        if (browser.seen >= this.changes) return "";
        browser.seen++;
        return MESSAGE;
      },
      message: () => "pong",
      sha1: (text) => text.substr(0, 20),
    });
  }

  connect(): Peer {
    return new Peer(this.accept);
  }

  async browser(): Promise<Peer> {
    const peer = this.connect();
    peer.upgrade();
    await this.settle();
    return peer;
  }

  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Seconds in which something changes, and in which `each` may happen. */
  async pass(seconds: number, each: (second: number) => void = () => {}): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.now += 1000;
      this.changes++;
      this.web.changed();
      each(i);
      await this.settle();
      if (i % 5 === 4) this.sweep();
    }
  }
}

const ping = (peers: Peer[]) => (second: number) => {
  if (second % 10 === 0) for (const peer of peers) if (!peer.closed) peer.say('{"type":"ping"}');
};

it("drops a browser that stops reading, however often it speaks, and the others go on", async () => {
  const bench = new Bench();
  const slow = await bench.browser();
  const good = await bench.browser();
  await bench.pass(5);
  expect(bench.web.browsers()).toBe(2);
  slow.reads = false;
  const before = slow.sent.length;
  await bench.pass(25, ping([slow, good]));
  expect([slow.closed, good.closed, bench.web.browsers()]).toEqual([true, false, 1]);
  // One message and the answers to its pings: changes do not queue up for it.
  expect(slow.sent.length - before).toBeLessThan(MESSAGE.length + 100);
  expect(good.sent.split(MESSAGE).length - 1).toBe(30);
});

it("drops one that is silent", async () => {
  const bench = new Bench();
  const quiet = await bench.browser();
  const good = await bench.browser();
  await bench.pass(40, ping([good]));
  expect(quiet.closed).toBe(false);
  await bench.pass(10, ping([good]));
  expect([quiet.closed, good.closed]).toEqual([true, false]);
});

it("drops who does not finish a request, and says where there is no room", async () => {
  const bench = new Bench();
  const stuck = bench.connect();
  stuck.handler.data("GET / HTTP/1.1\r\nHost");
  await bench.pass(20);
  expect(stuck.closed).toBe(true);
  for (let i = 0; i < MAX_BROWSERS; i++) await bench.browser();
  expect((await bench.browser()).sent).toContain("TOO_MANY_CLIENTS");
  // The one that was refused still has its connection.
  for (let i = MAX_BROWSERS + 1; i < MAX_CONNECTIONS; i++) expect(bench.connect().sent).toBe("");
  expect(bench.connect().sent).toContain("503 Busy");
});
