/**
 * What a node believes about images: the key that must have signed them, and the security counter below which it does
 * not go. The settings name the first key; later ones, and the counter, are kept in the region "trust".
 *
 * The region has two pages of 64-byte records, each a complete state with a CRC; the whole record with the highest
 * sequence counts. A change appends one. When a page is full the other one, which holds only older records, is erased and
 * gone on in: whatever a power cut leaves half done, the last state stays readable. A change comes with an update, so
 * that a page lasts 64 of them.
 *
 *   0  magic "ESPK"      4  u32 sequence     8  u32 security counter    12  first 4 bytes of the settings' key
 *   16 key, 32 bytes    48  u32 CRC-32 of bytes 0..47
 *
 * A record made under another key of the settings tells the counter, but not the key: a node that is given a new key over
 * its cable trusts that one.
 */
import type { Bytes, Engine, Region } from "../engine/engine";
import { PAGE } from "../engine/engine";
import { le32, u32 } from "../wire/bytes";
import type { Manifest } from "./image";
import { PUBLIC_KEY_BYTES } from "./signature";

/** What the settings of a node may say about security. */
export interface SecuritySettings {
  /** Public key that images must be signed for, base64 of 32 bytes. Without one every image is taken. */
  publicKey?: string;
  /** Mesh key of control messages, see control-auth.ts. Without one every message is obeyed. */
  meshKey?: string;
  /** What images must be for; the name of the mesh unless given. */
  product?: string;
}

/** Fields of a manifest that change what a node believes; they count once the image has confirmed itself. */
export interface TrustFields {
  /** Base64 of the public key that signs from the next image on. */
  nextKey?: string;
  /** Allows an image with a lower counter on nodes whose own is not above this. */
  downgradeFrom?: number;
}

export interface Trust {
  /** 32 bytes, or "" when unsigned images are taken. */
  key: Bytes;
  counter: number;
  /** Of the record that says so; 0 when there is none. */
  sequence: number;
}

const MAGIC = "ESPK";
const RECORD = 64;
const USED = 52;

/** The key in the settings. @throws Error for a text that is none: a node must not come up unprotected by a slip. */
export function configuredKey(engine: Engine, text: string | undefined): Bytes {
  "cold";
  if (!text) {
    engine.log("UNSIGNED images are taken");
    return "";
  }
  const key = engine.fromBase64(text);
  if (key.length !== PUBLIC_KEY_BYTES) throw new Error("publicKey");
  return key;
}

/** The last whole record of a page, or "", and where the next one goes: behind everything, torn or whole. */
function scan(engine: Engine, region: Region, page: number): [Bytes, number] {
  "cold";
  const text = region.read(page, PAGE);
  const erased = "\xff".repeat(RECORD);
  let last = "";
  let at = 0;
  for (; at < PAGE; at += RECORD) {
    const record = text.substr(at, RECORD);
    if (record === erased) break;
    const end = USED - 4;
    if (record.substr(0, 4) === MAGIC && u32(record, end) === engine.crc32(record.substr(0, end))) last = record;
  }
  return [last, at];
}

/**
 * What the node believes when it starts.
 *
 * @param key the settings' key, or ""
 * @param counter of the running image's manifest, for a node whose region is still empty
 */
export function readTrust(engine: Engine, region: Region | null, key: Bytes, counter: number): Trust {
  "cold";
  const trust: Trust = { key: key, counter: counter, sequence: 0 };
  for (let page = 0; region && page < 2 * PAGE; page += PAGE) {
    const record = scan(engine, region, page)[0];
    if (!record || u32(record, 4) <= trust.sequence) continue;
    trust.sequence = u32(record, 4);
    trust.counter = u32(record, 8);
    // Without a key in the settings signatures are not asked for, whatever was there before.
    trust.key = key && record.substr(12, 4) === key.substr(0, 4) ? record.substr(16, PUBLIC_KEY_BYTES) : key;
  }
  return trust;
}

/** Where the next record goes, erased. */
function room(engine: Engine, region: Region): number {
  "cold";
  const first = scan(engine, region, 0);
  const second = scan(engine, region, PAGE);
  const newest = second[0] && (!first[0] || u32(second[0], 4) > u32(first[0], 4)) ? PAGE : 0;
  const end = (newest ? second : first)[1];
  if (end < PAGE) return newest + end;
  region.erase(PAGE - newest);
  return PAGE - newest;
}

/**
 * Takes over what the manifest of a confirmed image says. Nothing is written when that is what the node believes already.
 *
 * @param key the settings' key, or ""
 */
export function confirmTrust(
  engine: Engine,
  region: Region | null,
  key: Bytes,
  trust: Trust,
  m: Manifest & TrustFields,
): void {
  "cold";
  const next = m.nextKey && trust.key ? engine.fromBase64(m.nextKey) : trust.key;
  // Without a record the counter is that of whatever image runs, which may be another one at the next start.
  if (next === trust.key && m.counter === (trust.sequence ? trust.counter : 0)) return;
  trust.counter = m.counter;
  trust.key = next;
  trust.sequence++;
  if (!region) return;
  const body = MAGIC + le32(trust.sequence) + le32(trust.counter) + (key + "\0\0\0\0").substr(0, 4);
  const record = body + (next || "\0".repeat(PUBLIC_KEY_BYTES));
  region.write(room(engine, region), record + le32(engine.crc32(record)));
}
