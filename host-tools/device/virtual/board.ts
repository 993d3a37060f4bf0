/**
 * A virtual board: flash, reset circuit, boot ROM, and behind a good image an Espruino console.
 *
 * The circuit is the one of ESP32 DevKits: RTS alone holds the chip in reset, DTR alone pulls GPIO0 low, both together do
 * nothing; GPIO0 is read when the reset ends. Boards with native USB (C3, S3) take the same lines over USB.
 */
import { NorFlash, PowerCut } from "../../simulator/chip/flash";
import type { ChipName } from "../chips";
import type { Signals } from "../port";
import { BootRom } from "./boot-rom";
import { type ConsoleFactory, createVirtualConsole, type VirtualConsole } from "./console";
import { type LineEnd, VirtualLine } from "./line";
import { createRegisters } from "./registers";
import { startUp } from "./startup";

export interface VirtualBoardOptions {
  path: string;
  chip?: ChipName;
  /** "aa:bb:cc:dd:ee:ff" */
  mac?: string;
  /** Contents (kept, not copied, when it is a NorFlash); erased 4 MB unless given. */
  flash?: NorFlash;
  flashEncrypted?: boolean;
  secureBoot?: boolean;
  secureDownload?: boolean;
  /** GPIO0 is wired to the host's DTR; without, only the BOOT button leads to download mode. */
  autoReset?: boolean;
  /** What runs behind a good image; a small Espruino console unless given. */
  console?: ConsoleFactory;
  /** Seconds that the host takes between a reply and its next command. */
  latency?: number;
  /** Timers of the board; those of this process unless given. */
  after?: (milliseconds: number, run: () => void) => { cancel(): void };
}

export type BoardState = "off" | "reset" | "download" | "stub" | "console" | "stuck";

/** USB ids of what such boards carry: a CP2102 bridge, or the chip's own USB-Serial/JTAG. */
const CP2102 = { usbVendorId: 0x10c4, usbProductId: 0xea60 };
/** A capacitor lets EN rise slowly: lines that change one after the other count as one. */
const RISE_MS = 10;
const USB_JTAG = { usbVendorId: 0x303a, usbProductId: 0x1001 };

export class VirtualBoard implements LineEnd {
  readonly chip: ChipName;
  readonly mac: string;
  readonly flash: NorFlash;
  readonly line: VirtualLine;
  /** Held down by the user. */
  bootButton = false;
  /** Starts since it was made. */
  boots = 0;
  private rom: BootRom | null = null;
  private program: VirtualConsole | null = null;
  private powered = false;
  private enabled = true;
  private downloadFlag = false;
  private pulledLow = false;
  private rising: { cancel(): void } | null = null;
  private readonly after: (milliseconds: number, run: () => void) => { cancel(): void };
  private stuck = "";

  constructor(private readonly options: VirtualBoardOptions) {
    this.chip = options.chip ?? "ESP32";
    this.mac = options.mac ?? "24:0a:c4:00:00:01";
    this.after = options.after ?? wallClock;
    this.flash = options.flash ?? new NorFlash(4 * 1024 * 1024);
    const usb = this.chip === "ESP32" ? CP2102 : USB_JTAG;
    this.line = new VirtualLine(options.path, usb, options.latency);
    this.line.attach(this);
    this.plugged();
  }

  get state(): BoardState {
    if (!this.powered) return "off";
    if (!this.enabled) return "reset";
    if (this.rom) return this.rom.stubRunning ? "stub" : "download";
    return this.program ? "console" : "stuck";
  }

  /** Why it does not boot, "" while it does. */
  get stuckBy(): string {
    return this.stuck;
  }

  plugged(): void {
    this.powered = true;
    this.start(this.bootButton);
  }

  unplugged(): void {
    this.powered = false;
    this.enabled = true;
    this.rising?.cancel();
    this.rising = null;
    this.halt();
  }

  /** The reset button, a brown-out, a crash. */
  reset(): void {
    if (this.powered) this.start(this.bootButton);
  }

  receive(bytes: Uint8Array): void {
    if (!this.powered || !this.enabled) return;
    try {
      (this.rom ?? this.program)?.receive(bytes);
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.line.unplug();
    }
  }

  signals({ dataTerminalReady: dtr, requestToSend: rts }: Required<Signals>): void {
    if (this.options.autoReset === false) return;
    if (this.chip !== "ESP32") {
      if (dtr && !rts) this.downloadFlag = true;
      if (!dtr && rts) this.enabled = false;
      else if (!this.enabled && !rts) {
        this.enabled = true;
        this.start(this.downloadFlag || this.bootButton);
        this.downloadFlag = false;
      }
      return;
    }
    this.pulledLow = dtr && !rts;
    const held = rts && !dtr;
    if (held) {
      this.rising?.cancel();
      this.rising = null;
      this.enabled = false;
      this.halt();
    } else if (!this.enabled && !this.rising) {
      this.rising = this.after(RISE_MS, () => {
        this.rising = null;
        this.enabled = true;
        this.start(this.pulledLow || this.bootButton);
      });
    }
  }

  private halt(): void {
    this.program?.stop();
    this.program = null;
    this.rom = null;
  }

  private start(download: boolean): void {
    if (!this.powered || !this.enabled) return;
    this.halt();
    this.boots++;
    this.stuck = "";
    this.line.boardBaud = this.chip === "ESP32" ? 115200 : null;
    if (download) this.enterRom();
    else this.runFlash();
  }

  private enterRom(): void {
    const { options, flash, chip, mac } = this;
    const security = {
      flashEncrypted: options.flashEncrypted ?? false,
      secureBoot: options.secureBoot ?? false,
      secureDownload: options.secureDownload ?? false,
    };
    this.print(
      "ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT)\r\nwaiting for download\r\n",
    );
    this.rom = new BootRom({
      chip,
      flash,
      ...security,
      registers: createRegisters({ chip, mac, flashBytes: flash.bytes.length, ...security }),
      meter: this.line.meter,
      send: (bytes) => this.line.send(bytes),
      setBaudRate: (baudRate) => {
        if (this.line.boardBaud !== null) this.line.boardBaud = baudRate;
      },
      run: () => this.start(false),
    });
  }

  private runFlash(): void {
    this.print("ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n");
    const found = startUp(this.flash, this.chip);
    if (typeof found === "string") {
      this.stuck = found;
      this.print(`${found}\r\n`);
      return;
    }
    const create = this.options.console ?? createVirtualConsole;
    this.program = create({
      flash: this.flash,
      storageAddress: found.storage.offset,
      storageBytes: found.storage.size,
      chip: this.chip,
      mac: this.mac,
      send: (bytes) => this.line.send(bytes),
      reboot: () => this.start(this.bootButton),
      after: this.after,
    });
    this.program.start();
  }

  private print(text: string): void {
    this.line.send(Buffer.from(text, "latin1"));
  }
}

function wallClock(milliseconds: number, run: () => void): { cancel(): void } {
  const timer = setTimeout(run, milliseconds);
  timer.unref?.();
  return { cancel: () => clearTimeout(timer) };
}
