/** Espruino's Storage and Flash modules for programs in a chip, over a StorageArea. */
import { FLAG_LOG, HEADER, NAME } from "../../device/storage-format";
import { asBytes, asText } from "./bytes";
import type { RealmHelpers } from "./prelude";
import { StorageArea, StorageFailure } from "./storage-area";

export interface StorageContext {
  area: StorageArea;
  realm: RealmHelpers;
  /** Address of the area's first byte in the chip's flash. */
  base: number;
  /** Bytes of the whole flash. */
  flashBytes: number;
  charge(instructions: number): void;
  /** Flash was read: the hardware's time. */
  reading(bytes: number): void;
  /** Source that came from flash: the chip remembers where, to notice when running code is overwritten. */
  fetched(text: string, offset: number): void;
  fault(text: string): void;
}

export function createStorage(context: StorageContext): object {
  const { area, realm } = context;

  /** Runs a flash operation; failures become errors of the chip's realm. */
  function guarded<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof StorageFailure) throw realm.error(error.message);
      throw error;
    }
  }

  function read(name: unknown, offset?: unknown, length?: unknown): string | undefined {
    const bytes = area.read(String(name), Number(offset) | 0, Number(length) | 0);
    context.reading(HEADER);
    if (!bytes) return undefined;
    const text = asText(bytes);
    context.fetched(text, bytes.byteOffset - area.flash.bytes.byteOffset);
    return text;
  }

  function write(name: unknown, data: unknown, offset?: unknown, size?: unknown): boolean {
    let bytes = asBytes(data);
    let at = Number(offset) || 0;
    let total = Number(size) || 0;
    if (!bytes && data !== null && typeof data === "object") {
      bytes = Buffer.from(JSON.stringify(data), "latin1");
      at = 0;
      total = 0;
    }
    if (!bytes) bytes = Buffer.from(String(data), "latin1");
    const stored = bytes;
    return guarded(() => area.write(String(name), stored, 0, at, total));
  }

  return {
    read,
    write,
    readJSON(name: unknown, silent?: unknown): unknown {
      const text = read(name);
      if (text === undefined) return undefined;
      try {
        return realm.local(JSON.parse(text));
      } catch (error) {
        if (silent) return undefined;
        throw realm.syntaxError((error as Error).message);
      }
    },
    writeJSON(name: unknown, data: unknown): boolean {
      return write(name, JSON.stringify(data) ?? "");
    },
    readArrayBuffer(name: unknown): ArrayBuffer | undefined {
      const bytes = area.read(String(name));
      if (!bytes) return undefined;
      const buffer = realm.arrayBuffer(bytes.length);
      new Uint8Array(buffer).set(bytes);
      return buffer;
    },
    erase(name: unknown): void {
      area.erase(String(name));
    },
    eraseAll(): void {
      area.eraseAll();
    },
    compact(): void {
      area.compact();
    },
    list(pattern?: unknown, filter?: { sf?: unknown }): string[] {
      const logs = filter && "sf" in filter ? Boolean(filter.sf) : undefined;
      const names = area.list(logs);
      const match = pattern as { exec?: (text: string) => unknown } | undefined;
      return realm.local(match?.exec ? names.filter((name) => match.exec!(name)) : names);
    },
    getFree(): number {
      return area.stats().freeBytes;
    },
    getStats(): object {
      return realm.local({ ...area.stats() });
    },
    open(name: unknown, mode: unknown): object {
      if (mode !== "r" && mode !== "w" && mode !== "a")
        throw realm.error(`Invalid mode ${JSON.stringify(mode) ?? "undefined"}`);
      return openLog(area, realm, guarded, String(name).slice(0, NAME - 1), mode);
    },
  };
}

/** A StorageFile: numbered chunks of a page each, the end marked by erased bytes. */
function openLog(
  area: StorageArea,
  realm: RealmHelpers,
  guarded: <T>(run: () => T) => T,
  name: string,
  opened: "r" | "w" | "a",
): object {
  const step = Math.min(area.flash.pageBytes, 4096) - HEADER;
  let mode: string = opened;
  let chunk = 1;
  let offset = 0;

  function part(number: number): Buffer | undefined {
    return area.read(name + String.fromCharCode(number));
  }

  function endOf(bytes: Buffer): number {
    const end = bytes.indexOf(0xff);
    return end < 0 ? bytes.length : end;
  }

  function eraseLog(): void {
    for (let number = 1; area.erase(name + String.fromCharCode(number)); number++);
    chunk = 1;
    offset = 0;
  }

  function take(wanted: number, line: boolean): string | undefined {
    if (mode !== "r") throw realm.error("Can't read in this mode");
    let result = "";
    while (result.length < wanted) {
      const bytes = part(chunk);
      if (!bytes) break;
      const rest = bytes.subarray(offset, endOf(bytes));
      const newline = line ? rest.indexOf(10) : -1;
      const count = Math.min(newline < 0 ? rest.length : newline + 1, wanted - result.length);
      result += asText(rest.subarray(0, count));
      offset += count;
      if (newline >= 0 || offset < bytes.length || chunk === 255) break;
      chunk++;
      offset = 0;
    }
    return result === "" ? undefined : result;
  }

  function put(data: Buffer): void {
    const label = name + String.fromCharCode(chunk);
    const file = area.find(label);
    if (!file) {
      guarded(() => area.write(label, data, FLAG_LOG, 0, step));
      offset = data.length;
      return;
    }
    const room = file.size - offset;
    if (data.length < room) {
      area.put(file.data + offset, data);
      offset += data.length;
      return;
    }
    area.put(file.data + offset, data.subarray(0, room));
    offset = file.size;
    if (chunk === 255) throw realm.error("File too big!");
    guarded(() => area.write(name + String.fromCharCode(chunk + 1), data.subarray(room), FLAG_LOG, 0, step));
    chunk++;
    offset = data.length - room;
  }

  if (mode === "w") eraseLog();
  if (mode === "a") {
    for (;;) {
      const bytes = part(chunk);
      offset = bytes ? endOf(bytes) : 0;
      if (!bytes || bytes[bytes.length - 1] === 0xff || chunk === 255) break;
      chunk++;
    }
  }
  return {
    read: (length: unknown) => take(Math.max(0, Number(length) | 0), false),
    readLine: () => take(Infinity, true),
    getLength(): number {
      let total = 0;
      for (let number = 1; number <= 255; number++) {
        const bytes = part(number);
        if (!bytes) break;
        total += endOf(bytes);
        if (endOf(bytes) < bytes.length) break;
      }
      return total;
    },
    write(data: unknown): void {
      if (mode !== "w" && mode !== "a") throw realm.error("Can't write in this mode");
      const bytes = asBytes(data) ?? Buffer.from(String(data), "latin1");
      if (!bytes.length) return;
      try {
        put(bytes);
      } catch (error) {
        mode = "";
        throw error;
      }
    },
    erase(): void {
      eraseLog();
      mode = "";
    },
  };
}

/** The Flash module: addresses of the whole chip, of which the Storage area is what exists here. */
export function createFlash(context: StorageContext): object {
  const { area, realm, base, flashBytes } = context;
  const size = area.flash.bytes.length;

  function inside(address: number, length: number): boolean {
    return address >= base && address + length <= base + size;
  }

  return {
    read(length: unknown, address: unknown): Uint8Array | undefined {
      const count = Number(length) | 0;
      const at = Number(address) >>> 0;
      if (count <= 0) return undefined;
      const result = realm.uint8Array(count);
      context.reading(count);
      // The realm's own methods would charge the program for this copy.
      const bytes = Buffer.from(result.buffer);
      if (inside(at, count)) area.flash.read(at - base, count).copy(bytes);
      else bytes.fill(0xff);
      return result;
    },
    write(data: unknown, address: unknown): void {
      if (data === undefined) throw realm.error("Data is not defined");
      const bytes = asBytes(data);
      const at = Number(address) >>> 0;
      if (!bytes || !bytes.length) return;
      if (!inside(at, bytes.length)) context.fault(`Flash.write outside of Storage at 0x${at.toString(16)}`);
      else area.put(at - base, bytes);
    },
    erasePage(address: unknown): void {
      if (typeof address !== "number" || Math.floor(address) !== address)
        throw realm.error("Address should be an integer");
      if (!inside(address, 1)) {
        context.fault(`Flash.erasePage outside of Storage at 0x${address.toString(16)}`);
        return;
      }
      area.erasePageAt(address - base);
    },
    getPage(address: unknown): object | undefined {
      const at = Number(address) >>> 0;
      const page = area.flash.pageBytes;
      return at < flashBytes ? realm.local({ addr: at - (at % page), length: page }) : undefined;
    },
    getFree(): object[] {
      // What the ESP32 build reports; the last one lies inside the Storage area of today's partition table.
      return realm.local([
        { addr: 0xe000, length: 0x2000 },
        { addr: 0x310000, length: 0x10000 },
        { addr: 0x360000, length: 0xa0000 },
      ]);
    },
  };
}
