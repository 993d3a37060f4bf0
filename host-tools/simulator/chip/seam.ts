/** What a virtual chip asks of the world around it, and what it offers to that world. */

/** The event queue under the virtual clock. Times are milliseconds (with fractions) since the simulation began. */
export interface Clock {
  now(): number;
  at(timeMs: number, run: () => void): ClockEvent;
  cancel(event: ClockEvent): void;
}

/** Handle of a scheduled event; opaque. */
export type ClockEvent = object;

/** Handle of something a port scheduled; opaque. */
export type PortHandle = object;

/** One life of a chip, from boot to restart or power loss, as the network modules see it. */
export interface NetPort {
  /** Station MAC, "aa:bb:cc:dd:ee:ff". */
  readonly mac: string;
  readonly limits: NetLimits;
  /**
   * Virtual time as the running code sees it: during an event it includes what the interpreter has spent so far.
   * Outside events it is the clock's time.
   */
  now(): number;
  /** Runs `run` after `delayMs` outside the interpreter (radio, driver). Never runs once this life is over. */
  schedule(delayMs: number, run: () => void): PortHandle;
  cancel(handle: PortHandle): void;
  /**
   * Queues an interpreter event: runs as soon as the interpreter is free, in order of arrival; its cost is charged.
   * An exception in it is printed on the chip's console, as the interpreter does. Ignored once this life is over.
   */
  deliver(run: () => void, label: string): void;
  /** Interpreter events that wait. */
  waiting(): number;
  /** Blocks the interpreter for `milliseconds` beyond its instructions; only during an event. */
  block(milliseconds: number): void;
  /** Says what the running event is doing, for whoever looks for slow ones. */
  note(what: string): void;
  /** Charges `instructions` to the running event. */
  charge(instructions: number): void;
  /** Copies plain data (arrays, objects, primitives) into the chip's own realm. */
  local<T>(value: T): T;
  /** An error object of the chip's own realm. */
  error(message: string): Error;
}

export interface NetLimits {
  /** "ESP32", "ESP32C3" or "ESP32S3" */
  chip: string;
  /** Sockets of all kinds at a time. */
  sockets: number;
  /** Stations of one access point. */
  stations: number;
  /** An access point may run beside a station. */
  accessPointBesideStation: boolean;
}

/** The modules `require` gives for networking; one set per life. */
export interface NetModules {
  Wifi: object;
  net: object;
  dgram: object;
  /** The life is over: radio off, sockets gone without farewell. */
  down?(): void;
}

export type NetFactory = (port: NetPort) => NetModules;
