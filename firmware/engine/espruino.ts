/** The engine of a board: Espruino's own modules behind the `Engine` interface. The simulator's virtual ESP32 runs it too. */
import type {
  AccessPointOptions,
  Bytes,
  DatagramSocket,
  Engine,
  Region,
  ScanResult,
  Socket,
  SocketHandler,
  Wifi,
} from "./engine";
import { AREA_FILE, STATE_RESTARTED } from "../ota/layout";
import { PAGE } from "./engine";

/** Espruino never reports a dial that its WiFi driver did not start. */
const CONNECT_TIMEOUT_MS = 20000;
const SCAN_SETTLE_MS = 300;

/** What the loader leaves in `global.espalierBoot` for the bundle it starts. */
export interface BootInfo {
  /** Flash address of the regions' first byte. */
  base: number;
  /** First page and page count of each region. */
  regions: { [name: string]: [number, number] };
  hardware: string;
  reason: "software" | "other";
  /** "slot0", "slot1" or "recovery" */
  slot: string;
  /** The image has not confirmed itself yet. */
  trial: boolean;
  /** Starts since the state page was last erased, 1..4096. */
  starts: number;
  /** The running script, a view on flash. */
  code: Bytes;
}

/** A connection of the engine, with whoever owns it. */
interface OwnedSocket extends NetSocket {
  owner?: SocketHandler | null;
}

class EspruinoSocket implements Socket {
  /** null: the connection could not be made. */
  constructor(private readonly raw: NetSocket | null) {}

  write(bytes: Bytes): void {
    // Throws when the other end has closed; "close" follows.
    try {
      this.raw!.write(bytes);
    } catch (error) {
      return;
    }
  }

  close(): void {
    if (this.raw) this.raw.end();
  }
}

class EspruinoRegion implements Region {
  readonly size: number;

  constructor(
    /** Offset of the region in the area's file, and address of the file's data. */
    private readonly first: number,
    private readonly base: number,
    pages: number,
  ) {
    this.size = pages * PAGE;
  }

  read(offset: number, length: number): Bytes {
    return require("Storage").read(AREA_FILE, this.first + offset, length) as Bytes;
  }

  write(offset: number, bytes: Bytes): void {
    require("Flash").write(bytes, this.base + this.first + offset);
  }

  erase(offset: number): void {
    require("Flash").erasePage(this.base + this.first + offset);
  }
}

function createWifi(): Wifi {
  const wifi = require("Wifi");
  let left: (() => void) | null = null;
  let lost: (() => void) | null = null;
  let joined = false;
  wifi.on("sta_left", function () {
    if (left) left();
  });
  wifi.on("disconnected", function () {
    if (joined && lost) {
      joined = false;
      lost();
    }
  });
  return {
    accessPointMac: function () {
      "cold";
      return wifi.getAPIP().mac;
    },
    startAccessPoint: function (options: AccessPointOptions, done: (error: string | null) => void) {
      "cold";
      const radio: { channel: number; password?: string; authMode: string } = {
        channel: options.channel,
        authMode: options.password ? "wpa2" : "open",
      };
      if (options.password) radio.password = options.password;
      wifi.startAP(options.ssid, radio, function (error) {
        if (error) {
          done(error);
          return;
        }
        // Reports "Failure" when it worked: https://github.com/espruino/Espruino, libs/network/esp32 setIP().
        wifi.setAPIP({ ip: options.ip, gw: options.ip, netmask: "255.255.255.0" }, function () {
          done(null);
        });
      });
    },
    stopAccessPoint: function () {
      "cold";
      wifi.stopAP();
    },
    scan: function (done: (found: ScanResult[]) => void) {
      "cold";
      // Throws while a scan is under way, for instance one that an application started.
      try {
        // Starting the station interface dials the network of the last attempt, and a dial ends a scan.
        if (!joined) wifi.connect("", {});
        wifi.scan(function (found) {
          const list: ScanResult[] = [];
          for (let i = 0; found && i < found.length; i++) {
            const a = found[i];
            list.push({ ssid: a.ssid, mac: a.mac, rssi: a.rssi, channel: +a.channel });
          }
          // Another task stops the station interface after a scan; a dial in the meantime comes to nothing.
          setTimeout(done, SCAN_SETTLE_MS, list);
        });
      } catch (error) {
        setTimeout(done, 1000, []);
      }
    },
    connect: function (
      ssid: string,
      password: string,
      done: (error: string | null, address: { ip: string; gateway: string } | null) => void,
    ) {
      "cold";
      let pending = true;
      joined = false;
      function finish(error: string | null) {
        if (!pending) return;
        pending = false;
        clearTimeout(limit);
        if (error) {
          done(error, null);
          return;
        }
        joined = true;
        const address = wifi.getIP();
        done(null, { ip: address.ip, gateway: address.gw });
      }
      const limit = setTimeout(finish, CONNECT_TIMEOUT_MS, "timeout");
      wifi.connect(ssid, password ? { password: password } : {}, function (error) {
        finish(error || null);
      });
      // The driver's power saving delays and loses group frames.
      wifi.setConfig({ powersave: "none" });
    },
    disconnect: function () {
      "cold";
      joined = false;
      wifi.disconnect();
    },
    onLost: function (handler: () => void) {
      "cold";
      lost = handler;
    },
    onStationLeft: function (handler: () => void) {
      "cold";
      left = handler;
    },
    rssi: function () {
      if (!joined) return 0;
      const status = wifi.getStatus();
      return (status && status.rssi) || 0;
    },
  };
}

export function createEspruinoEngine(boot: BootInfo): Engine {
  const storage = require("Storage");
  const flash = require("Flash");
  const crypto = require("crypto");
  const net = require("net");
  const dgram = require("dgram");
  const started = getTime();
  const state = boot.regions.state[0] * PAGE;
  // The engine's generator repeats after every start (https://www.espruino.com/Reference#l_E_srand).
  E.srand(E.CRC32(require("Wifi").getAPIP().mac + boot.starts) ^ E.hwRand());

  // The engine calls these with the socket as `this`, so one of each serves all sockets.
  function onData(this: OwnedSocket, bytes: Bytes): void {
    if (this.owner) this.owner.data(bytes);
  }
  function onDrain(this: OwnedSocket): void {
    if (this.owner) this.owner.drain();
  }
  function onClose(this: OwnedSocket): void {
    const owner = this.owner;
    this.owner = null;
    if (owner) owner.close();
  }
  function own(raw: OwnedSocket, handler: SocketHandler): void {
    "cold";
    raw.owner = handler;
    raw.on("data", onData);
    raw.on("drain", onDrain);
    raw.on("close", onClose);
    // Without a listener the engine prints socket errors to the console; "close" follows in any case.
    raw.on("error", function () {});
  }

  const wifi = createWifi();

  return {
    name: "espruino",
    hardware: boot.hardware,
    now: function () {
      return (getTime() - started) * 1000;
    },
    random: function () {
      return Math.floor(Math.random() * 4294967296);
    },
    after: function (milliseconds: number, run: () => void) {
      return setTimeout(run, milliseconds);
    },
    every: function (milliseconds: number, run: () => void) {
      return setInterval(run, milliseconds);
    },
    cancel: function (timer: number) {
      "cold";
      // Espruino throws on undefined and keeps one namespace for both kinds of timer.
      if (timer) clearTimeout(timer);
    },
    sha256: crypto.SHA256,
    digest: function (data: Bytes) {
      "cold";
      return E.toString(new Uint8Array(crypto.SHA256(data))) as Bytes;
    },
    crc32: function (bytes: Bytes) {
      "cold";
      return E.CRC32(bytes) >>> 0;
    },
    unshrink: function (bytes: Bytes) {
      "cold";
      try {
        return E.toString(require("heatshrink").decompress(bytes));
      } catch (error) {
        return null;
      }
    },
    toBase64: function (bytes: Bytes) {
      "cold";
      return btoa(bytes);
    },
    fromBase64: function (text: string) {
      "cold";
      return atob(text);
    },
    copy: E.mapInPlace,
    collect: function () {
      process.memory();
    },
    memory: function () {
      const m = process.memory(false);
      return { free: m.free, total: m.total };
    },
    resetReason: function () {
      "cold";
      return boot.reason;
    },
    restart: function () {
      "cold";
      flash.write(STATE_RESTARTED, boot.base + state + boot.starts - 1);
      E.reboot();
    },
    wifi: wifi,
    listen: function (port: number, accept: (socket: Socket) => SocketHandler) {
      net
        .createServer(function (raw: NetSocket) {
          own(raw, accept(new EspruinoSocket(raw)));
        })
        .listen(port);
    },
    connect: function (host: string, port: number, handler: SocketHandler) {
      "cold";
      // Throws when the peer refuses or does not answer, and gives no socket then.
      try {
        const raw = net.connect({ host: host, port: port }, function () {
          if (handler.open) handler.open();
        });
        own(raw, handler);
        return new EspruinoSocket(raw);
      } catch (error) {
        setTimeout(function () {
          handler.close();
        }, 1);
        return new EspruinoSocket(null);
      }
    },
    openDatagrams: function (port: number, received: (bytes: Bytes, address: string) => void): DatagramSocket {
      "cold";
      const receiver = dgram.createSocket({ type: "udp4", reuseAddr: true, recvBufferSize: 1480 });
      receiver.bind(port, function (bound) {
        bound.on("message", function (bytes, info) {
          received(bytes, info.address);
        });
      });
      // The bound socket cannot send; a datagram queued behind one that failed would be cut wrongly, so one at a time.
      const sender = dgram.createSocket("udp4");
      let sent: (() => void) | null = null;
      let busy = false;
      let watch = 0;
      function free(): void {
        if (!busy) return;
        busy = false;
        if (watch) clearTimeout(watch);
        watch = 0;
        const call = sent;
        sent = null;
        if (call) call();
      }
      sender.on("drain", free);
      return {
        send: function (bytes: Bytes, address: string, toPort: number, done?: () => void) {
          // A datagram without data would close the socket.
          if (busy || !bytes.length) return false;
          busy = true;
          sent = done || null;
          watch = setTimeout(free, 500);
          sender.send(bytes, toPort, address);
          return true;
        },
        close: function () {
          receiver.close();
          sender.close();
        },
      };
    },
    region: function (name: string): Region | null {
      "cold";
      const pages = boot.regions[name];
      if (!pages) return null;
      return new EspruinoRegion(pages[0] * PAGE, boot.base, pages[1]);
    },
    settings: function () {
      "cold";
      return storage.read("cfg") || "";
    },
    log: function (text: string) {
      print(text);
    },
  };
}
