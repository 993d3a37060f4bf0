/** Modes, reasons, events and times of the ESP32's WiFi driver (ESP-IDF, esp_wifi_types.h and the WiFi guide). */

export const MODE_NULL = 0;
export const MODE_STATION = 1;
export const MODE_ACCESS_POINT = 2;
export const MODE_BOTH = 3;

/** Reason codes of IEEE 802.11 and, from 200 on, of ESP-IDF (esp_wifi_types.h). */
export const REASON = {
  AUTH_EXPIRE: 2,
  AUTH_LEAVE: 3,
  ASSOC_TOOMANY: 5,
  NOT_ASSOCED: 7,
  ASSOC_LEAVE: 8,
  HANDSHAKE_TIMEOUT: 15,
  BEACON_TIMEOUT: 200,
  NO_AP_FOUND: 201,
} as const;

export const CHANNELS = 13;
/** An active scan stays on a channel for up to 120 ms; beside a standing link it returns home between channels. */
export const DWELL_MS = 120;
export const HOME_MS = 30;
/** An access point answers a probe within so many ms of the scan's arrival on its channel. */
export const PROBE_MS: readonly [number, number] = [3, 20];
/** Frames of a join, back and forth, bytes on air: authentication and association, then the four-way handshake. */
export const ASSOCIATION_BYTES: readonly number[] = [34, 34, 140, 120];
export const HANDSHAKE_BYTES: readonly number[] = [155, 177, 211, 155];
/** Discover, offer, request and acknowledgement of DHCP. */
export const DHCP_BYTES: readonly number[] = [402, 402, 414, 402];
/** Without an answer to it authentication or association has failed after this; a handshake's message is repeated. */
export const ANSWER_MS = 1000;
export const HANDSHAKE_TRIES = 4;
/** An access point that falls silent in the middle of a join is given up after this. */
export const JOIN_TIMEOUT_MS = 10000;
/** DHCP begins again after this, then after twice as long, up to six doublings (lwIP). */
export const DHCP_RETRY_MS = 2000;
/** A station gives an access point up when no beacon came for 6 s. */
export const BEACON_TIMEOUT_MS = 6000;
/** Weaker networks are heard by luck only; a join would not stand. */
export const JOIN_RSSI_DBM = -92;
/** From the driver to the event task. */
export const EVENT_MS = 2;

export interface AccessPointConfig {
  ssid: string;
  password: string;
  /** 0: the driver takes 1 */
  channel: number;
  authMode: string;
}

export interface Heard {
  ssid: string;
  mac: string;
  rssi: number;
  channel: number;
  authMode: string;
}

export type WifiEvent =
  | { type: "STA_START" | "STA_STOP" | "AP_START" | "AP_STOP" }
  | { type: "SCAN_DONE"; found: Heard[] }
  | { type: "STA_CONNECTED"; ssid: string; mac: string; channel: number; authMode: string }
  | { type: "STA_DISCONNECTED"; ssid: string; mac: string; reason: number }
  | { type: "STA_GOT_IP"; ip: string; netmask: string; gateway: string }
  | { type: "AP_STACONNECTED" | "AP_STADISCONNECTED"; mac: string };
