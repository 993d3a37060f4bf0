/** Numbers, spans and times in words that people read. */

const NUMBER = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY_CLOCK = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export const UNKNOWN = "–";

export function number(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? UNKNOWN : NUMBER.format(value);
}

/** "1 node", "2 nodes". */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${NUMBER.format(value)} ${value === 1 ? one : many}`;
}

/** "45 s", "12 min", "3 h 20 min", "5 d 4 h". */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return minutes < 10 && s % 60 ? `${minutes} min ${s % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function bytes(value: number): string {
  return value < 1024 ? `${value} B` : `${NUMBER.format(value / 1024)} KiB`;
}

/** Time of day, with the date when it is not today. Both in milliseconds on the browser's clock. */
export function time(at: number, now: number): string {
  const day = new Date(at).toDateString() === new Date(now).toDateString();
  return (day ? CLOCK : DAY_CLOCK).format(at);
}

export function ago(milliseconds: number): string {
  return milliseconds < 5000 ? "just now" : `${span(milliseconds / 1000)} ago`;
}

export function hex(id: number): string {
  return id.toString(16).padStart(8, "0");
}

export type Signal = "none" | "good" | "fair" | "weak" | "poor";

/** Bands of an 802.11 link's strength in dBm; below -80 the alert rules speak as well. */
export function signal(rssi: number): Signal {
  if (rssi === 0) return "none";
  return rssi >= -60 ? "good" : rssi >= -70 ? "fair" : rssi >= -80 ? "weak" : "poor";
}

/** RFC 4180: fields that need it in quotes, lines ended by CR LF. Text that a spreadsheet would calculate is quoted off. */
export function csv(rows: readonly (readonly (string | number | null)[])[]): string {
  const field = (value: string | number | null): string => {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => `${row.map(field).join(",")}\r\n`).join("");
}
