/** Offers a virtual line as a network port of this machine, to this and other programs: RFC 2217, or bytes alone. */
import * as net from "node:net";
import type { Signals } from "../port";
import {
  BREAK_OFF,
  BREAK_ON,
  comPortCommand,
  createTelnetDecoder,
  DTR_OFF,
  DTR_ON,
  GREETING,
  RTS_OFF,
  RTS_ON,
  SERVER,
  SET_BAUDRATE,
  SET_CONTROL,
  telnetEscape,
} from "../telnet";
import type { VirtualLine } from "./line";

export interface OfferedPort {
  /** What to pass as --port. */
  path: string;
  close(): Promise<void>;
}

const LINES: Record<number, Signals> = {
  [BREAK_ON]: { break: true },
  [BREAK_OFF]: { break: false },
  [DTR_ON]: { dataTerminalReady: true },
  [DTR_OFF]: { dataTerminalReady: false },
  [RTS_ON]: { requestToSend: true },
  [RTS_OFF]: { requestToSend: false },
};

/** Listens on 127.0.0.1, for one client at a time. Port 0: a free one. `raw`: without telnet, so without modem lines. */
export async function offerTcp(line: VirtualLine, port = 0, raw = false): Promise<OfferedPort> {
  const clients = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    clients.add(socket);
    serve(line, socket, raw);
    socket.on("close", () => clients.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    path: `${raw ? "tcp" : "rfc2217"}://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        for (const client of clients) client.destroy();
        server.close(() => resolve());
      }),
  };
}

function serve(line: VirtualLine, socket: net.Socket, raw: boolean): void {
  const signals: Required<Signals> = { dataTerminalReady: false, requestToSend: false, break: false };
  let listening = false;
  socket.on("error", () => {});
  try {
    line.listen(115200, {
      received: (bytes) => void socket.write(raw ? bytes : telnetEscape(bytes)),
      lost: () => socket.destroy(),
    });
    listening = true;
  } catch {
    socket.destroy();
    return;
  }
  function release(): void {
    if (listening) line.release();
    listening = false;
  }
  socket.on("end", release);
  socket.on("close", release);
  if (!raw) socket.write(GREETING);

  /** The line throws when the cable is out, which has destroyed the socket already. */
  function guarded(run: () => void): void {
    try {
      run();
    } catch {
      socket.destroy();
    }
  }

  const decode = createTelnetDecoder({
    data: (bytes) => guarded(() => line.write(bytes)),
    comPort(command, value) {
      guarded(() => {
        if (command === SET_BAUDRATE && value.length === 4 && value.readUInt32BE(0) > 0)
          line.setHostBaud(value.readUInt32BE(0));
        else if (command === SET_CONTROL && value.length === 1) {
          Object.assign(signals, LINES[value[0]!] ?? {});
          line.setSignals({ ...signals });
        }
      });
      socket.write(comPortCommand(command + SERVER, value));
    },
  });
  socket.on("data", (bytes: Buffer) => (raw ? guarded(() => line.write(bytes)) : decode(bytes)));
}
