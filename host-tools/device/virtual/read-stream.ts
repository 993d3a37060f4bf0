/** The stub's READ_FLASH: packets of data, so many unacknowledged at a time, then an MD5 of all. */
import { createHash } from "node:crypto";
import type { NorFlash } from "../../simulator/chip/flash";

export interface ReadStream {
  readonly done: boolean;
  /** A packet from the host: u32 of the bytes it has. */
  acknowledge(packet: Buffer): void;
}

/** @param request u32 offset, length, bytes in a packet, packets in flight */
export function readFlashStream(flash: NorFlash, request: Buffer, send: (packet: Uint8Array) => void): ReadStream {
  const [offset, length] = [request.readUInt32LE(0), request.readUInt32LE(4)];
  const [block, window] = [request.readUInt32LE(8), request.readUInt32LE(12)];
  const data = Buffer.from(flash.read(offset, length));
  let sent = 0;
  let acknowledged = 0;
  let done = false;
  function pump(): void {
    while (sent < length && sent - acknowledged < block * window) {
      const packet = data.subarray(sent, sent + block);
      sent += packet.length;
      send(packet);
    }
    if (acknowledged < length || done) return;
    done = true;
    send(createHash("md5").update(data).digest());
  }
  pump();
  return {
    get done() {
      return done;
    },
    acknowledge(packet) {
      if (packet.length !== 4) {
        done = true;
        return;
      }
      acknowledged = packet.readUInt32LE(0);
      pump();
    },
  };
}
