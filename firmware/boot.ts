/**
 * The loader, stored as `.boot0`: picks a slot, counts the starts of an image on trial, rolls back, and runs the code
 * where it lies in flash. When neither slot holds an image that is whole and good, the recovery bundle runs, which is
 * written when the node is provisioned. It depends on nothing that an update can change. The build adds the last step, `eval` of the
 * chosen code (host-tools/build/loader.ts).
 */
import {
  AREA_FILE,
  MARK,
  MAX_ATTEMPTS,
  SLOT_ATTEMPTS,
  SLOT_BAD,
  SLOT_CODE_BYTES,
  SLOT_CONFIRMED,
  SLOT_HEADER,
  SLOT_MAGIC,
  SLOT_MANIFEST,
  SLOT_MANIFEST_BYTES,
  SLOT_SEQUENCE,
  SLOT_VERIFIED,
  STATE_RESTARTED,
  STATE_STARTED,
  UNMARKED,
} from "./ota/layout";

/** Replaced by the build with what boards/*.json says. */
declare const STORAGE_ADDRESS: number;
declare const REGIONS: { [name: string]: [number, number] };
declare const HARDWARE: string;
declare const WATCHDOG_SECONDS: number;

/** Storage is compacted when less than this is free and more than this is left of deleted files. */
const COMPACT_BYTES = 32768;

(function () {
  const storage = require("Storage");
  const flash = require("Flash");
  const page = 4096;

  function area(offset: number, length: number): string {
    return storage.read(AREA_FILE, offset, length) as string;
  }

  function u32(text: string, at: number): number {
    return (
      text.charCodeAt(at) +
      text.charCodeAt(at + 1) * 256 +
      text.charCodeAt(at + 2) * 65536 +
      text.charCodeAt(at + 3) * 16777216
    );
  }

  // Records follow each other without gaps up to the area, which is written when the node is provisioned.
  let base = 0;
  let loose = false;
  let at = STORAGE_ADDRESS;
  while (!base) {
    const head = flash.read(32, at);
    const size = head[0] | (head[1] << 8) | (head[2] << 16);
    if (!size || size === 0xffffff) {
      print("espalier: the node's flash area is missing; flash the board again");
      return;
    }
    if (!head[4]) loose = true;
    else if (E.toString(head).substr(4, 9) === AREA_FILE + MARK) base = at + 32;
    at += 32 + ((size + 3) & -4);
  }
  // Its pages are erased one by one, so it must lie where it was laid out.
  if (base & (page - 1)) {
    print("espalier: the node's flash area was moved; flash the board again");
    return;
  }

  // Espruino compacts Storage by itself when a file of an application does not fit, for many seconds, and a power cut in it
  // costs everything. Here at least no watchdog runs and no code that would be moved. With a deleted file in front of
  // the area, the area itself would move.
  const stats = storage.getStats();
  if (!loose && stats.freeBytes < COMPACT_BYTES && stats.trashBytes > COMPACT_BYTES) {
    print("espalier: compacting Storage");
    storage.compact();
  }

  const pages = REGIONS;
  const state = pages.state[0] * page;
  let starts = area(state, page).indexOf(UNMARKED);
  let reason = "other";
  if (starts < 0) {
    flash.erasePage(base + state);
    starts = 0;
  } else if (starts && area(state + starts - 1, 1) === STATE_RESTARTED) reason = "software";
  flash.write(STATE_STARTED, base + state + starts);

  /** SHA-256 over the SHA-256 of every page: a slot that rotted, or was cut while it was written, does not run. */
  function intact(from: number, length: number, wanted: string): boolean {
    const hash = require("crypto").SHA256;
    let leaves = "";
    for (let i = 0; i < length; i += page) {
      leaves += E.toString(new Uint8Array(hash(area(from + i, Math.min(page, length - i)))));
    }
    const root = new Uint8Array(hash(leaves));
    let text = "";
    for (let i = 0; i < 32; i++) text += (256 + root[i]).toString(16).substr(1);
    return text === wanted;
  }

  interface Candidate {
    name: string;
    from: number;
    sequence: number;
    bytes: number;
    trial: boolean;
    tries: number;
  }

  function inspect(name: string): Candidate | null {
    const from = pages[name][0] * page;
    const head = area(from, SLOT_MANIFEST);
    const bytes = u32(head, SLOT_CODE_BYTES);
    const text = u32(head, SLOT_MANIFEST_BYTES);
    if (head.substr(0, 4) !== SLOT_MAGIC || head[SLOT_VERIFIED] !== MARK) return null;
    // Nothing may take the last resort away.
    if (head[SLOT_BAD] === MARK && name !== "recovery") return null;
    if (text > page - SLOT_MANIFEST || bytes > (pages[name][1] - 1) * page) return null;
    const trial = head[SLOT_CONFIRMED] !== MARK;
    let tries = 0;
    while (tries < MAX_ATTEMPTS && head[SLOT_ATTEMPTS + tries] === MARK) tries++;
    if (trial && tries === MAX_ATTEMPTS) {
      flash.write(MARK, base + from + SLOT_BAD);
      return null;
    }
    let good = false;
    try {
      good = intact(from + SLOT_HEADER, bytes, JSON.parse(area(from + SLOT_MANIFEST, text)).resultHash);
    } catch (e) {
      good = false;
    }
    return good
      ? { name: name, from: from, sequence: u32(head, SLOT_SEQUENCE), bytes: bytes, trial: trial, tries: tries }
      : null;
  }

  const a = inspect("slot0");
  const b = inspect("slot1");
  const best = (a && b ? (a.sequence > b.sequence ? a : b) : a || b) || (pages.recovery ? inspect("recovery") : null);
  if (!best) {
    print("espalier: no image to run; flash the board again");
    return;
  }
  if (best.trial) flash.write(MARK, base + best.from + SLOT_ATTEMPTS + best.tries);
  E.enableWatchdog(WATCHDOG_SECONDS, true);
  global.espalierBoot = {
    base: base,
    regions: pages,
    hardware: HARDWARE,
    reason: reason,
    slot: best.name,
    trial: best.trial,
    starts: starts + 1,
    code: area(best.from + SLOT_HEADER, best.bytes),
  };
})();
