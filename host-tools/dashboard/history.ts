/**
 * What the dashboard remembers: samples, alerts and events in one SQLite file. Samples keep their full resolution for a
 * day and five-minute means for a month. The journal (WAL) is written before anything else, so a killed process loses at
 * most the second that it had not written yet.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import Database from "better-sqlite3";
import type { AlertView, MeshEvent } from "../gateway/fleet-view";
import { HISTORY_FIELDS, type History, type HistoryField } from "./api";

export interface HistoryOptions {
  /** The database's file, or ":memory:". */
  file: string;
  /** Unix milliseconds. */
  now(): number;
  /** Hours of full resolution; 24 unless given. */
  fullHours?: number;
  /** Days of five-minute means; 30 unless given. */
  meanDays?: number;
}

/** One row: the node, the time in milliseconds, and what was measured. */
export interface Sample {
  node: number;
  at: number;
  values: Partial<Record<HistoryField, number | null>>;
}

export interface HistoryStore {
  /** Where a damaged file was put aside when this one was opened, or "". */
  readonly setAside: string;
  add(sample: Sample): void;
  alert(alert: AlertView): void;
  event(event: MeshEvent): void;
  /** @param points The most that shall come back; means of equal spans beyond that. */
  read(node: number, from: number, to: number, points: number): History;
  /** Newest first. */
  events(limit: number): MeshEvent[];
  /** Newest first, as they were last seen. */
  alerts(limit: number): AlertView[];
  /** Writes what waits, makes means of what is complete, and drops what is too old. */
  tend(): void;
  /** Takes back what was written with times after `now`, when the clock was wrong. */
  dropFuture(): void;
  flush(): void;
  close(): void;
}

const MINUTE = 60_000;
const SPAN = 5 * MINUTE;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A forged or broken sender shall not fill the disk. */
const MOST_EVENTS = 20_000;
const MOST_ALERTS = 5_000;
const VERSION = 1;

const COLUMNS = HISTORY_FIELDS.map((field) => `${field} REAL`).join(", ");
const NAMES = HISTORY_FIELDS.join(", ");
const MEANS = HISTORY_FIELDS.map((field) => `avg(${field})`).join(", ");

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS sample (node INTEGER, at INTEGER, ${COLUMNS}, PRIMARY KEY (node, at)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS sample_at ON sample (at);
  CREATE TABLE IF NOT EXISTS mean (node INTEGER, at INTEGER, ${COLUMNS}, PRIMARY KEY (node, at)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS mean_at ON mean (at);
  CREATE TABLE IF NOT EXISTS alert (key TEXT, since INTEGER, body TEXT, PRIMARY KEY (key, since)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS alert_since ON alert (since);
  CREATE TABLE IF NOT EXISTS event (at INTEGER, kind TEXT, node INTEGER, text TEXT);
  CREATE INDEX IF NOT EXISTS event_at ON event (at);
`;

function openDatabase(file: string): Database.Database {
  const db = new Database(file);
  try {
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = NORMAL");
    db.pragma("busy_timeout = 2000");
    const found = db.pragma("quick_check", { simple: true });
    if (found !== "ok") throw new Error(String(found));
    const version = db.pragma("user_version", { simple: true });
    if (version !== 0 && version !== VERSION) throw new Error(`made by another version (${String(version)})`);
    db.exec(SCHEMA);
    db.pragma(`user_version = ${VERSION}`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Moves a database that cannot be read out of the way, journal included. */
function putAside(file: string, now: number): string {
  const aside = `${file}.damaged-${new Date(now).toISOString().replace(/[:.]/g, "-")}`;
  for (const end of ["", "-wal", "-shm"]) if (fs.existsSync(file + end)) fs.renameSync(file + end, aside + end);
  return aside;
}

/** Errors that mean the file itself is no good; anything else (no room, no permission) is the user's to solve. */
function isDamage(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? "";
  return !code || /^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ|SCHEMA|ERROR)/.test(code);
}

export function openHistory(options: HistoryOptions): HistoryStore {
  const { file, now } = options;
  const full = (options.fullHours ?? 24) * HOUR;
  const month = (options.meanDays ?? 30) * DAY;
  let setAside = "";
  let db: Database.Database;
  if (file !== ":memory:") fs.mkdirSync(path.dirname(file), { recursive: true });
  try {
    db = openDatabase(file);
  } catch (error) {
    if (file === ":memory:" || !isDamage(error)) throw error;
    setAside = putAside(file, now());
    db = openDatabase(file);
  }

  const marks = HISTORY_FIELDS.map(() => "?").join(", ");
  const insert = db.prepare(`INSERT OR REPLACE INTO sample (node, at, ${NAMES}) VALUES (?, ?, ${marks})`);
  const insertAlert = db.prepare("INSERT OR REPLACE INTO alert (key, since, body) VALUES (?, ?, ?)");
  const insertEvent = db.prepare("INSERT INTO event (at, kind, node, text) VALUES (?, ?, ?, ?)");
  const waiting: (() => void)[] = [];
  const writeAll = db.transaction((jobs: (() => void)[]) => {
    for (const job of jobs) job();
  });

  function flush(): void {
    if (waiting.length === 0 || !db.open) return;
    writeAll(waiting.splice(0));
  }

  function lastMean(): number {
    return (db.prepare("SELECT max(at) AS at FROM mean").get() as { at: number | null }).at ?? -SPAN;
  }

  function firstMean(node: number): number {
    return (db.prepare("SELECT min(at) AS at FROM mean WHERE node = ?").get(node) as { at: number | null }).at ?? now();
  }

  /** Means of all spans that ended since the last time; a span is complete when a later one has begun. */
  function average(): void {
    const end = Math.floor(now() / SPAN) * SPAN;
    const from = lastMean() + SPAN;
    if (from >= end) return;
    db.prepare(
      `INSERT OR REPLACE INTO mean (node, at, ${NAMES})
       SELECT node, at / ${SPAN} * ${SPAN} AS span, ${MEANS} FROM sample WHERE at >= ? AND at < ? GROUP BY node, span`,
    ).run(from, end);
  }

  function rows(table: "sample" | "mean", node: number, from: number, to: number, span: number): (number | null)[][] {
    const query =
      span > 0
        ? `SELECT min(at), ${MEANS} FROM ${table} WHERE node = ? AND at >= ? AND at <= ? GROUP BY at / ${span} ORDER BY at`
        : `SELECT at, ${NAMES} FROM ${table} WHERE node = ? AND at >= ? AND at <= ? ORDER BY at`;
    return db.prepare(query).raw().all(node, from, to) as (number | null)[][];
  }

  return {
    setAside,
    add({ node, at, values }) {
      const row = HISTORY_FIELDS.map((field) => values[field] ?? null);
      waiting.push(() => void insert.run(node, Math.round(at), ...row));
    },
    alert(alert) {
      const { key, since } = alert;
      const body = JSON.stringify(alert);
      waiting.push(() => void insertAlert.run(key, Math.round(since), body));
    },
    event({ at, kind, node, text }) {
      waiting.push(() => void insertEvent.run(Math.round(at), kind, node, text));
    },
    read(node, from, to, points) {
      flush();
      const old = from < now() - full - SPAN;
      const base = old ? SPAN : 0;
      const counted = old
        ? Math.ceil((to - Math.max(from, firstMean(node))) / SPAN)
        : (
            db
              .prepare("SELECT count(*) AS n FROM sample WHERE node = ? AND at >= ? AND at <= ?")
              .get(node, from, to) as {
              n: number;
            }
          ).n;
      const span = counted > points ? Math.max(base, Math.ceil((to - from + 1) / points)) : 0;
      // What was not averaged yet follows the means.
      const late = Math.max(from, lastMean() + SPAN);
      const found = old
        ? [...rows("mean", node, from, to, span), ...rows("sample", node, late, to, span || SPAN)]
        : rows("sample", node, from, to, span);
      return {
        node,
        from,
        to,
        resolution: Math.round((span || base) / 1000),
        fields: [...HISTORY_FIELDS],
        points: found,
      };
    },
    events(limit) {
      flush();
      return db
        .prepare("SELECT at, kind, node, text FROM event ORDER BY at DESC, rowid DESC LIMIT ?")
        .all(limit) as MeshEvent[];
    },
    alerts(limit) {
      flush();
      const found = db.prepare("SELECT body FROM alert ORDER BY since DESC LIMIT ?").all(limit) as { body: string }[];
      return found.map(({ body }) => JSON.parse(body) as AlertView);
    },
    tend() {
      flush();
      average();
      const time = now();
      db.prepare("DELETE FROM sample WHERE at < ?").run(time - full);
      db.prepare("DELETE FROM mean WHERE at < ?").run(time - month);
      db.prepare("DELETE FROM event WHERE at < ?").run(time - month);
      db.prepare("DELETE FROM alert WHERE since < ?").run(time - month);
      db.prepare("DELETE FROM event WHERE rowid <= (SELECT rowid FROM event ORDER BY rowid DESC LIMIT 1 OFFSET ?)").run(
        MOST_EVENTS,
      );
      db.prepare("DELETE FROM alert WHERE since <= (SELECT since FROM alert ORDER BY since DESC LIMIT 1 OFFSET ?)").run(
        MOST_ALERTS,
      );
    },
    dropFuture() {
      flush();
      const time = now();
      for (const table of ["sample", "mean", "event"]) db.prepare(`DELETE FROM ${table} WHERE at > ?`).run(time);
      db.prepare("DELETE FROM alert WHERE since > ?").run(time);
    },
    flush,
    close() {
      if (!db.open) return;
      flush();
      db.close();
    },
  };
}
