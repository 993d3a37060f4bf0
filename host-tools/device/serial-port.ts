/** Ports of this machine through the package serialport, with its faults worked round. */
import { SerialPort } from "serialport";
import { createPort, type DevicePort, type LineDriver, LineLostError } from "./port";
import { networkPort } from "./rfc2217";

export interface PortListing {
  path: string;
  /** As far as the system knows; hexadecimal, lower case. */
  vendorId?: string;
  productId?: string;
  serialNumber?: string;
  manufacturer?: string;
  /** It is one of the USB chips that ESP boards carry. */
  likely: boolean;
}

export interface SerialPortOptions {
  /** For pseudo terminals, which have no modem lines: setting them is skipped where the system refuses it. */
  withoutSignals?: boolean;
}

/** USB vendor ids: Espressif, Silicon Labs (CP210x), WCH (CH340, CH9102), FTDI, Prolific. */
const VENDORS = ["303a", "10c4", "1a86", "0403", "067b"];

/** The machine's serial ports; those that look like ESP boards first. Empty where the system cannot list them. */
export async function listPorts(list: () => Promise<ListedPort[]> = () => SerialPort.list()): Promise<PortListing[]> {
  let found: ListedPort[];
  try {
    found = await list();
  } catch {
    // Without udev, as in containers, the listing itself fails.
    return [];
  }
  return found
    .map((port): PortListing => {
      const vendorId = port.vendorId?.toLowerCase().padStart(4, "0");
      return {
        path: port.path,
        vendorId,
        productId: port.productId?.toLowerCase().padStart(4, "0"),
        serialNumber: port.serialNumber,
        manufacturer: port.manufacturer,
        likely: vendorId !== undefined && VENDORS.includes(vendorId),
      };
    })
    .filter((port) => port.likely || port.vendorId !== undefined || !/ttyS\d+$/.test(port.path))
    .sort((a, b) => Number(b.likely) - Number(a.likely) || a.path.localeCompare(b.path));
}

interface ListedPort {
  path: string;
  vendorId?: string;
  productId?: string;
  serialNumber?: string;
  manufacturer?: string;
}

/** A closed port for what the user wrote: a path or name of this machine, or rfc2217://host:port, or tcp://host:port. */
export function portFor(path: string, listing?: PortListing): DevicePort {
  if (/^(rfc2217|tcp):\/\//.test(path)) return networkPort(path);
  return serialPort(path, { withoutSignals: /^\/dev\/(pts\/|ptmx)/.test(path) }, listing);
}

export function serialPort(path: string, options: SerialPortOptions = {}, listing?: PortListing): DevicePort {
  const info = {
    usbVendorId: listing?.vendorId === undefined ? undefined : parseInt(listing.vendorId, 16),
    usbProductId: listing?.productId === undefined ? undefined : parseInt(listing.productId, 16),
  };
  return createPort(path, driver(path, options), info);
}

/** A callback of the package as a promise. */
function called(start: (done: (error: Error | null | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}

function driver(path: string, options: SerialPortOptions): LineDriver {
  let port: SerialPort | null = null;
  return {
    async open({ baudRate, xonXoff }, events) {
      const opened = new SerialPort({
        path,
        baudRate,
        xon: xonXoff === true,
        xoff: xonXoff === true,
        autoOpen: false,
        // Dropping DTR on closing would reset boards whose program shall go on.
        hupcl: false,
      });
      opened.on("data", (bytes: Buffer) => events.received(Uint8Array.from(bytes)));
      opened.on("error", (error: Error) => events.lost(error));
      opened.on("close", (error: Error | null) => events.lost(error ?? new LineLostError(path)));
      await called((done) => opened.open(done));
      port = opened;
    },
    async close() {
      const open = port;
      port = null;
      if (!open?.isOpen) return;
      await called((done) => open.close(done));
    },
    async write(bytes) {
      const open = port;
      if (!open?.isOpen) throw new LineLostError(path);
      // A port that vanishes answers neither: the closing does.
      await new Promise<void>((resolve, reject) => {
        const gone = (): void => reject(new LineLostError(path));
        open.once("close", gone);
        open.write(Buffer.from(bytes), (error) => {
          if (error) reject(error);
          else
            open.drain((drained) => {
              open.removeListener("close", gone);
              if (drained) reject(drained);
              else resolve();
            });
        });
      });
    },
    async setBaudRate(baudRate) {
      await called((done) => port!.update({ baudRate }, done));
    },
    async setSignals(signals) {
      // Lines that are not named would be asserted.
      const lines = { dtr: signals.dataTerminalReady, rts: signals.requestToSend, brk: signals.break };
      try {
        await called((done) => port!.set(lines, done));
      } catch (error) {
        if (!options.withoutSignals) throw error;
      }
    },
  };
}
