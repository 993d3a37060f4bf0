/** Units per second and time left of something that advances, by a clock that may be a virtual one. */
export interface Rate {
  /** Notes the value that was reached now. */
  reached(value: number): void;
  /** Over the last `windowMs`; 0 while nothing is known. */
  perSecond(): number;
  /** Seconds until `total` at the present rate; null while nothing is known. */
  secondsLeft(total: number): number | null;
}

const STEPS = 20;

/** `now` gives milliseconds. */
export function createRate(now: () => number, windowMs = 10_000): Rate {
  const samples: { time: number; value: number }[] = [{ time: now(), value: 0 }];
  let latest = 0;

  function perSecond(): number {
    const oldest = samples[0];
    if (!oldest) return 0;
    const elapsed = now() - oldest.time;
    return elapsed > 0 ? ((latest - oldest.value) * 1000) / elapsed : 0;
  }

  return {
    reached(value) {
      latest = value;
      const time = now();
      const last = samples[samples.length - 1];
      if (!last || time - last.time >= windowMs / STEPS) samples.push({ time, value });
      while (samples.length > 2 && time - (samples[1]?.time ?? time) >= windowMs) samples.shift();
    },
    perSecond,
    secondsLeft(total) {
      const rate = perSecond();
      return rate > 0 ? Math.max(0, total - latest) / rate : null;
    },
  };
}

/** "4 s", "3:05", "2:00:09" */
export function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** "512 B", "1.5 KB", "12 KB", "3.2 MB" for bytes; "12 chunks" for other units. */
export function formatAmount(value: number, unit: string): string {
  const short = (n: number) => (n < 10 && n % 1 !== 0 ? n.toFixed(1) : Math.round(n).toString());
  if (unit !== "B") return `${short(value)} ${unit}`;
  if (value < 1024) return `${short(value)} B`;
  if (value < 1024 * 1024) return `${short(value / 1024)} KB`;
  return `${short(value / 1024 / 1024)} MB`;
}
