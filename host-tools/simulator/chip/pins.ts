/** The pins of a chip: what a program did to them, and what a test makes them read. */

export type PinAction = "mode" | "write" | "analog" | "pulse";

/** Something a program did to a pin. `time` in virtual ms. */
export interface PinRecord {
  time: number;
  pin: number;
  action: PinAction;
  value: unknown;
}

interface Watch {
  pin: number;
  call: (event: object) => void;
  repeat: boolean;
  edge: number;
  last: number;
}

const COUNT = 40;

export class Pins {
  readonly records: PinRecord[] = [];
  /** Digital level (0, 1) and analog value (0..1) of each pin as read. */
  private readonly levels = new Float64Array(COUNT);
  private readonly analog = new Float64Array(COUNT);
  private readonly modes: string[] = new Array<string>(COUNT).fill("");
  private readonly watches = new Map<number, Watch>();
  private lastWatch = 0;

  constructor(
    private readonly now: () => number,
    private readonly deliver: (run: () => void, label: string) => void,
  ) {}

  /** Sets what a pin reads, and starts what watches it. */
  set(pin: number, level: number): void {
    const before = this.levels[pin];
    this.levels[pin] = level ? 1 : 0;
    if (before === this.levels[pin]) return;
    const time = this.now() / 1000;
    for (const [id, watch] of this.watches) {
      if (watch.pin !== pin || (watch.edge && watch.edge !== (level ? 1 : -1))) continue;
      if (!watch.repeat) this.watches.delete(id);
      const event = { state: !!level, time, lastTime: watch.last, pin };
      watch.last = time;
      this.deliver(() => watch.call(event), "pin");
    }
  }

  setAnalog(pin: number, value: number): void {
    this.analog[pin] = value;
  }

  level(pin: number): number {
    return this.levels[pin] ?? 0;
  }

  /** Programs are gone, levels fall. */
  reset(): void {
    this.levels.fill(0);
    this.modes.fill("");
    this.watches.clear();
  }

  /** The global functions and D0 to D39. */
  globals(): Record<string, unknown> {
    const number = (pin: unknown): number => Number(pin);
    const list = (pin: unknown): unknown[] => (Array.isArray(pin) ? (pin as unknown[]) : [pin]);
    const write = (pin: unknown, value: unknown): void => {
      // The first pin of a list is the highest bit.
      const all = list(pin);
      all.forEach((one, index) => this.write(number(one), (Number(value) >> (all.length - 1 - index)) & 1));
    };
    const read = (pin: unknown): number => list(pin).reduce<number>((sum, one) => sum * 2 + this.level(number(one)), 0);
    const pins: Record<string, unknown> = {};
    for (let pin = 0; pin < COUNT; pin++)
      pins[`D${pin}`] = {
        valueOf: () => pin,
        toString: () => `D${pin}`,
        read: () => this.level(pin) === 1,
        write: (value: unknown) => this.write(pin, value ? 1 : 0),
        set: () => this.write(pin, 1),
        reset: () => this.write(pin, 0),
        toggle: () => this.write(pin, this.level(pin) ? 0 : 1),
        analog: () => this.analog[pin],
        mode: (mode: unknown) => this.mode(pin, mode),
        getMode: () => this.modes[pin],
      };
    return {
      ...pins,
      HIGH: 1,
      LOW: 0,
      digitalWrite: write,
      digitalRead: read,
      analogRead: (pin: unknown) => this.analog[number(pin)] ?? 0,
      analogWrite: (pin: unknown, value: unknown) => this.record(number(pin), "analog", Number(value)),
      pinMode: (pin: unknown, mode: unknown) => this.mode(number(pin), mode),
      getPinMode: (pin: unknown) => this.modes[number(pin)] ?? "",
      digitalPulse: (pin: unknown, level: unknown, times: unknown) =>
        this.record(number(pin), "pulse", [level ? 1 : 0, times]),
      setWatch: (call: unknown, pin: unknown, options?: unknown) => this.watch(call, number(pin), options),
      clearWatch: (id?: unknown) => (id === undefined ? this.watches.clear() : this.watches.delete(Number(id))),
    };
  }

  private write(pin: number, value: number): void {
    this.levels[pin] = value;
    this.record(pin, "write", value);
  }

  private mode(pin: number, mode: unknown): void {
    this.modes[pin] = String(mode ?? "");
    this.record(pin, "mode", this.modes[pin]);
  }

  private record(pin: number, action: PinAction, value: unknown): void {
    this.records.push({ time: this.now(), pin, action, value });
  }

  private watch(call: unknown, pin: number, options: unknown): number {
    const { repeat, edge } = (typeof options === "object" && options ? options : { repeat: options }) as {
      repeat?: unknown;
      edge?: unknown;
    };
    const side = edge === "rising" || Number(edge) > 0 ? 1 : edge === "falling" || Number(edge) < 0 ? -1 : 0;
    const run = call as (event: object) => void;
    this.watches.set(++this.lastWatch, { pin, call: run, repeat: !!repeat, edge: side, last: 0 });
    return this.lastWatch;
  }
}
