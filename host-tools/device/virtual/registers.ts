/**
 * Registers that flashers read and write, as the chips' technical reference manuals and esptool give them: MAC and
 * security in the eFuses, the flash chip behind the SPI controller, the UART's divider.
 */
import type { ChipName } from "../chips";

export interface RegisterOptions {
  chip: ChipName;
  /** "aa:bb:cc:dd:ee:ff" */
  mac: string;
  flashBytes: number;
  flashEncrypted: boolean;
  secureBoot: boolean;
}

interface SpiLayout {
  base: number;
  user2: number;
  word0: number;
}

const MAGIC_ADDRESS = 0x40001000;
const MAGIC: Record<ChipName, number> = { ESP32: 0x00f01d83, "ESP32-C3": 0x1b31506f, "ESP32-S3": 0x9 };
const SPI: Record<ChipName, SpiLayout> = {
  ESP32: { base: 0x3ff42000, user2: 0x24, word0: 0x80 },
  "ESP32-C3": { base: 0x60002000, user2: 0x20, word0: 0x58 },
  "ESP32-S3": { base: 0x60002000, user2: 0x20, word0: 0x58 },
};
const EFUSE: Record<ChipName, number> = { ESP32: 0x3ff5a000, "ESP32-C3": 0x60008800, "ESP32-S3": 0x60007000 };
const SPI_USER_COMMAND = 1 << 18;
const READ_ID = 0x9f;
const CRYSTAL = 40e6;

export interface Registers {
  read(address: number): number;
  write(address: number, value: number, mask: number): void;
}

export function createRegisters(options: RegisterOptions): Registers {
  const { chip } = options;
  const spi = SPI[chip];
  const values = new Map<number, number>([[MAGIC_ADDRESS, MAGIC[chip]]]);
  const mac = Buffer.from(options.mac.replaceAll(":", ""), "hex");
  const efuse = EFUSE[chip];
  if (chip === "ESP32") {
    // FLASH_CRYPT_CNT has an odd number of ones when encryption is on; ABS_DONE_0 is secure boot.
    values.set(efuse, options.flashEncrypted ? 1 << 20 : 0);
    values.set(efuse + 4, mac.readUInt32BE(2));
    values.set(efuse + 8, mac.readUInt16BE(0));
    values.set(efuse + 12, 1 << 15);
    values.set(efuse + 24, options.secureBoot ? 1 << 4 : 0);
    values.set(0x3ff40014, Math.round(CRYSTAL / 115200));
  } else {
    values.set(efuse + 0x44, mac.readUInt32BE(2));
    values.set(efuse + 0x48, mac.readUInt16BE(0));
  }
  const flashId = (Math.log2(options.flashBytes) << 16) | 0x40ef;

  return {
    read: (address) => values.get(address >>> 0) ?? 0,
    write(address, value, mask) {
      const at = address >>> 0;
      const old = values.get(at) ?? 0;
      values.set(at, ((old & ~mask) | (value & mask)) >>> 0);
      if (at !== spi.base || !(value & SPI_USER_COMMAND)) return;
      if (((values.get(spi.base + spi.user2) ?? 0) & 0xff) === READ_ID) values.set(spi.base + spi.word0, flashId);
      // The bit clears itself when the command is done.
      values.set(at, 0);
    },
  };
}
