/**
 * Verification of SLH-DSA-SHA2-128s signatures (FIPS 205), in slices short enough for an interpreter that has other
 * things to do.
 *
 * Some 2100 calls of SHA-256 decide the time, so the work between two of them is kept to a byte written and a digest
 * copied, both into one buffer that holds the input of the next call:
 *   0   PK.seed, then zeros up to 64      64  compressed address (section 11.2.2), 22 bytes      86  data
 */
import type { Bytes } from "../engine/engine";

/** Bytes of PK.seed and of PK.root, one after the other. */
export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 7856;

export const MORE = 0;
export const VALID = 1;
/** A key or signature of the wrong length. */
export const ERROR_LENGTH = -1;
/** The signature was not made for this message by this key. */
export const ERROR_SIGNATURE = -2;

/** Bytes of a node, called n in FIPS 205. */
const NODE = 16;
const FORS_TREES = 14;
const FORS_HEIGHT = 12;
const LAYERS = 7;
const LAYER_HEIGHT = 9;
const CHAINS = 35;
/** Digits of the message among the chains; the others are its checksum. */
const DIGITS = 32;

const ADDRESS = 64;
const TREE = 65;
const TYPE = 73;
const KEY_PAIR = 74;
/** Last byte of the second word: chain of WOTS, height in a tree. */
const CHAIN = 81;
/** Last two bytes of the third word: index in a tree. The last alone: step of WOTS. */
const INDEX = 84;
const STEP = 85;
const DATA = 86;

/** Address types */
const WOTS_HASH = 0;
const WOTS_PUBLIC = 1;
const HASH_TREE = 2;
const FORS_TREE = 3;
const FORS_ROOTS = 4;

/** Calls of the hash function in a slice; with all between them some 4 million instructions, 50 ms of an ESP32. */
const SLICE = 12;

/** Set by the build: a bundle runs on Espruino. */
declare const ON_ENGINE: boolean | undefined;

/** What verification asks of an engine. */
export interface Hashing {
  sha256(data: Bytes | Uint8Array): ArrayBuffer;
  /** Copies as many bytes of `from` as `to` has room for, in one native call where the engine has one. */
  copy?(from: ArrayBuffer, to: Uint8Array): void;
  /**
   * Called every few slices. Espruino looks for the room of each digest in its list of free variables from the start, and
   * that list gets more and more out of order until memory is collected.
   */
  collect?(): void;
}

export interface Verifier {
  /** Does one slice of the work. Returns MORE, VALID, ERROR_LENGTH or ERROR_SIGNATURE, and the same result ever after. */
  step(): number;
}

function copyPortably(from: ArrayBuffer, to: Uint8Array): void {
  "cold";
  to.set(new Uint8Array(from, 0, to.length));
}

/**
 * Verifies that `signature` was made over `message` with the private key of `publicKey`, pure SLH-DSA (FIPS 205,
 * algorithm 24) with the context string `context` (at most 255 bytes, empty unless given). `message` and `signature`
 * may be views on flash; they are read piece by piece, `message` once and at once, so keep it below 4096 bytes.
 */
export function createVerifier(
  engine: Hashing,
  publicKey: Bytes,
  message: Bytes,
  signature: Bytes,
  context?: Bytes,
): Verifier {
  "cold";
  const sha = engine.sha256;
  const copy = engine.copy || copyPortably;
  // The chain ends of a layer, or the roots of the FORS trees, are gathered behind a header of their own.
  const wide = new Uint8Array(DATA + CHAINS * NODE);
  const block = new Uint8Array(DATA + 2 * NODE);
  const one = new Uint8Array(block.buffer, 0, DATA + NODE);
  const left = new Uint8Array(block.buffer, DATA, NODE);
  const right = new Uint8Array(block.buffer, DATA + NODE, NODE);
  const digits = new Uint8Array(CHAINS);
  let indices: Uint8Array | null = null;
  let leaf = 0;
  let layer = -1;
  let part = 0;
  let at = NODE;
  let slices = 0;
  let result = MORE;

  // Espruino takes the characters of a string for numbers, Node does not.
  if (typeof ON_ENGINE === "undefined") left.set("\x01" as unknown as ArrayLike<number>);
  const setsText = typeof ON_ENGINE !== "undefined" || left[0] === 1;

  /** What `set` of a typed array takes for these bytes. */
  function settable(bytes: Bytes): ArrayLike<number> {
    if (setsText) return bytes as unknown as ArrayLike<number>;
    const list: number[] = [];
    for (let i = 0; i < bytes.length; i++) list.push(bytes.charCodeAt(i));
    return list;
  }

  function address(type: number, keyPair: number): void {
    block[TYPE] = type;
    block.fill(0, KEY_PAIR, DATA);
    block[KEY_PAIR + 2] = keyPair >> 8;
    block[KEY_PAIR + 3] = keyPair;
  }

  function take(): ArrayLike<number> {
    at += NODE;
    return settable(signature.substr(at - NODE, NODE));
  }

  /** Climbs from the node in `left` to the root of its tree, which ends up there too. */
  function climb(index: number, height: number): void {
    const b = block;
    if (index & 1) right.set(left);
    for (let h = 1; h <= height; h++) {
      (index & 1 ? left : right).set(take());
      index >>= 1;
      b[CHAIN] = h;
      b[INDEX] = index >> 8;
      b[STEP] = index;
      copy(sha(b), index & 1 && h < height ? right : left);
    }
  }

  /** Compresses the first `count` nodes gathered in `wide` into `left`. */
  function compress(type: number, count: number): void {
    address(type, leaf);
    wide.set(one.subarray(0, DATA));
    copy(sha(wide.subarray(0, DATA + count * NODE)), left);
  }

  function start(): void {
    const random = signature.substr(0, NODE);
    const seed = publicKey.substr(0, NODE);
    const text = context || "";
    const inner = new Uint8Array(3 * NODE + 20);
    inner.set(settable(random + seed));
    inner.set(
      new Uint8Array(sha(random + publicKey + "\x00" + String.fromCharCode(text.length) + text + message)),
      2 * NODE,
    );
    // MGF1 with SHA-256: one block, counter 0, is more than the 30 bytes that are needed.
    const digest = new Uint8Array(sha(inner));
    block.set(settable(seed));
    for (let i = 0; i < 7; i++) block[TREE + 1 + i] = digest[21 + i];
    block[TREE + 1] &= 63;
    leaf = ((digest[28] & 1) << 8) | digest[29];
    indices = digest;
  }

  /** One tree of the few-times signature. */
  function fors(): void {
    const md = indices as Uint8Array;
    const byte = (part * 3) >> 1;
    const index = part & 1 ? ((md[byte] & 15) << 8) | md[byte + 1] : (md[byte] << 4) | (md[byte + 1] >> 4);
    const place = (part << FORS_HEIGHT) + index;
    address(FORS_TREE, leaf);
    block[INDEX] = place >> 8;
    block[STEP] = place;
    left.set(take());
    copy(sha(one), left);
    climb(place, FORS_HEIGHT);
    wide.set(left, DATA + part * NODE);
    if (++part < FORS_TREES) return;
    compress(FORS_ROOTS, FORS_TREES);
    enterLayer();
  }

  /** The node in `left` is what the next layer signs. */
  function enterLayer(): void {
    let sum = 0;
    for (let i = 0; i < DIGITS; i++) {
      const digit = i & 1 ? left[i >> 1] & 15 : left[i >> 1] >> 4;
      digits[i] = digit;
      sum += 15 - digit;
    }
    digits[DIGITS] = sum >> 8;
    digits[DIGITS + 1] = (sum >> 4) & 15;
    digits[DIGITS + 2] = sum & 15;
    layer++;
    part = 0;
    block[ADDRESS] = layer;
    address(WOTS_HASH, leaf);
  }

  /** Some chains of a one-time signature. */
  function chains(): void {
    // Names of their own for what the loop below looks up some two thousand times.
    const b = block;
    const h = sha;
    const u = one;
    const v = left;
    const c = copy;
    let n = SLICE;
    while (part < CHAINS && n > 0) {
      let j = digits[part];
      n -= 16 - j;
      b[CHAIN] = part;
      v.set(take());
      for (; j < 15; j++) {
        b[STEP] = j;
        c(h(u), v);
      }
      wide.set(v, DATA + part * NODE);
      part++;
    }
    if (part < CHAINS) return;
    compress(WOTS_PUBLIC, CHAINS);
    part = CHAINS + 1;
  }

  /** The path from a one-time key to the root of its layer. */
  function path(): void {
    address(HASH_TREE, 0);
    climb(leaf, LAYER_HEIGHT);
    if (layer === LAYERS - 1) {
      let same = 0;
      for (let i = 0; i < NODE; i++) same |= left[i] ^ publicKey.charCodeAt(NODE + i);
      result = same ? ERROR_SIGNATURE : VALID;
      return;
    }
    // The low nine bits of the tree's index are the next leaf, the others the next tree.
    leaf = ((block[TREE + 6] & 1) << 8) | block[TREE + 7];
    for (let i = 7; i > 0; i--) {
      const high = i > 1 ? block[TREE + i - 1] : 0;
      const higher = i > 2 ? block[TREE + i - 2] : 0;
      block[TREE + i] = (high >> 1) | ((higher & 1) << 7);
    }
    enterLayer();
  }

  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) result = ERROR_LENGTH;

  return {
    step: function () {
      if (result !== MORE) return result;
      if (engine.collect && !(++slices % 4)) engine.collect();
      if (!indices) start();
      else if (layer < 0) fors();
      else if (part <= CHAINS - 1) chains();
      else path();
      return result;
    },
  };
}
