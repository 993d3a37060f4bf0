import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { createSlipDecoder, slipEncode } from "../../host-tools/device/slip";
import type { ChipName } from "../../host-tools/device/chips";
import { VirtualBoard } from "../../host-tools/device/virtual/board";

/** Talks to a boot ROM as bytes, without any flasher. */
function inDownloadMode(chip: ChipName = "ESP32") {
  const board = new VirtualBoard({ path: "v0", chip, mac: "24:0a:c4:aa:bb:cc" });
  const replies: Buffer[] = [];
  const decode = createSlipDecoder((packet) => void replies.push(packet));
  board.line.listen(115200, { received: decode, lost() {} });
  board.bootButton = true;
  board.reset();
  function command(op: number, body: Uint8Array = Buffer.alloc(0), checksum = 0): Buffer[] {
    const head = Buffer.from([0, op, body.length & 0xff, body.length >> 8, 0, 0, 0, 0]);
    head.writeUInt32LE(checksum, 4);
    replies.length = 0;
    board.line.write(slipEncode(Buffer.concat([head, body])));
    return [...replies];
  }
  return { board, command };
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32LE(value >>> 0, i * 4));
  return bytes;
}

const checksum = (data: Uint8Array): number => data.reduce((sum, byte) => sum ^ byte, 0xef);
/** Status bytes of a reply without data. */
const status = (reply: Buffer | undefined): number[] => [...reply!.subarray(8, 10)];

const SYNC = Buffer.concat([Buffer.from([7, 7, 0x12, 0x20]), Buffer.alloc(32, 0x55)]);

function startStub({ command }: ReturnType<typeof inDownloadMode>): Buffer[] {
  const code = Buffer.from("code");
  command(0x05, words(4, 1, 0x1800, 0x40080000));
  command(0x07, Buffer.concat([words(4, 0, 0, 0), code]), checksum(code));
  return command(0x06, words(0, 0x40080000));
}

describe("a virtual boot ROM", () => {
  it("answers SYNC eight times, with a value that is not zero", () => {
    const replies = inDownloadMode().command(0x08, SYNC);
    expect(replies).toHaveLength(8);
    expect(replies.every((reply) => reply[1] === 8 && reply.readUInt32LE(4) !== 0)).toBe(true);
  });

  it("refuses blocks over 1 KB with error 1, 5, and takes smaller ones", () => {
    const { command } = inDownloadMode();
    command(0x0d, Buffer.alloc(8));
    expect(status(command(0x02, words(0x1000, 1, 0x1000, 0))[0])).toEqual([0, 0]);
    const large = Buffer.alloc(0x401, 1);
    const small = Buffer.alloc(0x400, 1);
    expect(status(command(0x03, Buffer.concat([words(0x401, 0, 0, 0), large]), checksum(large))[0])).toEqual([1, 5]);
    expect(status(command(0x03, Buffer.concat([words(0x400, 0, 0, 0), small]), checksum(small))[0])).toEqual([0, 0]);
  });

  it("refuses a wrong checksum, a wrong length, and flash that was not attached", () => {
    const { command, board } = inDownloadMode();
    expect(status(command(0x02, words(0x1000, 1, 0x400, 0))[0])[0]).toBe(1);
    expect(status(command(0x0d, Buffer.alloc(4))[0])[0]).toBe(1);
    command(0x0d, Buffer.alloc(8));
    command(0x02, words(0x1000, 4, 0x400, 0));
    const data = Buffer.alloc(16, 3);
    expect(status(command(0x03, Buffer.concat([words(16, 0, 0, 0), data]), 1)[0])).toEqual([1, 7]);
    expect(status(command(0x03, Buffer.concat([words(99, 0, 0, 0), data]), checksum(data))[0])[0]).toBe(1);
    expect(board.flash.bytes.every((byte) => byte === 0xff)).toBe(true);
  });

  it("does not know the stub's commands, and an ESP32 not the security report", () => {
    const { command } = inDownloadMode();
    for (const op of [0xd0, 0xd1, 0xd2, 0x14]) {
      const replies = command(op, words(0, 0x1000, 0, 0));
      expect(replies).toHaveLength(8);
      expect(replies[0]![1]).not.toBe(op);
      expect(status(replies[0])).toEqual([1, 5]);
    }
    const report = inDownloadMode("ESP32-S3").command(0x14)[0]!;
    expect(report.subarray(8).readUInt32LE(12)).toBe(9);
  });

  it.each<[ChipName, number]>([
    ["ESP32", 0x3ff5a004],
    ["ESP32-C3", 0x60008844],
    ["ESP32-S3", 0x60007044],
  ])("keeps the MAC address of an %s in its eFuses", (chip, address) => {
    const { command } = inDownloadMode(chip);
    expect(command(0x0a, words(address))[0]!.readUInt32LE(4)).toBe(0xc4aabbcc);
    expect(command(0x0a, words(address + 4))[0]!.readUInt32LE(4) & 0xffff).toBe(0x240a);
  });

  it("answers MD5 in 32 digits, the stub in 16 bytes", () => {
    const session = inDownloadMode();
    session.command(0x0d, Buffer.alloc(8));
    const digest = createHash("md5").update(Buffer.alloc(64, 0xff)).digest();
    expect(session.command(0x13, words(0, 64, 0, 0))[0]!.toString("latin1", 8, 40)).toBe(digest.toString("hex"));
    expect(startStub(session).at(-1)!.toString()).toBe("OHAI");
    expect(session.command(0x13, words(0, 64, 0, 0))[0]!.subarray(8, 24)).toEqual(digest);
  });

  it("does not start a stub at an address where nothing was loaded", () => {
    const session = inDownloadMode();
    session.command(0x05, words(4, 1, 0x1800, 0x40080000));
    session.command(0x06, words(0, 0x40090000));
    expect(session.board.state).toBe("download");
  });

  it("erases whole pages at FLASH_BEGIN, and a write only clears bits", () => {
    const { command, board } = inDownloadMode();
    board.flash.bytes.fill(0, 0, 0x3000);
    command(0x0d, Buffer.alloc(8));
    command(0x02, words(0x1001, 1, 0x400, 0));
    expect(board.flash.read(0, 0x2000).every((byte) => byte === 0xff)).toBe(true);
    expect(board.flash.bytes[0x2000]).toBe(0);
    for (const value of [0xf0, 0x0f]) {
      command(0x02, words(0, 1, 0x400, 0));
      const data = Buffer.from([value]);
      board.flash.write(0, data);
    }
    expect(board.flash.bytes[0]).toBe(0);
  });

  it("speaks the new rate after it acknowledged at the old one", () => {
    const { command, board } = inDownloadMode();
    expect(command(0x0f, words(921600, 0))).toHaveLength(1);
    expect(command(0x0a, words(0x40001000))).toHaveLength(0);
    board.line.setHostBaud(921600);
    expect(command(0x0a, words(0x40001000))[0]!.readUInt32LE(4)).toBe(0x00f01d83);
  });

  it("survives any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 20 }), (chunks) => {
        const { board, command } = inDownloadMode();
        for (const chunk of chunks) board.line.write(chunk);
        board.line.write(Uint8Array.of(0xc0));
        for (const chunk of chunks) command(chunk[0] ?? 0, chunk);
        expect(["download", "stub", "stuck"]).toContain(board.state);
      }),
      { numRuns: 60 },
    );
  });
});

it("SLIP gives back what it was given, however it is cut", () => {
  const packets = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 8 });
  fc.assert(
    fc.property(packets, fc.integer({ min: 1, max: 20 }), (sent, step) => {
      const stream = Buffer.concat(sent.map((packet) => slipEncode(packet)));
      const got: Buffer[] = [];
      const decode = createSlipDecoder((packet) => void got.push(packet));
      for (let at = 0; at < stream.length; at += step) decode(stream.subarray(at, at + step));
      expect(got).toEqual(sent.map((packet) => Buffer.from(packet)));
    }),
  );
});
