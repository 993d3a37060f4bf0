import { createXor } from "../../../firmware/ota/xor";
import { createGraphics } from "../../../host-tools/simulator/chip/graphics";
import type { GlobalsContext } from "../../../host-tools/simulator/chip/globals";

const realm = {
  error: (text: string) => new Error(text),
  arrayBuffer: (length: number) => new ArrayBuffer(length),
};
let charged = 0;
const graphics = createGraphics({
  realm,
  charge: (instructions: number) => void (charged += instructions),
} as unknown as GlobalsContext);

describe("drawing on the virtual chip", () => {
  const globals = globalThis as unknown as { Graphics?: object; E?: object };

  afterEach(() => {
    delete globals.Graphics;
    delete globals.E;
  });

  test("gives the firmware's exclusive or of strings, as the interpreter does", () => {
    globals.Graphics = graphics;
    globals.E = { toString: (data: Uint8Array) => Buffer.from(data).toString("latin1") };
    const xor = createXor(32);
    expect(xor("abcdefgh", "12345678")).toBe("PPPPPPPP");
    expect([xor("abc", "\x01"), xor("\x10", "aaaa"), xor("ab", "ab")]).toEqual(["`bc", "qaaa", "\0\0"]);
    const every = String.fromCharCode(...Array.from({ length: 32 }, (_, i) => i * 8));
    expect(xor(every, "\xff".repeat(32))).toBe(
      String.fromCharCode(...Array.from({ length: 32 }, (_, i) => 255 - i * 8)),
    );
    expect(charged).toBeGreaterThan(100_000);
  });

  test("refuses what it cannot draw", () => {
    const { createArrayBuffer } = graphics as {
      createArrayBuffer(...args: unknown[]): { drawImage(i: object, x: number, y: number): void };
    };
    expect(() => createArrayBuffer(2, 2, 3, { msb: true })).toThrow("Invalid BPP");
    expect(() => createArrayBuffer(2, 2, 4)).toThrow("msb");
    expect(() => createArrayBuffer(2, 2, 4, { msb: true }).drawImage({ width: 2, height: 2, bpp: 4 }, 0, 0)).toThrow();
  });
});
