/**
 * Who may command a mesh over MQTT: whoever has the command key. The tag is HMAC-SHA256 (RFC 2104) over topic, time,
 * nonce and body, each ended by a line feed; the body is signed as the text it is, so that nobody needs a canonical form
 * of JSON. docs/bridges.md says the same for other senders.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

export interface Envelope {
  /** Unix seconds */
  t: number;
  /** 16..64 hexadecimal digits, used once */
  n: string;
  /** JSON text of the arguments */
  b: string;
  /** 64 hexadecimal digits */
  tag: string;
}

export type Refusal = "malformed" | "unauthorised" | "stale" | "replayed" | "retained" | "busy";

/** Seconds that sender and bridge may differ. */
export const WINDOW_SECONDS = 60;
const MAX_BYTES = 8192;
const MAX_BODY = 4096;
const MAX_NONCES = 4096;
/** Bytes of a key. */
export const MIN_KEY = 16;

function tagOf(key: Buffer, topic: string, { t, n, b }: Omit<Envelope, "tag">): Buffer {
  return createHmac("sha256", key).update(`${topic}\n${t}\n${n}\n${b}\n`, "utf8").digest();
}

/** `challenge` is what the bridge published where it has no clock of its own; a fresh nonce otherwise. */
export function signCommand(key: Buffer, topic: string, body: object, nowMs: number, challenge?: string): Envelope {
  const unsigned = {
    t: Math.floor(nowMs / 1000),
    n: challenge ?? randomBytes(16).toString("hex"),
    b: JSON.stringify(body),
  };
  return { ...unsigned, tag: tagOf(key, topic, unsigned).toString("hex") };
}

export function parseEnvelope(payload: Buffer): Envelope | null {
  if (payload.length > MAX_BYTES) return null;
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(payload.toString("utf8")) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { t, n, b, tag } = value;
  if (!Number.isSafeInteger(t) || typeof n !== "string" || typeof b !== "string" || typeof tag !== "string")
    return null;
  if (b.length > MAX_BODY || !/^[0-9a-f]{16,64}$/.test(n) || !/^[0-9a-f]{64}$/.test(tag)) return null;
  return { t: t as number, n, b, tag };
}

export interface Accepted {
  nonce: string;
  body: Record<string, unknown>;
}

export interface Verifier {
  verify(topic: string, payload: Buffer, retained: boolean): Accepted | Refusal;
}

/** @param now Unix milliseconds; what was made before the verifier is refused, since its nonces are not remembered */
export function createVerifier(key: Buffer, now: () => number): Verifier {
  const seen = new Map<string, number>();
  const since = Math.floor(now() / 1000);

  return {
    verify(topic, payload, retained) {
      // A broker hands a retained command to whoever subscribes, again and again.
      if (retained) return "retained";
      const envelope = parseEnvelope(payload);
      if (!envelope) return "malformed";
      if (!timingSafeEqual(tagOf(key, topic, envelope), Buffer.from(envelope.tag, "hex"))) return "unauthorised";
      const seconds = Math.floor(now() / 1000);
      if (Math.abs(seconds - envelope.t) > WINDOW_SECONDS || envelope.t < since) return "stale";
      for (const [nonce, until] of seen) if (until < seconds) seen.delete(nonce);
      if (seen.has(envelope.n)) return "replayed";
      if (seen.size >= MAX_NONCES) return "busy";
      seen.set(envelope.n, envelope.t + WINDOW_SECONDS);
      let body: unknown;
      try {
        body = JSON.parse(envelope.b);
      } catch {
        return "malformed";
      }
      if (typeof body !== "object" || body === null || Array.isArray(body)) return "malformed";
      return { nonce: envelope.n, body: body as Record<string, unknown> };
    },
  };
}

/**
 * What Home Assistant sends to install an image on a node. It can sign nothing, so the discovery message hands it this
 * capability: it is good for that image on that node alone, and repeating it changes nothing.
 */
export function installPayload(key: Buffer, topic: string, image: string): string {
  const tag = createHmac("sha256", key).update(`install\n${topic}\n${image}\n`, "utf8").digest("hex");
  return `install ${image} ${tag}`;
}

/** The id of the image that the payload allows to install, or null. */
export function verifyInstall(key: Buffer, topic: string, payload: Buffer): string | null {
  const match = /^install ([0-9a-f]{8,64}) ([0-9a-f]{64})$/.exec(payload.toString("latin1"));
  if (!match) return null;
  const wanted = Buffer.from(installPayload(key, topic, match[1]!));
  return wanted.length === payload.length && timingSafeEqual(wanted, payload) ? match[1]! : null;
}
