/**
 * A chip in download mode, by way of esptool-js. Works round what esptool-js 0.7 gets wrong: without its stub the ESP32
 * takes blocks of 1 KB only and answers MD5 in text, a hard reset must pull RTS first, and it never unlocks a stream
 * whose write failed (port.ts takes the stream away).
 */
import type { ESPLoader, Transport } from "esptool-js" with { "resolution-mode": "import" };
import { deflateSync } from "node:zlib";
import { EspalierError } from "../errors";
import { CHIPS, type ChipFacts } from "./chips";
import { deviceError, openFault, workFault } from "./faults";
import type { DevicePort } from "./port";

export type Before = "default-reset" | "no-reset" | "usb-reset";
export type After = "hard-reset" | "no-reset";

export interface ConnectOptions {
  /** Bits a second for the bulk; the connection starts at 115200 and stays there when the faster rate does not work. */
  baudRate: number;
  before: Before;
  /** Loads the flasher stub: much faster. */
  stub: boolean;
}

/** Progress in bytes on the wire. */
export type WireProgress = (sent: number, total: number) => void;

export interface ChipLink {
  readonly path: string;
  readonly chip: ChipFacts;
  /** "aa:bb:cc:dd:ee:ff" */
  readonly mac: string;
  readonly flashBytes: number;
  readonly stub: boolean;
  /** As DevicePort.whenLost. */
  readonly whenLost: Promise<never>;
  /** What the connection settled on. */
  readonly baudRate: number;
  /** MD5 of a piece of flash, computed by the chip; hex. */
  md5(address: number, length: number): Promise<string>;
  read(address: number, length: number): Promise<Buffer>;
  /** Erases and writes, compressed; returns the bytes of compressed data. */
  write(address: number, data: Uint8Array, progress: WireProgress): Promise<number>;
  /** Whole pages of 4096 bytes. */
  erase(address: number, length: number): Promise<void>;
  eraseAll(): Promise<void>;
  /** Lets the chip go and closes the port. */
  leave(after: After): Promise<void>;
}

export const ROM_BAUD = 115200;
const ROM_BLOCK = 0x400;
const READ_FLASH_SLOW = 0x0e;
const RESET_MODES = { "default-reset": "default_reset", "no-reset": "no_reset", "usb-reset": "usb_reset" } as const;
/** ESP32's eFuse words: FLASH_CRYPT_CNT in the first (an odd number of ones: on), ABS_DONE_0/1 in the seventh. */
const ESP32_EFUSE = 0x3ff5a000;

const SILENT = { clean() {}, write() {}, writeLine() {} };
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** @throws EspalierError of DeviceErrorCode; the port is closed then. */
export async function connectChip(port: DevicePort, options: ConnectOptions): Promise<ChipLink> {
  const { ESPLoader: Loader, Transport: Line } = await import("esptool-js");
  const transport = new Line(port as never, false);
  // It writes to the console whether asked to or not.
  transport.trace = () => {};
  const loader = new Loader({ transport, baudrate: options.baudRate, romBaudrate: ROM_BAUD, terminal: SILENT });
  try {
    return await Promise.race([identify(port, loader, transport, options), port.whenLost]);
  } catch (error) {
    await port.close().catch(() => {});
    if (error instanceof FasterRateFailed) return connectChip(port, { ...options, baudRate: ROM_BAUD });
    throw workFault(port.path, error, "NO_SYNC", "connecting");
  }
}

class FasterRateFailed extends Error {}

async function identify(
  port: DevicePort,
  loader: ESPLoader,
  transport: Transport,
  options: ConnectOptions,
): Promise<ChipLink> {
  try {
    await loader.connect(RESET_MODES[options.before]);
  } catch (error) {
    if (transport.baudrate === 0) throw openFault(port.path, error);
    const text = error instanceof Error ? error.message : String(error);
    if (/Unexpected C/.test(text)) throw deviceError("UNSUPPORTED_CHIP", `${port.path}: ${text}`, { cause: error });
    throw workFault(port.path, error, "NO_SYNC", "connecting to the chip's boot loader");
  }
  const chip = CHIPS.find((one) => one.name === loader.chip.CHIP_NAME);
  if (!chip) {
    const message = `${port.path}: a ${loader.chip.CHIP_NAME} cannot run Espruino`;
    throw deviceError("UNSUPPORTED_CHIP", message, { context: { port: port.path, chip: loader.chip.CHIP_NAME } });
  }
  try {
    await refuseSecured(port.path, loader, chip);
    const mac = (await loader.chip.readMac(loader)).toLowerCase();
    if (options.stub) {
      await loader.runStub().catch((error: unknown) => {
        throw workFault(port.path, error, "STUB_FAILED", "starting the flasher stub");
      });
    } else {
      loader.FLASH_WRITE_SIZE = ROM_BLOCK;
      await loader.checkCommand("attach the flash", loader.ESP_SPI_ATTACH, new Uint8Array(8));
    }
    if (options.baudRate !== ROM_BAUD) {
      await loader.changeBaud().catch((error: unknown) => {
        throw new FasterRateFailed("", { cause: error });
      });
    }
    const flashBytes = 2 ** (((await loader.readFlashId()) >> 16) & 0xff);
    return createLink(port, loader, transport, { chip, mac, flashBytes });
  } catch (error) {
    if (error instanceof FasterRateFailed) throw error;
    throw workFault(port.path, error, "NO_SYNC", "talking to the chip's boot loader");
  }
}

async function refuseSecured(path: string, loader: ESPLoader, chip: ChipFacts): Promise<void> {
  const context = { context: { port: path, chip: chip.name } };
  const odd = (bits: number): boolean => bits.toString(2).replaceAll("0", "").length % 2 === 1;
  let encrypted: boolean;
  let signed: boolean;
  if (loader.secureDownloadMode)
    throw deviceError("SECURE_DOWNLOAD", `${path}: the chip is locked (secure download mode)`, context);
  if (chip.name === "ESP32") {
    encrypted = odd(((await loader.readReg(ESP32_EFUSE)) >>> 20) & 0x7f);
    signed = ((await loader.readReg(ESP32_EFUSE + 24)) & 0x30) !== 0;
  } else {
    const security = await loader.getSecurityInfo();
    encrypted = odd(security.flashCryptCnt ?? 0);
    signed = security.parsedFlags.SECURE_BOOT_EN === true;
  }
  if (encrypted) throw deviceError("FLASH_ENCRYPTED", `${path}: flash encryption is on`, context);
  if (signed) throw deviceError("SECURE_BOOT", `${path}: secure boot is on`, context);
}

function createLink(
  port: DevicePort,
  loader: ESPLoader,
  transport: Transport,
  facts: { chip: ChipFacts; mac: string; flashBytes: number },
): ChipLink {
  const stub = loader.IS_STUB;

  async function readSlowly(address: number, length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 0; at < length; at += 64) {
      const request = Buffer.alloc(8);
      request.writeUInt32LE(address + at, 0);
      request.writeUInt32LE(Math.min(64, length - at), 4);
      const data = (await loader.checkCommand("read flash", READ_FLASH_SLOW, request, 0, 64)) as unknown as Uint8Array;
      parts.push(Buffer.from(data).subarray(0, Math.min(64, length - at)));
    }
    return Buffer.concat(parts);
  }

  return {
    ...facts,
    path: port.path,
    whenLost: port.whenLost,
    stub,
    baudRate: transport.baudrate,
    async md5(address, length) {
      const answer = await loader.flashMd5sum(address, length);
      // The ROM answers in hexadecimal digits, of which esptool-js makes hexadecimal again.
      return stub ? answer : Buffer.from(answer, "hex").toString("latin1");
    },
    async read(address, length) {
      return stub ? Buffer.from(await loader.readFlash(address, length)) : readSlowly(address, length);
    },
    async write(address, data, progress) {
      const packed = deflateSync(data, { level: 9 });
      const block = loader.FLASH_WRITE_SIZE;
      await loader.flashDeflBegin(data.length, packed.length, address);
      progress(0, packed.length);
      for (let at = 0, sequence = 0; at < packed.length; at += block, sequence++) {
        // What a block unpacks to is not known beforehand; it is written before the next one is acknowledged.
        await loader.flashDeflBlock(packed.subarray(at, at + block), sequence, WRITE_TIMEOUT);
        progress(Math.min(at + block, packed.length), packed.length);
      }
      if (stub) await loader.flashDeflFinish(false, WRITE_TIMEOUT);
      return packed.length;
    },
    async erase(address, length) {
      if (!stub) {
        await loader.flashBegin(length, address);
        return;
      }
      const request = Buffer.alloc(8);
      request.writeUInt32LE(address, 0);
      request.writeUInt32LE(length, 4);
      const timeout = loader.timeoutPerMb(loader.ERASE_REGION_TIMEOUT_PER_MB, length);
      await loader.checkCommand("erase a region", loader.ESP_ERASE_REGION, request, 0, 0, timeout);
    },
    async eraseAll() {
      if (stub) await loader.eraseFlash();
      else await loader.flashBegin(facts.flashBytes, 0);
    },
    async leave(after) {
      try {
        if (after === "hard-reset") {
          await transport.setDTR(false);
          await transport.setRTS(true);
          await pause(100);
          await transport.setRTS(false);
          // Closing changes the lines on some systems; the chip shall have started by then.
          await pause(50);
        }
      } finally {
        await port.close();
      }
    },
  };
}

/** Milliseconds for a block whose content unpacks to megabytes of erased flash. */
const WRITE_TIMEOUT = 120_000;

/** True for what another rate might cure. */
export function mayBeNoise(error: unknown): boolean {
  return error instanceof EspalierError && ["WRITE_FAILED", "VERIFY_FAILED"].includes(error.code);
}
