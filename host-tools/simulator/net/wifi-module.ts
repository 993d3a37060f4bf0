/** Espruino's `Wifi` module on an ESP32: a translation of libs/network/esp32/jswrap_esp32_network.c. */
import type { NetPort } from "../chip/seam";
import type { WorldNode } from "../world-node";
import { Emitter, queueCallback, queueEvent } from "./emitter";
import {
  MODE_ACCESS_POINT,
  MODE_BOTH,
  MODE_NULL,
  MODE_STATION,
  type AccessPointConfig,
  type WifiEvent,
} from "./wifi-types";

const REASON_NAMES: { [code: number]: string } = {
  2: "AUTH_EXPIRE",
  3: "AUTH_LEAVE",
  4: "ASSOC_EXPIRE",
  5: "ASSOC_TOOMANY",
  6: "NOT_AUTHED",
  7: "NOT_ASSOCED",
  8: "ASSOC_LEAVE",
  15: "4WAY_HANDSHAKE_TIMEOUT",
  200: "BEACON_TIMEOUT",
  201: "NO_AP_FOUND",
  202: "AUTH_FAIL",
  203: "ASSOC_FAIL",
};
const MODE_NAMES = ["NULL", "STA", "AP", "APSTA"];
const POWER_SAVING: { [setting: string]: string } = { none: "none", min: "min_modem", max: "max_modem" };
const AUTH_MODES = ["open", "wpa", "wpa2", "wpa_wpa2"];
/** Tries of one connect() (s_retry_num). */
const TRIES = 3;

export function createWifiModule(port: NetPort, node: WorldNode): object {
  const { driver, stack } = node;
  const emitter = new Emitter(port);
  const together = port.limits.accessPointBesideStation;
  let onDisconnect: unknown = null;
  let onAddress: unknown = null;
  let onScan: unknown = null;
  let onAccessPoint: unknown = null;
  let linked = false;
  let accessPointStarted = false;
  let retries = 0;
  let lastReason = 0;
  let authMode = "unknown";
  let powerSaving = "min_modem";
  let hostname = "espressif";

  driver.onEvent = handle;

  function handle(event: WifiEvent): void {
    switch (event.type) {
      case "STA_DISCONNECTED":
        disconnected(event);
        break;
      case "STA_CONNECTED":
        linked = true;
        authMode = event.authMode;
        send("associated", { ssid: event.ssid, mac: event.mac, channel: String(event.channel) });
        break;
      case "STA_START":
        driver.connect();
        break;
      case "STA_GOT_IP":
        complete(onAddress, null);
        onAddress = null;
        send("connected", { ip: event.ip, netmask: event.netmask, gw: event.gateway });
        break;
      case "AP_STACONNECTED":
        send("sta_joined", { mac: event.mac });
        break;
      case "AP_STADISCONNECTED":
        send("sta_left", { mac: event.mac });
        break;
      case "SCAN_DONE": {
        const found = event.found.map(({ rssi, authMode: auth, ssid, mac, channel }) => {
          return { rssi, authMode: auth, ssid, mac, channel: String(channel) };
        });
        if (onScan) queueCallback(port, onScan, [port.local(found)], "scan");
        onScan = null;
        stopIfIdle();
        break;
      }
      case "AP_START":
        accessPointStarted = true;
        complete(onAccessPoint, null);
        onAccessPoint = null;
        break;
      case "AP_STOP":
        accessPointStarted = false;
        stopIfIdle();
        break;
      case "STA_STOP":
        break;
    }
  }

  function disconnected(event: { ssid: string; mac: string; reason: number }): void {
    if (--retries > 0) {
      driver.connect();
      return;
    }
    linked = false;
    lastReason = event.reason;
    if (onDisconnect) queueCallback(port, onDisconnect, [], "disconnected");
    onDisconnect = null;
    const msg = reasonName(event.reason);
    send("disconnected", { ssid: event.ssid, mac: event.mac, reason: String(event.reason), msg });
    complete(onAddress, msg);
    onAddress = null;
    stopIfIdle();
  }

  function stopIfIdle(): void {
    if ((driver.mode === MODE_NULL || (driver.mode === MODE_STATION && !linked)) && !onScan) driver.stop();
  }

  function send(event: string, details: object): void {
    queueEvent(port, emitter, event, [port.local(details)]);
  }

  function complete(callback: unknown, error: string | null): void {
    queueCallback(port, callback, [error], "wifi");
  }

  function checkCallback(callback: unknown): void {
    if (callback !== undefined && callback !== null && typeof callback !== "function") {
      throw port.error(`Expecting callback function but got ${String(callback)}`);
    }
  }

  function checkOptions(options: unknown): void {
    if (options !== undefined && options !== null && typeof options !== "object") {
      throw port.error(`Expecting Object, got ${typeof options}`);
    }
  }

  function accessPointConfig(ssid: string, options: { [name: string]: unknown } | null | undefined): AccessPointConfig {
    const config: AccessPointConfig = { ssid: ssid.substring(0, 32), password: "", channel: 0, authMode: "open" };
    if (!options) return config;
    const { channel, password, authMode: auth } = options;
    if (Number.isInteger(channel) && Number(channel) >= 1 && Number(channel) <= 13) config.channel = Number(channel);
    if (password !== undefined) {
      if (typeof password !== "string" || password.length < 8) {
        throw port.error("Password must be string of at least 8 characters");
      }
      config.password = password.substring(0, 63);
    }
    if (typeof auth === "string") {
      if (!AUTH_MODES.includes(auth)) throw port.error("Unknown authMode value");
      config.authMode = auth;
    } else {
      config.authMode = config.password ? "wpa2" : "open";
    }
    if (config.authMode !== "open" && !config.password) throw port.error("Password not set but authMode not open");
    if (config.authMode === "open" && config.password) {
      throw port.error("Auth mode set to open but password supplied");
    }
    return config;
  }

  function addressInfo(address: string, gateway: string, mac: string, callback: unknown): object {
    const netmask = address ? "255.255.255.0" : "0.0.0.0";
    const info = port.local({ ip: address || "0.0.0.0", netmask, gw: gateway || "0.0.0.0", mac });
    queueCallback(port, callback, [null, info], "address");
    return info;
  }

  function checkAddresses(settings: { [name: string]: unknown }): void {
    checkOptions(settings);
    for (const [name, what] of [
      ["ip", "IP address"],
      ["gw", "Gateway address"],
      ["netmask", "Netmask"],
    ] as const) {
      const value = settings?.[name];
      if (typeof value !== "string" || !/^\d{1,3}(\.\d{1,3}){3}$/.test(value)) throw port.error(`Not a valid ${what}`);
    }
  }

  function reasonName(reason: number): string {
    return REASON_NAMES[reason] ?? "Unknown reason";
  }

  return Object.assign(emitter, {
    connect(ssid: unknown, options?: { password?: unknown }, callback?: unknown): void {
      if (typeof ssid !== "string") throw port.error("No SSID provided");
      checkOptions(options);
      onAddress = null;
      checkCallback(callback);
      onDisconnect = null;
      const password = options?.password ?? "";
      if (typeof password !== "string") throw port.error("Expecting options.password to be a string");
      const serving = (driver.mode & MODE_ACCESS_POINT) !== 0;
      driver.setMode(serving && together ? MODE_BOTH : MODE_STATION);
      driver.setStationConfig(ssid.substring(0, 32), password.substring(0, 64));
      retries = TRIES;
      if (linked) driver.disconnect();
      else driver.start();
      onAddress = callback ?? null;
    },
    disconnect(callback?: unknown): void {
      onDisconnect = null;
      checkCallback(callback);
      onDisconnect = callback ?? null;
      retries = 0;
      driver.disconnect();
      queueCallback(port, callback, [], "disconnect");
    },
    startAP(ssid: unknown, options?: { [name: string]: unknown } | null, callback?: unknown): void {
      checkCallback(callback);
      if (typeof ssid !== "string") throw port.error("No SSID");
      checkOptions(options);
      onAccessPoint = null;
      const config = accessPointConfig(ssid, options);
      onAccessPoint = callback ?? null;
      const mode = driver.mode === MODE_STATION && !together ? MODE_NULL : driver.mode;
      driver.setMode(mode | MODE_ACCESS_POINT);
      driver.setAccessPointConfig(config);
      driver.start();
    },
    stopAP(callback?: unknown): void {
      checkCallback(callback);
      driver.setMode(driver.mode & ~MODE_ACCESS_POINT);
      queueCallback(port, callback, [], "stopAP");
    },
    scan(callback: unknown): void {
      if (onScan) throw port.error("A scan is already in progress");
      if (typeof callback !== "function") throw port.error(`Expecting callback function but got ${String(callback)}`);
      onScan = callback;
      driver.setMode(driver.mode | MODE_STATION);
      driver.start();
      driver.startScan();
    },
    setAPIP(settings: { ip: string; gw: string; netmask: string }, callback?: unknown): void {
      checkAddresses(settings);
      stack.accessPointAddress = settings.ip;
      if (typeof callback !== "function") throw port.error("Callback is not a function");
      queueCallback(port, callback, ["Failure"], "setAPIP");
    },
    setIP(settings: { ip: string; gw: string; netmask: string }, callback?: unknown): void {
      checkAddresses(settings);
      stack.stationUp(settings.ip, settings.gw);
      if (typeof callback !== "function") throw port.error("Callback is not a function");
      queueCallback(port, callback, ["Failure"], "setIP");
    },
    getIP: (callback?: unknown) => addressInfo(stack.stationAddress, stack.gateway, node.mac, callback),
    getAPIP(callback?: unknown): object {
      return addressInfo(stack.accessPointAddress, stack.accessPointAddress, node.accessPointMac, callback);
    },
    getStatus(): object {
      const status: { [name: string]: unknown } = {};
      const access = driver.link;
      if (linked && access) {
        status["station"] = "connected";
        status["ssid"] = access.accessPoint.ssid;
        status["bssid"] = access.node.accessPointMac;
        status["channel"] = node.channel;
        status["rssi"] = Math.round(node.world.radio.propagation.rssi(access.node, node));
        status["htMode"] = "HT20";
        status["authMode"] = authMode;
      } else {
        status["station"] = linked ? "connected" : reasonName(lastReason);
      }
      status["mode"] = accessPointStarted || linked ? MODE_NAMES[driver.mode] : "NULL";
      status["powersave"] = powerSaving;
      return port.local(status);
    },
    getDetails(callback?: unknown): object {
      const { ssid, password } = driver.station;
      const details = port.local(
        linked ? { ssid, password, status: "connected", authMode } : { status: reasonName(lastReason) },
      );
      queueCallback(port, callback, [details], "details");
      return details;
    },
    getAPDetails(callback?: unknown): object {
      const { ssid, password, authMode: auth } = driver.accessPoint;
      const details = port.local({ authMode: auth, hidden: false, maxConn: node.limits.stations, ssid, password });
      queueCallback(port, callback, [details], "details");
      return details;
    },
    setConfig(settings: { phy?: unknown; powersave?: unknown }): void {
      if (typeof settings !== "object" || settings === null)
        throw port.error(`Expecting Object, got ${typeof settings}`);
      const { phy, powersave } = settings;
      if (typeof phy === "string" && !/^11[bgn]$/.test(phy)) throw port.error("Unknown phy mode");
      if (typeof powersave !== "string") return;
      const setting = POWER_SAVING[powersave];
      if (!setting) throw port.error("Unknown powersave mode");
      powerSaving = setting;
    },
    getHostname(callback?: unknown): string {
      queueCallback(port, callback, [hostname], "hostname");
      return hostname;
    },
    setHostname(name: unknown, callback?: unknown): void {
      hostname = String(name);
      queueCallback(port, callback, [], "hostname");
    },
    save(): void {
      // What save() keeps for the next boot is brought back wrongly by the real module; nothing is kept here.
    },
    restore(): void {
      // Without saved settings the real module leaves the radio off.
    },
  });
}
