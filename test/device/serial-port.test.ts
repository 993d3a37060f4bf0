import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { openFault } from "../../host-tools/device/faults";
import { createPort, type LineEvents, LineLostError } from "../../host-tools/device/port";
import { networkPort } from "../../host-tools/device/rfc2217";
import { listPorts, portFor } from "../../host-tools/device/serial-port";
import { comPortCommand, createTelnetDecoder, telnetEscape } from "../../host-tools/device/telnet";
import { offerTcp } from "../../host-tools/device/virtual/tcp";
import { VirtualBoard } from "../../host-tools/device/virtual/board";

describe("the list of ports", () => {
  it("is empty where the system cannot list them", async () => {
    expect(await listPorts(() => Promise.reject(new Error("spawn udevadm ENOENT")))).toEqual([]);
  });

  it("has boards first and leaves out a PC's own ports", async () => {
    const found = await listPorts(async () => [
      { path: "/dev/ttyS0" },
      { path: "/dev/ttyUSB9", vendorId: "0525", productId: "a4a7" },
      { path: "/dev/ttyUSB1", vendorId: "10C4", productId: "EA60" },
      { path: "/dev/ttyACM0", vendorId: "303a", productId: "1001" },
      { path: "COM3" },
    ]);
    expect(found.map((port) => port.path)).toEqual(["/dev/ttyACM0", "/dev/ttyUSB1", "/dev/ttyUSB9", "COM3"]);
    expect(found.filter((port) => port.likely)).toHaveLength(2);
  });

  it("of ten boards has ten", async () => {
    const ten = Array.from({ length: 10 }, (_, i) => ({ path: `/dev/ttyUSB${i}`, vendorId: "1a86" }));
    expect((await listPorts(async () => ten)).filter((port) => port.likely)).toHaveLength(10);
  });
});

it.each([
  ["Error: No such file or directory, cannot open /dev/ttyUSB0", "PORT_NOT_FOUND"],
  ["Opening COM9: File not found", "PORT_NOT_FOUND"],
  ["Error: Permission denied, cannot open /dev/ttyUSB0", "PORT_PERMISSION"],
  ["Error Resource temporarily unavailable Cannot lock port", "PORT_BUSY"],
  ["Opening COM3: Access denied", "PORT_BUSY"],
  ["Inappropriate ioctl for device", "PORT_FAILED"],
])("%s is %s", (message, code) => {
  const fault = openFault("p", new Error(message));
  expect(fault.code).toBe(code);
  expect(fault.hint).toBeTruthy();
});

it("a port of this machine that does not exist says so", async () => {
  const port = portFor("/dev/espalier-no-such-port");
  const error = await port.open({ baudRate: 115200 }).catch((thrown: unknown) => thrown);
  expect(openFault(port.path, error).code).toBe("PORT_NOT_FOUND");
});

describe("a port", () => {
  function fake() {
    let events: LineEvents | null = null;
    const written: number[] = [];
    let fails = false;
    const port = createPort("fake", {
      open: async (_settings, given) => void (events = given),
      close: async () => {},
      async write(bytes) {
        if (fails) throw new Error("EIO");
        written.push(...bytes);
      },
      setBaudRate: async () => {},
      setSignals: async () => {},
    });
    return { port, written, events: () => events!, fail: () => (fails = true) };
  }

  it("has fresh streams after each opening and none while closed", async () => {
    const { port, events, written } = fake();
    expect(port.readable).toBeNull();
    await port.open({ baudRate: 1 });
    const first = port.readable;
    const reader = first!.getReader();
    events().received(Uint8Array.of(1));
    expect((await reader.read()).value).toEqual(Uint8Array.of(1));
    await port.writable!.getWriter().write(Uint8Array.of(2));
    expect(written).toEqual([2]);
    await port.close();
    expect((await reader.read()).done).toBe(true);
    expect(port.writable).toBeNull();
    await port.open({ baudRate: 1 });
    expect(port.readable).not.toBe(first);
  });

  it("that is lost takes its streams away, tells so, and is not opened again", async () => {
    const { port, events } = fake();
    await port.open({ baudRate: 1 });
    const reader = port.readable!.getReader();
    events().lost(new Error("gone"));
    await expect(reader.read()).rejects.toBeInstanceOf(LineLostError);
    await expect(port.whenLost).rejects.toBeInstanceOf(LineLostError);
    expect(port.writable).toBeNull();
    await expect(port.open({ baudRate: 1 })).rejects.toBeInstanceOf(LineLostError);
  });

  it("is lost when a write fails", async () => {
    const { port, fail } = fake();
    await port.open({ baudRate: 1 });
    fail();
    await expect(port.writable!.getWriter().write(Uint8Array.of(1))).rejects.toBeInstanceOf(LineLostError);
    expect(port.writable).toBeNull();
  });
});

describe("telnet", () => {
  it("gives back data and commands, however the stream is cut", () => {
    const part = fc.oneof(
      fc.record({ data: fc.uint8Array({ minLength: 1, maxLength: 30 }) }),
      fc.record({ command: fc.integer({ min: 0, max: 120 }), value: fc.uint8Array({ maxLength: 8 }) }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 10 }), fc.integer({ min: 1, max: 9 }), (parts, step) => {
        const stream = Buffer.concat(
          parts.map((one) => ("data" in one ? telnetEscape(one.data) : comPortCommand(one.command, one.value))),
        );
        const data: number[] = [];
        const commands: unknown[] = [];
        const decode = createTelnetDecoder({
          data: (bytes) => void data.push(...bytes),
          comPort: (command, value) => void commands.push([command, [...value]]),
        });
        for (let at = 0; at < stream.length; at += step) decode(stream.subarray(at, at + step));
        expect(data).toEqual(parts.flatMap((one) => ("data" in one ? [...one.data] : [])));
        expect(commands).toEqual(parts.flatMap((one) => ("command" in one ? [[one.command, [...one.value]]] : [])));
      }),
    );
  });
});

describe("a network port", () => {
  it("refuses what is no address", () => {
    expect(() => networkPort("tcp://nowhere")).toThrow(TypeError);
  });

  it("carries bytes, rate and modem lines to a virtual board", async () => {
    const board = new VirtualBoard({ path: "v0" });
    const offered = await offerTcp(board.line);
    const port = portFor(offered.path);
    await port.open({ baudRate: 115200 });
    await port.setSignals({ requestToSend: true, dataTerminalReady: false });
    expect(board.state).toBe("reset");
    await port.writable!.getWriter().write(Uint8Array.of(0xff, 0xc0));
    await port.setBaudRate(57600);
    expect(board.line.hostBaud).toBe(57600);
    await port.close();
    await offered.close();
    expect(board.line.toBoard).toBe(2);
  });

  it("is busy for a second client", async () => {
    const board = new VirtualBoard({ path: "v0" });
    const offered = await offerTcp(board.line);
    const first = portFor(offered.path);
    await first.open({ baudRate: 115200 });
    const second = portFor(offered.path);
    const error = await second.open({ baudRate: 115200 }).catch((thrown: unknown) => thrown);
    expect(openFault(second.path, error).code).toBe("PORT_BUSY");
    await first.close();
    await offered.close();
  });

  it("without telnet carries bytes alone", async () => {
    let peer: Socket | null = null;
    const server = createServer((socket) => void (peer = socket).on("data", (bytes) => socket.write(bytes)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const port = networkPort(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await port.open({ baudRate: 115200 });
    await port.setSignals({ requestToSend: true });
    await port.writable!.getWriter().write(Uint8Array.of(0xff, 1));
    expect((await port.readable!.getReader().read()).value).toEqual(Uint8Array.of(0xff, 1));
    await port.close();
    (peer as Socket | null)?.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
