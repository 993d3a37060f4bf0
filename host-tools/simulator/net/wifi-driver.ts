/**
 * The WiFi driver of an ESP32 (esp_wifi_* of ESP-IDF) as far as Espruino uses it: modes, an access point, one station
 * link, scans, and the events that come of them. Times and reason codes are those of ESP-IDF's WiFi guide.
 */
import { BEACON_INTERVAL_MS } from "../airtime";
import type { ScheduledEvent } from "../events";
import type { WorldNode } from "../world-node";
import {
  ANSWER_MS,
  ASSOCIATION_BYTES,
  BEACON_TIMEOUT_MS,
  CHANNELS,
  DHCP_BYTES,
  DHCP_RETRY_MS,
  DWELL_MS,
  EVENT_MS,
  HANDSHAKE_BYTES,
  HANDSHAKE_TRIES,
  HOME_MS,
  JOIN_RSSI_DBM,
  JOIN_TIMEOUT_MS,
  MODE_ACCESS_POINT,
  MODE_NULL,
  MODE_STATION,
  PROBE_MS,
  REASON,
  type AccessPointConfig,
  type Heard,
  type WifiEvent,
} from "./wifi-types";

export class WifiDriver {
  readonly node: WorldNode;
  mode = MODE_NULL;
  started = false;
  accessPoint: AccessPointConfig = { ssid: "", password: "", channel: 0, authMode: "open" };
  station = { ssid: "", password: "" };
  /** Set while the access point runs. */
  accessPointUp = false;
  /** The access point this station is associated with. */
  link: WifiDriver | null = null;
  /** Stations by MAC, in order of arrival, as the access point believes. */
  readonly stations = new Map<string, WifiDriver>();
  /** Called outside the interpreter, as ESP-IDF's event task does. */
  onEvent: (event: WifiEvent) => void = () => {};
  #alive = true;
  #dialling = false;
  #dial = 0;
  #scan: { from: number; until: number; home: boolean; done: ScheduledEvent | null } | null = null;
  #beaconLoss: ScheduledEvent | null = null;
  readonly #silent = new Map<string, ScheduledEvent>();

  constructor(node: WorldNode) {
    this.node = node;
  }

  get alive(): boolean {
    return this.#alive;
  }

  setMode(mode: number): void {
    const before = this.mode;
    this.mode = mode;
    if (!this.started) return;
    if (before & MODE_STATION && !(mode & MODE_STATION)) this.#stopStation();
    if (before & MODE_ACCESS_POINT && !(mode & MODE_ACCESS_POINT)) this.#stopAccessPoint();
    if (!(before & MODE_STATION) && mode & MODE_STATION) this.#post({ type: "STA_START" });
    if (!(before & MODE_ACCESS_POINT) && mode & MODE_ACCESS_POINT) this.#startAccessPoint();
  }

  start(): void {
    if (this.started) return;
    this.started = true;
    if (this.mode & MODE_STATION) this.#post({ type: "STA_START" });
    if (this.mode & MODE_ACCESS_POINT) this.#startAccessPoint();
  }

  stop(): void {
    if (!this.started) return;
    if (this.mode & MODE_STATION) this.#stopStation();
    if (this.mode & MODE_ACCESS_POINT) this.#stopAccessPoint();
    this.started = false;
  }

  /** The chip stops. With a farewell (a restart by software) the others hear of it at once, else they find out. */
  down(farewell: boolean): void {
    if (farewell) this.stop();
    this.#alive = false;
    this.#dial++;
    this.#dialling = false;
    if (this.#scan?.done) this.node.world.events.cancel(this.#scan.done);
    this.#scan = null;
    if (this.#beaconLoss) this.node.world.events.cancel(this.#beaconLoss);
    for (const event of this.#silent.values()) this.node.world.events.cancel(event);
    this.#silent.clear();
    this.accessPointUp = false;
    this.started = false;
    this.link = null;
  }

  /** Replaces the access point's settings; one that runs starts anew. */
  setAccessPointConfig(config: AccessPointConfig): void {
    const running = this.accessPointUp;
    if (running) this.#stopAccessPoint();
    this.accessPoint = config;
    if (running) this.#startAccessPoint();
  }

  setStationConfig(ssid: string, password: string): void {
    this.station = { ssid, password };
  }

  /** Dials the configured network. Returns false when the driver refuses. */
  connect(): boolean {
    if (!this.started || !(this.mode & MODE_STATION) || !this.station.ssid) return false;
    if (this.link || this.#dialling) return true;
    // "If ESP32 is scanning and connecting at the same time, ESP32 will abort scanning" (esp_wifi.h).
    if (this.#scan?.done) this.#endScan([]);
    this.#dialling = true;
    const dial = ++this.#dial;
    const { events } = this.node.world;
    const ssid = this.station.ssid;
    const candidate = this.#choose(ssid);
    const channels = candidate ? candidate.node.channel : CHANNELS;
    const until = this.#goAway(channels);
    events.at(until, () => {
      if (dial !== this.#dial) return;
      this.#scan = null;
      if (!candidate) this.#dialFailed(ssid, "00:00:00:00:00:00", REASON.NO_AP_FOUND);
      else
        events.after(this.node.random.between(100, 600), () => dial === this.#dial && this.#associate(candidate, dial));
    });
    return true;
  }

  disconnect(): void {
    const reason = REASON.ASSOC_LEAVE;
    if (this.link) this.#loseLink(reason, true);
    else if (this.#dialling) this.#dialFailed(this.station.ssid, "00:00:00:00:00:00", reason);
  }

  /** Begins a scan of all channels. Returns false when the driver refuses; no SCAN_DONE comes then. */
  startScan(): boolean {
    if (!this.started || !(this.mode & MODE_STATION) || this.#dialling || this.#scan) return false;
    const until = this.#goAway(CHANNELS);
    this.#scan!.done = this.node.world.events.at(until, () => this.#endScan(this.#hear()));
    return true;
  }

  /** When the radio is back on its channel, 0 when it is there. */
  awayUntil(now: number): number {
    const scan = this.#scan;
    if (!scan || now >= scan.until) return 0;
    const period = scan.home ? DWELL_MS + HOME_MS : scan.until - scan.from;
    const dwell = scan.home ? DWELL_MS : period;
    const phase = (now - scan.from) % period;
    return phase < dwell ? now - phase + dwell : 0;
  }

  /** The air between this station and its access point changed: starts or stops waiting for beacons. */
  checkLink(): void {
    const { events } = this.node.world;
    const access = this.link;
    if (!access) return;
    const heard = access.alive && access.accessPointUp && this.#rssi(access) >= JOIN_RSSI_DBM - 3;
    if (heard && this.#beaconLoss) {
      events.cancel(this.#beaconLoss);
      this.#beaconLoss = null;
    } else if (!heard && !this.#beaconLoss) {
      this.#beaconLoss = events.after(BEACON_TIMEOUT_MS, () => {
        this.#beaconLoss = null;
        if (this.link === access) this.#loseLink(REASON.BEACON_TIMEOUT, false);
      });
    }
  }

  /** A station told that it leaves, or an access point threw it out. */
  removeStation(mac: string): void {
    if (!this.stations.delete(mac)) return;
    const silent = this.#silent.get(mac);
    if (silent) this.node.world.events.cancel(silent);
    this.#silent.delete(mac);
    this.#post({ type: "AP_STADISCONNECTED", mac });
  }

  /** Ends the station link as the access point demands. */
  deauthenticated(by: WifiDriver, reason: number): void {
    if (this.link === by) this.#loseLink(reason, false);
  }

  /** A station is not heard any more; its place stays taken until the access point's inactivity time has passed. */
  stationSilent(station: WifiDriver): void {
    const mac = station.node.mac;
    if (this.stations.get(mac) !== station || this.#silent.has(mac)) return;
    const { events, options } = this.node.world;
    this.#silent.set(
      mac,
      events.after(options.stationTimeoutMs, () => {
        this.#silent.delete(mac);
        if (this.stations.get(mac) === station && station.link !== this) this.removeStation(mac);
      }),
    );
  }

  #post(event: WifiEvent): void {
    this.node.world.events.after(EVENT_MS, () => {
      if (this.#alive) this.onEvent(event);
    });
  }

  #rssi(from: WifiDriver): number {
    return this.node.world.radio.propagation.rssi(from.node, this.node);
  }

  /** A fast scan takes the first network of the name that it meets, channel by channel: no choice of the strongest. */
  #choose(ssid: string): WifiDriver | null {
    const found: WifiDriver[] = [];
    const now = this.node.world.events.now();
    for (const other of this.node.world.accessPoints()) {
      if (other === this || other.accessPoint.ssid !== ssid || this.#rssi(other) < JOIN_RSSI_DBM) continue;
      if (!this.#notices(other, now + (other.node.channel - 1) * DWELL_MS)) continue;
      if (found.length && other.node.channel > found[0]!.node.channel) continue;
      if (found.length && other.node.channel < found[0]!.node.channel) found.length = 0;
      found.push(other);
    }
    return found.length ? found[this.node.random.below(found.length)]! : null;
  }

  #goAway(channels: number): number {
    const now = this.node.world.events.now();
    const home = !!this.link || this.accessPointUp;
    const until = now + channels * (home ? DWELL_MS + HOME_MS : DWELL_MS);
    this.#scan = { from: now, until, home, done: null };
    return until;
  }

  #hear(): Heard[] {
    const random = this.node.random;
    const found: Heard[] = [];
    for (const other of this.node.world.accessPoints()) {
      if (other === this) continue;
      const rssi = Math.round(this.#rssi(other) + random.between(-2, 2));
      // A weak network's answers are missed at times.
      if (rssi < -96 || (rssi < JOIN_RSSI_DBM && random.chance(0.5)) || random.chance(0.02)) continue;
      const { from, home } = this.#scan!;
      if (!this.#notices(other, from + (other.node.channel - 1) * (home ? DWELL_MS + HOME_MS : DWELL_MS))) continue;
      const { ssid, authMode } = other.accessPoint;
      found.push({ ssid, mac: other.node.accessPointMac, rssi, channel: other.node.channel, authMode });
    }
    return found.sort((a, b) => b.rssi - a.rssi);
  }

  /** Whether a scan that comes to the channel of `other` at `atMs` meets a beacon of it, or an answer to its probe. */
  #notices(other: WifiDriver, atMs: number): boolean {
    const { node } = this;
    const { radio } = node.world;
    const answered = atMs + node.random.between(...PROBE_MS);
    if (!radio.loss.lost(node.id, other.node.id, atMs) && radio.passes(other.node, node, answered)) return true;
    let beacon = atMs + node.random.between(0, BEACON_INTERVAL_MS);
    for (; beacon < atMs + DWELL_MS; beacon += BEACON_INTERVAL_MS)
      if (!radio.loss.lost(other.node.id, node.id, beacon)) return true;
    return false;
  }

  /**
   * Exchanges frames of these lengths with an access point, the station's first, each acknowledged and repeated by the
   * radio; `then` gets the number of frames that went through.
   */
  #talk(access: WifiDriver, lengths: readonly number[], then: (count: number) => void): void {
    const { radio, events } = this.node.world;
    const ends = [this.node, access.node] as const;
    const step = (index: number): void => {
      const bytes = lengths[index];
      if (bytes === undefined) return then(index);
      const done = (received: readonly unknown[]): void => (received.length ? step(index + 1) : then(index));
      if (!radio.send(ends[index & 1]!, { to: ends[1 - (index & 1)]!, bytes, kind: "join", done }))
        events.after(0, () => then(index));
    };
    step(0);
  }

  #endScan(found: Heard[]): void {
    if (this.#scan?.done) this.node.world.events.cancel(this.#scan.done);
    this.#scan = null;
    this.#post({ type: "SCAN_DONE", found });
  }

  #associate(access: WifiDriver, dial: number): void {
    const { events } = this.node.world;
    const ssid = this.station.ssid;
    const failed = (reason: number): void => this.#dialFailed(ssid, access.node.accessPointMac, reason);
    const later = (delay: number, run: () => void): void =>
      void events.after(delay, () => {
        if (dial === this.#dial) run();
      });
    const reachable = (): boolean =>
      access.alive && access.accessPointUp && access.accessPoint.ssid === ssid && this.#rssi(access) >= JOIN_RSSI_DBM;
    const full = (): boolean =>
      !access.stations.has(this.node.mac) && access.stations.size >= access.node.limits.stations;
    const handshake = (tries: number): void =>
      this.#talk(access, HANDSHAKE_BYTES, (count) => {
        if (dial !== this.#dial) return;
        if (count < HANDSHAKE_BYTES.length) {
          if (tries > 1) later(ANSWER_MS, () => handshake(tries - 1));
          else failed(REASON.HANDSHAKE_TIMEOUT);
        } else if (!reachable()) failed(REASON.NO_AP_FOUND);
        else if (full()) failed(REASON.ASSOC_TOOMANY);
        else this.#associated(access, dial);
      });

    if (!reachable()) return failed(REASON.NO_AP_FOUND);
    this.node.setChannel(access.node.channel);
    later(JOIN_TIMEOUT_MS, () => this.#dialling && failed(REASON.HANDSHAKE_TIMEOUT));
    this.#talk(access, ASSOCIATION_BYTES, (count) => {
      if (dial !== this.#dial) return;
      if (count < ASSOCIATION_BYTES.length) later(ANSWER_MS, () => failed(REASON.AUTH_EXPIRE));
      else if (full()) failed(REASON.ASSOC_TOOMANY);
      // The four-way handshake is repeated for some seconds before it is given up.
      else if (access.accessPoint.password !== this.station.password)
        later(3000, () => failed(REASON.HANDSHAKE_TIMEOUT));
      else handshake(HANDSHAKE_TRIES);
    });
  }

  #associated(access: WifiDriver, dial: number): void {
    const { events, options } = this.node.world;
    this.#dialling = false;
    access.admit(this);
    this.link = access;
    this.node.setChannel(access.node.channel);
    const { ssid, authMode } = access.accessPoint;
    const mac = access.node.accessPointMac;
    this.#post({ type: "STA_CONNECTED", ssid, mac, channel: access.node.channel, authMode });
    const ask = (doublings: number): void => {
      if (dial !== this.#dial || this.link !== access) return;
      this.#talk(access, DHCP_BYTES, (count) => {
        if (dial !== this.#dial || this.link !== access) return;
        if (count === DHCP_BYTES.length) this.#gotAddress(access);
        else events.after(DHCP_RETRY_MS << doublings, () => ask(Math.min(doublings + 1, 6)));
      });
    };
    const [least, most] = options.addressDelayMs;
    events.after(this.node.random.between(least, most), () => ask(0));
    this.checkLink();
  }

  /** Takes a station in, or in again. */
  admit(station: WifiDriver): void {
    const mac = station.node.mac;
    const silent = this.#silent.get(mac);
    if (silent) this.node.world.events.cancel(silent);
    this.#silent.delete(mac);
    this.stations.set(mac, station);
    this.#post({ type: "AP_STACONNECTED", mac });
  }

  #gotAddress(access: WifiDriver): void {
    const gateway = access.node.stack.accessPointAddress;
    const ip = access.node.stack.lease(this.node.mac);
    this.node.stack.stationUp(ip, gateway);
    this.onEvent({ type: "STA_GOT_IP", ip, netmask: "255.255.255.0", gateway });
  }

  #dialFailed(ssid: string, mac: string, reason: number): void {
    this.#dial++;
    this.#dialling = false;
    if (!this.#scan?.done) this.#scan = null;
    this.#post({ type: "STA_DISCONNECTED", ssid, mac, reason });
  }

  /** `farewell`: the access point hears that this station leaves. */
  #loseLink(reason: number, farewell: boolean): void {
    const access = this.link!;
    this.link = null;
    this.#dial++;
    this.#dialling = false;
    if (this.#beaconLoss) this.node.world.events.cancel(this.#beaconLoss);
    this.#beaconLoss = null;
    this.node.stack.stationDown();
    const heard = access.alive && this.#rssi(access) >= JOIN_RSSI_DBM - 3;
    if (access.stations.get(this.node.mac) === this) {
      if (farewell && heard) access.removeStation(this.node.mac);
      else access.stationSilent(this);
    }
    this.#post({ type: "STA_DISCONNECTED", ssid: access.accessPoint.ssid, mac: access.node.accessPointMac, reason });
  }

  #startAccessPoint(): void {
    this.accessPointUp = true;
    this.stations.clear();
    if (!this.link) this.node.setChannel(this.accessPoint.channel || 1);
    this.node.world.accessPointChanged(this);
    this.#post({ type: "AP_START" });
  }

  #stopAccessPoint(): void {
    this.accessPointUp = false;
    const left = [...this.stations.values()];
    this.stations.clear();
    for (const event of this.#silent.values()) this.node.world.events.cancel(event);
    this.#silent.clear();
    this.node.world.accessPointChanged(this);
    for (const station of left) {
      if (station.alive && station.#rssi(this) >= JOIN_RSSI_DBM) station.deauthenticated(this, REASON.AUTH_LEAVE);
    }
    this.#post({ type: "AP_STOP" });
  }

  #stopStation(): void {
    if (this.#scan?.done) this.#endScan([]);
    if (this.link) this.#loseLink(REASON.ASSOC_LEAVE, true);
    else if (this.#dialling) this.#dialFailed(this.station.ssid, "00:00:00:00:00:00", REASON.ASSOC_LEAVE);
    this.#post({ type: "STA_STOP" });
  }
}
