/**
 * Who may command a node. Packages that change one (offer, abort, activate, rollback) carry `tag`, an
 * HMAC-SHA256 (RFC 2104, cut to 128 bits as section 5 allows) under the mesh key over all other fields, and `seq`.
 *
 * Numbers: all holders of the key count on one clock as Lamport's: who seals takes one more than the highest number that
 * it ever saw. A node takes a package whose number is above all before it. A computer starts from the time of day, so it
 * needs no memory of its own.
 *
 * Restarts: a node that started knows no number. It takes nothing before somebody who is sure of the number has answered
 * a challenge with a nonce of this start, so nothing is written to flash and what was recorded before is worth nothing.
 * The package that set this off is dropped: a controller that is challenged says again, under new numbers, what it said
 * within the last REPEAT_WITHIN_MS.
 *
 *   CHALLENGE {dest: who sealed, n: nonce or "", c: highest number here, tag}
 *   PROOF     {dest: who asked, n: the nonce, c: highest number there, tag}
 *
 * A challenge also tells a controller whose clock is behind how far to go on. Without a mesh key nothing is sealed and
 * nothing checked, and HELLO lacks CHECKS_CONTROL.
 */
import type { Bytes, Engine } from "../engine/engine";
import { hex, le32, unhex } from "../wire/bytes";
import { isUint32, type Package, packageText, ROUTE_SINGLE } from "../wire/packages";

export const PACKAGE_CHALLENGE = 730;
export const PACKAGE_PROOF = 731;

/** Bytes of a mesh key, and of a tag. */
export const MESH_KEY_BYTES = 32;
const TAG_BYTES = 16;
/** Characters of a tag in base64. */
const TAG_TEXT = 24;
/** Block of SHA-256. */
const BLOCK = 64;
/** In so many milliseconds a node challenges each sender once, and so many senders at most. */
const CHALLENGE_EVERY_MS = 1000;
const MAX_CHALLENGES = 4;
/** The challenges of a mesh are spread over so many milliseconds a node. */
const SPREAD_MS = 60;
/** Challenges that follow one package are answered by one repetition, after so long; of what was said so long ago. */
const REPEAT_MS = 1500;
const REPEAT_WITHIN_MS = 20000;

/** What this module needs of a mesh. */
export interface ControlMesh {
  getNodeId(): number;
  getNodeList(): number[];
  sendPackage(fields: { type: number; [field: string]: unknown }): boolean;
  onPackage(type: number, run: (p: Package, neighbour: number) => void): void;
}

export interface ControlOptions {
  /** 64 hex digits or base64 of 32 bytes; "" to check nothing */
  key: string;
  /** First number of a controller (host-tools/gateway/control-clock.ts), 0 on a node. */
  start: number;
}

export interface ControlStats {
  /** no tag or a wrong one */
  forged: number;
  /** a number that was used already */
  replayed: number;
  /** came before the node had proof of the number */
  unproven: number;
}

export interface ControlAuth {
  readonly stats: ControlStats;
  /** Whether there is a key. */
  readonly checks: boolean;
  /**
   * Completes a package for sending: `from`, `dest`, `seq`, `tag`. Nothing may be changed in it afterwards. What shall
   * not happen twice to a node that did take it (a restart) is sealed `once`: it is not repeated.
   */
  seal(p: Package, once?: boolean): Package;
  /** Whether a package that arrived is genuine and new; call it once for each. */
  unseal(p: Package): boolean;
  /**
   * A nonce to ask others with: an answer that is sealed and holds it as field `n` is opened once, whatever its number.
   * Challenge and proof use it as well.
   */
  nonce(): string;
}

/** The bytes of a mesh key, or null when the text is none. */
export function meshKeyBytes(engine: Engine, text: string): Bytes | null {
  "cold";
  const bytes = text.length === 2 * MESH_KEY_BYTES ? unhex(text) : engine.fromBase64(text);
  return bytes && bytes.length === MESH_KEY_BYTES ? bytes : null;
}

function padded(key: Bytes, value: number): Bytes {
  "cold";
  let text = "";
  for (let i = 0; i < BLOCK; i++) text += String.fromCharCode((i < key.length ? key.charCodeAt(i) : 0) ^ value);
  return text;
}

/** HMAC-SHA256 with its two padded keys, 32 bytes. */
export function hmac(engine: Engine, inner: Bytes, outer: Bytes, message: Bytes): Bytes {
  "cold";
  return engine.digest(outer + engine.digest(inner + message));
}

/** The padded keys of HMAC, inner first; keys of up to 64 bytes. */
export function hmacPads(key: Bytes): [Bytes, Bytes] {
  "cold";
  return [padded(key, 0x36), padded(key, 0x5c)];
}

/** @throws Error for a key that is none: a node must not come up unprotected because of a slip in its settings. */
export function createControlAuth(engine: Engine, mesh: ControlMesh, options: ControlOptions): ControlAuth {
  const stats: ControlStats = { forged: 0, replayed: 0, unproven: 0 };
  let inner = "";
  let outer = "";
  let counter = options.start;
  let proven = options.start > 0;
  let nonce = "";
  let asked: number[] = [];
  let askedAt = 0;
  let repeating = false;
  /** What a controller sealed of late, and when. */
  let said: { p: Package; at: number }[] = [];

  if (options.key) {
    const key = meshKeyBytes(engine, options.key);
    if (!key) throw new Error("meshKey");
    const pads = hmacPads(key);
    inner = pads[0];
    outer = pads[1];
    renew();
    mesh.onPackage(PACKAGE_CHALLENGE, answer);
    mesh.onPackage(PACKAGE_PROOF, answer);
  }

  /** Time in microseconds as well, since the generator of a board may repeat after a restart. */
  function renew(): void {
    "cold";
    nonce = hex(le32(engine.random()) + le32((engine.now() * 1000) >>> 0) + le32(engine.random()));
  }

  /**
   * Of a package without tag, as it is written: fields keep their order through parser and writer of all engines, as
   * long as no name is a number, and so do integers and short decimals.
   */
  function tagOf(p: Package): string {
    "cold";
    return engine.toBase64(hmac(engine, inner, outer, packageText(p)).substr(0, TAG_BYTES));
  }

  function genuine(p: Package): boolean {
    "cold";
    const tag = p.tag;
    if (typeof tag !== "string" || tag.length !== TAG_TEXT) return false;
    delete p.tag;
    const right = tagOf(p);
    p.tag = tag;
    return tag === right;
  }

  function send(type: number, to: number, with_: string): void {
    "cold";
    const p: Package = { type: type, routing: ROUTE_SINGLE, dest: to, from: mesh.getNodeId(), n: with_, c: counter };
    p.tag = tagOf(p);
    mesh.sendPackage(p);
  }

  function challenge(to: number): void {
    "cold";
    const now = engine.now();
    if (now - askedAt >= CHALLENGE_EVERY_MS) {
      asked = [];
      askedAt = now;
    }
    if (asked.length === MAX_CHALLENGES || asked.indexOf(to) >= 0) return;
    asked.push(to);
    // All nodes that hear a broadcast may have to ask, and their challenges meet at one link.
    engine.after(engine.random() % (SPREAD_MS * (1 + mesh.getNodeList().length)), function () {
      send(PACKAGE_CHALLENGE, to, proven ? "" : nonce);
    });
  }

  /** Takes a challenge or a proof. */
  function answer(p: Package): void {
    "cold";
    if (typeof p.n !== "string" || !isUint32(p.c) || !genuine(p)) {
      stats.forged++;
      return;
    }
    if (p.type === PACKAGE_PROOF) {
      if (p.n !== nonce) {
        stats.replayed++;
        return;
      }
      proven = true;
      counter = Math.max(counter, p.c);
      renew();
      return;
    }
    const behind = p.c > counter;
    if (behind) counter = p.c;
    if (p.n && proven) send(PACKAGE_PROOF, p.from, p.n);
    else if (!behind) return;
    if (repeating || !said.length) return;
    repeating = true;
    engine.after(REPEAT_MS, repeat);
  }

  function number(p: Package): Package {
    "cold";
    delete p.tag;
    p.seq = ++counter;
    p.tag = tagOf(p);
    return p;
  }

  /** Drops what is too old to be repeated, and with `p` what says the same. */
  function tidy(p: Package | null): void {
    "cold";
    const since = engine.now() - REPEAT_WITHIN_MS;
    const same = p && JSON.stringify([p.type, p.dest, p.id, p.only]);
    said = said.filter(function (one) {
      const q = one.p;
      return one.at > since && JSON.stringify([q.type, q.dest, q.id, q.only]) !== same;
    });
  }

  function repeat(): void {
    "cold";
    repeating = false;
    tidy(null);
    for (let i = 0; i < said.length; i++) mesh.sendPackage(number(said[i].p));
  }

  return {
    stats: stats,
    checks: inner !== "",
    seal: function (p: Package, once?: boolean): Package {
      "cold";
      p.from = p.from || mesh.getNodeId();
      p.dest = p.dest || 0;
      if (!inner) return p;
      if (options.start && !once) {
        tidy(p);
        said.push({ p: p, at: engine.now() });
      }
      return number(p);
    },
    unseal: function (p: Package): boolean {
      "cold";
      if (!inner) return true;
      if (!isUint32(p.seq) || !genuine(p)) {
        stats.forged++;
        return false;
      }
      if (p.n === nonce) {
        proven = true;
        renew();
      } else if (!proven) {
        stats.unproven++;
        challenge(p.from);
        return false;
      } else if (p.seq <= counter) {
        stats.replayed++;
        challenge(p.from);
        return false;
      }
      counter = Math.max(counter, p.seq);
      return true;
    },
    nonce: function () {
      return nonce;
    },
  };
}
