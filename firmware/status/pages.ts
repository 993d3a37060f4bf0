/**
 * What a collector knows of a whole fleet, in pages that fit a link and a datagram: each node's newest values as a key
 * frame, and its age in seconds (u16), in base64.
 */
import type { Bytes } from "../engine/engine";
import { le16, u16 } from "../wire/bytes";
import { type Crc32, decodeTelemetry, type Telemetry, TELEMETRY_BYTES } from "../wire/telemetry";
import type { Fleet } from "./fleet";

/** Four nodes: with the package around them fewer than the 528 bytes that a datagram has everywhere. */
export const PAGE_NODES = 4;
export const PAGE_ENTRY = TELEMETRY_BYTES + 2;

/** How many pages there are. */
export function pageCount(fleet: Fleet): number {
  return Math.ceil(fleet.nodes.length / PAGE_NODES);
}

/** Page `index` at `now` ms; nodes that have said nothing yet are left out. */
export function pageBytes(fleet: Fleet, index: number, now: number): Bytes {
  "cold";
  let out = "";
  const end = Math.min(fleet.nodes.length, (index + 1) * PAGE_NODES);
  for (let i = index * PAGE_NODES; i < end; i++) {
    const node = fleet.nodes[i];
    if (node.frame) out += node.frame + le16(Math.min(65535, Math.floor((now - node.heardAt) / 1000)));
  }
  return out;
}

/** Calls for each entry of a page that is whole and right. */
export function readPage(page: Bytes, crc32: Crc32, entry: (t: Telemetry, ageSeconds: number) => void): void {
  for (let at = 0; at + PAGE_ENTRY <= page.length; at += PAGE_ENTRY) {
    const t = decodeTelemetry(page.substr(at, TELEMETRY_BYTES), crc32);
    if (t && t.node) entry(t, u16(page, at + TELEMETRY_BYTES));
  }
}
