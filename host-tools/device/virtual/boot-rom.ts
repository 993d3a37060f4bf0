/**
 * A boot ROM in download mode, and the flasher stub that it can be made to run. Protocol:
 * https://docs.espressif.com/projects/esptool/en/latest/esp32/advanced-topics/serial-protocol.html
 * It rejects what a real ROM was seen to reject; commands that only the stub knows are refused until the stub runs.
 */
import { createHash } from "node:crypto";
import type { NorFlash } from "../../simulator/chip/flash";
import { CHIPS, type ChipName } from "../chips";
import { createSlipDecoder, slipEncode } from "../slip";
import { FlashSession } from "./flash-session";
import { CHIP_ERASE, HASH_BYTE, type Meter } from "./meter";
import type { Registers } from "./registers";
import { readFlashStream, type ReadStream } from "./read-stream";

/** Error codes behind a failed command: of the ROM, and of the stub. */
export const INVALID_MESSAGE = 0x05;
export const FAILED = 0x06;
export const BAD_CHECKSUM = 0x07;
const STUB_BAD_LENGTH = 0xc0;
const STUB_BAD_CHECKSUM = 0xc1;
const STUB_INVALID_COMMAND = 0xc3;
const ROM_BLOCK = 0x400;
const CHECKSUM_SEED = 0xef;
/** What a real ROM puts into the value field of its replies to SYNC; the stub puts 0. */
const SYNC_VALUE = 0x20120707;

export interface BootRomOptions {
  chip: ChipName;
  flash: NorFlash;
  registers: Registers;
  meter: Meter;
  flashEncrypted: boolean;
  secureBoot: boolean;
  secureDownload: boolean;
  send(bytes: Uint8Array): void;
  setBaudRate(baudRate: number): void;
  /** The chip leaves download mode and boots from flash. */
  run(): void;
}

type Reply = { value?: number; data?: Uint8Array } | { error: number };

export class BootRom {
  private stub = false;
  private attached = false;
  private session: FlashSession | null = null;
  private memory: { address: number; parts: Buffer[] }[] = [];
  private stream: ReadStream | null = null;
  private readonly decode: (bytes: Uint8Array) => void;

  constructor(private readonly options: BootRomOptions) {
    this.decode = createSlipDecoder((packet) => this.packet(packet));
  }

  get stubRunning(): boolean {
    return this.stub;
  }

  receive(bytes: Uint8Array): void {
    this.decode(bytes);
  }

  private packet(packet: Buffer): void {
    if (this.stream) {
      this.stream.acknowledge(packet);
      if (this.stream.done) this.stream = null;
      return;
    }
    if (packet.length < 8 || packet[0] !== 0) return;
    const op = packet[1]!;
    const body = packet.subarray(8);
    if (body.length !== packet.readUInt16LE(2)) return;
    this.options.meter.ready();
    const reply = this.command(op, body, packet.readUInt32LE(4));
    if (reply) this.reply(op, reply);
    this.after(op, body);
  }

  private reply(op: number, reply: Reply): void {
    const failed = "error" in reply;
    // An unknown command is answered eight times under number 0.
    const unknown = failed && reply.error === INVALID_MESSAGE && !this.knows(op);
    const status = Buffer.alloc(this.stub ? 2 : 4);
    if (failed) status.set([1, reply.error]);
    const data = failed ? status : Buffer.concat([reply.data ?? Buffer.alloc(0), status]);
    const head = Buffer.alloc(8);
    head[0] = 1;
    head[1] = unknown ? 0 : op;
    head.writeUInt16LE(data.length, 2);
    head.writeUInt32LE((failed ? 0 : (reply.value ?? 0)) >>> 0, 4);
    const times = unknown || (op === SYNC && !this.stub) ? 8 : 1;
    const frame = slipEncode(Buffer.concat([head, data]));
    for (let i = 0; i < times; i++) this.options.send(frame);
  }

  /** The ESP32's ROM is older than the security report. */
  private knows(op: number): boolean {
    if (op === SECURITY_INFO) return this.options.chip !== "ESP32";
    return this.stub || ROM_COMMANDS.has(op);
  }

  private command(op: number, body: Buffer, checksum: number): Reply | null {
    if (!this.knows(op)) return { error: INVALID_MESSAGE };
    if (this.options.secureDownload && !SECURE_COMMANDS.has(op)) return { error: INVALID_MESSAGE };
    // The ROM wants a word more here than the stub.
    const least = op === SPI_ATTACH && !this.stub ? 8 : (LENGTHS[op] ?? 0);
    if (body.length < least) return { error: this.stub ? STUB_BAD_LENGTH : INVALID_MESSAGE };
    switch (op) {
      case SYNC:
        return { value: this.stub ? 0 : SYNC_VALUE };
      case READ_REG:
        return { value: this.options.registers.read(body.readUInt32LE(0)) };
      case WRITE_REG:
        for (let at = 0; at + 16 <= body.length; at += 16)
          this.options.registers.write(body.readUInt32LE(at), body.readUInt32LE(at + 4), body.readUInt32LE(at + 8));
        return {};
      case SPI_ATTACH:
        this.attached = true;
        return {};
      case SPI_SET_PARAMS:
      case CHANGE_BAUD:
        return {};
      case MEM_BEGIN:
        this.memory.push({ address: body.readUInt32LE(12), parts: [] });
        return {};
      case MEM_DATA:
        return this.data(body, checksum, (data) => {
          this.memory.at(-1)?.parts.push(data);
          return this.memory.length ? 0 : FAILED;
        });
      case MEM_END:
        return {};
      case SECURITY_INFO:
        return this.securityInfo();
      default:
        return this.flashCommand(op, body, checksum);
    }
  }

  private flashCommand(op: number, body: Buffer, checksum: number): Reply | null {
    const { flash, meter } = this.options;
    // The stub sets the SPI pins up itself.
    if (!this.stub && !this.attached) return { error: FAILED };
    switch (op) {
      case FLASH_BEGIN:
      case DEFL_BEGIN: {
        const [size, offset] = [body.readUInt32LE(0), body.readUInt32LE(12)];
        if (offset + size > flash.bytes.length) return { error: FAILED };
        this.session = new FlashSession(flash, meter, offset, size, op === DEFL_BEGIN, this.stub);
        return {};
      }
      case FLASH_DATA:
      case DEFL_DATA: {
        if (!this.stub && body.readUInt32LE(0) > ROM_BLOCK) return { error: INVALID_MESSAGE };
        return this.data(body, checksum, (data) => this.session?.check(data, op === DEFL_DATA) ?? FAILED);
      }
      case FLASH_END:
      case DEFL_END:
        meter.ready();
        return this.session?.finished() === false && this.stub ? { error: 0xc8 } : {};
      case FLASH_MD5: {
        const [offset, size] = [body.readUInt32LE(0), body.readUInt32LE(4)];
        if (offset + size > flash.bytes.length) return { error: FAILED };
        const digest = createHash("md5").update(flash.read(offset, size)).digest();
        meter.work(size * HASH_BYTE);
        meter.ready();
        return { data: this.stub ? digest : Buffer.from(digest.toString("hex"), "latin1") };
      }
      case READ_FLASH_SLOW: {
        const [offset, size] = [body.readUInt32LE(0), body.readUInt32LE(4)];
        if (size > 64 || offset + size > flash.bytes.length) return { error: FAILED };
        return { data: Buffer.concat([flash.read(offset, size), Buffer.alloc(64 - size)]) };
      }
      case ERASE_FLASH:
        return this.erase(0, flash.bytes.length);
      case ERASE_REGION:
        return this.erase(body.readUInt32LE(0), body.readUInt32LE(4));
      case READ_FLASH:
        return body.readUInt32LE(0) + body.readUInt32LE(4) > flash.bytes.length ? { error: FAILED } : {};
      default:
        return { error: this.stub ? STUB_INVALID_COMMAND : INVALID_MESSAGE };
    }
  }

  private erase(offset: number, size: number): Reply {
    const { flash, meter } = this.options;
    const page = flash.pageBytes;
    if (offset % page || size % page || offset + size > flash.bytes.length) return { error: FAILED };
    if (size === flash.bytes.length) {
      for (let at = 0; at < size; at += page) flash.erasePage(at);
      meter.work(CHIP_ERASE);
    } else new FlashSession(flash, meter, offset, size, false, false);
    meter.ready();
    return {};
  }

  private data(body: Buffer, checksum: number, take: (data: Buffer) => number): Reply {
    const data = body.subarray(16, 16 + body.readUInt32LE(0));
    if (data.length !== body.readUInt32LE(0)) return { error: this.stub ? STUB_BAD_LENGTH : INVALID_MESSAGE };
    let sum = CHECKSUM_SEED;
    for (const byte of data) sum ^= byte;
    if (sum !== (checksum & 0xff)) return { error: this.stub ? STUB_BAD_CHECKSUM : BAD_CHECKSUM };
    const error = take(Buffer.from(data));
    return error ? { error } : {};
  }

  private securityInfo(): Reply {
    const { options } = this;
    const data = Buffer.alloc(20);
    data.writeUInt32LE((options.secureBoot ? 1 : 0) | (options.secureDownload ? 4 : 0), 0);
    data[4] = options.flashEncrypted ? 1 : 0;
    data.writeUInt32LE(CHIPS.find((chip) => chip.name === options.chip)!.imageId, 12);
    return { data };
  }

  /** What happens once the reply has left. */
  private after(op: number, body: Buffer): void {
    if (op === CHANGE_BAUD && body.length >= 8) this.options.setBaudRate(body.readUInt32LE(0));
    // The stub acknowledges a block when it has it, and writes it while the next one arrives.
    else if ((op === FLASH_DATA || op === DEFL_DATA) && this.session) this.session.write();
    else if (op === MEM_END && body.length >= 8 && body.readUInt32LE(0) === 0) this.startStub(body.readUInt32LE(4));
    else if (op === READ_FLASH && this.stub && body.length >= 16) {
      this.stream = readFlashStream(this.options.flash, body, (packet) => this.options.send(slipEncode(packet)));
      if (this.stream?.done) this.stream = null;
    } else if ((op === FLASH_END || op === DEFL_END) && body.length >= 4) {
      const stay = body.readUInt32LE(0) !== 0;
      this.session = null;
      if (!stay) this.options.run();
    } else if (op === RUN_USER_CODE && this.stub) this.options.run();
  }

  /** Code that was loaded is never executed here: an entry inside of it stands for the stub. */
  private startStub(entry: number): void {
    const loaded = this.memory.some(({ address, parts }) => {
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      return entry >= address && entry < address + length;
    });
    this.memory = [];
    if (!loaded) return;
    this.stub = true;
    this.options.send(slipEncode(Buffer.from("OHAI", "latin1")));
  }
}

const FLASH_BEGIN = 0x02;
const FLASH_DATA = 0x03;
const FLASH_END = 0x04;
const MEM_BEGIN = 0x05;
const MEM_END = 0x06;
const MEM_DATA = 0x07;
const SYNC = 0x08;
const WRITE_REG = 0x09;
const READ_REG = 0x0a;
const SPI_SET_PARAMS = 0x0b;
const SPI_ATTACH = 0x0d;
const READ_FLASH_SLOW = 0x0e;
const CHANGE_BAUD = 0x0f;
const DEFL_BEGIN = 0x10;
const DEFL_DATA = 0x11;
const DEFL_END = 0x12;
const FLASH_MD5 = 0x13;
const SECURITY_INFO = 0x14;
const ERASE_FLASH = 0xd0;
const ERASE_REGION = 0xd1;
const READ_FLASH = 0xd2;
const RUN_USER_CODE = 0xd3;

const ROM_COMMANDS = new Set([
  ...[FLASH_BEGIN, FLASH_DATA, FLASH_END, MEM_BEGIN, MEM_END, MEM_DATA, SYNC, WRITE_REG, READ_REG, SPI_SET_PARAMS],
  ...[SPI_ATTACH, READ_FLASH_SLOW, CHANGE_BAUD, DEFL_BEGIN, DEFL_DATA, DEFL_END, FLASH_MD5],
]);

/** What secure download mode leaves: https://docs.espressif.com/projects/esptool/en/latest/esp32c3/espsecure/ */
const SECURE_COMMANDS = new Set([
  ...[SYNC, SECURITY_INFO, SPI_ATTACH, SPI_SET_PARAMS, CHANGE_BAUD],
  ...[FLASH_BEGIN, FLASH_DATA, FLASH_END, DEFL_BEGIN, DEFL_DATA, DEFL_END],
]);

/** Fewest bytes in the body of a command. */
const LENGTHS: Record<number, number> = {
  [FLASH_BEGIN]: 16,
  [FLASH_DATA]: 16,
  [FLASH_END]: 4,
  [MEM_BEGIN]: 16,
  [MEM_END]: 8,
  [MEM_DATA]: 16,
  [SYNC]: 36,
  [WRITE_REG]: 16,
  [READ_REG]: 4,
  [READ_FLASH_SLOW]: 8,
  [CHANGE_BAUD]: 8,
  [DEFL_BEGIN]: 16,
  [DEFL_DATA]: 16,
  [DEFL_END]: 4,
  [FLASH_MD5]: 16,
  [ERASE_REGION]: 8,
  [READ_FLASH]: 16,
};
