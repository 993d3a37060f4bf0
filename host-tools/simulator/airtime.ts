/**
 * How long an 802.11 frame holds the air. DSSS rates as in IEEE 802.11-2020 clause 16 (long preamble), OFDM rates as in
 * clause 17; all times in ms, lengths in bytes.
 */

export const SIFS_MS = 0.01;
export const DSSS_SLOT_MS = 0.02;
export const DSSS_DIFS_MS = 0.05;
export const CONTENTION_MIN = 31;
export const CONTENTION_MAX = 1023;

/** MAC header, LLC/SNAP, IPv4 and UDP headers and the check sequence around a datagram. */
export const UDP_OVERHEAD = 64;
/** The same around a TCP segment. */
export const TCP_OVERHEAD = 76;
/** CCMP header and MIC on a protected network. */
export const CCMP_OVERHEAD = 16;
/** An acknowledgement at 1 Mb/s: preamble and 14 bytes. */
export const ACK_MS = 0.304;
/** A beacon of an ESP32 access point at 1 Mb/s (about 120 bytes), sent every 102.4 ms. */
export const BEACON_MS = 1.15;
export const BEACON_INTERVAL_MS = 102.4;

const OFDM_RATES: readonly number[] = [6, 9, 12, 18, 24, 36, 48, 54];

/**
 * Time on air of a frame of `bytes` (everything from the MAC header to the check sequence) at `rateMbps`: 1, 2, 5.5 or
 * 11 for DSSS, 6..54 for OFDM. Throws on any other rate.
 */
export function frameAirtime(bytes: number, rateMbps = 1): number {
  if (rateMbps === 1 || rateMbps === 2 || rateMbps === 5.5 || rateMbps === 11) {
    return 0.192 + (8 * bytes) / (rateMbps * 1000);
  }
  if (!OFDM_RATES.includes(rateMbps)) throw new RangeError(`no 802.11b/g rate of ${rateMbps} Mb/s`);
  // 4 us a symbol, so a symbol carries 4 bits for each Mb/s; 6 us signal extension at 2.4 GHz.
  return 0.026 + 0.004 * Math.ceil((22 + 8 * bytes) / (4 * rateMbps));
}

/** A frame to one receiver with its acknowledgement. */
export function exchangeAirtime(bytes: number, rateMbps = 1): number {
  return frameAirtime(bytes, rateMbps) + SIFS_MS + ACK_MS;
}
