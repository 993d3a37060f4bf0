/**
 * HTTP and WebSocket on the engine's sockets, for few browsers and little memory.
 *
 * Espruino has an http module, but a connection that never finishes its headers is out of JavaScript's reach there: it
 * keeps one of ten sockets for ever, and as much memory as it likes. Here each connection is counted, bounded and timed.
 * A request gets one answer and the end of its connection; a body longer than a piece is made while it is sent.
 */
import type { Bytes, Engine, Socket, SocketHandler } from "../engine/engine";

/** Sockets for browsers, of those the board has left beside the mesh (boards/*.json, radio.budget). */
export const MAX_CONNECTIONS = 5;
/** Of them WebSockets; the others are for requests, and for the next browser to be told that there is no room. */
export const MAX_BROWSERS = 3;
const MAX_HEAD = 2048;
const MAX_BODY = 4096;
/** One frame with the shortest length field. */
const MAX_MESSAGE = 125;
/** ms for a request to arrive and for each piece to leave; and that a browser may be silent. */
const PATIENCE = 15000;
const SILENCE = 45000;
/** ms that a refused peer has to read why before its connection is closed. */
const LINGER = 300;
const SWEEP = 5000;
const MESSAGES_PER_SWEEP = 10;
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Gives the next piece, at most some 1500 bytes; "" when one takes a while, null behind the last. */
export type Pieces = () => Bytes | null;

export interface WebRequest {
  method: string;
  path: string;
  query: string;
  /** A header's value by its name in small letters, "" when it is missing. */
  header(name: string): string;
  body: Bytes;
}

export interface WebAnswer {
  /** "200 OK" */
  status: string;
  /** Further header lines, each ended by CR LF. */
  headers: string;
  body: Bytes | Pieces;
}

/** What a browser with a WebSocket has been told already. */
export interface Browser {
  /** Number of the last change. */
  seen: number;
  /** 0 when it knows nothing yet. */
  stage: number;
}

export interface WebSite {
  answer(request: WebRequest): WebAnswer;
  /** The next message for a browser, or "" when it knows everything. */
  next(browser: Browser): Bytes;
  /** The answer to a message; null when it is none that a browser may send. */
  message(text: Bytes): Bytes | null;
  /** Raw SHA-1. */
  sha1(text: Bytes): Bytes;
}

export function failure(status: string, code: string, message: string): WebAnswer {
  "cold";
  return {
    status: status,
    headers: "Content-Type: application/json\r\n",
    body: JSON.stringify({ error: { code: code, message: message } }),
  };
}

export interface Web {
  /** Something changed: browsers are told as fast as each reads. */
  changed(): void;
  browsers(): number;
}

export function createWeb(engine: Engine, port: number, site: WebSite): Web {
  const connections: Connection[] = [];

  function browsers(): number {
    let count = 0;
    for (let i = 0; i < connections.length; i++) if (connections[i].live) count++;
    return count;
  }

  class Connection implements SocketHandler, Browser {
    text: Bytes = "";
    pieces: Pieces | null = null;
    live = false;
    /** Something is on its way out; `last` is the last of it. */
    busy = false;
    last = false;
    /** What comes in now is thrown away. */
    over = false;
    seen = 0;
    stage = 0;
    messages = 0;
    /** When it began, or last got rid of all that it was sent. */
    at: number;
    heard = 0;

    constructor(readonly socket: Socket) {
      this.at = engine.now();
    }

    send(bytes: Bytes): void {
      // What joins a queue is no sign that somebody reads it.
      if (!this.busy) this.at = engine.now();
      this.busy = true;
      this.socket.write(bytes);
    }

    data(bytes: Bytes): void {
      if (this.over) return;
      this.text += bytes;
      if (this.live) frames(this);
      else request(this);
    }

    drain(): void {
      this.busy = false;
      this.at = engine.now();
      if (this.live) tell(this);
      else if (this.pieces) more(this);
      else if (this.last) this.socket.close();
    }

    close(): void {
      this.over = true;
      this.live = false;
      this.pieces = null;
      const i = connections.indexOf(this);
      if (i >= 0) connections.splice(i, 1);
    }
  }

  function drop(c: Connection): void {
    "cold";
    c.socket.close();
    c.close();
  }

  /** Sends the next piece; a piece that is not ready yet is asked for again, so that nothing waits meanwhile. */
  function more(c: Connection): void {
    const piece = c.pieces ? c.pieces() : null;
    if (piece) {
      c.send(piece);
      return;
    }
    if (piece === null) {
      c.pieces = null;
      c.socket.close();
      return;
    }
    engine.after(1, function () {
      if (c.pieces) more(c);
    });
  }

  function reply(c: Connection, answer: WebAnswer, refused: boolean): void {
    "cold";
    c.over = true;
    c.text = "";
    const body = answer.body;
    let head =
      "HTTP/1.1 " +
      answer.status +
      "\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n" +
      "Cross-Origin-Resource-Policy: same-origin\r\nX-Frame-Options: DENY\r\n" +
      answer.headers;
    if (typeof body === "string") {
      head += "Content-Length: " + body.length + "\r\n\r\n" + body;
      // A peer that is still sending would lose the answer with the connection.
      if (refused)
        engine.after(LINGER, function () {
          drop(c);
        });
      else c.last = true;
    } else {
      head += "\r\n";
      c.pieces = body;
    }
    c.send(head);
  }

  function request(c: Connection): void {
    "cold";
    const end = c.text.indexOf("\r\n\r\n");
    if (end < 0 || end > MAX_HEAD) {
      if (c.text.length > MAX_HEAD) reply(c, failure("431 Too Large", "BAD_REQUEST", "too many headers"), true);
      return;
    }
    const head = c.text.substr(0, end) + "\r\n";
    const small = head.toLowerCase();
    function header(name: string): string {
      const at = small.indexOf("\r\n" + name + ":");
      if (at < 0) return "";
      const from = at + name.length + 3;
      return head.substr(from, head.indexOf("\r\n", from) - from).trim();
    }
    const line = head.substr(0, head.indexOf("\r\n")).split(" ");
    if (line.length !== 3 || line[2].substr(0, 7) !== "HTTP/1." || line[1][0] !== "/") {
      reply(c, failure("400 Bad Request", "BAD_REQUEST", "this is not HTTP"), true);
      return;
    }
    const length = header("content-length");
    if (+length > MAX_BODY || length.length > 9) {
      reply(c, failure("413 Too Large", "BODY_TOO_LARGE", "at most " + MAX_BODY + " bytes"), true);
      return;
    }
    if (c.text.length < end + 4 + (+length || 0)) return;
    const at = line[1].indexOf("?");
    const wanted: WebRequest = {
      method: line[0],
      path: at < 0 ? line[1] : line[1].substr(0, at),
      query: at < 0 ? "" : line[1].substr(at + 1),
      header: header,
      body: c.text.substr(end + 4),
    };
    const answer = site.answer(wanted);
    if (answer.status[0] === "1") upgrade(c, header("sec-websocket-key"));
    else reply(c, answer, false);
  }

  function upgrade(c: Connection, key: string): void {
    "cold";
    const full = browsers() >= MAX_BROWSERS;
    c.text = "";
    c.live = true;
    c.heard = engine.now();
    c.send(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
        engine.toBase64(site.sha1(key + GUID)) +
        "\r\n\r\n",
    );
    if (full) refuse(c, 1008, "TOO_MANY_CLIENTS", MAX_BROWSERS + " browsers are served already");
  }

  /** A text frame (RFC 6455, section 5.2); a server does not mask. */
  function frame(text: Bytes): Bytes {
    const n = text.length;
    return (n < 126 ? String.fromCharCode(129, n) : String.fromCharCode(129, 126, n >> 8, n & 255)) + text;
  }

  function refuse(c: Connection, code: number, name: string, message: string): void {
    "cold";
    c.over = true;
    c.live = false;
    c.send(
      frame(JSON.stringify({ type: "error", error: { code: name, message: message } })) +
        String.fromCharCode(136, 2, code >> 8, code & 255),
    );
    engine.after(LINGER, function () {
      drop(c);
    });
  }

  function frames(c: Connection): void {
    "cold";
    while (c.live && c.text.length >= 2) {
      const first = c.text.charCodeAt(0);
      const n = c.text.charCodeAt(1) - 128;
      if (n < 0 || first & 112) return refuse(c, 1002, "BAD_MESSAGE", "frames must be masked and plain");
      if (n > MAX_MESSAGE) return refuse(c, 1009, "MESSAGE_TOO_LONG", "at most " + MAX_MESSAGE + " bytes");
      if (c.text.length < n + 6) return;
      let text = "";
      for (let i = 0; i < n; i++) {
        text += String.fromCharCode(c.text.charCodeAt(6 + i) ^ c.text.charCodeAt(2 + (i & 3)));
      }
      c.text = c.text.substr(n + 6);
      c.heard = engine.now();
      if (++c.messages > MESSAGES_PER_SWEEP) return refuse(c, 1008, "TOO_MANY_MESSAGES", "slow down");
      const kind = first & 15;
      if (kind === 8) {
        c.over = true;
        c.live = false;
        c.send(String.fromCharCode(136, n) + text);
        c.last = true;
        return;
      }
      if (kind === 9) c.send(String.fromCharCode(138, n) + text);
      else if (kind !== 10) {
        const answer = first === 129 ? site.message(text) : null;
        if (answer === null) return refuse(c, 1008, "BAD_MESSAGE", "not a message that a browser may send");
        c.send(frame(answer));
      }
    }
  }

  function tell(c: Connection): void {
    if (c.busy || !c.live) return;
    const text = site.next(c);
    if (text) c.send(frame(text));
  }

  function sweep(): void {
    "cold";
    const now = engine.now();
    for (let i = connections.length - 1; i >= 0; i--) {
      const c = connections[i];
      c.messages = 0;
      // Who does not read holds memory; who says nothing holds a socket.
      if ((c.busy || !c.live) && now - c.at > PATIENCE) drop(c);
      else if (c.live && now - c.heard > SILENCE) drop(c);
    }
  }

  engine.every(SWEEP, sweep);
  engine.listen(port, function (socket) {
    const c = new Connection(socket);
    if (connections.length < MAX_CONNECTIONS) connections.push(c);
    else reply(c, { status: "503 Busy", headers: "Retry-After: 1\r\n", body: "" }, true);
    return c;
  });

  return {
    changed: function () {
      for (let i = 0; i < connections.length; i++) if (connections[i].live) tell(connections[i]);
    },
    browsers: browsers,
  };
}
