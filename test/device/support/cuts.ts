/** Where a cable is pulled: at the boundaries of everything that passed a line in a run that was left alone. */
import { createConsoleDecoder } from "../../../host-tools/device/console-stream";
import type { VirtualLine } from "../../../host-tools/device/virtual/line";

/** Bytes of both directions in the order in which they passed. */
export interface Traffic {
  readonly bytes: { readonly value: number; readonly fromHost: boolean }[];
}

/** Records what passes a line from now on. */
export function listenIn(line: VirtualLine): Traffic {
  const traffic: Traffic = { bytes: [] };
  const record = (bytes: Uint8Array, fromHost: boolean): void => {
    for (const value of bytes) traffic.bytes.push({ value, fromHost });
  };
  const write = line.write.bind(line);
  const send = line.send.bind(line);
  line.write = (bytes) => {
    record(bytes, true);
    write(bytes);
  };
  line.send = (bytes) => {
    record(bytes, false);
    send(bytes);
  };
  return traffic;
}

/** Indexes of the first and last bytes of all SLIP frames. */
export function frameEnds({ bytes }: Traffic): number[] {
  return bytes.flatMap(({ value }, index) => (value === 0xc0 ? [index] : []));
}

/** Indexes of the first and last bytes of all packets, acknowledgements and lines of a console. */
export function messageEnds({ bytes }: Traffic): number[] {
  const ends: number[] = [];
  for (const direction of [true, false]) {
    let index = 0;
    let first = true;
    const end = (): void => {
      ends.push(index);
      first = true;
    };
    const decode = createConsoleDecoder({
      text: (text) => {
        if (text.endsWith("\n")) end();
      },
      pause: end,
      acknowledge: end,
      packet: end,
    });
    for (index = 0; index < bytes.length; index++) {
      const { value, fromHost } = bytes[index]!;
      if (fromHost !== direction) continue;
      if (first) ends.push(index);
      first = false;
      decode(Uint8Array.of(value));
    }
  }
  return ends;
}

/** Numbers of bytes after which to cut: before, inside and behind each of `ends`, and every `stride` bytes. Ascending. */
export function cutPoints({ bytes }: Traffic, ends: readonly number[], stride: number): number[] {
  const points = new Set<number>();
  for (const end of ends) for (let cut = end - 1; cut <= end + 2; cut++) points.add(cut);
  for (let cut = 0; cut < bytes.length; cut += stride) points.add(cut);
  return [...points].filter((cut) => cut >= 0 && cut < bytes.length).sort((a, b) => a - b);
}

/** Says on standard error what was tried; standard output of tests is Jest's. */
export function tell(
  what: string,
  cuts: readonly number[],
  traffic: Traffic,
  states: ReadonlyMap<string, number>,
): void {
  const found = [...states].map(([state, times]) => `${times} ${state}`).join(", ");
  process.stderr.write(`${what}: cut at ${cuts.length} of ${traffic.bytes.length} bytes (${found})\n`);
}
