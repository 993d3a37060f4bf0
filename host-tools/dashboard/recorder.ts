/** Turns what the collector says of a node into samples: counters become rates, and "unknown" becomes nothing. */
import type { NodeView } from "../gateway/fleet-view";
import type { Telemetry } from "../../firmware/wire/telemetry";
import type { HistoryStore } from "./history";

export interface Recorder {
  record(view: NodeView): void;
}

/** Packages a minute between two frames; null after a restart, or when they are the same frame. */
export function rate(before: number | undefined, after: number, milliseconds: number): number | null {
  if (before === undefined || after < before || milliseconds <= 0) return null;
  return ((after - before) * 60_000) / milliseconds;
}

/** Difference of a counter of 16 bits, a minute. */
function rate16(before: number | undefined, after: number, milliseconds: number): number | null {
  return before === undefined || milliseconds <= 0 ? null : (((after - before) & 65535) * 60_000) / milliseconds;
}

export function createRecorder(history: HistoryStore, now: () => number): Recorder {
  const last = new Map<number, { at: number; frame: Telemetry }>();
  return {
    record({ id, telemetry: frame, heardAt }) {
      if (!frame) return;
      const at = heardAt || now();
      const before = last.get(id);
      if (before && before.at === at) return;
      last.set(id, { at, frame });
      const restarted = before !== undefined && frame.uptime < before.frame.uptime;
      const span = before && !restarted ? at - before.at : 0;
      const known = (value: number, unknown: number): number | null => (value === unknown ? null : value);
      history.add({
        node: id,
        at,
        values: {
          memoryFree: frame.memoryFree,
          rssi: known(frame.rssi, 0),
          loss: frame.loss,
          latency: known(frame.latency, 65535),
          received: rate(before?.frame.received, frame.received, span),
          sent: rate(before?.frame.sent, frame.sent, span),
          dropped: rate16(before?.frame.dropped, frame.dropped, span),
          uptime: frame.uptime,
          hops: known(frame.hops, 255),
          temperature: known(frame.temperature, -128),
          battery: known(frame.battery, 0),
        },
      });
    },
  };
}
