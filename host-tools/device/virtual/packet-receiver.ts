/** The far end of Espruino's packet protocol: a state machine over bytes. Timeouts as in its src/jsinteractive.c. */

export interface PacketReceiverParts {
  /** Bytes of data in a packet beyond which it is refused. */
  limit: number;
  send(bytes: Uint8Array): void;
  after(milliseconds: number, run: () => void): { cancel(): void };
  evaluate(source: string): unknown;
  /** Storage.write; throws when it fails. */
  write(name: string, data: Uint8Array, offset: number, size: number): boolean;
  /** An expression failed; the NAK has been sent. */
  failed(error: unknown): void;
}

export interface PacketReceiver {
  /** True from DLE SOH to the end of the packet: all bytes are the packet's. */
  readonly active: boolean;
  begin(): void;
  take(byte: number): void;
  stop(): void;
}

const ACK = Uint8Array.of(6);
const NAK = Uint8Array.of(21);
const TYPE_EVAL = 0x2000;
const TYPE_FILE_SEND = 0x6000;
const TYPE_DATA = 0x8000;
const PACKET_TIMEOUT = 5000;
const FILE_TIMEOUT = 10000;

export function createPacketReceiver(parts: PacketReceiverParts): PacketReceiver {
  let head: number[] | null = null;
  let data: number[] = [];
  let file: { name: string; size: number; offset: number } | null = null;
  let packetTimer: { cancel(): void } | null = null;
  let fileTimer: { cancel(): void } | null = null;

  function end(): void {
    head = null;
    data = [];
    packetTimer?.cancel();
    packetTimer = null;
  }

  function closeFile(): void {
    file = null;
    fileTimer?.cancel();
    fileTimer = null;
  }

  function keepFile(): void {
    fileTimer?.cancel();
    fileTimer = parts.after(FILE_TIMEOUT, closeFile);
  }

  function evaluate(source: string): void {
    let text: string;
    try {
      text = JSON.stringify(parts.evaluate(source)) ?? "undefined";
    } catch (error) {
      parts.send(NAK);
      parts.failed(error);
      return;
    }
    parts.send(ACK);
    const reply = Buffer.from(`\x10\x01\0\0${text}`, "latin1");
    reply.writeUInt16BE(text.length & 0x1fff, 2);
    parts.send(reply);
  }

  function openFile(text: string): boolean {
    closeFile();
    let request: { fn?: unknown; s?: unknown };
    try {
      request = JSON.parse(text) as typeof request;
    } catch {
      return false;
    }
    if (typeof request.fn !== "string" || typeof request.s !== "number" || request.s === 0) return false;
    file = { name: request.fn, size: request.s, offset: 0 };
    keepFile();
    return true;
  }

  function store(bytes: Buffer): boolean {
    if (!file) return false;
    try {
      if (!parts.write(file.name, bytes, file.offset, file.size)) return false;
    } catch {
      return false;
    }
    file.offset += bytes.length;
    if (file.offset >= file.size) closeFile();
    else keepFile();
    return true;
  }

  function process(type: number, bytes: Buffer): void {
    if (bytes.length > parts.limit) parts.send(NAK);
    else if (type === TYPE_EVAL) evaluate(bytes.toString("latin1"));
    else if (type === TYPE_FILE_SEND) parts.send(openFile(bytes.toString("latin1")) ? ACK : NAK);
    else if (type === TYPE_DATA) parts.send(store(bytes) ? ACK : NAK);
    else parts.send(NAK);
  }

  return {
    get active() {
      return head !== null;
    },
    begin() {
      head = [];
      data = [];
      packetTimer = parts.after(PACKET_TIMEOUT, () => {
        end();
        parts.send(NAK);
      });
    },
    take(byte) {
      if (!head) return;
      if (head.length < 2) head.push(byte);
      else data.push(byte);
      if (head.length < 2) return;
      const word = (head[0]! << 8) | head[1]!;
      if (data.length < (word & 0x1fff)) return;
      const bytes = Buffer.from(data);
      end();
      process(word & 0xe000, bytes);
    },
    stop() {
      end();
      closeFile();
    },
  };
}
