/**
 * Serial ports behind a network: rfc2217://host:port with baud rate and modem lines (ser2net, esp_rfc2217_server, and the
 * virtual boards), tcp://host:port with bytes alone.
 */
import * as net from "node:net";
import { createPort, type DevicePort, type LineDriver, LineLostError } from "./port";
import {
  BREAK_OFF,
  BREAK_ON,
  comPortCommand,
  createTelnetDecoder,
  DTR_OFF,
  DTR_ON,
  GREETING,
  RTS_OFF,
  RTS_ON,
  SERVER,
  SET_BAUDRATE,
  SET_CONTROL,
  telnetEscape,
} from "./telnet";

const ANSWER_MS = 2000;
const CLOSE_MS = 500;

/** A closed port. Throws TypeError for what is no such address. */
export function networkPort(address: string): DevicePort {
  const url = new URL(address);
  if (!url.hostname || !url.port)
    throw new TypeError(`${address} is no address: rfc2217://host:port or tcp://host:port`);
  return createPort(address, driver(address, url.hostname, Number(url.port), url.protocol === "rfc2217:"));
}

function driver(path: string, host: string, port: number, telnet: boolean): LineDriver {
  let socket: net.Socket | null = null;
  let waiting: { command: number; done: () => void }[] = [];

  /** Sends a command and waits for the server's answer, which comes when the line is set. */
  function command(number: number, value: Uint8Array): Promise<void> {
    const line = socket;
    if (!line) return Promise.reject(new LineLostError(path));
    if (!telnet) return Promise.resolve();
    return new Promise((resolve) => {
      // Some servers answer nothing; the order of the bytes is enough then.
      const timer = setTimeout(resolve, ANSWER_MS);
      waiting.push({
        command: number + SERVER,
        done() {
          clearTimeout(timer);
          resolve();
        },
      });
      line.write(comPortCommand(number, value));
    });
  }

  function setBaudRate(baudRate: number): Promise<void> {
    const value = Buffer.alloc(4);
    value.writeUInt32BE(baudRate);
    return command(SET_BAUDRATE, value);
  }

  return {
    async open({ baudRate }, events) {
      const opened = net.connect({ host, port, noDelay: true });
      await new Promise<void>((resolve, reject) => {
        opened.once("connect", resolve);
        opened.once("error", reject);
      });
      socket = opened;
      waiting = [];
      const decode = createTelnetDecoder({
        data: (bytes) => events.received(bytes),
        comPort(number) {
          const index = waiting.findIndex((one) => one.command === number);
          if (index >= 0) waiting.splice(index, 1)[0]!.done();
        },
      });
      opened.on("data", (bytes: Buffer) => (telnet ? decode(bytes) : events.received(Uint8Array.from(bytes))));
      opened.on("error", (error) => events.lost(error));
      opened.on("close", () => {
        for (const one of waiting.splice(0)) one.done();
        events.lost(new LineLostError(path));
      });
      if (telnet) opened.write(GREETING);
      await setBaudRate(baudRate);
      // Servers of one port hang up on a second client.
      if (opened.destroyed || opened.readableEnded) throw new Error(`${path} is in use: the server hung up`);
    },
    async close() {
      const open = socket;
      socket = null;
      if (!open || open.destroyed) return;
      // The server shall have let go of the port before it is opened again.
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => open.destroy(), CLOSE_MS);
        open.once("close", () => {
          clearTimeout(timer);
          resolve();
        });
        open.resume().end();
      });
    },
    write(bytes) {
      const line = socket;
      if (!line) return Promise.reject(new LineLostError(path));
      return new Promise((resolve, reject) => {
        line.write(telnet ? telnetEscape(bytes) : bytes, (error) => (error ? reject(error) : resolve()));
      });
    },
    setBaudRate,
    async setSignals({ dataTerminalReady, requestToSend, break: brk }) {
      await command(SET_CONTROL, Uint8Array.of(brk ? BREAK_ON : BREAK_OFF));
      // Both lines change before the server does anything else.
      await Promise.all([
        command(SET_CONTROL, Uint8Array.of(requestToSend ? RTS_ON : RTS_OFF)),
        command(SET_CONTROL, Uint8Array.of(dataTerminalReady ? DTR_ON : DTR_OFF)),
      ]);
    },
  };
}
