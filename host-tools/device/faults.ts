/** What can go wrong between the laptop and a board, with what to do about it. Codes are stable; wording is not. */
import { EspalierError } from "../errors";
import { LineLostError } from "./port";

export type DeviceErrorCode =
  | "NO_PORT"
  | "PORT_NOT_FOUND"
  | "PORT_BUSY"
  | "PORT_PERMISSION"
  | "PORT_FAILED"
  | "LINE_LOST"
  | "NO_SYNC"
  | "STUB_FAILED"
  | "UNSUPPORTED_CHIP"
  | "WRONG_CHIP"
  | "FLASH_ENCRYPTED"
  | "SECURE_BOOT"
  | "SECURE_DOWNLOAD"
  | "FLASH_TOO_SMALL"
  | "NOT_AN_IMAGE"
  | "IMAGE_WRONG_CHIP"
  | "IMAGE_TOO_LARGE"
  | "OLD_LAYOUT"
  | "WRITE_FAILED"
  | "VERIFY_FAILED"
  | "NO_CONSOLE"
  | "STORAGE_NOT_EMPTY"
  | "BOARD_REFUSED"
  | "STORAGE_IMAGE"
  | "NO_SUCH_FILE";

const HINTS: Record<DeviceErrorCode, string> = {
  NO_PORT:
    "Plug the board in with a cable that carries data, not only power. If no port appears, install the driver of its USB chip: CP210x (Silicon Labs), CH340/CH9102 (WCH) or FTDI; boards with native USB need none.",
  PORT_NOT_FOUND: "Is the cable in? Without --port, espalier looks for boards by itself.",
  PORT_BUSY: "Close the serial monitor, IDE or other espalier that has the port open, and try again.",
  PORT_PERMISSION:
    'On Linux, add yourself to the port\'s group once, "sudo usermod -a -G dialout $USER" ("uucp" on Arch), then log out and in.',
  PORT_FAILED: "Unplug the board, plug it back in, and try again.",
  LINE_LOST: "Plug the cable back in and run the same command again: it goes on with what is missing.",
  NO_SYNC:
    "Hold the BOOT button (IO0), press and release EN/RESET, then release BOOT, and run the command again, with --before no-reset if the board has no reset circuit. A cable without data lines looks the same.",
  STUB_FAILED: "Try again with --no-stub, which is slower.",
  UNSUPPORTED_CHIP: "Espalier runs on ESP32, ESP32-C3 and ESP32-S3.",
  WRONG_CHIP: "Choose the board that is plugged in with --board, or leave the option out to have it chosen.",
  FLASH_ENCRYPTED: "This chip's flash is encrypted for good; Espruino cannot be put on it. Use another board.",
  SECURE_BOOT: "This chip only boots images signed with its owner's key. Use another board.",
  SECURE_DOWNLOAD: "Secure download mode is burnt into this chip; its flash cannot be checked. Use another board.",
  FLASH_TOO_SMALL: "Espruino's layout needs 4 MB of flash.",
  NOT_AN_IMAGE: "Give the .tgz of an Espruino release, a folder with its three .bin files, or a merged .bin.",
  IMAGE_WRONG_CHIP: "Take the Espruino build of this chip.",
  IMAGE_TOO_LARGE: "Take an Espruino release build, or a smaller bundle.",
  OLD_LAYOUT: "Flash a current Espruino release (2v25 or newer) together with its partition table: espalier flash.",
  WRITE_FAILED: "Run the same command again; --baud 115200 helps with long cables and hubs.",
  VERIFY_FAILED: "Run the same command again. If it happens again, the flash chip is worn out or the supply is weak.",
  NO_CONSOLE: 'Does the board run Espruino? "espalier flash" puts it there. Press its reset button and try again.',
  STORAGE_NOT_EMPTY: '--erase removes these files for good; "espalier storage get" saves one.',
  BOARD_REFUSED: 'Run the same command again; if it stays, "espalier flash --erase-all" makes a clean start.',
  STORAGE_IMAGE: 'Names have 1 to 28 bytes and no ":" in second place; files hold at least one byte.',
  NO_SUCH_FILE: '"espalier storage ls" lists what there is.',
};

export function deviceError(
  code: DeviceErrorCode,
  message: string,
  details: { hint?: string; context?: Record<string, unknown>; cause?: unknown } = {},
): EspalierError {
  return new EspalierError(code, message, { hint: HINTS[code], ...details });
}

/** What opening a port failed with, by the wording of the operating systems. */
export function openFault(path: string, error: unknown): EspalierError {
  if (error instanceof EspalierError) return error;
  const { message = String(error), code = "" } = (error ?? {}) as { message?: string; code?: string };
  const text = `${code} ${message}`;
  const details = { context: { port: path }, cause: error };
  if (/EACCES|Permission denied/i.test(text) && !/Access denied/i.test(text))
    return deviceError("PORT_PERMISSION", `no permission to open ${path}`, details);
  // Windows says "Access denied" for a port that another program holds.
  if (/EBUSY|is in use|cannot lock|temporarily unavailable|Access denied|resource busy/i.test(text))
    return deviceError("PORT_BUSY", `${path} is in use by another program`, details);
  if (/ENOENT|No such file|File not found|ENXIO|ENODEV|No such device/i.test(text))
    return deviceError("PORT_NOT_FOUND", `there is no port ${path}`, details);
  return deviceError("PORT_FAILED", `cannot open ${path}: ${message}`, details);
}

/** A failure in the middle of work: a lost line is named as such, the rest gets `code`. */
export function workFault(path: string, error: unknown, code: DeviceErrorCode, what: string): EspalierError {
  if (error instanceof EspalierError) return error;
  const details = { context: { port: path }, cause: error };
  if (isLost(error)) return deviceError("LINE_LOST", `the connection to ${path} was lost while ${what}`, details);
  const reason = error instanceof Error ? error.message : String(error);
  return deviceError(code, `${path}: ${what} failed: ${reason}`, details);
}

export function isLost(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof LineLostError) return true;
  return false;
}
