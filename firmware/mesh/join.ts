/**
 * Who is this node's parent: scan, choose, connect, dial, and what to do when any of it fails.
 *
 * Espruino shapes it. It cannot choose among access points of one name, so the nodes of a mesh of their own are told
 * apart by SSID (name and id); and it dials only while its own access point is down or its station link stands, so a
 * node opens its access point after it has joined, and closes it again before it looks for another parent.
 */
import type { Engine, ScanResult } from "../engine/engine";
import type { Link } from "./link";

/** Milliseconds. */
const SCAN_UNJOINED = 15000;
const SCAN_JOINED = 120000;
const SCAN_ROOT_MISSING = 30000;
/** Wait of the first scans after a start or a loss. */
const SCAN_SOON = 4000;
const SOON_SCANS = 3;
const GUARD = 40000;
const SETTLE = 500;
/** Dials on one WiFi link, after 1, 2, 4 and 8 s; then the parent counts as refusing. */
const DIALS = 5;
const MAX_DIAL_WAIT = 30000;
const BLOCK_FIRST = 10000;
const BLOCK_MAX = 240000;
const AP_RETRY = 5000;
/** Scans that find nobody before a node opens its access point as the head of an island. */
const EMPTY_SCANS = 4;
const EMPTY_SCANS_ROOTED = 20;
/** What a former parent may be weaker, in dB, and still be preferred. */
const LOYALTY = 6;
const MAX_REFUSALS = 16;
/** Chance in 1000, besides its stability, that the head of an island gives it up for another mesh. */
const MOVE_ANYWAY = 100;

export const JOIN_OFF = 0;
/** Waiting for the next scan. */
export const JOIN_IDLE = 1;
export const JOIN_SCANNING = 2;
export const JOIN_CONNECTING = 3;
/** The network is joined, the link is not. */
export const JOIN_DIALLING = 4;
export const JOIN_STANDING = 5;

export interface JoinConfig {
  /** Network name of a mesh of Espalier nodes; each access point is called `<meshName>-<8 hex digits of its id>`. */
  meshName: string;
  /** One SSID for all access points, as C++ painlessMesh nodes want it; wins over `meshName`. */
  ssid?: string;
  password: string;
  /** TCP port of links, 5555 in painlessMesh; the airwave uses the next one. */
  port: number;
  /** WiFi channel of an access point that is not bound to a parent's, 1..13; 0 is 1. */
  channel: number;
  /** The root opens its access point and looks for no parent. */
  root?: boolean;
  /** No access point of its own. A C3, which cannot have both, is always one unless it is the root. */
  leaf?: boolean;
  /** Id of the only node that may be the parent. */
  parent?: number;
  /** A router to join instead of a parent in the mesh. */
  station?: { ssid: string; password: string };
  /** Where to dial: on an engine without WiFi, or behind `station`. */
  uplink?: { host: string; port: number };
}

/** What joining asks of the mesh. */
export interface JoinHost {
  id: number;
  /** A root is expected somewhere. */
  containsRoot: boolean;
  /** 0..1000; how long nothing has changed. */
  stability: number;
  links: Link[];
  /** Address of the parent, "" without one, and of this node's access point, "" while it is closed. */
  parentIp: string;
  apIp: string;
  /** The link through which a node is reached, or null. */
  linkTo(id: number): Link | null;
  /** The id of the root, 0 if none is seen. */
  rootId(): number;
  dial(host: string, port: number): void;
  /** Closes the link to the parent, or all links. */
  hangUp(all: boolean): void;
}

export interface Join {
  seek(): void;
  giveUp(): void;
  /** Once a second, with engine.now(). */
  advance(now: number): void;
  /** The parent's first node sync was accepted. */
  linked(): void;
  /** The link to the parent is gone. */
  unlinked(): void;
  phase(): number;
}

/** The node id that a MAC address holds, as in painlessMesh: its last four bytes. */
export function idOfMac(mac: string): number {
  "cold";
  return parseInt(mac.substr(6).split(":").join(""), 16) || 0;
}

/** The node id in an SSID or a BSSID, 0 if there is none. */
export function idOfAccessPoint(config: JoinConfig, found: ScanResult): number {
  "cold";
  if (config.ssid) return found.ssid === config.ssid ? idOfMac(found.mac) : 0;
  const hex = found.ssid.substr(config.meshName.length + 1);
  const id = parseInt(hex, 16) || 0;
  // Comparing the whole name refuses what parseInt takes besides eight digits.
  return found.ssid === accessPointName(config, id) ? id : 0;
}

export function accessPointName(config: JoinConfig, id: number): string {
  "cold";
  return config.ssid || config.meshName + "-" + ("0000000" + id.toString(16)).substr(-8);
}

export function createJoin(engine: Engine, config: JoinConfig, host: JoinHost): Join {
  const wifi = engine.wifi;
  const leaf = !config.root && (!!config.leaf || engine.hardware === "ESP32-C3");
  const station = config.station;
  const uplink = station || !wifi ? config.uplink : undefined;
  const ownIp = "10." + ((host.id >> 8) & 255) + "." + (host.id & 255) + ".1";
  // Only the low 16 bits of an id show in every place (SSID, BSSID, gateway address), so refusals go by them.
  const refusals: { [key: string]: { count: number; until: number } } = {};
  let phase = JOIN_OFF;
  let due = 0;
  /** Callbacks of an earlier attempt are recognised by their number. */
  let turn = 0;
  let target = 0;
  let parent = 0;
  let gateway = "";
  let channel = config.channel || 1;
  let dials = 0;
  let empty = 0;
  let scans = 0;
  let wantAp = false;
  let apUp = false;
  let apDue = 0;

  function rest(delay: number): void {
    "cold";
    turn++;
    phase = JOIN_IDLE;
    due = engine.now() + delay;
  }

  function refuse(id: number): void {
    "cold";
    const now = engine.now();
    const keys = Object.keys(refusals);
    const key = "k" + (id & 65535);
    const known = refusals[key];
    if (keys.length >= MAX_REFUSALS && !known) {
      let oldest = keys[0]!;
      for (const old of keys) if (refusals[old]!.until < refusals[oldest]!.until) oldest = old;
      delete refusals[oldest];
    }
    const count = known ? known.count + 1 : 1;
    const block = count > 5 ? BLOCK_MAX : Math.min(BLOCK_MAX, BLOCK_FIRST << (count - 1));
    refusals[key] = { count: count, until: now + block + (engine.random() % (block / 4)) };
  }

  /** Gives up WiFi on both sides; the nodes below have to look for another parent as well. */
  function leave(delay: number): void {
    "cold";
    const dialled = phase >= JOIN_CONNECTING;
    rest(delay);
    host.hangUp(true);
    host.parentIp = host.apIp = "";
    if (!wifi) return;
    if (dialled) wifi.disconnect();
    if (apUp) wifi.stopAccessPoint();
    wantAp = apUp = false;
  }

  function connect(found: ScanResult, id: number): void {
    "cold";
    const mine = ++turn;
    phase = JOIN_CONNECTING;
    due = engine.now() + GUARD;
    target = id;
    dials = 0;
    const password = station ? station.password : config.password;
    if (wifi)
      wifi.connect(found.ssid, password, function (error, address) {
        if (mine !== turn) return;
        if (error || !address) {
          refuse(id);
          leave(config.root ? SCAN_UNJOINED : SETTLE);
          // A root serves its mesh even if its router does not answer.
          wantAp = !!config.root;
          return;
        }
        channel = found.channel;
        const part = address.gateway.split(".");
        if (!station) {
          gateway = address.gateway;
          // With one name for all, the driver may have taken another access point than the strongest.
          const low = +part[1]! * 256 + +part[2]!;
          if ((id & 65535) !== low) target = low;
        }
        if (!station || uplink) {
          phase = JOIN_DIALLING;
          due = engine.now() + SETTLE;
        } else linked();
      });
  }

  function heard(found: ScanResult[]): void {
    "cold";
    const now = engine.now();
    const joined = phase === JOIN_STANDING;
    let best: ScanResult | null = null;
    let bestId = 0;
    let bestRssi = -1000;
    for (const one of found) {
      // Sixty nodes in hearing are no rarity: a name is read only if the signal could decide.
      if (one.rssi + LOYALTY <= bestRssi) continue;
      const id = station ? (one.ssid === station.ssid ? 1 : 0) : idOfAccessPoint(config, one);
      if (!id || (!station && id === host.id) || (config.parent && !station && id !== config.parent)) continue;
      const refusal = refusals["k" + (id & 65535)];
      const open = !(refusal && refusal.until > now) && (!!station || !host.linkTo(id));
      const rssi = one.rssi + ((id & 65535) === parent ? LOYALTY : 0);
      // The driver takes the strongest of one name, so there the strongest decides even if it is of no use.
      if ((open || config.ssid) && rssi > bestRssi) {
        best = open ? one : null;
        bestId = id;
        bestRssi = rssi;
      }
    }
    if (joined) {
      due = now + (host.containsRoot && !host.rootId() ? SCAN_ROOT_MISSING : SCAN_JOINED);
      if (!best || engine.random() % 1000 >= host.stability) return;
      // From one standing link to another Espruino dials beside its own access point: the nodes below come along.
      host.stability = 0;
      phase = JOIN_CONNECTING;
      host.hangUp(false);
      connect(best, bestId);
    } else if (!best) {
      empty++;
      if (!leaf && empty >= (config.root ? 1 : host.containsRoot ? EMPTY_SCANS_ROOTED : EMPTY_SCANS)) wantAp = true;
      const wait = ++scans > SOON_SCANS ? SCAN_UNJOINED : SCAN_SOON;
      rest(wait + (engine.random() % (wait / 4)));
    } else if (!apUp) connect(best, bestId);
    // Of two heads that see each other one has to keep its access point: the lower id moves. And the more seldom, the
    // less settled its island is, since all of it has to look for parents again. The next scan is without access point.
    else if (
      !station &&
      ((host.id > bestId && engine.random() % 4) ||
        (host.links.length && engine.random() % 1000 >= host.stability + MOVE_ANYWAY))
    )
      rest(SCAN_UNJOINED);
    else leave(SETTLE);
  }

  function linked(): void {
    "cold";
    phase = JOIN_STANDING;
    parent = target & 65535;
    delete refusals["k" + parent];
    empty = scans = dials = 0;
    host.parentIp = gateway;
    if (!leaf) wantAp = true;
    due = engine.now() + SCAN_JOINED;
  }

  if (wifi)
    wifi.onLost(function () {
      if (phase === JOIN_DIALLING || phase === JOIN_STANDING) leave(SETTLE + (engine.random() % 1000));
    });

  return {
    linked: linked,
    seek: function () {
      "cold";
      rest(0);
      empty = scans = 0;
      if (wifi && !(config.root && !station)) return;
      wantAp = !!wifi;
      phase = uplink && !wifi ? JOIN_DIALLING : JOIN_STANDING;
      dials = 0;
      if (uplink) gateway = uplink.host;
    },
    giveUp: function () {
      "cold";
      leave(0);
      phase = JOIN_OFF;
    },
    advance: function (now: number) {
      "cold";
      if (wifi && wantAp && !apUp && now >= apDue) {
        apUp = true;
        apDue = now + AP_RETRY;
        const name = accessPointName(config, host.id);
        wifi.startAccessPoint({ ssid: name, password: config.password, channel: channel, ip: ownIp }, function (error) {
          if (error) apUp = false;
          else if (apUp) host.apIp = ownIp;
        });
      }
      if (now < due) return;
      due = now + GUARD;
      if (phase === JOIN_IDLE || phase === JOIN_STANDING) {
        if (phase === JOIN_IDLE) phase = JOIN_SCANNING;
        else if (!wifi || config.root || station || host.rootId()) return;
        const mine = ++turn;
        if (wifi)
          wifi.scan(function (found) {
            if (mine === turn) heard(found);
          });
      } else if (phase === JOIN_DIALLING) {
        dials++;
        if (uplink) gateway = uplink.host;
        host.dial(gateway, uplink ? uplink.port : config.port);
      } else if (phase !== JOIN_OFF) {
        // A callback that never came.
        if (phase === JOIN_CONNECTING) refuse(target);
        leave(SETTLE);
      }
    },
    unlinked: function () {
      "cold";
      host.parentIp = "";
      if (phase === JOIN_STANDING) {
        phase = JOIN_DIALLING;
        turn++;
        dials = 0;
        due = engine.now() + SETTLE;
      } else if (phase === JOIN_DIALLING) {
        if (!wifi || station) due = engine.now() + Math.min(MAX_DIAL_WAIT, 1000 << Math.min(dials, 8));
        else if (dials < DIALS) due = engine.now() + (1000 << Math.min(dials - 1, 3))!;
        else {
          refuse(target);
          leave(SCAN_UNJOINED);
        }
      }
    },
    phase: function () {
      "cold";
      return phase;
    },
  };
}
