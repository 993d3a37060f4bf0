/** Who may ask for what: token, origin, host name, and how often. */
import { timingSafeEqual, createHash, randomBytes } from "node:crypto";
import * as net from "node:net";

/** 128 random bits, in characters that need no quoting in an address. */
export function newToken(): string {
  return randomBytes(16).toString("base64url");
}

/** Compares in a time that tells nothing of the token. */
export function tokenMatches(token: string, header: string | undefined): boolean {
  const given = /^Bearer ([\x21-\x7e]{1,200})$/.exec(header ?? "")?.[1];
  if (token === "" || given === undefined) return false;
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

/** The host part of a Host header, without its port; "" when it is none. */
function hostName(header: string): string {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/i.exec(header)?.[1]?.toLowerCase() ?? "";
}

/**
 * Names in an address bar that may lead here. A page of somebody else whose name suddenly resolves to this machine
 * (DNS rebinding) has its own name there and is refused; numbers and names of this machine cannot be rebound.
 */
export function hostAllowed(header: string | undefined, names: readonly string[]): boolean {
  const name = hostName(header ?? "");
  if (name === "") return false;
  if (name === "localhost" || name.endsWith(".localhost") || names.includes(name)) return true;
  return net.isIP(name.replace(/^\[|\]$/g, "")) !== 0;
}

/** True for requests without an Origin (programs) and those of the page itself. */
export function originAllowed(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  if (origin === "null" || host === undefined) return false;
  try {
    const { host: from, protocol } = new URL(origin);
    return (protocol === "http:" || protocol === "https:") && from === host.toLowerCase();
  } catch {
    return false;
  }
}

export interface RateLimit {
  /** False when `who` has used up what the window allows. */
  take(who: string): boolean;
}

/** At most `most` per `windowMs` and caller; callers that were not heard of lately are forgotten. */
export function rateLimit(most: number, windowMs: number, monotonic: () => number): RateLimit {
  const seen = new Map<string, { from: number; count: number }>();
  return {
    take(who) {
      const time = monotonic();
      let entry = seen.get(who);
      if (!entry || time - entry.from >= windowMs) {
        if (seen.size > 1000) for (const [key, old] of seen) if (time - old.from >= windowMs) seen.delete(key);
        seen.set(who, (entry = { from: time, count: 0 }));
      }
      return ++entry.count <= most;
    },
  };
}
