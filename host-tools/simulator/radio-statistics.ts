/** What went over the air, counted. */

/** One frame as it goes on air. */
export interface FrameRecord {
  /** ms */
  time: number;
  from: string;
  /** null: a group frame */
  to: string | null;
  channel: number;
  /** Headers included. */
  bytes: number;
  kind: string;
  /** 1 is the first try. */
  attempt: number;
  /** ms, the acknowledgement included */
  airtime: number;
  /** The UDP datagram or TCP segment inside, where there is one. */
  payload: string | undefined;
}

export type FrameObserver = (frame: FrameRecord) => void;

export interface KindCount {
  frames: number;
  bytes: number;
  /** ms */
  airtime: number;
}

export class RadioStatistics {
  /** Frames on air, retries included. */
  frames = 0;
  retries = 0;
  /** ms */
  airtime = 0;
  /** Receptions lost because frames overlapped. */
  collisions = 0;
  /** Receptions taken by the loss model. */
  lost = 0;
  /** Frames to one receiver given up after the last retry. */
  undelivered = 0;
  /** Frames refused because a radio's queue was full. */
  queueDrops = 0;
  readonly byKind: { [kind: string]: KindCount } = {};

  count(kind: string, bytes: number, airtime: number, retry: boolean): void {
    this.frames++;
    if (retry) this.retries++;
    this.airtime += airtime;
    const entry = (this.byKind[kind] ??= { frames: 0, bytes: 0, airtime: 0 });
    entry.frames++;
    entry.bytes += bytes;
    entry.airtime += airtime;
  }
}
