/**
 * Espruino 2v29's own globals and modules on an ESP32, as its sources have them (src/jswrap_*.c, libs/network): the types
 * published on npm describe 1v95. Limits that matter stand beside the member.
 */

/** Replaced by the build. */
declare const ESPALIER_VERSION: string;
declare const ESPALIER_ROLE: string;
declare const ESPALIER_BOARD: string;

/** What data sinks of the engine take. */
type EspruinoData = string | Uint8Array | ArrayBuffer | ArrayLike<number>;

declare const global: { [name: string]: any };
declare const console: { log(...values: unknown[]): void };
declare function print(...values: unknown[]): void;

/** Seconds since the start (or since 1970 once setTime was called), with fractions. */
declare function getTime(): number;
declare function setTime(seconds: number): void;
declare function getSerial(): string;
declare function load(file?: string): void;
declare function reset(clearFlash?: boolean): void;
declare function setTimeout<A extends unknown[]>(run: (...args: A) => void, milliseconds: number, ...args: A): number;
declare function setInterval<A extends unknown[]>(run: (...args: A) => void, milliseconds: number, ...args: A): number;
/** Throws when the handle is undefined, for instance of a timer that was never set. */
declare function clearTimeout(timer: number): void;
declare function clearInterval(timer: number): void;
declare function changeInterval(timer: number, milliseconds: number): void;

declare const process: {
  readonly version: string;
  readonly env: { readonly BOARD: string; readonly VERSION: string; readonly FLASH: number; readonly SERIAL: string };
  /** Collects garbage first unless told not to, some milliseconds. `usage` and `free` count variables. */
  memory(collect?: boolean): { free: number; usage: number; total: number; history: number; blocksize: number };
  on(event: "uncaughtException", handler: (error: Error) => void): void;
};

declare const E: {
  CRC32(data: EspruinoData): number;
  asUTF8(bytes: string): string;
  clip(value: number, low: number, high: number): number;
  defrag(): void;
  /** Works on chips, not on Linux; `automatic` kicks it from the idle loop. */
  enableWatchdog(seconds: number, automatic?: boolean): void;
  kickWatchdog(): void;
  getAddressOf(value: unknown, flat: boolean): number;
  getErrorFlags(): string[];
  getFlags(): { [flag: string]: number };
  setFlags(flags: { [flag: string]: number | boolean }): void;
  getSizeOf(value: unknown): number;
  getTemperature(): number;
  /** 32 bits; the same row after every boot. */
  hwRand(): number;
  srand(seed: number): void;
  mapInPlace(from: TypedArray, to: TypedArray, map?: unknown, bits?: number): void;
  /** A view on memory or flash, without a copy. */
  memoryArea(address: number, bytes: number): string;
  on(event: "init" | "kill", handler: () => void): void;
  on(event: "errorFlag", handler: (flags: string[]) => void): void;
  reboot(): void;
  reverseByte(value: number): number;
  setConsole(device: unknown, options?: { force?: boolean }): void;
  sum(values: ArrayLike<number>): number;
  toArrayBuffer(flat: string): ArrayBuffer;
  toFlatString(...data: (EspruinoData | number)[]): string | undefined;
  toString(...data: (EspruinoData | number)[]): string;
  toUint8Array(...data: (EspruinoData | number)[]): Uint8Array;
  variance(values: ArrayLike<number>, mean: number): number;
};

/** A pin: D0, D2 ... or what pins of a board file name. */
interface Pin {
  read(): boolean;
  write(high: boolean): void;
  set(): void;
  reset(): void;
  toggle(): boolean;
  mode(mode: PinMode): void;
  getMode(): PinMode;
  pulse(high: boolean, milliseconds: number): void;
  analog(): number;
  pwm(duty: number, options?: { freq?: number; soft?: boolean }): void;
}
type PinMode =
  | "analog"
  | "input"
  | "input_pullup"
  | "input_pulldown"
  | "output"
  | "opendrain"
  | "opendrain_pullup"
  | "af_output"
  | "af_opendrain";
declare const Pin: { new (name: string | number): Pin };
/** The global functions take a GPIO number too. */
type PinLike = Pin | number;
declare const HIGH: 1;
declare const LOW: 0;
declare function digitalRead(pin: PinLike): number;
declare function digitalWrite(pin: PinLike | PinLike[], value: number | boolean): void;
declare function digitalPulse(pin: PinLike, high: boolean | number, milliseconds: number | number[]): void;
declare function pinMode(pin: PinLike, mode?: PinMode, automatic?: boolean): void;
declare function getPinMode(pin: PinLike): PinMode;
/** 0..1 */
declare function analogRead(pin: PinLike): number;
declare function analogWrite(pin: PinLike, duty: number, options?: { freq?: number; soft?: boolean }): void;
declare function setWatch(
  run: (event: { state: boolean; time: number; lastTime: number }) => void,
  pin: PinLike,
  options?: { repeat?: boolean; edge?: "rising" | "falling" | "both"; debounce?: number },
): number;
declare function clearWatch(watch: number): void;
declare const D0: Pin,
  D1: Pin,
  D2: Pin,
  D3: Pin,
  D4: Pin,
  D5: Pin,
  D6: Pin,
  D7: Pin,
  D8: Pin,
  D9: Pin,
  D10: Pin,
  D11: Pin,
  D12: Pin,
  D13: Pin,
  D14: Pin,
  D15: Pin,
  D16: Pin,
  D17: Pin,
  D18: Pin,
  D19: Pin,
  D20: Pin,
  D21: Pin,
  D22: Pin,
  D23: Pin,
  D24: Pin,
  D25: Pin,
  D26: Pin,
  D27: Pin,
  D28: Pin,
  D29: Pin,
  D30: Pin,
  D31: Pin,
  D32: Pin,
  D33: Pin,
  D34: Pin,
  D35: Pin,
  D36: Pin,
  D37: Pin,
  D38: Pin,
  D39: Pin,
  D40: Pin,
  D41: Pin,
  D42: Pin,
  D43: Pin,
  D44: Pin,
  D45: Pin,
  D46: Pin,
  D47: Pin,
  D48: Pin;

interface SerialPort {
  setup(baud: number, options?: { rx?: Pin; tx?: Pin; bytesize?: number; parity?: string; stopbits?: number }): void;
  unsetup(): void;
  print(text: string): void;
  println(text: string): void;
  write(...data: (EspruinoData | number)[]): void;
  read(characters?: number): string | undefined;
  available(): number;
  on(event: "data", handler: (bytes: string) => void): void;
  removeAllListeners(event?: "data"): void;
}
declare const Serial1: SerialPort;
declare const Serial2: SerialPort;
declare const Serial3: SerialPort;

interface I2CPort {
  setup(options: { scl: Pin; sda: Pin; bitrate?: number }): void;
  writeTo(address: number | { address: number; stop: boolean }, ...data: (EspruinoData | number)[]): void;
  readFrom(address: number | { address: number; stop: boolean }, bytes: number): Uint8Array;
}
declare const I2C1: I2CPort;
declare const I2C2: I2CPort;

interface SPIPort {
  setup(options: { sck?: Pin; mosi?: Pin; miso?: Pin; baud?: number; mode?: number; order?: "msb" | "lsb" }): void;
  send(data: EspruinoData | number, select?: Pin): Uint8Array | number;
  write(...data: (EspruinoData | number | Pin)[]): void;
}
declare const SPI1: SPIPort;
declare const SPI2: SPIPort;

declare const url: {
  parse(
    address: string,
    parseQuery?: boolean,
  ): { method: string; host: string; path: string; port: number; query: any };
};

/** A TCP connection; at most 10 sockets of all kinds. Data arrives in pieces of at most 536 bytes on an ESP32. */
interface NetSocket {
  on(event: "data", handler: (bytes: string) => void): void;
  on(event: "drain" | "end", handler: () => void): void;
  on(event: "close", handler: (failed: boolean) => void): void;
  on(event: "error", handler: (error: { code: number; message: string }) => void): void;
  removeAllListeners(event?: string): void;
  /** Only queues; false while the queue is long. */
  write(data: EspruinoData): boolean;
  end(data?: EspruinoData): void;
  available(): number;
  read(characters?: number): string | undefined;
  pipe(destination: unknown, options?: unknown): void;
}
interface NetServer {
  listen(port: number): NetServer;
  close(): void;
  on(event: "error" | "close", handler: () => void): void;
}
interface DatagramInfo {
  address: string;
  port: number;
  size: number;
}
interface DgramSocket {
  /** The callback gets the bound socket, whose "message" event it has to listen for. */
  bind(port: number, bound?: (socket: DgramSocket) => void): DgramSocket;
  /** A datagram without data closes the socket; one in flight at a time, the next on "drain". */
  send(bytes: EspruinoData, port: number, address: string): void;
  send(bytes: EspruinoData, offset: number, length: number, port: number, address: string): void;
  addMembership(group: string, ip?: string): void;
  close(): void;
  on(event: "message", handler: (bytes: string, sender: DatagramInfo) => void): void;
  on(event: "close", handler: (failed: boolean) => void): void;
  on(event: "error", handler: (error: { code: number; message: string }) => void): void;
  on(event: "drain", handler: () => void): void;
}

interface HttpServerRequest {
  readonly headers: { [name: string]: string };
  readonly method: string;
  readonly url: string;
  available(): number;
  read(characters?: number): string | undefined;
  on(event: "data", handler: (bytes: string) => void): void;
  on(event: "close", handler: () => void): void;
}
interface HttpServerResponse {
  headers: { [name: string]: string };
  setHeader(name: string, value: string): void;
  writeHead(status: number, headers?: { [name: string]: string | number }): void;
  write(data: EspruinoData): boolean;
  end(data?: EspruinoData): void;
  on(event: "drain" | "close", handler: () => void): void;
}
interface HttpClientResponse {
  readonly headers: { [name: string]: string };
  readonly statusCode: string;
  readonly statusMessage: string;
  readonly httpVersion: string;
  available(): number;
  read(characters?: number): string | undefined;
  on(event: "data", handler: (bytes: string) => void): void;
  on(event: "close" | "error", handler: () => void): void;
}
interface HttpClientRequest {
  write(data: EspruinoData): boolean;
  end(data?: EspruinoData): void;
  on(event: "drain" | "close", handler: () => void): void;
  on(event: "error", handler: (error: { code: number; message: string }) => void): void;
}
interface HttpOptions {
  host: string;
  port?: number;
  path?: string;
  method?: string;
  protocol?: "http:" | "https:";
  headers?: { [name: string]: string | number };
}

interface WifiAccessPoint {
  ssid: string;
  mac: string;
  rssi: number;
  authMode: string;
  /** A text on ESP32. */
  channel: string | number;
}
interface WifiAddress {
  ip: string;
  netmask: string;
  gw: string;
  mac: string;
}
interface WifiStatus {
  mode: "off" | "sta" | "ap" | "sta+ap";
  station: "off" | "connecting" | "bad_password" | "no_ap_found" | "connect_failed" | "connected";
  ap: "disabled" | "enabled";
  powersave: "none" | "ps-poll";
  rssi?: number;
}
interface EspruinoWifi {
  /** Cannot choose among access points of one name; tries three times, then never again by itself. */
  connect(
    ssid: string,
    options: { password?: string; dnsServers?: string[] },
    done?: (error: string | null) => void,
  ): void;
  disconnect(done?: () => void): void;
  scan(done: (found: WifiAccessPoint[]) => void): void;
  /** At most 4 stations; not beside a station on an ESP32-C3. */
  startAP(
    ssid: string,
    options: { password?: string; authMode?: string; channel?: number },
    done?: (error: string | null) => void,
  ): void;
  stopAP(done?: (error: string | null) => void): void;
  getStatus(): WifiStatus;
  setConfig(settings: { powersave: "none" | "ps-poll" }): void;
  getDetails(): { status: string; ssid: string; password: string; authMode: string; rssi?: number };
  getAPDetails(): {
    status: string;
    ssid: string;
    password: string;
    authMode: string;
    maxConn: number;
    stations: { ip: string; mac: string }[];
  };
  getIP(): WifiAddress;
  getAPIP(): WifiAddress;
  setIP(settings: { ip: string; netmask: string; gw: string }, done?: (error: string | null) => void): void;
  /** Reports an error although it worked. */
  setAPIP(settings: { ip: string; netmask: string; gw: string }, done?: (error: string | null) => void): void;
  getHostByName(host: string, done: (address: string | null) => void): void;
  getHostname(): string;
  setHostname(name: string): void;
  setSNTP(server: string, timeZone: string): void;
  ping(host: string, done: (reply: { respTime: number; ip: string }) => void): void;
  save(what?: "clear" | "sta+ap"): void;
  restore(): void;
  on(event: "associated", handler: (details: { ssid: string; mac: string; channel: string }) => void): void;
  on(event: "disconnected", handler: (details: { ssid: string; mac: string; reason: string }) => void): void;
  on(event: "connected", handler: (details: { ip: string; netmask: string; gw: string }) => void): void;
  on(event: "dhcp_timeout", handler: () => void): void;
  on(event: "sta_joined" | "sta_left", handler: (details: { mac: string }) => void): void;
  removeAllListeners(event?: string): void;
}

interface EspruinoStorage {
  /** A view on flash, not a copy; undefined when there is no such file. */
  read(name: string, offset?: number, length?: number): string | undefined;
  readJSON(name: string, quiet?: boolean): any;
  readArrayBuffer(name: string): ArrayBuffer | undefined;
  /** Names of at most 28 characters, pieces of 1..4096 bytes. Offset 0 makes the file anew; bytes are written once. */
  write(name: string, data: EspruinoData, offset?: number, size?: number): boolean;
  writeJSON(name: string, data: unknown): boolean;
  erase(name: string): void;
  eraseAll(): void;
  list(pattern?: RegExp, filter?: { sf?: boolean }): string[];
  hash(pattern?: RegExp): number;
  /** 10 to 25 s, and a power cut meanwhile loses everything. */
  compact(showMessage?: boolean): void;
  getFree(): number;
  getStats(): {
    totalBytes: number;
    freeBytes: number;
    fileBytes: number;
    fileCount: number;
    trashBytes: number;
    trashCount: number;
  };
  open(name: string, mode: "r" | "w" | "a"): StorageFile;
}
/** A file that grows; its data cannot hold the byte 0xFF. */
interface StorageFile {
  read(characters: number): string | undefined;
  readLine(): string | undefined;
  getLength(): number;
  write(data: string): void;
  erase(): void;
}
interface EspruinoFlash {
  getPage(address: number): { addr: number; length: number } | undefined;
  getFree(): { addr: number; length: number }[];
  erasePage(address: number | { addr: number; length: number }): void;
  /** Clears bits only. */
  write(data: EspruinoData, address: number): void;
  read(length: number, address: number): Uint8Array;
}
interface AesOptions {
  iv?: EspruinoData;
  mode?: "CBC" | "CFB" | "CTR" | "OFB" | "ECB";
}
interface EspruinoCrypto {
  SHA1(message: EspruinoData): ArrayBuffer;
  SHA224(message: EspruinoData): ArrayBuffer;
  SHA256(message: EspruinoData): ArrayBuffer;
  SHA384(message: EspruinoData): ArrayBuffer;
  SHA512(message: EspruinoData): ArrayBuffer;
  PBKDF2(
    passphrase: EspruinoData,
    salt: EspruinoData,
    options?: { keySize?: number; iterations?: number; hasher?: "SHA1" | "SHA224" | "SHA256" | "SHA384" | "SHA512" },
  ): ArrayBuffer;
  readonly AES: {
    encrypt(message: EspruinoData, key: EspruinoData, options?: AesOptions): ArrayBuffer;
    decrypt(message: EspruinoData, key: EspruinoData, options?: AesOptions): ArrayBuffer;
  };
}

declare function require(module: "Wifi"): EspruinoWifi;
declare function require(module: "net"): {
  createServer(accept: (socket: NetSocket) => void): NetServer;
  /** Blocks the interpreter until the peer answers, tens of seconds when it is dead. */
  connect(address: { host: string; port: number }, connected: (socket: NetSocket) => void): NetSocket;
};
declare function require(module: "tls"): {
  connect(
    address: { host: string; port: number; ca?: string; key?: string; cert?: string },
    connected: (socket: NetSocket) => void,
  ): NetSocket;
};
declare function require(module: "dgram"): {
  /** `recvBufferSize` 1480 lifts the cut of received datagrams from 528 to 1472 bytes. */
  createSocket(
    options: "udp4" | { type: "udp4"; reuseAddr?: boolean; recvBufferSize?: number },
    received?: (bytes: string, sender: DatagramInfo) => void,
  ): DgramSocket;
};
declare function require(module: "http"): {
  createServer(serve: (request: HttpServerRequest, response: HttpServerResponse) => void): NetServer;
  request(options: HttpOptions | string, answered: (response: HttpClientResponse) => void): HttpClientRequest;
  get(options: HttpOptions | string, answered: (response: HttpClientResponse) => void): HttpClientRequest;
};
declare function require(module: "Storage"): EspruinoStorage;
declare function require(module: "Flash"): EspruinoFlash;
declare function require(module: "crypto"): EspruinoCrypto;
declare function require(module: "heatshrink"): {
  compress(data: EspruinoData): ArrayBuffer;
  decompress(data: EspruinoData): ArrayBuffer;
};
declare function require(module: "neopixel"): { write(pin: Pin, data: EspruinoData): void };
