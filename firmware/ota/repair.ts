/**
 * Coded repair of one hop. After the plain pass the children of an access point miss different chunks; the exclusive or
 * of a few chunks, of which each child misses at most one, gives each child the one it misses for the price of a single
 * transmission.
 */
import type { Bytes } from "../engine/engine";
import { le16, u16 } from "../wire/bytes";
import type { Xor } from "./xor";

/** Stations of one access point of an ESP32. */
export const MAX_CHILDREN = 4;
/** Chunks in one combination. */
export const MAX_DEGREE = 4;
/** Sets of children: the low four bits of each character. */
const LARGEST_FIRST = "ogkmncefijlabdh";

/** What a hop's children miss, and what to send for it. */
export interface RepairPlan {
  /** Child `child` (0..3) misses exactly the chunks in `missing` (bitmap, bit 0 of byte 0 first). */
  lack(child: number, missing: Bytes): void;
  /** Chunk numbers of the next combination, ascending, 1..MAX_DEGREE of them; empty when nobody misses anything. */
  next(): number[];
  /** Chunks that somebody misses and that `next` did not give yet. */
  left(): number;
}

/** Memory: one byte a chunk and the last bitmap of each child. */
export function createRepairPlan(count: number): RepairPlan {
  "cold";
  /** by chunk: the children that miss it, one bit each */
  const needs = new Uint8Array(count);
  /** by set of children: chunks that exactly those miss */
  const sizes = new Uint16Array(1 << MAX_CHILDREN);
  /** by child: chunks that it misses */
  const behind = new Uint16Array(MAX_CHILDREN);
  const asked: Bytes[] = ["", "", "", ""];

  function put(index: number, mask: number): void {
    sizes[needs[index]]--;
    sizes[mask]++;
    needs[index] = mask;
  }

  /** The largest set that contains `child` and none of `used`, 0 when there is none. */
  function largestSet(child: number, used: number): number {
    for (let i = 0; i < LARGEST_FIRST.length; i++) {
      const mask = LARGEST_FIRST.charCodeAt(i) & 15;
      if (sizes[mask] && !(mask & used) && (mask >> child) & 1) return mask;
    }
    return 0;
  }

  sizes[0] = count;

  return {
    lack: function (child: number, missing: Bytes) {
      const bit = 1 << child;
      const before = asked[child];
      asked[child] = missing;
      for (let i = 0; i < needs.length; i += 8) {
        const now = i >> 3 < missing.length ? missing.charCodeAt(i >> 3) : 0;
        if (!now && !(i >> 3 < before.length && before.charCodeAt(i >> 3))) continue;
        for (let k = 0; k < 8 && i + k < needs.length; k++) {
          const had = needs[i + k] & bit;
          const has = (now >> k) & 1 ? bit : 0;
          if (had === has) continue;
          put(i + k, needs[i + k] ^ bit);
          behind[child] += has ? 1 : -1;
        }
      }
    },
    next: function () {
      const list: number[] = [];
      let used = 0;
      let passed = 0;
      while (list.length < MAX_DEGREE) {
        // The child that is furthest behind decides how many transmissions are still to come.
        let child = -1;
        for (let c = 0; c < MAX_CHILDREN; c++) {
          if (!(((used | passed) >> c) & 1) && behind[c] && (child < 0 || behind[c] > behind[child])) child = c;
        }
        if (child < 0) break;
        const mask = largestSet(child, used);
        if (!mask) {
          passed |= 1 << child;
          continue;
        }
        const index = needs.indexOf(mask);
        put(index, 0);
        for (let c = 0; c < MAX_CHILDREN; c++) if ((mask >> c) & 1) behind[c]--;
        used |= mask;
        list.push(index);
      }
      return list.sort(function (a, b) {
        return a - b;
      });
    },
    left: function () {
      return count - sizes[0];
    },
  };
}

/** The bytes that travel for a combination: u8 degree, u16 a chunk number, the exclusive or of the chunks. */
export function encodeCombination(list: number[], read: (index: number) => Bytes, xor: Xor): Bytes {
  "cold";
  let head = String.fromCharCode(list.length);
  let data = "";
  for (let i = 0; i < list.length; i++) {
    head += le16(list[i]);
    data = i ? xor(data, read(list[i])) : read(list[i]);
  }
  return head + data;
}

/** Combination taken: it gave one or more chunks. */
export const REPAIR_RECOVERED = 1;
/** It is kept until more is known. */
export const REPAIR_KEPT = 0;
/** Nothing in it is missing here. */
export const REPAIR_USELESS = -41;
/** Malformed: degree, numbers or length. */
export const REPAIR_REFUSED = -42;
/** What came out of it is not the chunk it should be. */
export const REPAIR_WRONG = -43;

/** What the receiver of combinations is given. */
export interface RepairPorts {
  has(index: number): boolean;
  /** A chunk that is here. */
  read(index: number): Bytes;
  /**
   * Takes a recovered chunk, filled up with zeros when it is the last; returns whether it was right (its hash held), and
   * `has` tells so from then on.
   */
  recovered(index: number, bytes: Bytes): boolean;
  xor: Xor;
}

export interface RepairReceiver {
  /** Takes what `encodeCombination` made. Returns one of the REPAIR codes. */
  take(bytes: Bytes): number;
  /** Chunk `index` has arrived by other means; combinations that waited for it are resolved. */
  learned(index: number): void;
  /** Combinations that wait. */
  kept(): number;
}

interface Row {
  /** Chunks that are missing here; two or more. No other row contains the first. */
  missing: number[];
  bytes: Bytes;
}

/** Members of exactly one of two sets. */
function difference(a: number[], b: number[]): number[] {
  "cold";
  const out: number[] = [];
  for (let i = 0; i < a.length; i++) if (b.indexOf(a[i]) < 0) out.push(a[i]);
  for (let i = 0; i < b.length; i++) if (a.indexOf(b[i]) < 0) out.push(b[i]);
  return out;
}

/**
 * Solves combinations over GF(2), for what is missing here only. Keeps at most `keep` that have two or more unknowns
 * (each costs a chunk of RAM) and drops the oldest when another comes; with one unknown a combination is solved at once.
 */
export function createRepairReceiver(
  ports: RepairPorts,
  count: number,
  chunkBytes: number,
  keep: number,
): RepairReceiver {
  "cold";
  const rows: Row[] = [];

  /** Takes the first chunk of `from` out of all other rows. */
  function eliminate(from: Row): void {
    const index = from.missing[0];
    const headless: Row[] = [];
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const place = row === from ? -1 : row.missing.indexOf(index);
      if (place < 0) continue;
      row.missing = difference(row.missing, from.missing);
      row.bytes = ports.xor(row.bytes, from.bytes);
      if (!place && row.missing.length) headless.push(row);
    }
    // A row that lost its first chunk has another one now, which others may contain.
    for (let i = 0; i < headless.length; i++) eliminate(headless[i]);
  }

  /** Gives out what rows have one unknown left. Returns REPAIR_RECOVERED, REPAIR_WRONG or REPAIR_KEPT. */
  function settle(): number {
    let code = REPAIR_KEPT;
    for (let i = 0; i < rows.length;) {
      const row = rows[i];
      if (row.missing.length > 1) {
        i++;
        continue;
      }
      rows.splice(i, 1);
      if (!row.missing.length || ports.has(row.missing[0])) continue;
      if (!ports.recovered(row.missing[0], row.bytes)) {
        if (code === REPAIR_KEPT) code = REPAIR_WRONG;
        continue;
      }
      code = REPAIR_RECOVERED;
      eliminate(row);
      i = 0;
    }
    return code;
  }

  return {
    take: function (bytes: Bytes) {
      const degree = bytes.charCodeAt(0);
      const head = 1 + degree * 2;
      if (!(degree >= 1 && degree <= MAX_DEGREE) || bytes.length <= head || bytes.length > head + chunkBytes) {
        return REPAIR_REFUSED;
      }
      const row: Row = { missing: [], bytes: "" };
      const known: number[] = [];
      let last = -1;
      for (let i = 0; i < degree; i++) {
        const index = u16(bytes, 1 + i * 2);
        if (index <= last || index >= count) return REPAIR_REFUSED;
        last = index;
        (ports.has(index) ? known : row.missing).push(index);
      }
      if (!row.missing.length) return REPAIR_USELESS;
      row.bytes = bytes.substr(head);
      for (let i = 0; i < known.length; i++) row.bytes = ports.xor(row.bytes, ports.read(known[i]));
      if (row.missing.length > 1) {
        // What waits may be of a hostile sender, so it touches only combinations that say nothing by themselves.
        for (let i = 0; i < rows.length; i++) {
          if (row.missing.indexOf(rows[i].missing[0]) < 0) continue;
          row.missing = difference(row.missing, rows[i].missing);
          row.bytes = ports.xor(row.bytes, rows[i].bytes);
        }
        if (!row.missing.length) return REPAIR_USELESS;
        if (row.missing.length > 1) {
          eliminate(row);
          if (rows.length >= keep) rows.shift();
        }
      }
      rows.push(row);
      return settle();
    },
    learned: function (index: number) {
      let waits = false;
      for (let i = 0; i < rows.length; i++) if (rows[i].missing.indexOf(index) >= 0) waits = true;
      if (!waits) return;
      eliminate({ missing: [index], bytes: ports.read(index) });
      settle();
    },
    kept: function () {
      return rows.length;
    },
  };
}
