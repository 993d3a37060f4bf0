/** SLIP framing (RFC 1055) as Espressif's boot loaders use it: 0xC0 before and after each packet. */
const END = 0xc0;
const ESC = 0xdb;
const ESC_END = 0xdc;
const ESC_ESC = 0xdd;

export function slipEncode(packet: Uint8Array): Buffer {
  const out: number[] = [END];
  for (const byte of packet) {
    if (byte === END) out.push(ESC, ESC_END);
    else if (byte === ESC) out.push(ESC, ESC_ESC);
    else out.push(byte);
  }
  out.push(END);
  return Buffer.from(out);
}

/** Cuts packets out of a stream; bytes outside of packets and packets with a wrong escape are dropped. O(1) a byte. */
export function createSlipDecoder(packet: (bytes: Buffer) => void, limit = 0x10000): (bytes: Uint8Array) => void {
  const buffer = Buffer.alloc(limit);
  let length = 0;
  let state: "outside" | "inside" | "escape" = "outside";
  return (bytes) => {
    for (const byte of bytes) {
      if (byte === END) {
        const whole = state === "inside" && length > 0;
        // An END also opens the next packet, so a lost END costs one packet and not all that follow.
        state = whole ? "outside" : "inside";
        const content = Buffer.from(buffer.subarray(0, length));
        length = 0;
        if (whole) packet(content);
        continue;
      }
      if (state === "outside") continue;
      if (state === "inside" && byte === ESC) {
        state = "escape";
        continue;
      }
      let value = byte;
      if (state === "escape") {
        state = "inside";
        if (byte === ESC_END) value = END;
        else if (byte === ESC_ESC) value = ESC;
        else state = "outside";
      }
      if (state === "outside" || length === limit) {
        state = "outside";
        length = 0;
      } else buffer[length++] = value;
    }
  };
}
