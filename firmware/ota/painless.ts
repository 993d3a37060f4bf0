/**
 * An image file that comes by painlessMesh's own update packages (types 10 to 12): announced, then asked for part by
 * part from whoever announced it, an Espalier laptop or a C++ node with the file on its card.
 *
 * Nothing of it is trusted for having come this way. The file's blob begins a transfer like any offer, with the checks
 * of an offer, and the chunks that follow are handed to it as frames are. The md5 names the file and is compared with
 * nothing, since the engine has no MD5: the image's own hashes and signature decide.
 */
import type { Bytes } from "../engine/engine";
import { u32 } from "../wire/bytes";
import { FLAG_PAYLOAD, FRAME_CHUNK, frameHeader } from "../wire/frames";
import { OTA_ANNOUNCE, OTA_REQUEST, type Package, ROUTE_SINGLE, isUint32 } from "../wire/packages";
import { imageId, MAX_BLOB, MAX_CHUNK } from "./image";
import { chunkBytes, type Offer, USUAL_PACE } from "./session";
import type { Transfer } from "./transfer";
import type { UpdateNode } from "./update-node";

/** A part is asked for again after this time, so often, as C++ nodes do. */
const RETRY_MS = 30000;
const TRIES = 10;
/** Between looks at a transfer that is erasing, checking or decoding. */
const LOOK_MS = 200;
/** Longest base64 text of a part, and most parts of a file. */
const MAX_PART = 4096;
const MAX_PARTS = 65535;
/** "ESPIMG1\n" and u32 bytes of the blob. */
const FILE_MAGIC = "ESPIMG1\n";
const FILE_HEAD = 12;

/** Takes a package of type 10 or 12. */
export type Download = (pkg: Package) => void;

/**
 * @param begin takes an offer as if it had been heard; without one it begins nothing. Gives the transfer that is under way
 * then, null if there is none.
 */
export function createDownload(node: UpdateNode, begin: (offer: Offer | null) => Transfer | null): Download {
  "cold";
  const engine = node.engine;
  /** The announce that is followed, null while there is none, and the md5 of the last one. */
  let from: Package | null = null;
  let known = "";
  let timer = 0;
  let part = 0;
  let tries = 0;
  /** What came and is not used yet; the blob once it is whole. */
  let rest: Bytes = "";
  let blob: Bytes = "";
  let fed = 0;
  let transfer: Transfer | null = null;

  function stop(): void {
    "cold";
    engine.cancel(timer);
    timer = 0;
    from = transfer = null;
    rest = blob = "";
  }

  /** The same image may still come another way, so it is the transfer that failed and not the image. */
  function giveUp(): void {
    "cold";
    if (transfer && begin(null) === transfer) node.fail("aborted");
    stop();
  }

  function request(): void {
    "cold";
    const a = from;
    if (!a) return;
    if (part >= (a.noPart as number) || ++tries > TRIES) {
      // Later announces of a sender that fell silent are followed again.
      if (tries > TRIES) known = "";
      return giveUp();
    }
    const fields = {
      type: OTA_REQUEST,
      routing: ROUTE_SINGLE,
      broadcasted: false,
      dest: a.from,
      from: 0,
      partNo: part,
    };
    node.mesh.sendPackage(Object.assign({}, a, fields));
    timer = engine.after(RETRY_MS, request);
  }

  /** Finds the blob at the head of the file. False when it is no image file. */
  function head(): boolean {
    "cold";
    if (rest.length < FILE_HEAD) return true;
    const length = u32(rest, FILE_MAGIC.length);
    if (rest.substr(0, FILE_MAGIC.length) !== FILE_MAGIC || length < 2 || length > MAX_BLOB) return false;
    if (rest.length < FILE_HEAD + length) return true;
    blob = rest.substr(FILE_HEAD, length);
    rest = rest.substr(FILE_HEAD + length);
    const a = from as Package;
    const offer = { id: imageId(engine, blob), blob: length, transport: "painless", pace: USUAL_PACE };
    transfer = begin(Object.assign({}, a as unknown as Offer, offer));
    if (transfer && (transfer.session.id !== offer.id || !transfer.session.forMe)) transfer = null;
    return transfer !== null;
  }

  /** Hands on one chunk, or asks for more of the file. */
  function feed(): void {
    "cold";
    timer = 0;
    if (!from) return;
    const t = transfer;
    if (!t) {
      if (!head()) return stop();
      if (!transfer) return request();
    } else if (begin(null) !== t || node.state === "failed") return stop();
    else if (node.state === "verified") {
      // Who sends this way expects the restart by itself.
      t.activate();
      return stop();
    } else if (node.state === "receiving") {
      const s = t.session;
      const payload = s.payload !== null;
      const size = payload ? (fed < s.payload!.size ? chunkBytes(s, true, fed) : 0) : Math.min(MAX_CHUNK, blob.length);
      // Its last chunk ends the state; a file that goes on behind it, or brought a chunk that was refused, is damaged.
      if (!size) return giveUp();
      const source = payload ? rest : blob;
      if (source.length < size) return request();
      if (payload) rest = rest.substr(size);
      else blob = blob.substr(size);
      const index = fed++;
      // What follows belongs to the payload.
      if (!payload && !blob) fed = 0;
      t.frame(frameHeader(FRAME_CHUNK, payload ? FLAG_PAYLOAD : 0, s.tag, index) + source.substr(0, size));
      timer = engine.after(1, feed);
      return;
    }
    timer = engine.after(LOOK_MS, feed);
  }

  function announced(a: Package): void {
    "cold";
    const identity = node.identity;
    if (
      from ||
      !identity.installs ||
      identity.trial ||
      (begin(null) && node.state !== "relaying" && node.state !== "current") ||
      a.hardware !== identity.hardware ||
      a.role !== identity.role ||
      typeof a.md5 !== "string" ||
      a.md5.length !== 32 ||
      (a.md5 === known && a.forced !== true) ||
      !isUint32(a.noPart) ||
      !a.noPart ||
      a.noPart > MAX_PARTS ||
      !node.control.unseal(a)
    )
      return;
    known = a.md5;
    from = a;
    part = tries = fed = 0;
    request();
  }

  function data(pkg: Package): void {
    "cold";
    const a = from;
    const text = pkg.data;
    if (
      !a ||
      pkg.from !== a.from ||
      pkg.md5 !== a.md5 ||
      pkg.partNo !== part ||
      typeof text !== "string" ||
      !text ||
      text.length > MAX_PART
    )
      return;
    engine.cancel(timer);
    tries = 0;
    part++;
    rest += engine.fromBase64(text);
    timer = engine.after(1, feed);
  }

  return function (pkg: Package) {
    if (pkg.type === OTA_ANNOUNCE) announced(pkg);
    else data(pkg);
  };
}
